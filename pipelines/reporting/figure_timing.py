"""How many records of a batch were in time, by the clock of a profile."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime

from sqlalchemy import and_, case, func, select, true
from sqlalchemy.orm import Session as LedgerSession

from pipelines.catalogue.figure_profiles import Clock
from pipelines.deadlines.calendar import WorkingCalendar
from pipelines.deadlines.clock import BEIJING_TIME, deadline, deadline_instant
from pipelines.deadlines.policies import DeadlinePolicy
from pipelines.ledger.models import Outbox, Run
from pipelines.ledger.quality_models import Measure
from pipelines.reporting.batches import first_taken, of_batch, published_runs

# What a measure calls the records whose decision is older than any limit.
EARLIER = "earlier"
_SOURCE = "profile of figures"


def timing_counts(
    ledger: LedgerSession, run: Run, clock: Clock, calendar: WorkingCalendar, at: datetime
) -> dict[str, int]:
    """all, on_time, late and open (not due at the instant ``at``, and not accepted yet) of the batch of ``run``.

    Counted are the new records of all published runs of the batch, and the changed ones where the clock says so.
    By the clock of a receiver each record counts once per receiver.
    """
    policy = DeadlinePolicy(code="figures", name=_SOURCE, working_days=clock.working_days, source=_SOURCE)
    changes = ("new", "changed") if clock.include_updates else ("new",)
    if clock.basis == "accepted_by_upper":
        return _by_acceptance(ledger, run, clock, changes, calendar, policy, at)
    return _by_day(ledger, run, clock, changes, calendar, policy)


def _by_day(
    ledger: LedgerSession,
    run: Run,
    clock: Clock,
    changes: Iterable[str],
    calendar: WorkingCalendar,
    policy: DeadlinePolicy,
) -> dict[str, int]:
    """Against the business date, or against the day in China on which each run was published."""
    found = ledger.execute(
        select(Measure.item, Measure.value, Run.finished_at)
        .join(Run, Run.id == Measure.run)
        .where(Measure.run.in_(published_runs(run)), Measure.name == "decided")
    )
    counts = {"all": 0, "on_time": 0, "late": 0, "open": 0}
    for item, value, finished_at in found:
        change, _, decided = item.partition("=")
        if change not in changes:
            continue
        day = run.business_date
        if clock.basis == "published" and finished_at is not None:
            day = finished_at.replace(tzinfo=UTC).astimezone(BEIJING_TIME).date()
        is_late = decided == EARLIER or day > deadline(calendar, policy, date.fromisoformat(decided)).date
        counts["all"] += value
        counts["late" if is_late else "on_time"] += value
    return counts


def _by_acceptance(
    ledger: LedgerSession,
    run: Run,
    clock: Clock,
    changes: Iterable[str],
    calendar: WorkingCalendar,
    policy: DeadlinePolicy,
    at: datetime,
) -> dict[str, int]:
    # A record's first version is new. What a version was sent as says less: after a refusal, a correction is new there.
    which = true() if "changed" in changes else Outbox.version == 1
    wanted = and_(of_batch(run), Outbox.act == 0, which)
    if clock.endpoint is not None:
        wanted = and_(wanted, Outbox.endpoint == clock.endpoint)
    taken = func.coalesce(case((Outbox.version == 1, Outbox.accepted_at)), first_taken()).label("taken")
    asked = select(Outbox.decision_date, taken).where(wanted).subquery()
    found = ledger.execute(
        select(asked.c.decision_date, asked.c.taken, func.count()).group_by(asked.c.decision_date, asked.c.taken)
    )
    over: dict[date, datetime] = {}
    counts = {"all": 0, "on_time": 0, "late": 0, "open": 0}
    for day, taken_at, rows in found:
        if day not in over:
            over[day] = deadline_instant(deadline(calendar, policy, day).date).astimezone(UTC).replace(tzinfo=None)
        if taken_at is None:
            state = "late" if over[day] <= at else "open"
        else:
            state = "on_time" if taken_at < over[day] else "late"
        counts["all"] += rows
        counts[state] += rows
    return counts
