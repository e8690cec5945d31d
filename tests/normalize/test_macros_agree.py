"""The SQL macros and their Python twins give the same answer, and none of them raises."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.engine.duck import Session, session
from pipelines.normalize import amounts, code_texts, dates, documents, texts
from tests.normalize.nasty import nasty_values

TWINS: list[Callable[[str], str | bool | None]] = [
    texts.text_or_null,
    texts.name_or_null,
    texts.text_without_invisible,
    texts.text_on_one_line,
    texts.holds_han,
    texts.name_on_one_line,
    texts.trimmed,
    texts.text_without_spreadsheet_trick,
    texts.text_without_markup,
    documents.name_with_wide_brackets,
    documents.half_width,
    documents.ascii_upper,
    documents.canonical_document_number,
    documents.name_key,
    code_texts.code_without_blanks,
    code_texts.code_without_label,
    code_texts.code_without_copy_number,
    code_texts.code_without_punctuation,
    code_texts.digits_without_decimal_tail,
    code_texts.code_in_upper_case,
    code_texts.code_without_hyphens,
    code_texts.digits_without_hyphens,
    code_texts.code_of_18_digits,
    dates.date_without_time,
    amounts.amount_from_yuan_column,
    amounts.amount_with_unit,
]


@pytest.fixture(scope="module")
def duck() -> Iterator[Session]:
    with session(threads=2) as opened:
        yield opened


def answers(duck: Session, macro: str, values: list[str]) -> list[str | bool | None]:
    duck.register("given", pa.table({"n": range(len(values)), "value": pa.array(values, pa.string())}))
    return [row[0] for row in duck.rows(f"SELECT {macro}(value) FROM given ORDER BY n")]


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.__name__)
def test_macro_and_twin_agree(duck: Session, twin: Callable[[str], str | bool | None]) -> None:
    values = nasty_values(12_000, seed=1)
    for value, answer in zip(values, answers(duck, twin.__name__, values), strict=True):
        assert answer == twin(value), (twin.__name__, value)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), min_size=20, max_size=40))
def test_macro_and_twin_agree_on_any_text(duck: Session, values: list[str]) -> None:
    for twin in TWINS:
        assert answers(duck, twin.__name__, values) == [twin(value) for value in values], twin.__name__


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.__name__)
def test_null_gives_null(duck: Session, twin: Callable[[str], str | None]) -> None:
    assert duck.one(f"SELECT {twin.__name__}(NULL)") == (None,)


def test_the_row_test_never_misses_what_the_value_test_finds(duck: Session) -> None:
    values = [*nasty_values(20_000, seed=2), *(f"甲{chr(point)}乙" for point in range(0x3001) if point != 0)]
    duck.register("given", pa.table({"value": pa.array(values, pa.string())}))
    missed = duck.rows(
        "SELECT value FROM given WHERE is_untidy('|' || value || '|') "
        "AND NOT may_be_untidy('|' || concat_ws('|', '甲', value, '乙') || '|')"
    )
    assert missed == []


def test_the_row_test_knows_every_control_character(duck: Session) -> None:
    for point in range(32):
        assert duck.one(f"SELECT may_be_untidy('|甲' || chr({point}) || '乙|')") == (True,)
    assert duck.one(
        "SELECT may_be_untidy('|《中华人民共和国食品安全法》第三十四条第（十）项，“标签”|罚款5000元|')"
    ) == (False,)


@pytest.mark.parametrize(
    ("written", "sortable"),
    [
        ("2024-01-02 3:04:05", "2024-01-02 03:04:05.000000"),
        ("2024/1/2 03:04:05.120", "2024-01-02 03:04:05.120000"),
        ("2024年1月2日", "2024-01-02 00:00:00.000000"),
        ("20240102030405", "2024-01-02 03:04:05.000000"),
        ("yesterday", None),
    ],
)
def test_time_stamps_sort_by_time(duck: Session, written: str, sortable: str | None) -> None:
    assert duck.one("SELECT sortable_timestamp($value)", {"value": written}) == (sortable,)
