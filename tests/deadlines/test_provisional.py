"""From November on, a next year that is not loaded is announced."""

from __future__ import annotations

from datetime import date

import pytest

from pipelines.deadlines.calendar import WorkingCalendar, load_calendar
from pipelines.deadlines.policies import load_policies
from pipelines.deadlines.provisional import provisional_notice
from pipelines.settings import Settings

POLICIES = load_policies(Settings())
# The package knows the years up to 2026.
UP_TO_2026 = load_calendar(Settings())


@pytest.mark.parametrize("today", [date(2026, 1, 1), date(2026, 10, 31)])
def test_nothing_is_announced_before_november(today: date) -> None:
    assert provisional_notice(UP_TO_2026, POLICIES, today) is None


@pytest.mark.parametrize("today", [date(2026, 11, 1), date(2026, 12, 31), date(2027, 1, 1), date(2027, 6, 1)])
def test_from_november_on_the_missing_year_is_announced_until_it_is_loaded(today: date) -> None:
    notice = provisional_notice(UP_TO_2026, POLICIES, today)
    assert notice is not None
    assert notice.year == 2027
    assert {policy.code: day for policy, day in notice.since} == {
        "public_credit": date(2026, 12, 23),
        "penalty_removal": date(2026, 12, 25),
        "objection_mark": date(2026, 12, 31),
    }
    assert notice.first == date(2026, 12, 23)


def test_a_year_that_is_loaded_is_not_announced() -> None:
    assert provisional_notice(WorkingCalendar({}, [2026, 2027]), POLICIES, date(2026, 12, 1)) is None


def test_a_gap_is_announced_although_later_years_are_known() -> None:
    notice = provisional_notice(WorkingCalendar({}, [2025, 2027]), POLICIES, date(2026, 5, 1))
    assert notice is not None
    assert notice.year == 2026
