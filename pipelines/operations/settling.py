"""Telling a source what was taken, once the batch is published: files moved, read flags set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.catalogue.feeds import Feed
from pipelines.errors import SourceError
from pipelines.intake.connectors import connector_of
from pipelines.ledger.database import now
from pipelines.ledger.models import Run
from pipelines.operations.context import Context

# A run that changed nothing took the same files as the one that was published.
SETTLED_STATES = ("published", "unchanged")
PROBLEM, LEFT = "settle_problem", "left_at_source"


def settle_what_is_owed(context: Context, feed: Feed) -> None:
    """Settle every published run of the feed whose source was not told yet, oldest first.

    Call with the feed's lock held. A source that cannot be told stops nothing: what was published stays published, what
    is pulled again are the same rows. The problem stands in the run's manifest until the source was told, as does what
    a source leaves undone for good.
    """
    with context.ledger.read() as session:
        owed = owed_runs(session, feed.feed)
    failed = False
    for run in owed:
        # A source that is down would keep the feed waiting once for every run; the newest still gets its chance, lest
        # one old run that can never be settled stops all others.
        if not failed or run is owed[-1]:
            failed |= not _settle(context, feed, run)


def owed_runs(session: LedgerSession, feed: str | None = None) -> list[Run]:
    """Runs that were published, or changed nothing, and whose source was not told so yet; the oldest first.

    Of all feeds unless one is named.
    """
    query = select(Run).where(Run.state.in_(SETTLED_STATES), Run.settled_at.is_(None))
    if feed is not None:
        query = query.where(Run.feed == feed)
    return list(session.scalars(query.order_by(Run.finished_at, Run.id)))


def settle_notices(owed: Sequence[Run], published: Run | None) -> Iterator[str]:
    """What an operator should know about telling a feed's source, in sentences. ``owed``: its :func:`owed_runs`."""
    if owed:
        problem = next((source[PROBLEM] for run in reversed(owed) if PROBLEM in (source := _source(run))), None)
        since = min(run.business_date for run in owed)
        yield (
            f"the source was not told yet what was taken ({len(owed)} batches since {since}): "
            + (problem or "the run ended before it could be told")
            + " (it is tried again with every batch)"
        )
    if published is not None:
        yield from (f"left at the source: {sentence}" for sentence in _source(published).get(LEFT, ()))


def _settle(context: Context, feed: Feed, run: Run) -> bool:
    """Tell the source about one run; False when it could not be told."""
    receipt = _source(run).get("receipt")
    notes: dict[str, Any] = {}
    settled = True
    try:
        left = list(connector_of(feed).settle(context.settings, feed, receipt) or ()) if receipt is not None else []
        notes = {LEFT: left} if left else {}
    except SourceError as error:
        settled, notes = False, {PROBLEM: str(error)}
    with context.ledger.write() as session:
        found = session.get_one(Run, run.id)
        found.settled_at = now() if settled else None
        source = {name: value for name, value in _source(found).items() if name not in {PROBLEM, LEFT}}
        found.manifest = {**(found.manifest or {}), "source": {**source, **notes}}
    return settled


def _source(run: Run) -> dict[str, Any]:
    source: dict[str, Any] = (run.manifest or {}).get("source", {})
    return source
