"""Gates: a batch that is unlike the good ones before it waits for a steward."""

from __future__ import annotations

from pipelines.catalogue.feeds import Feed
from pipelines.engine.duck import Session
from pipelines.ledger.models import Run
from pipelines.operations.context import Context


def check_gates(context: Context, session: Session, feed: Feed, run: Run) -> None:
    """Hold a judged run that fails a gate: raises :class:`BatchHeldError`, unless its release is on record.

    Called last, when the run's files and figures are stored: a release publishes what was judged.
    """
