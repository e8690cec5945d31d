"""Which runs and which outbox rows belong to a batch, and which rows newer ones have overtaken."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import aliased

from pipelines.ledger.models import Outbox, Run


def published_runs(run: Run) -> Select[str]:
    """Every published run of the batch of ``run``: what a batch added to the store, it added with any of them."""
    return select(Run.id).where(Run.batch_id == run.batch_id, Run.state == "published")


def stored_by_batches() -> Select[int, int, int]:
    """Per batch, over all its published runs: its id, the records stored anew, and those of them that were late."""
    timed, late = func.sum(Run.new + Run.changed), func.sum(Run.late)
    stored = select(Run.batch_id, timed.label("timed"), late.label("late"))
    return stored.where(Run.state == "published").group_by(Run.batch_id)


def of_batch(run: Run) -> ColumnElement[bool]:
    """Rows that any published run of the batch of ``run`` has queued.

    A date that is run again must not forget what an endpoint rejected of the run before.
    """
    return Outbox.run.in_(published_runs(run))


def superseded() -> ColumnElement[bool]:
    """Whether a newer version of the same record is queued for the same endpoint."""
    newer = aliased(Outbox)
    return (
        select(newer.id)
        .where(
            newer.endpoint == Outbox.endpoint,
            newer.feed == Outbox.feed,
            newer.record_key == Outbox.record_key,
            newer.version > Outbox.version,
        )
        .exists()
    )
