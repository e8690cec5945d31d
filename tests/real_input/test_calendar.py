"""The calendar of every date 2007-2026, as the notices of the State Council made it."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pytest

from pipelines.deadlines.calendar import amended_calendar, load_calendar
from pipelines.deadlines.notice_files import read_notice
from pipelines.settings import Settings

DAY = timedelta(days=1)
NOTICES = "real/reference/holidays_cn_2007_2026.csv"


@pytest.fixture(scope="module")
def kinds(shared: Path) -> dict[date, str]:
    """Day → off or makeup_work, of every day that a notice names."""
    with (shared / NOTICES).open(encoding="utf-8-sig", newline="") as file:
        return {date.fromisoformat(row["date"]): row["kind"] for row in csv.DictReader(file)}


def test_every_day_of_twenty_years_against_the_notices(kinds: dict[date, str]) -> None:
    calendar = load_calendar(Settings())
    day, different = date(2007, 1, 1), []
    while day <= date(2026, 12, 31):
        kind = kinds.get(day)
        expected = kind == "makeup_work" or (kind is None and day.weekday() < 5)
        if calendar.is_working_day(day) != expected:
            different.append(day)
        day += DAY
    assert different == []
    assert Counter(kinds.values()) == {"off": 545, "makeup_work": 133}


def test_the_table_imported_year_by_year_makes_the_same_calendar(shared: Path) -> None:
    calendar = load_calendar(Settings())
    read = [read_notice(shared / NOTICES, calendar, year) for year in range(2007, 2027)]
    assert all(arrangement.source.startswith("http") for arrangement in read)
    # Nothing of the package is left in this one.
    imported = amended_calendar({}, read)
    assert imported.known_years == frozenset(range(2007, 2027))
    days = [date(2007, 1, 1) + DAY * step for step in range((date(2027, 1, 1) - date(2007, 1, 1)).days)]
    assert [day for day in days if imported.is_working_day(day) != calendar.is_working_day(day)] == []
