"""The latest day in a column, however days are written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import pytest
import time_machine

from pipelines.catalogue.categories import Category
from pipelines.catalogue.feeds import Feed
from pipelines.deadlines.clock import BEIJING_TIME
from pipelines.engine.duck import Session
from pipelines.engine.rows import RowsPart
from pipelines.intake.connectors.file_days import latest_day
from pipelines.intake.reading import inspect_file
from pipelines.intake.rows_writer import RowsWriter


@pytest.fixture
def part(tmp_path: Path) -> Callable[..., RowsPart]:
    """A rows file with these texts in the column 处罚决定日期."""

    def make(*texts: str, date_system_1904: bool = False) -> RowsPart:
        path = tmp_path / "rows.parquet"
        with RowsWriter(path, ["处罚决定日期"]) as writer:
            writer.add([[text] for text in texts], list(range(2, 2 + len(texts))))
        return RowsPart(
            extract="e",
            extract_name="x.csv",
            sheet="",
            path=path,
            columns=("处罚决定日期",),
            row_offset=0,
            row_count=len(texts),
            first_line=None,
            date_system_1904=date_system_1904,
        )

    return make


@pytest.mark.parametrize(
    "text",
    [
        "2025-03-09",
        "2025/3/9",
        "2025.3.9",
        "20250309",
        "20250309083000",
        "2025年3月9日",
        "2025年03月09日星期日",
        "2025-03-09 23:59:59.123",
        "2025-03-09T23:59:59",
        "2025/3/9 0:00:00",
        "２０２５－０３－０９",
        " 2025-03-09 ",
        "45725",
        "45725.5",
        "2025-03-08T16:00:00Z",
        "2025-03-09T01:00:00+08:00",
    ],
)
def test_a_day_is_found_however_it_is_written(duck: Session, part: Callable[..., RowsPart], text: str) -> None:
    assert latest_day(duck, part("2024-01-01", text, "", "长期"), "处罚决定日期 ") == date(2025, 3, 9)


@pytest.mark.parametrize("text", ["", "不详", "2025-02-30", "1", "912025-03-09", "2025-13-01", "20251301", "2025-03"])
def test_what_is_no_day_is_passed_over(duck: Session, part: Callable[..., RowsPart], text: str) -> None:
    assert latest_day(duck, part(text), "处罚决定日期") is None
    assert latest_day(duck, part(text, "2020-01-02"), "处罚决定日期") == date(2020, 1, 2)


def test_days_of_a_1904_workbook_and_columns_that_are_not_there(duck: Session, part: Callable[..., RowsPart]) -> None:
    assert latest_day(duck, part("44263", date_system_1904=True), "处罚决定日期") == date(2025, 3, 9)
    assert latest_day(duck, part("2025-03-09"), "许可决定日期") is None


def test_days_after_today_in_china_are_typing_errors(duck: Session, part: Callable[..., RowsPart]) -> None:
    written = part("2026-11-19", "2026-11-20", "2026-11-21")
    with time_machine.travel(datetime(2026, 11, 20, 0, 30, tzinfo=BEIJING_TIME), tick=False):
        assert latest_day(duck, written, "处罚决定日期") == date(2026, 11, 20)


def test_a_column_that_is_called_otherwise_by_habit_is_found(
    duck: Session, category: Category, feed: Callable[..., Feed], tmp_path: Path
) -> None:
    path = tmp_path / "x.csv"
    path.write_text("行政相对人名称,行政处罚决定书文号,处罚决定日期 \n甲,1号,2025-03-09\n", encoding="gb18030")
    read = inspect_file(duck, path, category, tmp_path / "work", feed=feed())
    assert latest_day(duck, read.parts[0], "＊处罚决定日期：") == date(2025, 3, 9)
