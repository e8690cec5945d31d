"""Which outbox rows belong to a batch."""

from __future__ import annotations

from sqlalchemy import ColumnElement, select

from pipelines.ledger.models import Outbox, Run


def of_batch(run: Run) -> ColumnElement[bool]:
    """Rows that any published run of the batch of ``run`` has queued.

    A date that is run again must not forget what an endpoint rejected of the run before.
    """
    return Outbox.run.in_(select(Run.id).where(Run.batch_id == run.batch_id, Run.state == "published"))
