"""Suggestions: what a value was probably meant to be, where exactly one answer fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest

from pipelines.engine.duck import session
from pipelines.normalize.amounts import yuan_from_numerals
from pipelines.quality.compile import judge
from pipelines.quality.suggestions import create_suggestions

from .rows import BUSINESS_DATE, Row, bases, catalogue, standard_table, suite

PENALTY = "administrative_penalty"
NAME, CODE = "示例甲食品有限公司", "91990000MA0GUEJ125"
COLUMNS = ("CF_XDR_MC", "CF_XDR_LB", "CF_XDR_SHXYM", "CF_FRDB", "CF_WSH", "CF_JDRQ", "CF_CFJG")


def suggested(
    rows: Sequence[Row], known: Sequence[tuple[str, str]] = ((CODE, NAME),), columns: Sequence[str] = COLUMNS
) -> list[dict[str, Any]]:
    """What is suggested for penalty rows, with the register of subjects and the order of columns given."""
    category = catalogue().categories[PENALTY]
    with session() as duck:
        standard_table(duck, category, rows)
        judge(duck, suite(PENALTY), category, BUSINESS_DATE)
        duck.execute("CREATE TABLE settled AS SELECT row_no, reasons, 'quarantined' AS outcome FROM verdicts")
        codes, names = ([pair[place] for pair in known] for place in (0, 1))
        duck.register(
            "register", pa.table({"code": pa.array(codes, pa.string()), "name": pa.array(names, pa.string())})
        )
        duck.execute(
            "CREATE VIEW known_subjects AS "
            "SELECT '' AS field, code, name_key(name) AS name_key, 'registry' AS origin FROM register"
        )
        order = [(0, 0, len(rows), place, field) for place, field in enumerate(columns)]
        named = ("part", "first_row", "rows", "place", "field")
        duck.register("column_order", pa.table(dict(zip(named, map(list, zip(*order, strict=True)), strict=True))))
        count = create_suggestions(duck, category, suite(PENALTY), BUSINESS_DATE, yuan_from_numerals)
        found: list[dict[str, Any]] = duck.arrow("FROM suggestions ORDER BY row_no, field").to_pylist()
    assert len(found) == count
    return found


def only(found: list[dict[str, Any]], kind: str) -> list[tuple[str, str | None]]:
    return [(one["field"], one["suggested"]) for one in found if one["kind"] == kind]


def row(**cells: str | None) -> Row:
    return bases(PENALTY)["organisation"] | cells


def test_a_clean_row_gets_no_suggestion() -> None:
    assert suggested([row()]) == []


@pytest.mark.parametrize(
    ("typed", "kind"),
    [
        ("91990000MA0GUEJ126", "code_edit"),
        ("91990000MA0GUEJ152", "code_edit"),
        ("91990000MA0GUEJ1255", "code_edit"),
        ("9199000MA0GUEJ125", "code_edit"),
        ("91990000MAOGUEJ125", "code_confusable"),
        ("9199OO00MA0GUEJ125", "code_confusable"),
        ("91990000MA0GUEJI2S", "code_confusable"),
    ],
)
def test_a_code_one_slip_away_from_the_one_known_with_this_name(typed: str, kind: str) -> None:
    assert only(suggested([row(CF_XDR_SHXYM=typed)]), kind) == [("CF_XDR_SHXYM", CODE)]


def test_typing_habits_in_the_name_do_not_hide_it() -> None:
    found = suggested([row(CF_XDR_SHXYM="91990000MA0GUEJ126", CF_XDR_MC="示例甲食品 有限公司")])
    assert only(found, "code_edit") == [("CF_XDR_SHXYM", CODE)]


@pytest.mark.parametrize(
    "cells",
    [
        {"CF_XDR_SHXYM": "91990000MA0GUEJ126", "CF_XDR_MC": "别的公司"},
        {"CF_XDR_SHXYM": "91990000MA0GUEJ337"},
        {"CF_XDR_SHXYM": "91990OOOMA0GUEJ125"},
        {"CF_XDR_SHXYM": None},
    ],
    ids=["another name", "two characters", "three look-alikes", "missing"],
)
def test_nothing_is_guessed_without_name_and_slip(cells: Row) -> None:
    assert suggested([row(**cells)]) == []


def test_two_codes_that_fit_are_none() -> None:
    far = [(CODE, NAME), ("1199000000GUEJ03XH", NAME)]
    assert only(suggested([row(CF_XDR_SHXYM="91990000MA0GUEJ126")], far), "code_edit") == [("CF_XDR_SHXYM", CODE)]
    fitting = [(CODE, NAME), *_valid_neighbours("91990000MA0GUEJ126")]
    assert only(suggested([row(CF_XDR_SHXYM="91990000MA0GUEJ126")], fitting), "code_edit") == []


def _valid_neighbours(typed: str) -> list[tuple[str, str]]:
    """One more valid code that differs from ``typed`` in one place, known with the same name."""
    alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    around = [typed[:place] + letter + typed[place + 1 :] for place in range(8, 17) for letter in alphabet]
    with session() as duck:
        duck.register("around", pa.table({"code": around}))
        valid = duck.rows(
            "SELECT code FROM around WHERE uscc_verdict(code) = 'valid' AND code <> $code", {"code": CODE}
        )
    return [(str(code), NAME) for (code,) in valid[:1]]


def test_a_code_that_is_no_valid_one_is_never_suggested() -> None:
    assert suggested([row(CF_XDR_SHXYM="91990000MA0GUEJ126")], [("91990000MA0GUEJ127", NAME)]) == []


def test_a_persons_number_in_the_wrong_column_gets_no_suggestion() -> None:
    number = "110101199003070011"
    found = suggested([row(CF_XDR_SHXYM=number)], [("110101199003070012", NAME), (CODE, NAME)])
    assert only(found, "code_edit") + only(found, "code_confusable") == []


@pytest.mark.parametrize(
    ("amount", "text", "meant"),
    [
        ("5000", "罚款人民币5000元。", "0.5"),
        ("5000", "没收违法所得120元；罚款5,000元。", "0.5"),
        ("5000", "处以罚款人民币伍仟元整。", "0.5"),
        ("12000", "罚款(大写)壹万贰仟元整", "1.2"),
        ("1234.56", "罚款：1234.56元", "0.123456"),
        ("20000000", "罚款人民币2000万元", None),
        ("2000", "罚款人民币2000万元。另有罚款2000元。", None),
        ("5000", "罚款人民币6000元。", None),
        ("5000", "警告。", None),
    ],
)
def test_yuan_in_place_of_ten_thousand_yuan(amount: str, text: str, meant: str | None) -> None:
    # The remark makes the row suspicious whatever the amounts say.
    found = suggested([row(CF_NR_FK=amount, CF_NR=text, BZ="涉密")])
    assert only(found, "amount_unit") == ([] if meant is None else [("CF_NR_FK", meant)])


def test_two_dates_in_each_others_place() -> None:
    found = suggested([row(CF_JDRQ="2026/03/02", CF_YXQ="2026/01/15", CF_GSJZQ=None)])
    assert only(found, "date_swapped") == [("CF_JDRQ", "2026/01/15"), ("CF_YXQ", "2026/03/02")]


@pytest.mark.parametrize(
    ("cells", "kind", "field", "meant"),
    [
        # The document and the batch are of 2026, so is the decision.
        ({"CF_JDRQ": "2062/03/02"}, "date_year", "CF_JDRQ", "2026/03/02"),
        ({"CF_JDRQ": "2026/12/03"}, "date_day_month", "CF_JDRQ", "2026/03/12"),
        ({"CF_JDRQ": "2026-13-05"}, "date_day_month", "CF_JDRQ", "2026/05/13"),
        ({"CF_WSH": "示市监罚〔2062〕15号"}, "document_year", "CF_WSH", "示市监罚〔2026〕15号"),
        (
            {"CF_WSH": "示市监罚〔2016〕15号", "CF_JDRQ": "2026/11/13"},
            "document_year",
            "CF_WSH",
            "示市监罚〔2026〕15号",
        ),
    ],
)
def test_one_change_that_brings_all_dates_into_order(cells: Row, kind: str, field: str, meant: str) -> None:
    found = suggested([row(**({"CF_GSJZQ": None} | cells))])
    assert [(one["kind"], one["field"], one["suggested"]) for one in found] == [(kind, field, meant)]


def test_a_date_that_no_single_change_mends_gets_no_suggestion() -> None:
    assert suggested([row(CF_JDRQ="2091/07/08", CF_GSJZQ=None)]) == []


def shifted_rows(number: int) -> list[Row]:
    """Rows of a file in which everything from the code on stands one column too far to the right."""
    return [
        row(
            CF_XDR_SHXYM=None,
            CF_FRDB=CODE,
            CF_WSH="示例人甲",
            CF_JDRQ=f"示市监罚〔2026〕{place}号",
            CF_CFJG="2026/03/02",
        )
        for place in range(number)
    ]


def test_a_file_whose_columns_are_shifted_is_named_in_each_row() -> None:
    found = [one for one in suggested([*shifted_rows(8), row()]) if one["kind"] == "column_shift"]
    assert [one["row_no"] for one in found] == list(range(8))
    assert {(one["field"], one["suggested"]) for one in found} == {("CF_XDR_SHXYM", CODE)}
    assert len({one["evidence_zh"] for one in found}) == 1 and "88%" in found[0]["evidence_zh"]


def test_a_shift_to_the_left_is_told_from_one_to_the_right() -> None:
    rows = [row(CF_XDR_MC=None, CF_FRDB=f"示市监罚〔2026〕{place}号", CF_WSH="2026/03/02") for place in range(6)]
    found = [one for one in suggested(rows) if one["kind"] == "column_shift"]
    assert len(found) == 6 and "左" in found[0]["evidence_zh"]


@pytest.mark.parametrize("rows", [shifted_rows(4), [*shifted_rows(6), *[row() for _ in range(4)]]], ids=["few", "part"])
def test_a_few_rows_or_a_part_of_the_file_are_no_shift(rows: list[Row]) -> None:
    assert only(suggested(rows), "column_shift") == []


def test_no_evidence_quotes_a_restricted_value() -> None:
    identity = "110101199003070011"
    rows = [one | {"CF_FR_ZJHM": identity, "CF_FR_ZJLX": "身份证"} for one in shifted_rows(8)]
    order = ("CF_XDR_SHXYM", "CF_FR_ZJHM", "CF_FRDB", "CF_WSH", "CF_JDRQ", "CF_CFJG")
    for one in suggested(rows, columns=order):
        assert identity not in str(one)
        assert one["field"] not in {"CF_FR_ZJHM", "CF_XDR_ZJHM"}
