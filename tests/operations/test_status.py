"""What a batch left unread is said aloud."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

from xlsxwriter import Workbook

from pipelines.operations.context import Context
from pipelines.operations.night import run_night
from pipelines.operations.status import notices_of
from tests.operations.conftest import FRIDAY, drop, golden


def test_a_sheet_that_nobody_knows_is_named(
    tmp_path: Path, root: Path, inbox: Path, install: Callable[[Path], Context]
) -> None:
    feed = root / "schemas/departments/market/licence.yaml"
    feed.write_text(feed.read_text(encoding="utf-8").replace("*.csv", "*.xlsx"), encoding="utf-8")
    buffer = io.BytesIO()
    with Workbook(buffer) as book:
        known, unknown = book.add_worksheet("许可"), book.add_worksheet("另一张表")
        header, first = golden("market_licence").decode("utf-8-sig").splitlines()[:2]
        for number, line in enumerate((header, first)):
            known.write_row(number, 0, line.split(","))
        for number in range(5):
            unknown.write_row(number, 0, ["甲", "乙", "丙", "丁"])
    drop(inbox, "market_licence", FRIDAY, buffer.getvalue(), "extract.xlsx")
    context = install(tmp_path / "home")
    run_night(context, FRIDAY, ["market_licence"])
    ((feed_code, notice),) = notices_of(context, FRIDAY)
    assert feed_code == "market_licence"
    assert "另一张表" in notice
