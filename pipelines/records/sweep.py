"""Takes out of the record store and the findings what crashed runs left there."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import and_, not_, select
from sqlalchemy.orm import aliased

from pipelines.ledger.database import Ledger
from pipelines.ledger.models import Run
from pipelines.records.findings import FindingsTable
from pipelines.records.store import RecordStore

UNFINISHED = ("failed", "abandoned", "held")


def sweep_crashed_runs(
    ledger: Ledger,
    stores: Mapping[str, RecordStore],
    feed: str | None = None,
    findings: FindingsTable | None = None,
) -> list[str]:
    """Remove what every failed, abandoned or held run wrote, optionally of one feed; returns the runs swept.

    A run that was judged and then held by a gate keeps its versions until it is decided or replaced by a newer attempt.
    Safe to kill and repeat: a run is marked only after its files are gone.
    """
    with ledger.read() as session:
        newer = aliased(Run)
        replaced = select(newer.id).where(newer.batch_id == Run.batch_id, newer.attempt > Run.attempt).exists()
        waits = and_(Run.state == "held", Run.stage == "judged", not_(replaced))
        query = select(Run).where(Run.state.in_(UNFINISHED), Run.swept.is_(False), not_(waits)).order_by(Run.id)
        if feed is not None:
            query = query.where(Run.feed == feed)
        runs = list(session.scalars(query))
    for run in runs:
        store = stores.get(run.category)
        if store is not None:
            store.sweep(run.feed, run.id)
        if findings is not None:
            findings.sweep(run)
        with ledger.write() as session:
            found = session.get_one(Run, run.id)
            found.swept = True
    return [run.id for run in runs]
