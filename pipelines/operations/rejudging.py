"""Judging a batch again from what was landed for it: the source is not asked."""

from __future__ import annotations

from datetime import date

from pipelines.operations import judging, publishing, pulling
from pipelines.operations.backfill_days import days_of_feed, require_stored
from pipelines.operations.context import Context


def rejudge(context: Context, feed_code: str, business_date: date) -> str:
    """Judge a batch again, by today's rules and mappings, from the extracts landed for it; returns the new run.

    These are the extracts of the newest attempt that had read its rows and was not refused: the published one, or a
    later one that was held or failed. They are read again, since how a file is read is described in the feed too. When
    nothing that decides the batch has changed, the run is a recorded no-op. Raises :class:`RunConflictError` where
    nothing is stored, and what stops any other run.
    """
    [day] = days_of_feed(context, context.catalogue.feed(feed_code), business_date, business_date)
    run = pulling.pull_stored(context, feed_code, business_date, require_stored(day).id)
    judging.judge_batch(context, run)
    return publishing.publish_batch(context, run)
