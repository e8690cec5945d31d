"""Whatever is done to a returned workbook: the order of lines changes nothing, no edit loses or doubles a row."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.catalogue.correctable import correction_targets
from pipelines.engine.duck import Session
from pipelines.engine.rows import RowsPart
from pipelines.identity.synthetic import synthetic_uscc
from pipelines.intake.corrected_workbook import CorrectedSheet, CorrectedWorkbook, read_corrected
from pipelines.operations.correction_matching import Answer, Cells, read_answers
from tests.operations import state
from tests.operations.returned_workbook import fill, line_sheets, outcomes, send_back, workbook
from tests.operations.small_feed import COLUMNS, MONDAY, Installation, row

FIELD_CODE = "行政相对人代码_1(统一社会信用代码)"
LINES = 6
EXAMPLES = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
# Lists with one entry for each line; those of cells hang on columns.
BY_LINE = ("rows", "references", "row_hashes", "field_codes", "codes", "checks", "fields", "answers")


def wrong(number: int) -> dict[str, str]:
    return row(number, 统一社会信用代码=f"不对{number}", 处罚机关统一社会信用代码="也不对")


def right(number: int) -> str:
    return synthetic_uscc("91", "119900", f"MA9{number:05d}")


@dataclass
class Returned:
    """A workbook with answers in it, and the rows it is about."""

    session: Session
    book: CorrectedWorkbook
    parts: list[RowsPart]
    installation: Installation
    path: Path

    def answers(self, book: CorrectedWorkbook) -> list[Answer]:
        context = self.installation.context
        feed = context.catalogue.feed("dept_penalty")
        category = context.catalogue.category_of(feed)
        targets = [correction_targets(part.columns, feed, category) for part in self.parts]
        names = {field.name_zh: field.code for field in category.fields}
        return read_answers(self.session, book, self.parts, targets, names, Cells())


@pytest.fixture(scope="module")
def returned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Returned]:
    folder = tmp_path_factory.mktemp("returned")
    installation = Installation(folder)
    run = installation.publish(MONDAY, [wrong(number) for number in range(LINES)])
    answers = {(number + 2, FIELD_CODE): right(number) for number in range(LINES - 2)}
    fill(workbook(installation, MONDAY), folder / "back.xlsx", answers)
    rows = installation.context.settings.runs / run.id / "rows"
    parts = [RowsPart.from_json(part, rows) for part in (run.manifest or {})["parts"]]
    with installation.context.session() as session:
        book = read_corrected(folder / "back.xlsx", "back.xlsx")
        yield Returned(session, book, parts, installation, folder / "back.xlsx")


def reordered(sheet: CorrectedSheet, order: Sequence[int]) -> CorrectedSheet:
    """The lines of a sheet in another order, each at the place where it stands then."""
    lists = {name: [getattr(sheet, name)[place] for place in order] for name in BY_LINE if name != "rows"}
    faults = {order.index(place): fault for place, fault in sheet.faults.items()}
    cells = [[column[place] for place in order] for column in sheet.cells]
    return replace(sheet, **lists, faults=faults, cells=cells)


def said(answers: Sequence[Answer]) -> list[tuple[object, ...]]:
    """What answers come to, wherever they stand."""
    return sorted((a.reference, str(a.row_no), str(a.column), a.value, str(a.refusal)) for a in answers)


def test_the_answers_are_taken(returned: Returned) -> None:
    answers = returned.answers(returned.book)
    assert sorted((a.row_no, a.column, a.value) for a in answers if a.refusal is None) == [
        (number, "统一社会信用代码", right(number)) for number in range(LINES - 2)
    ]


@EXAMPLES
@given(random_order=st.randoms(use_true_random=False))
def test_any_order_of_lines_and_sheets_gives_the_same(returned: Returned, random_order: random.Random) -> None:
    sheets = []
    for sheet in returned.book.sheets:
        order = list(range(len(sheet.rows)))
        random_order.shuffle(order)
        sheets.append(reordered(sheet, order))
    random_order.shuffle(sheets)
    book = replace(returned.book, sheets=tuple(sheets))
    assert said(returned.answers(book)) == said(returned.answers(returned.book))


Edits = list[tuple[int, str, int, int, str]]
EDITS = st.lists(
    st.tuples(
        st.integers(0, 99),
        st.sampled_from([*BY_LINE[1:], "cells"]),
        st.integers(0, 99),
        st.integers(0, 99),
        st.one_of(
            st.sampled_from(
                ["", "（空）", "#REF!", "=1", "1E+20", "//", "x/y/2", right(1), "不对1", FIELD_CODE, "处罚内容"]
            ),
            st.text(max_size=12),
        ),
    ),
    max_size=8,
)


@EXAMPLES
@given(edits=EDITS)
def test_no_edit_breaks_anything_and_every_answer_is_accounted_for(returned: Returned, edits: Edits) -> None:
    sheets = [
        replace(sheet, **{name: [*getattr(sheet, name)] for name in BY_LINE}, cells=[list(c) for c in sheet.cells])
        for sheet in returned.book.sheets
    ]
    for number, name, place, column, text in edits:
        sheet = sheets[number % len(sheets)]
        values = sheet.cells[column % len(sheet.cells)] if name == "cells" else getattr(sheet, name)
        values[place % len(values)] = text.strip()
    book = replace(returned.book, sheets=tuple(sheets))
    answers = returned.answers(book)
    told = {(answer.sheet, answer.row) for answer in answers}
    for sheet in sheets:
        for place, answer in enumerate(sheet.answers):
            assert not answer or (sheet.sheet, sheet.rows[place]) in told
    taken: dict[tuple[int | None, str | None], str] = {}
    for answer in answers:
        if answer.refusal is None:
            assert answer.row_no in range(LINES)
            assert answer.column in COLUMNS
            assert taken.setdefault((answer.row_no, answer.column), answer.value) == answer.value
        else:
            assert answer.row_no is None


@pytest.mark.parametrize("seed", range(3))
def test_a_workbook_full_of_accidents_keeps_every_row_once(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    installation = Installation(tmp_path)
    installation.publish(MONDAY, [row(9), *(wrong(number) for number in range(LINES))])
    book = openpyxl.load_workbook(workbook(installation, MONDAY))
    for sheet in line_sheets(book):
        for line in range(3, sheet.max_row + 1):
            for _ in range(chance.randrange(4)):
                place = chance.randrange(1, sheet.max_column + 1)
                value = chance.choice(["", right(chance.randrange(LINES)), 12, "=1+1", "乱写", 9e20, True])
                sheet.cell(line, place).value = value
        if chance.random() < 0.3:
            sheet.append([cell.value for cell in sheet[3]])
    book.save(tmp_path / "back.xlsx")
    result = send_back(installation, tmp_path / "back.xlsx")
    run = installation.published(MONDAY)
    assert run.id == result.run
    assert sorted(outcomes(installation, MONDAY)) == list(range(2, LINES + 3))
    assert run.rows_decoded == run.accepted + run.duplicate + run.quarantined + run.blocked + run.excluded
    (versions,) = [found for found in state.records(installation.context).values() if found]
    assert len({version[0] for version in versions}) == len(versions) == run.accepted


def test_every_list_of_a_sheet_is_edited() -> None:
    lists = {field.name for field in fields(CorrectedSheet)} - {"sheet", "faults", "answer_letter", "field_letter"}
    assert lists == {*BY_LINE, "cells", "headers", "header_letters"}
