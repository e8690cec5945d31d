"""What the report site takes from the ledger: a few grouped queries over all batches, none of them per batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, case, extract, func, select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.ledger.models import Batch, DeliveryFinding, Outbox, RuleCount, Run
from pipelines.ledger.quality_models import Fact, Task
from pipelines.reporting.batches import stored_by_batches
from pipelines.reporting.counts import Counts

# Summed over all published runs of a batch; the other counts of rows are those of its last run.
_STORED_COUNTS = ("timed", "late")
_LAST_COUNTS = tuple(
    column.name
    for column in fields(Counts)
    if column.name in Run.__table__.columns and column.name not in _STORED_COUNTS
)
RUN_COUNTS = (*_LAST_COUNTS, *_STORED_COUNTS)
DELIVERY_COUNTS = tuple(column.name for column in fields(Counts) if column.name not in RUN_COUNTS)
OPEN_TASKS = ("open", "acknowledged", "fixed", "reopened")
# An instant may be written by a transaction that began earlier and committed later than one already seen.
_OVERLAP = timedelta(hours=1)
_CHUNK = 500


class BatchLine(NamedTuple):
    """One batch: its published run, or its last attempt when none was published.

    ``counts`` are those of the run in the order of ``RUN_COUNTS``, what is late over all published runs of the batch;
    all 0 when nothing was published. ``failure`` names the kind of error that ended the last attempt.
    """

    batch: int
    feed: str
    day: date
    run: str
    state: str
    counts: tuple[int, ...]
    earliest_deadline: date | None
    problem: str | None = None
    failure: str = ""

    @property
    def is_published(self) -> bool:
        return self.state == "published"


class Delivery(NamedTuple):
    """Deliveries of one batch over all endpoints: counts in the order of ``DELIVERY_COUNTS``.

    ``earliest_open`` is the first deadline that no receiver has met. ``stamp`` changes with whatever else a page tells
    about deliveries: deadlines worked out anew, other reasons of a rejection.
    """

    counts: tuple[int, ...]
    earliest_open: date | None
    stamp: str

    @property
    def has_rejections(self) -> bool:
        return self.counts[DELIVERY_COUNTS.index("rejected")] > 0


NOTHING_OWED = Delivery((0,) * len(DELIVERY_COUNTS), None, "")


class RuleDay(NamedTuple):
    """How often a rule was asked, over the batches of one feed or of one day.

    ``judged`` are the rows it could apply to.
    """

    rule: str
    feed: str | None
    day: date | None
    judged: int
    applied: int
    failed: int
    waived: int

    @property
    def passed(self) -> int:
        return self.applied - self.failed

    @property
    def not_applicable(self) -> int:
        return max(self.judged - self.applied, 0)


class MonthFact(NamedTuple):
    """One figure of one feed in one month, added up over its batches."""

    department: str
    feed: str
    category: str
    month: str
    profile: str
    figure: str
    numerator: int
    denominator: int | None
    batches: int
    open_batches: int


def batch_lines(session: LedgerSession) -> list[BatchLine]:
    """Every batch of the ledger by feed and business date: two queries, whatever their number."""
    stored = stored_by_batches().subquery()
    counted = [*(getattr(Run, name) for name in _LAST_COUNTS), *(stored.c[name] for name in _STORED_COUNTS)]
    published = session.execute(
        select(Batch.id, Batch.feed, Batch.business_date, Run.id, Run.earliest_deadline, *counted)
        .join(Run, Run.id == Batch.run)
        .join(stored, stored.c.batch_id == Batch.id)
    )
    lines = [BatchLine(row[0], row[1], row[2], row[3], "published", tuple(row[5:]), row[4]) for row in published]
    attempts = session.execute(
        select(Batch.id, Batch.feed, Batch.business_date, Run.id, Run.state, Run.problem, Run.manifest)
        .join(Run, Run.batch_id == Batch.id)
        .where(Batch.run.is_(None))
        .order_by(Run.batch_id, Run.attempt)
    )
    nothing = (0,) * len(RUN_COUNTS)
    last = {row[0]: row for row in attempts}
    for batch, feed, day, run, state, problem, manifest in last.values():
        known = state if state in {"running", "held"} else "failed"
        failure = str((manifest or {}).get("failure", ""))
        lines.append(BatchLine(batch, feed, day, run, known, nothing, None, problem, failure))
    return sorted(lines, key=lambda line: (line.feed, line.day))


def deliveries(session: LedgerSession, batches: Sequence[int] | None) -> dict[int, Delivery]:
    """Deliveries by batch: of all batches, or of those named."""
    if batches is None:
        return dict(_deliveries(session, None))
    return dict(pair for chunk in _chunks(batches) for pair in _deliveries(session, Run.batch_id.in_(chunk)))


def _chunks(batches: Sequence[int]) -> Iterable[Sequence[int]]:
    return (batches[start : start + _CHUNK] for start in range(0, len(batches), _CHUNK))


def _deliveries(session: LedgerSession, wanted: ColumnElement[bool] | None) -> Iterable[tuple[int, Delivery]]:
    is_open = and_(Outbox.accepted_at.is_(None), Outbox.withheld_at.is_(None))
    is_rejected = and_(Outbox.rejected_at.is_not(None), is_open)
    counted = {
        "owed": func.count(),
        "sent": func.count(Outbox.sent_at),
        "confirmed": func.count(Outbox.accepted_at),
        "rejected": func.count().filter(is_rejected),
        "withheld": func.count().filter(and_(Outbox.withheld_at.is_not(None), Outbox.accepted_at.is_(None))),
        "waiting": func.count().filter(and_(Outbox.rejected_at.is_(None), is_open)),
        "overdue": func.count().filter(and_(Outbox.deadline < Run.business_date, is_open)),
    }
    query = (
        select(
            Run.batch_id,
            func.min(Outbox.deadline).filter(is_open),
            func.max(Outbox.deadline),
            func.count().filter(Outbox.deadline_provisional),
            func.max(Outbox.rejected_at),
            *(counted[name] for name in DELIVERY_COUNTS),
        )
        .join(Run, Run.id == Outbox.run)
        .where(Run.state == "published", Outbox.act == 0)
        .group_by(Run.batch_id)
    )
    rows: Any = session.execute(query if wanted is None else query.where(wanted))
    for batch, earliest, latest, provisional, rejected, *counts in rows:
        yield batch, Delivery(tuple(counts), earliest, f"{latest} {provisional} {rejected}")


def settled_until(session: LedgerSession, endpoints: Iterable[str]) -> datetime | None:
    """The last instant at which anything became of a delivery; each part is one look into an index."""
    found = []
    for endpoint in endpoints:
        for instant, order in _settled(endpoint):
            found.append(session.scalar(select(func.max(instant)).where(order)))
    return max((instant for instant in found if instant is not None), default=None)


def touched_batches(session: LedgerSession, endpoints: Iterable[str], since: datetime | None) -> set[int] | None:
    """Batches whose deliveries may have changed after ``since``; None for all of them.

    What is open or rejected may always have changed; what is confirmed or withheld changes once, at an instant that
    the index of due deliveries finds without reading what was settled earlier.
    """
    if since is None:
        return None
    found: set[int] = set()
    for endpoint in endpoints:
        mine = Outbox.endpoint == endpoint
        changed = [order & (instant >= since - _OVERLAP) for instant, order in _settled(endpoint)]
        changed.append(mine & Outbox.accepted_at.is_(None) & Outbox.rejected_at.is_not(None))
        changed.append(
            mine & Outbox.accepted_at.is_(None) & Outbox.rejected_at.is_(None) & Outbox.withheld_at.is_(None)
        )
        for condition in changed:
            found.update(
                session.scalars(select(Run.batch_id).join(Outbox, Outbox.run == Run.id).where(condition).distinct())
            )
    return found


def _settled(endpoint: str) -> tuple[tuple[Any, ColumnElement[bool]], ...]:
    mine = Outbox.endpoint == endpoint
    return (
        (Outbox.accepted_at, mine),
        (Outbox.rejected_at, mine & Outbox.accepted_at.is_(None)),
        (Outbox.withheld_at, mine & Outbox.accepted_at.is_(None) & Outbox.rejected_at.is_(None)),
    )


def overdue(session: LedgerSession, endpoints: Iterable[str], day: date) -> dict[str, int]:
    """Feed → deliveries that no receiver has confirmed although their deadline lay before ``day``, of all batches.

    Only what is open is read, however much was settled.
    """
    rows: Any = session.execute(
        select(Outbox.feed, func.count())
        .where(
            Outbox.endpoint.in_(list(endpoints)),
            Outbox.accepted_at.is_(None),
            Outbox.withheld_at.is_(None),
            Outbox.deadline < day,
        )
        .group_by(Outbox.feed)
    )
    return dict(rows.all())


def rejection_stamps(session: LedgerSession, batches: Sequence[int]) -> dict[int, str]:
    """Batch → how many rejections stand against it and when the last came."""
    found: dict[int, str] = {}
    for chunk in _chunks(batches):
        rows = session.execute(
            select(Run.batch_id, func.count(), func.max(DeliveryFinding.found_at))
            .join(Outbox, Outbox.run == Run.id)
            .join(DeliveryFinding, DeliveryFinding.outbox_id == Outbox.id)
            .where(Run.batch_id.in_(chunk))
            .group_by(Run.batch_id)
        )
        found.update((batch, f"{count} {last}") for batch, count, last in rows)
    return found


def rule_days(session: LedgerSession, first: date, last: date, by: str) -> list[RuleDay]:
    """How often each rule was asked from ``first`` to ``last``, by ``feed`` or by ``day``; published runs only."""
    column: Any = Run.feed if by == "feed" else Run.business_date
    judged = func.sum(Run.rows_decoded - Run.excluded)
    rows = session.execute(
        select(RuleCount.rule, column, judged, *(func.sum(one) for one in _ASKED))
        .join(Run, Run.id == RuleCount.run)
        .join(Batch, Batch.run == Run.id)
        .where(Batch.business_date.between(first, last))
        .group_by(RuleCount.rule, column)
        .order_by(RuleCount.rule, column)
    )
    return [
        RuleDay(rule, key if by == "feed" else None, key if by == "day" else None, *map(int, counts))
        for rule, key, *counts in rows
    ]


_ASKED = (RuleCount.applied, RuleCount.failed, RuleCount.waived)


def month_facts(session: LedgerSession, first: date) -> list[MonthFact]:
    """Facts from a day on, added up by month."""
    year, month = extract("year", Fact.business_date), extract("month", Fact.business_date)
    rows = session.execute(
        select(
            Fact.department,
            Fact.feed,
            Fact.category,
            year,
            month,
            Fact.profile,
            Fact.figure,
            func.sum(Fact.numerator),
            func.sum(Fact.denominator),
            func.count(),
            func.sum(case((Fact.final, 0), else_=1)),
        )
        .where(Fact.business_date >= first)
        .group_by(Fact.department, Fact.feed, Fact.category, year, month, Fact.profile, Fact.figure)
    )
    return sorted(
        MonthFact(
            row[0],
            row[1],
            row[2],
            f"{int(row[3]):04d}-{int(row[4]):02d}",
            *row[5:7],
            int(row[7]),
            _sum(row[8]),
            *row[9:],
        )
        for row in rows
    )


def _sum(found: Any) -> int | None:
    return None if found is None else int(found)


def open_tasks(session: LedgerSession) -> list[Task]:
    """All tasks somebody still has to do something about, the largest first."""
    return list(
        session.scalars(
            select(Task).where(Task.state.in_(OPEN_TASKS)).order_by(Task.rows.desc(), Task.first_seen, Task.reference)
        )
    )
