"""How many records of a batch were in time, by the clock of a profile."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime

from sqlalchemy import Date, DateTime, and_, case, column, func, or_, select, true, values
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
# SQLite takes 32,766 parameters in a statement; two belong to each day.
_DAYS_AT_ONCE = 2_000


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
    days = sorted(ledger.scalars(select(Outbox.decision_date).where(wanted).distinct()))
    taken = func.coalesce(case((Outbox.version == 1, Outbox.accepted_at)), first_taken())
    counts = {"all": 0, "on_time": 0, "late": 0, "open": 0}
    for start in range(0, len(days), _DAYS_AT_ONCE):
        over = [
            (day, deadline_instant(deadline(calendar, policy, day).date).astimezone(UTC).replace(tzinfo=None))
            for day in days[start : start + _DAYS_AT_ONCE]
        ]
        limits = values(column("decision_date", Date), column("over_at", DateTime), name="limits").data(over).cte()
        was_late = or_(taken >= limits.c.over_at, and_(taken.is_(None), limits.c.over_at <= at))
        total, on_time, late = ledger.execute(
            select(
                func.count(),
                func.count().filter(taken < limits.c.over_at),
                func.count().filter(was_late),
            )
            .select_from(Outbox)
            .join(limits, limits.c.decision_date == Outbox.decision_date)
            .where(wanted)
        ).one()
        counts["all"] += total
        counts["on_time"] += on_time
        counts["late"] += late
        counts["open"] += total - on_time - late
    return counts
