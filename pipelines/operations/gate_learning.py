"""Limits learned from the good batches of a feed: shown, accepted, taken back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

from sqlalchemy import func, insert, select

from pipelines.catalogue.gate_settings import GATE_NAMES, Tolerance
from pipelines.deadlines.calendar import load_calendar
from pipelines.errors import GuijiError
from pipelines.ledger.database import now
from pipelines.ledger.models import Batch
from pipelines.ledger.quality_models import GateThreshold
from pipelines.operations.context import Context
from pipelines.operations.people import name_of, reason_of
from pipelines.quality.gate_history import accepted_thresholds, read_history
from pipelines.quality.gate_learning import Learned, learn
from pipelines.quality.suite import load_gates


def learn_limits(context: Context, feed_code: str, last: int, gate: str | None = None) -> list[Learned]:
    """Limits learned from the last good batches of a feed, with those in force; see :func:`learn`."""
    if gate is not None and gate not in GATE_NAMES:
        raise GuijiError(f"there is no gate {gate}", remedy=f"name one of {', '.join(sorted(GATE_NAMES))}")
    feed = context.catalogue.feed(feed_code)
    suite = load_gates(context.settings)
    wanted = Tolerance(share=0, floor=0, min_batches=1, batches=last, compare_with="all_days", off=False)
    with context.ledger.read() as ledger:
        newest = ledger.scalar(select(func.max(Batch.business_date)).where(Batch.feed == feed_code))
        after = (newest or date.min) + timedelta(days=1)
        history = read_history(ledger, feed_code, after, load_calendar(context.settings), [wanted])
        accepted = accepted_thresholds(ledger, feed_code)
    return [one for one in learn(suite, feed.gates, history, accepted) if gate in (None, one.gate)]


def accept_limits(context: Context, feed: str, learned: Iterable[Learned], by: str, why: str) -> int:
    """Put learned limits in force from the next batch on; returns how many."""
    rows = [
        {"gate": one.gate, "item": one.item, "low": one.low, "high": one.high, "batches": one.batches}
        for one in learned
    ]
    return _store(context, feed, rows, by, why)


def forget_limits(context: Context, feed: str, by: str, why: str, gate: str | None = None) -> int:
    """Take back accepted limits: what the feed's file says holds again; returns how many."""
    context.catalogue.feed(feed)
    with context.ledger.read() as ledger:
        accepted = accepted_thresholds(ledger, feed)
    rows = [
        {"gate": name, "item": item, "low": None, "high": None, "batches": 0}
        for name, item in accepted
        if gate in (None, name)
    ]
    return _store(context, feed, rows, by, why)


def _store(context: Context, feed: str, rows: Sequence[Mapping[str, object]], by: str, why: str) -> int:
    if not by.strip() or not why.strip():
        raise GuijiError("accepting limits needs a name and a reason", remedy="say --by and --why")
    shared = {"feed": feed, "by": name_of(by), "at": now(), "why": reason_of(why)}
    if rows:
        with context.ledger.write() as ledger:
            ledger.execute(insert(GateThreshold), [{**row, **shared} for row in rows])
    return len(rows)
