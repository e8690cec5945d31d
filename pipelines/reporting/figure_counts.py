"""What the figures of a batch are made of: its measures, and what the ledger counted afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.catalogue.figure_profiles import Clock, FigureDefinition, Term
from pipelines.deadlines.calendar import WorkingCalendar
from pipelines.ledger.models import Outbox, Run
from pipelines.ledger.quality_models import Closing, Measure
from pipelines.reporting.batches import of_batch, published_runs, superseded
from pipelines.reporting.figure_timing import timing_counts

# What a batch adds to the store is added once: when the batch is run again, most of it is there already. These are
# summed over all published runs of a batch; everything else is what its last one says.
_ADDED = ("new", "changed", "late")
# A problem that was waived, or whose record or rule is gone, was not mended.
MENDED = ("source", "workbook")


@dataclass(frozen=True)
class BatchCounts:
    """All counts of one published batch by name and item, as of an instant; what is not there counts nothing."""

    counts: Mapping[tuple[str, str], int]

    def sum(self, terms: tuple[Term, ...]) -> int:
        return sum(term.sign * self.counts.get((term.name, term.item), 0) for term in terms)

    def values(self, definition: FigureDefinition) -> tuple[int, int | None]:
        """Numerator and denominator of a figure; a plain count has no denominator."""
        below = self.sum(definition.terms("denominator")) if definition.denominator else None
        return self.sum(definition.terms("numerator")), below

    def is_final(self, definition: FigureDefinition) -> bool:
        """Whether nothing that receivers may still say changes the figure."""
        if "timing" in definition.counts and self.counts.get(("timing", "open"), 0):
            return False
        return not self.counts.get(("delivery", "pending"), 0) or "delivery" not in definition.counts


def stored_counts(ledger: LedgerSession, run: Run) -> dict[tuple[str, str], int]:
    """The counts of a published batch that hold by any clock; empty when its run has no measures."""
    found = ledger.execute(select(Measure.name, Measure.item, Measure.value).where(Measure.run == run.id))
    counts: dict[tuple[str, str], int] = {(name, item): value for name, item, value in found}
    if not counts:
        return {}
    added = ledger.execute(
        select(Measure.item, func.sum(Measure.value))
        .where(Measure.run.in_(published_runs(run)), Measure.name == "rows", Measure.item.in_(_ADDED))
        .group_by(Measure.item)
    )
    rows, days = ledger.execute(
        select(func.coalesce(func.sum(Closing.rows), 0), func.coalesce(func.sum(Closing.days), 0)).where(
            Closing.run.in_(published_runs(run)), Closing.how.in_(MENDED)
        )
    ).one()
    return (
        counts
        | {("rows", item): int(value) for item, value in added}
        | {("closing", "rows"): int(rows), ("closing", "days"): int(days)}
        | {("delivery", item): value for item, value in _delivery(ledger, run).items()}
    )


def by_clock(
    ledger: LedgerSession,
    run: Run,
    stored: Mapping[tuple[str, str], int],
    clock: Clock,
    calendar: WorkingCalendar,
    at: datetime,
) -> BatchCounts:
    """The stored counts of a batch, and those of the clock of a profile as it stands at the instant ``at`` (UTC)."""
    timing = timing_counts(ledger, run, clock, calendar, at)
    return BatchCounts({**stored, **{("timing", item): value for item, value in timing.items()}})


def _delivery(ledger: LedgerSession, run: Run) -> dict[str, int]:
    """Deliveries of the batch over all receivers.

    ``pending``: those that a receiver may yet confirm, because no other feed and no newer version takes their place.
    """
    is_open = and_(Outbox.accepted_at.is_(None), Outbox.withheld_at.is_(None))
    is_ours = or_(Outbox.withheld_at.is_(None), Outbox.withheld_rule.is_not(None))
    is_pending = and_(Outbox.accepted_at.is_(None), is_ours, ~superseded())
    found = ledger.execute(
        select(
            func.count().label("owed"),
            func.count().filter(is_pending).label("pending"),
            func.count(Outbox.accepted_at).label("confirmed"),
            func.count().filter(and_(Outbox.rejected_at.is_not(None), is_open)).label("rejected"),
            func.count().filter(and_(Outbox.withheld_at.is_not(None), Outbox.accepted_at.is_(None))).label("withheld"),
            func.count().filter(and_(Outbox.rejected_at.is_(None), is_open)).label("waiting"),
        ).where(of_batch(run))
    ).one()
    return dict(found._mapping)
