"""Cases: every finding that is open for a feed, carried from one published batch to the next."""

from __future__ import annotations

from pipelines.catalogue.feeds import Feed
from pipelines.engine.duck import Session
from pipelines.ledger.models import Run
from pipelines.operations.context import Context
from pipelines.quality.rules import Suite


def create_cases(context: Context, session: Session, feed: Feed, run: Run, suite: Suite, before: str | None) -> None:
    """Make the table ``cases`` of a judged run from its findings and the cases of the run ``before``."""
