"""Counts of a judged batch, all of them counted here by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from pipelines.identity.synthetic import synthetic_uscc
from pipelines.ledger.quality_models import Measure
from tests.operations.small_feed import MONDAY, TUESDAY, Installation, Rows, row, rows

SHARED_CODE = synthetic_uscc("91", "119900", "MA900001")
WRONG_CODE = SHARED_CODE[:-1] + ("0" if SHARED_CODE[-1] != "0" else "1")


def measures(small: Installation, run: str) -> dict[tuple[str, str], int]:
    with small.context.ledger.read() as session:
        found = session.execute(select(Measure.name, Measure.item, Measure.value).where(Measure.run == run))
        return {(name, item): value for name, item, value in found}


def batch() -> Rows:
    """Ten lines: five good ones, a repeated one, and four that are each odd in one way."""
    return [
        *rows(range(1, 6)),
        row(1),
        row(6, 统一社会信用代码=WRONG_CODE),
        row(7, 处罚类别="罚款;其他-教育;胡说"),
        row(8, 处罚决定日期="2026/10/08"),
        row(9, 统一社会信用代码=SHARED_CODE, 当事人名称="示例市另一家有限公司"),
    ]


@pytest.fixture
def small(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


def test_rows_are_counted_by_outcome_and_by_what_they_change(small: Installation) -> None:
    first = small.publish(MONDAY, batch())
    assert {item: value for (name, item), value in measures(small, first.id).items() if name == "rows"} == {
        "received": 10, "decoded": 10, "undecoded": 0, "judged": 10,
        # The wrong code and the class that nobody knows.
        "accepted": 7, "duplicate": 1, "quarantined": 2, "blocked": 0, "excluded": 0,
        "new": 7, "changed": 0, "unchanged": 0, "outdated": 0, "late": 1,
    }  # fmt: skip
    second = small.publish(TUESDAY, [*rows(range(1, 5)), row(5, 处罚内容="警告并责令改正。")])
    counted = measures(small, second.id)
    assert [counted["rows", item] for item in ("new", "changed", "unchanged", "late")] == [0, 1, 4, 0]


def test_lines_that_are_no_rows_are_received_and_quarantined(small: Installation) -> None:
    small.send(MONDAY, rows((1, 2)))
    (extract,) = (small.folder / "inbox" / "dept" / MONDAY.isoformat()).iterdir()
    extract.write_bytes(extract.read_bytes() + "短行,只有两格\r\n".encode())
    small.night(MONDAY)
    counted = measures(small, small.published(MONDAY).id)
    names = ("received", "decoded", "undecoded", "quarantined", "accepted")
    assert [counted["rows", item] for item in names] == [3, 2, 1, 1, 2]


def test_fields_and_coded_values_are_counted(small: Installation) -> None:
    sent = [*batch(), row(10, 法定代表人="")]
    counted = measures(small, small.publish(MONDAY, sent).id)
    assert counted["filled", "CF_FRDB"] == 10 and counted["filled", "CF_XDR_MC"] == 11
    # One row names three classes: a known one, an open entry that says what it is, and one nobody knows.
    values = {item: value for (name, item), value in counted.items() if name == "value"}
    assert values == {
        "CF_XDR_LB=法人及非法人组织": 11,
        "CF_CFLB=警告": 10,
        "CF_CFLB=罚款": 1,
        "CF_CFLB=其他": 1,
        "CF_CFLB=*": 1,
    }


def test_codes_that_are_wrong_and_codes_that_two_names_share(small: Installation) -> None:
    counted = measures(small, small.publish(MONDAY, batch()).id)
    codes = {item: value for (name, item), value in counted.items() if name == "codes"}
    assert codes == {
        "subjects": 10,
        "valid": 9,
        "wrong": 1,
        # Numbers 1-5, 7 and 8; number 9 has the code of number 1 and a name of its own.
        "different": 7,
        "several_names": 1,
        "names": 8,
        "several_codes": 0,
        # What was accepted: numbers 1-5, 8 and 9.
        "linked": 7,
    }


def test_records_are_counted_by_the_day_of_their_decision(small: Installation) -> None:
    counted = measures(small, small.publish(MONDAY, [*batch(), row(10, 处罚决定日期="2026/01/05")]).id)
    decided = {item: value for (name, item), value in counted.items() if name == "decided"}
    assert decided == {"new=2026-11-13": 6, "new=2026-10-08": 1, "new=earlier": 1}


def test_broken_dimensions_and_missing_cells(tmp_path: Path) -> None:
    small = Installation(tmp_path, whole=True)
    # Whole rows lack most of what the standard requires; what changes is counted against a batch without it.
    plain = measures(small, small.publish(MONDAY, rows((1, 2, 3))).id)
    spoilt = [row(1), row(2, 法定代表人=""), row(3, 统一社会信用代码=WRONG_CODE)]
    counted = measures(small, small.publish(TUESDAY, spoilt).id)
    assert counted["cells", "required"] == plain["cells", "required"]
    assert counted["cells", "provided"] == plain["cells", "provided"] - 1
    assert plain["dimension", "completeness"] == 3
    assert counted["dimension", "validity"] == plain["dimension", "validity"] + 1
    assert counted["content", "inaccurate"] == plain["content", "inaccurate"] + 1
