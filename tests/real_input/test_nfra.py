"""The list of penalties against banks: classes and sums become standard, what the list lacks is all that is left."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tests.real_input.conftest import Night
from tests.real_input.source_files import NFRA, SourceRow

DATE, CLASSES, SUM = 2, 5, 6


@pytest.fixture(scope="module")
def rows(shared: Path) -> list[SourceRow]:
    return NFRA.rows(shared)


def test_only_what_the_list_lacks_stands_in_the_way(night: Night, rows: list[SourceRow]) -> None:
    """No number of the decision and no code in any row; a confiscation without its own sum in one."""
    everywhere = {row.place for row in rows}
    assert night.places(NFRA, "quarantined") == everywhere
    assert night.accused(NFRA, "REQ-CF_WSH") == night.accused(NFRA, "CF-C01a") == everywhere
    assert night.accused(NFRA, "CF-C07b") == {row.place for row in rows if "没收" in row.text(CLASSES)}
    blocking = {row["rule"] for row in night.findings(NFRA) if row["severity"] == "block"}
    assert blocking == {"REQ-CF_WSH", "CF-C01a", "CF-C07b"}


def test_sums_in_yuan_become_ten_thousand_yuan(night: Night, rows: list[SourceRow]) -> None:
    with_sum = {number: row for number, row in enumerate(rows) if row.text(SUM)}
    found = {row["row_no"]: row for row in night.repairs(NFRA) if row["field"] == "CF_NR_FK"}
    assert set(found) == set(with_sum)
    for number, row in with_sum.items():
        assert Decimal(found[number]["new_value"]) * 10_000 == Decimal(row.text(SUM))


def test_classes_are_joined_by_semicolons(night: Night, rows: list[SourceRow]) -> None:
    found = {row["row_no"]: row["new_value"] for row in night.repairs(NFRA) if row["field"] == "CF_CFLB"}
    several = {number: row.text(CLASSES) for number, row in enumerate(rows) if "," in row.text(CLASSES)}
    assert {number: classes.count(";") for number, classes in found.items()} == dict.fromkeys(several, 1)
    assert not night.accused(NFRA, "ENUM-CF_CFLB", "CF-C07e", "CF-C07a")


def test_unpadded_dates_become_standard(night: Night, rows: list[SourceRow]) -> None:
    found = {row["row_no"]: row["new_value"] for row in night.repairs(NFRA) if row["field"] == "CF_JDRQ"}
    for number, row in enumerate(rows):
        year, month, day = row.text(DATE).split("/")
        assert found.get(number, row.text(DATE)) == f"{year}/{month:>02}/{day:>02}"
