"""Acceptance profiles: a record may be right and still not acceptable to one receiver; it is withheld there."""

from __future__ import annotations

from sqlalchemy.orm import Session as LedgerSession

from pipelines.engine.duck import Session
from pipelines.ledger.models import Run
from pipelines.operations.context import Context


def withhold_unaccepted(context: Context, ledger: LedgerSession, session: Session, run: Run) -> None:
    """Withhold what a run has just queued wherever the endpoint's profile refuses it."""
