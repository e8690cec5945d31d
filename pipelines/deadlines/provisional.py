"""The arrangement of a year appears in November of the year before: until it is loaded, deadlines are estimates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from pipelines.deadlines.calendar import DAY, WorkingCalendar
from pipelines.deadlines.clock import deadline
from pipelines.deadlines.policies import DeadlinePolicy, Policies

ANNOUNCED_FROM = 11


@dataclass(frozen=True)
class ProvisionalNotice:
    """That ``year`` is not loaded, and per limit the first decision date whose deadline is an estimate for that."""

    year: int
    since: tuple[tuple[DeadlinePolicy, date], ...]

    @property
    def first(self) -> date:
        """The first decision date that is concerned by any limit."""
        return min(day for _, day in self.since)


def provisional_notice(calendar: WorkingCalendar, policies: Policies, today: date) -> ProvisionalNotice | None:
    """What has to be said on ``today`` about a year that is not loaded; None when nothing has.

    The next year is missed from 1 November on, the current one always.
    """
    missed = [today.year, today.year + 1] if today.month >= ANNOUNCED_FROM else [today.year]
    year = next((year for year in missed if not calendar.knows(year)), None)
    if year is None:
        return None
    return ProvisionalNotice(
        year, tuple((policy, _first_estimated(calendar, policy, year)) for policy in policies.in_use)
    )


def _first_estimated(calendar: WorkingCalendar, policy: DeadlinePolicy, year: int) -> date:
    day = date(year, 1, 1)
    while deadline(calendar, policy, day - DAY).needs_year == year:
        day -= DAY
    return day
