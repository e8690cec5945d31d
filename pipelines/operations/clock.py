"""The clock: which queued records run out of time, and a watchdog that leaves a sign of life."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import and_, func, or_, select

from pipelines.deadlines.calendar import WorkingCalendar, load_calendar
from pipelines.ledger.database import now
from pipelines.ledger.models import Heartbeat, Outbox
from pipelines.operations.context import Context
from pipelines.reporting.batches import superseded

SHANGHAI = ZoneInfo("Asia/Shanghai")
BUCKETS = ("overdue", "today", "1 day", "2 days", "3 days", "later")
WATCHDOG = "clock_watch"


@dataclass(frozen=True)
class ClockLine:
    """Open records of one feed at one endpoint, by how much time is left.

    ``withheld`` of them are kept back by the endpoint's acceptance profile.
    """

    endpoint: str
    feed: str
    counts: dict[str, int]
    rejected: int
    provisional: int
    withheld: int = 0

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def today_in_shanghai() -> date:
    """The calendar day that deadlines are measured against."""
    return datetime.now(SHANGHAI).date()


def read_clock(context: Context, today: date | None = None) -> list[ClockLine]:
    """Everything owed and not accepted yet, by endpoint and feed.

    A rejected record is still owed: resubmission does not stop the clock (domain rule), so it is counted in its
    bucket and again under ``rejected``. So is one that the endpoint cannot take, under ``withheld``, until a newer
    version of it is queued; what is withheld because another feed has reported it is not owed.
    """
    day = today or today_in_shanghai()
    calendar = load_calendar(context.settings)
    with context.ledger.read() as session:
        rows = session.execute(
            select(
                Outbox.endpoint,
                Outbox.feed,
                Outbox.deadline,
                Outbox.deadline_provisional,
                Outbox.rejected_at.is_not(None).label("is_rejected"),
                Outbox.withheld_at.is_not(None).label("is_withheld"),
                func.count(),
            )
            .where(
                Outbox.accepted_at.is_(None),
                or_(Outbox.withheld_at.is_(None), and_(Outbox.withheld_rule.is_not(None), ~superseded())),
            )
            .group_by(
                Outbox.endpoint,
                Outbox.feed,
                Outbox.deadline,
                Outbox.deadline_provisional,
                Outbox.rejected_at.is_not(None),
                Outbox.withheld_at.is_not(None),
            )
        ).all()
    counts: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: dict.fromkeys(BUCKETS, 0))
    rejected: dict[tuple[str, str], int] = defaultdict(int)
    provisional: dict[tuple[str, str], int] = defaultdict(int)
    withheld: dict[tuple[str, str], int] = defaultdict(int)
    for endpoint, feed, deadline, is_provisional, is_rejected, is_withheld, count in rows:
        key = (endpoint, feed)
        counts[key][bucket(calendar, day, deadline)] += count
        rejected[key] += count if is_rejected else 0
        provisional[key] += count if is_provisional else 0
        withheld[key] += count if is_withheld else 0
    return [ClockLine(*key, counts[key], rejected[key], provisional[key], withheld[key]) for key in sorted(counts)]


def bucket(calendar: WorkingCalendar, today: date, deadline: date) -> str:
    """How much time is left until the end of the deadline's day; days are working days."""
    if deadline < today:
        return "overdue"
    if deadline == today:
        return "today"
    remaining = calendar.working_days_between(today, deadline)
    return BUCKETS[1 + max(remaining, 1)] if remaining <= 3 else "later"


def watch_clock(context: Context, today: date | None = None) -> dict[str, int]:
    """Examine every open record and leave a heartbeat; returns the totals per bucket and ``examined``."""
    lines = read_clock(context, today)
    totals = {name: sum(line.counts[name] for line in lines) for name in BUCKETS}
    examined = sum(line.total for line in lines)
    with context.ledger.write() as session:
        beat = session.get(Heartbeat, WATCHDOG)
        if beat is None:
            session.add(Heartbeat(name=WATCHDOG, at=now(), examined=examined))
        else:
            beat.at, beat.examined = now(), examined
    return {**totals, "examined": examined}
