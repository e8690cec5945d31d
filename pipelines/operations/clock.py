"""The clock: which queued records run out of time."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, and_, func, literal_column, select, true
from sqlalchemy.orm import Session as LedgerSession

from pipelines.deadlines.calendar import WorkingCalendar, load_calendar
from pipelines.deadlines.policies import load_policies
from pipelines.ledger.database import now
from pipelines.ledger.models import Outbox
from pipelines.operations.clock_rows import (
    PROFILE,
    REJECTED,
    WITH_US,
    closed_endpoints,
    earlier_rows,
    give_memory,
    is_correction,
    owed,
    waiting_for,
)
from pipelines.operations.context import Context

SHANGHAI = ZoneInfo("Asia/Shanghai")
SMALLEST_PART = 10_000
"""Rows of the outbox below which asking side by side is not worth a thread."""
BUCKETS = ("overdue", "today", "1 day", "2 days", "3 days", "later")


@dataclass(frozen=True)
class ClockLine:
    """Open records of one feed at one endpoint, by how much time is left.

    ``withheld`` of them are kept back by the endpoint's acceptance profile. ``waiting`` says for what they wait (see
    :mod:`pipelines.operations.clock_rows`), ``since`` the earliest instant (UTC) per state, ``rules`` which rules of
    profiles withhold. ``corrections`` are not among them: an earlier version is at the endpoint, their clock stands.
    """

    endpoint: str
    feed: str
    counts: dict[str, int]
    rejected: int
    provisional: int
    withheld: int = 0
    family: str = "content"
    department: str = ""
    waiting: dict[str, int] = field(default_factory=dict)
    since: dict[str, datetime] = field(default_factory=dict)
    rules: dict[str, int] = field(default_factory=dict)
    corrections: int = 0

    @property
    def total(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True)
class OpenGroup:
    """Rows of the outbox that are alike to the clock. ``since``: the earliest instant (UTC) at which one began to wait.

    ``package`` is not told: what matters of a package is whether the endpoint has it.
    """

    endpoint: str
    feed: str
    family: str
    deadline: date
    provisional: bool
    waiting: str
    rule: str | None
    correction: bool
    records: int
    since: datetime


def today_in_shanghai() -> date:
    """The calendar day that deadlines are measured against."""
    return datetime.now(SHANGHAI).date()


def read_clock(context: Context, today: date | None = None, at: datetime | None = None) -> list[ClockLine]:
    """Everything whose clock runs, by endpoint, feed and family of operations.

    A rejected record is still owed: resubmission does not stop the clock (domain rule), so it is counted in its
    bucket and again under ``rejected``. So is one that the endpoint cannot take, under ``withheld``, until a newer
    version of it is queued; what is withheld because another feed has reported it is not owed. ``at`` is the instant
    (UTC without zone) at which windows and breakers are looked at.
    """
    day = today or today_in_shanghai()
    calendar = load_calendar(context.settings)
    buckets: dict[date, str] = {}
    lines: dict[tuple[str, str, str], ClockLine] = {}
    for group in open_groups(context, at or now()):
        key = (group.endpoint, group.feed, group.family)
        line = lines.get(key)
        if line is None:
            feed = context.catalogue.feeds.get(group.feed)
            department = "" if feed is None else feed.department
            line = ClockLine(group.endpoint, group.feed, dict.fromkeys(BUCKETS, 0), 0, 0, 0, group.family, department)
        if group.deadline not in buckets:
            buckets[group.deadline] = bucket(calendar, day, group.deadline)
        lines[key] = _with_group(line, group, buckets[group.deadline])
    return [lines[key] for key in sorted(lines)]


def _with_group(line: ClockLine, group: OpenGroup, left: str) -> ClockLine:
    """A line with one more group of rows; its dictionaries are shared with the line before."""
    count = group.records
    if group.correction:
        return replace(line, corrections=line.corrections + count)
    line.counts[left] += count
    line.waiting[group.waiting] = line.waiting.get(group.waiting, 0) + count
    line.since[group.waiting] = min(line.since.get(group.waiting, group.since), group.since)
    if group.rule is not None:
        line.rules[group.rule] = line.rules.get(group.rule, 0) + count
    return replace(
        line,
        rejected=line.rejected + count * (group.waiting == REJECTED),
        provisional=line.provisional + count * group.provisional,
        withheld=line.withheld + count * (group.waiting == PROFILE),
    )


def open_groups(context: Context, at: datetime) -> list[OpenGroup]:
    """All rows whose clock runs, counted by what the clock looks at.

    PostgreSQL spreads one statement over its processes. SQLite does not, so it is asked for parts of the outbox side by
    side; groups of different parts may be alike.
    """
    query = _group_query(context)
    with context.ledger.read() as session:
        closed = closed_endpoints(context, session, at)
        parts = _parts(session, context.settings.threads)
    with ThreadPoolExecutor(max_workers=len(parts)) as pool:
        found = pool.map(lambda part: _groups_of(context, query.where(part), closed), parts)
        return [group for groups in found for group in groups]


def _group_query(context: Context) -> Select[*tuple[Any, ...]]:
    earlier = earlier_rows()
    correction = is_correction(earlier).label("correction")
    keys = (
        # SQLite would walk an index that begins with the endpoint, and jump to each row; a plain scan takes a tenth.
        func.coalesce(Outbox.endpoint, literal_column("''")).label("endpoint_code"),
        Outbox.feed,
        Outbox.family,
        Outbox.deadline,
        Outbox.deadline_provisional,
        waiting_for(earlier).label("waiting"),
        Outbox.withheld_rule,
        correction,
    )
    since = func.min(func.coalesce(Outbox.rejected_at, Outbox.withheld_at, Outbox.sent_at, Outbox.queued_at))
    return (
        select(*keys, func.count(), since)
        .outerjoin(earlier, earlier.c.row == Outbox.id)
        .where(owed(context, load_policies(context.settings)))
        .group_by(*keys)
    )


def _parts(session: LedgerSession, most: int) -> list[ColumnElement[bool]]:
    """Conditions that split the outbox into at most ``most`` parts, by id; the last one has no upper end."""
    last = (session.scalar(select(func.max(Outbox.id))) or 0) if session.get_bind().dialect.name == "sqlite" else 0
    if last < SMALLEST_PART * 2:
        return [true()]
    starts = [last * number // most for number in range(1, most)]
    return [
        and_(Outbox.id > low if low else true(), Outbox.id <= high if high else true())
        for low, high in pairwise([0, *starts, 0])
    ]


def _groups_of(context: Context, query: Select[*tuple[Any, ...]], closed: Mapping[str, str]) -> list[OpenGroup]:
    with context.ledger.read() as session:
        give_memory(session)
        return [
            OpenGroup(
                endpoint,
                feed,
                family,
                deadline,
                provisional,
                closed.get(endpoint, waiting) if waiting in WITH_US else waiting,
                rule,
                bool(is_corrected),
                int(count),
                began,
            )
            for endpoint, feed, family, deadline, provisional, waiting, rule, is_corrected, count, began in (
                session.execute(query)
            )
        ]


def bucket(calendar: WorkingCalendar, today: date, deadline: date) -> str:
    """How much time is left until the end of the deadline's day; days are working days."""
    if deadline < today:
        return "overdue"
    if deadline == today:
        return "today"
    remaining = calendar.working_days_between(today, deadline)
    return BUCKETS[1 + max(remaining, 1)] if remaining <= 3 else "later"
