"""The clock: by when a decision has to be at the receiver, and whether it was.

A limit of seven working days from a decision ends with the seventh working day after it, at 24:00 Beijing time
(办财金〔2018〕424号: 自作出行政决定之日起7个工作日内). Natural days are calendar days in China.
"""

# pyarrow is imported where tables are made: whoever asks for one deadline must not wait for it.
# ruff: noqa: PLC0415

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from typing import TYPE_CHECKING

from pipelines.deadlines.calendar import DAY, WorkingCalendar
from pipelines.deadlines.policies import DeadlinePolicy, Policies, load_policy

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "BEIJING_TIME",
    "Deadline",
    "WorkingDays",
    "assigned_deadlines",
    "deadline",
    "deadline_instant",
    "deadline_table",
    "is_late",
    "load_policy",
    "working_days_remaining",
]

# A fixed offset: deadlines need no time-zone database, and China has kept no summer time since 1991.
BEIJING_TIME = timezone(timedelta(hours=8), "Asia/Shanghai")


@dataclass(frozen=True)
class Deadline:
    """The last day of a limit.

    ``provisional``: at least one day that was counted lies in a year whose working days are not published; the date
    is an estimate (Monday to Friday there) until ``needs_year``, the first such year, is known. The notice of a year
    can also move days of the December before it: compute open deadlines again when
    :attr:`WorkingCalendar.fingerprint` changes.
    """

    date: date
    provisional: bool = False
    needs_year: int | None = None


@dataclass(frozen=True)
class WorkingDays:
    """A number of working days, estimated (``provisional``) when ``needs_year`` is not published yet."""

    days: int
    provisional: bool = False
    needs_year: int | None = None


def deadline(calendar: WorkingCalendar, policy: DeadlinePolicy, decision_date: date) -> Deadline:
    """The deadline of a decision; for whole batches take :func:`deadline_table`."""
    first = decision_date if policy.count_start_day else decision_date + DAY
    last, left = first, policy.working_days - calendar.estimate(first)
    while left > 0:
        last += DAY
        left -= calendar.estimate(last)
    year = calendar.first_unknown_year(first, last)
    return Deadline(last, year is not None, year)


def deadline_table(calendar: WorkingCalendar, policy: DeadlinePolicy, first: date, last: date) -> pa.Table:
    """One row for each calendar day ``first``..``last``, to be joined with decisions.

    Columns: ``decision_date`` DATE, ``deadline`` DATE, ``provisional`` BOOL, ``needs_year`` INT or NULL. Empty when
    ``last`` is earlier than ``first``.
    """
    import pyarrow as pa

    decisions = [first + DAY * step for step in range((last - first).days + 1)]
    starts = decisions if policy.count_start_day else [day + DAY for day in decisions]
    working = _working_days(calendar, policy, starts[0], starts[-1]) if starts else []
    position = 0
    deadlines: list[date] = []
    years: list[int | None] = []
    for start in starts:
        while working[position] < start:
            position += 1
        end = working[position + policy.working_days - 1]
        deadlines.append(end)
        within_known_year = start.year == end.year and calendar.knows(start.year)
        years.append(None if within_known_year else calendar.first_unknown_year(start, end))
    return pa.table(
        {
            "decision_date": pa.array(decisions, pa.date32()),
            "deadline": pa.array(deadlines, pa.date32()),
            "provisional": pa.array([year is not None for year in years], pa.bool_()),
            "needs_year": pa.array(years, pa.int32()),
        }
    )


def assigned_deadlines(
    calendar: WorkingCalendar,
    policies: Policies,
    first: date,
    last: date,
    *,
    category: str,
    endpoint: str | None = None,
    department: str | None = None,
    operation: str = "new",
) -> pa.Table:
    """:func:`deadline_table` with the limit that is assigned on each day; its code is in the column ``policy``."""
    import pyarrow as pa

    periods = policies.periods(
        first, last, category=category, endpoint=endpoint, department=department, operation=operation
    )
    parts = []
    for period in periods:
        table = deadline_table(calendar, period.policy, period.first, period.last)
        codes = pa.array([period.policy.code] * table.num_rows, pa.string())
        parts.append(table.append_column("policy", codes))
    return pa.concat_tables(parts)


def deadline_instant(deadline_date: date) -> datetime:
    """The moment at which a limit is over: the midnight that ends its last day, Beijing time."""
    return datetime.combine(deadline_date + DAY, time.min, BEIJING_TIME)


def is_late(received_at: datetime, deadline_date: date) -> bool:
    """Whether something came after the limit was over; ``received_at`` needs a time zone (ValueError)."""
    if received_at.tzinfo is None:
        raise ValueError("the time of receipt has no time zone")
    return received_at >= deadline_instant(deadline_date)


def working_days_remaining(calendar: WorkingCalendar, deadline_date: date, today: date) -> WorkingDays:
    """Working days later than ``today`` up to the deadline; 0 on its day, negative for those since it passed."""
    after, until = min(today, deadline_date), max(today, deadline_date)
    days = calendar.working_days_between(after, until)
    year = calendar.first_unknown_year(after + DAY, until)
    return WorkingDays(days if deadline_date >= today else -days, year is not None, year)


def _working_days(calendar: WorkingCalendar, policy: DeadlinePolicy, first: date, last: date) -> list[date]:
    """Working days from ``first`` on, enough of them for a limit that starts on ``last``."""
    found = []
    day, wanted = first, policy.working_days
    while wanted > 0:
        if calendar.estimate(day):
            found.append(day)
            wanted -= day >= last
        day += DAY
    return found
