"""Who had a record while its clock ran: each working day belongs to the one who had it when the day ended.

The day on which the clock stops belongs to the one who had the record for most of it: who takes it in the last second
and accepts it has not spent a day on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal, get_args

from pipelines.deadlines.calendar import DAY, WorkingCalendar
from pipelines.deadlines.clock import BEIJING_TIME, deadline_instant
from pipelines.deadlines.policies import DeadlinePolicy

Party = Literal["department", "us", "steward", "receiver"]
PARTIES: tuple[Party, ...] = get_args(Party)


@dataclass(frozen=True)
class Handover:
    """From this instant (with a time zone) on ``party`` had the record; ``what`` happened then."""

    at: datetime
    party: Party
    what: str


def counted_days(calendar: WorkingCalendar, policy: DeadlinePolicy, decision_date: date, last: date) -> list[date]:
    """The working days that a clock counts from a decision to a day, both as the policy says."""
    first = decision_date if policy.count_start_day else decision_date + DAY
    days = [first + DAY * step for step in range((last - first).days + 1)]
    return [day for day in days if calendar.estimate(day)]


def attribute(
    timeline: Sequence[Handover],
    calendar: WorkingCalendar,
    policy: DeadlinePolicy,
    decision_date: date,
    until: datetime,
) -> dict[Party, int]:
    """Working days by who had the record; they sum to the working days that the clock counted.

    ``until`` is the instant at which the clock stopped, or this instant while it runs; it has a time zone. The day that
    ends the clock belongs to the one who had the record for most of it. Before the first handover the department had
    it. Of handovers at the same instant the last one holds.
    """
    order = sorted(timeline, key=lambda handover: handover.at)
    days = dict.fromkeys(PARTIES, 0)
    for day in counted_days(calendar, policy, decision_date, until.astimezone(BEIJING_TIME).date()):
        start, end = deadline_instant(day - DAY), deadline_instant(day)
        is_whole = end <= until or until <= start
        days[_holder(order, min(end, until)) if is_whole else _longest_holder(order, start, until)] += 1
    return days


def _holder(order: Sequence[Handover], end: datetime) -> Party:
    """Who had the record just before an instant: who takes it over then did not have it before."""
    holder: Party = "department"
    for handover in order:
        if handover.at < end:
            holder = handover.party
    return holder


def _longest_holder(order: Sequence[Handover], start: datetime, end: datetime) -> Party:
    """Who had the record longest between two instants; of equals the later one."""
    held = dict.fromkeys(PARTIES, timedelta())
    since, holder = start, _holder(order, start + timedelta(microseconds=1))
    for handover in order:
        if start < handover.at < end:
            held[holder] += handover.at - since
            since, holder = handover.at, handover.party
    held[holder] += end - since
    longest = max(held.values())
    return holder if held[holder] == longest else next(party for party in PARTIES if held[party] == longest)
