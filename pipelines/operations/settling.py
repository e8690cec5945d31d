"""Telling a source what was taken, once the batch is published: files moved, read flags set."""

from __future__ import annotations

from sqlalchemy import select

from pipelines.catalogue.feeds import Feed
from pipelines.errors import SourceError
from pipelines.intake.connectors import connector_of
from pipelines.ledger.database import now
from pipelines.ledger.models import Run
from pipelines.operations.context import Context

# A run that changed nothing took the same files as the one that was published.
SETTLED_STATES = ("published", "unchanged")


def settle_what_is_owed(context: Context, feed: Feed) -> None:
    """Settle every published run of the feed whose source was not told yet, oldest first.

    Call with the feed's lock held. Raises :class:`SourceError` when the source cannot be told; what is owed stays owed.
    """
    query = (
        select(Run)
        .where(Run.feed == feed.feed, Run.state.in_(SETTLED_STATES), Run.settled_at.is_(None))
        .order_by(Run.finished_at)
    )
    with context.ledger.read() as session:
        owed = list(session.scalars(query))
    for run in owed:
        receipt = (run.manifest or {}).get("source", {}).get("receipt")
        if receipt is not None:
            connector_of(feed).settle(context.settings, feed, receipt)
        with context.ledger.write() as session:
            session.get_one(Run, run.id).settled_at = now()


def settle_quietly(context: Context, feed: Feed) -> SourceError | None:
    """The same after a publication: the batch is published whether or not its source can be told now."""
    try:
        settle_what_is_owed(context, feed)
    except SourceError as error:
        return error
    return None
