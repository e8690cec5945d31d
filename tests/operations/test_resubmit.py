"""Corrected workbooks come back: what is applied, what is refused, and that nothing is ever accepted twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.identity.synthetic import synthetic_uscc
from tests.operations import state
from tests.operations.returned_workbook import answer, fill, outcomes, refused, send_back, workbook
from tests.operations.small_feed import MONDAY, Installation, row, rows

FIELD_CODE, FIELD_NUMBER = "行政相对人代码_1(统一社会信用代码)", "行政处罚决定书文号"
RIGHT = synthetic_uscc("91", "119900", "MA900003")
WRONG = RIGHT[:-1] + ("0" if RIGHT[-1] != "0" else "1")


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


def test_half_of_the_problems_are_mended(installation: Installation, tmp_path: Path) -> None:
    wrong = {"统一社会信用代码": WRONG}
    first = installation.publish(MONDAY, [*rows(range(3)), row(3, **wrong), row(4, **wrong)])
    assert first.quarantined == 2
    fill(workbook(installation, MONDAY), tmp_path / "back.xlsx", {(5, FIELD_CODE): RIGHT})
    result = send_back(installation, tmp_path / "back.xlsx")
    assert (result.applied, result.still_wrong, result.refused, result.repeated) == (1, 0, 0, False)
    second = installation.published(MONDAY)
    assert (second.attempt, second.accepted, second.quarantined, second.new, second.unchanged) == (2, 4, 1, 1, 3)
    assert outcomes(installation, MONDAY) == dict.fromkeys((2, 3, 4, 5), "accepted") | {6: "quarantined"}
