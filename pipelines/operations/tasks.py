"""Tasks: open cases grouped by feed, rule and field, with an owner, a reference and a life cycle."""

from __future__ import annotations

from sqlalchemy.orm import Session as LedgerSession

from pipelines.engine.duck import Session
from pipelines.ledger.models import Run
from pipelines.operations.context import Context


def store_tasks(context: Context, ledger: LedgerSession, session: Session, run: Run) -> None:
    """Bring the tasks of a feed up to date with the cases of a run, in the transaction that publishes it."""
