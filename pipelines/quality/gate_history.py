"""The good batches that a batch is compared with, and the limits that somebody has accepted for its feed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.catalogue.gate_settings import CompareWith, Tolerance
from pipelines.deadlines.calendar import WorkingCalendar
from pipelines.ledger.models import Batch, Run
from pipelines.ledger.quality_models import GateThreshold, Measure
from pipelines.quality.gate_figures import Counts, Figure

# More than a year of nights: the last ten batches of one weekday need ten weeks.
_MOST_BATCHES = 400


@dataclass(frozen=True)
class GoodBatch:
    """A batch that says what is usual: its run, its business date, its measures."""

    run: str
    business_date: date
    counts: Counts


@dataclass(frozen=True)
class History:
    """The good batches of a feed before a business date, the latest first."""

    business_date: date
    batches: tuple[GoodBatch, ...]
    calendar: WorkingCalendar = field(repr=False)

    def for_gate(self, tolerance: Tolerance) -> tuple[GoodBatch, ...]:
        """The batches that one gate compares with: at most ``tolerance.batches``, of the days that it asks for."""
        alike = _alike(tolerance.compare_with, self.calendar)
        wanted = alike(self.business_date)
        return tuple(batch for batch in self.batches if alike(batch.business_date) == wanted)[: tolerance.batches]


def read_history(
    ledger: LedgerSession, feed: str, business_date: date, calendar: WorkingCalendar, tolerances: Iterable[Tolerance]
) -> History:
    """The good batches that any of ``tolerances`` asks for.

    Good is a batch of an earlier business date that is published: its gates held it never, or until it was released.
    Runs without measures say nothing.
    """
    query = (
        select(Run.id, Run.business_date)
        .join(Batch, Batch.run == Run.id)
        .where(Batch.feed == feed, Batch.business_date < business_date)
        .where(select(Measure.id).where(Measure.run == Run.id).exists())
        .order_by(Run.business_date.desc())
        .limit(_MOST_BATCHES)
    )
    known = History(business_date, tuple(GoodBatch(run, day, {}) for run, day in ledger.execute(query)), calendar)
    wanted = {batch.run for tolerance in tolerances for batch in known.for_gate(tolerance)}
    counts = measures_of(ledger, wanted)
    batches = (
        GoodBatch(batch.run, batch.business_date, counts[batch.run]) for batch in known.batches if batch.run in wanted
    )
    return History(business_date, tuple(batches), calendar)


def measures_of(ledger: LedgerSession, runs: Iterable[str]) -> Mapping[str, Counts]:
    """The measures of runs: run → (name, item) → value."""
    found: dict[str, dict[tuple[str, str], int]] = {run: {} for run in runs}
    query = select(Measure.run, Measure.name, Measure.item, Measure.value).where(Measure.run.in_(found))
    for run, name, item, value in ledger.execute(query):
        found[run][name, item] = value
    return found


def accepted_thresholds(ledger: LedgerSession, feed: str) -> dict[Figure, GateThreshold]:
    """The limits that were accepted for a feed, the newest of each gate and item; without those taken back."""
    query = select(GateThreshold).where(GateThreshold.feed == feed).order_by(GateThreshold.id)
    newest = {(found.gate, found.item): found for found in ledger.scalars(query)}
    return {figure: found for figure, found in newest.items() if found.batches}


def _alike(compare_with: CompareWith, calendar: WorkingCalendar) -> Callable[[date], object]:
    """What two days have in common when their batches may be compared."""
    if compare_with == "same_weekday":
        return date.weekday
    if compare_with == "same_kind_of_day":
        return calendar.estimate
    return lambda _day: True
