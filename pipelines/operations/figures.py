"""Facts: the figures of a published batch by every profile, stored with numerator and denominator."""

from __future__ import annotations

from sqlalchemy.orm import Session as LedgerSession

from pipelines.ledger.models import Run
from pipelines.operations.context import Context


def store_facts(context: Context, ledger: LedgerSession, run: Run) -> None:
    """Store the facts of a run in the transaction that publishes it; those of an earlier run of the batch go."""
