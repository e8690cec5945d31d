"""What went wrong, in one sentence per feed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import select

from pipelines.ledger.models import Extract, Run
from pipelines.operations.attempts import published_run
from pipelines.operations.context import Context


def problems_of(context: Context, business_date: date) -> list[tuple[str, str]]:
    """(feed, problem) of every feed whose last run for the date failed, was abandoned or never took place."""
    problems = []
    with context.ledger.read() as session:
        for feed in context.catalogue.feed_codes:
            if feed in context.catalogue.broken_feeds:
                problems.append((feed, str(context.catalogue.broken_feeds[feed])))
                continue
            query = select(Run).where(Run.feed == feed, Run.business_date == business_date)
            run = session.scalar(query.order_by(Run.attempt.desc()).limit(1))
            if run is None:
                problems.append(
                    (
                        feed,
                        f"no run for {business_date}; start it with 'guiji run --feed {feed} --date {business_date}'",
                    )
                )
            elif run.state in {"failed", "held"}:
                problems.append((feed, run.problem or "failed without a message"))
            elif run.state in {"running", "abandoned"}:
                problems.append((feed, f"run {run.id} ended while {run.stage}; run the batch again"))
    return problems


def notices_of(context: Context, business_date: date) -> list[tuple[str, str]]:
    """(feed, notice) of what a published batch left unread: whole sheets nobody declared and nobody knows."""
    notices = []
    with context.ledger.read() as session:
        for feed in sorted(context.catalogue.feeds):
            run = published_run(session, feed, business_date)
            if run is None:
                continue
            extracts = session.scalars(select(Extract).where(Extract.run == run.id).order_by(Extract.position))
            names = sheets_left_out([extract.manifest for extract in extracts])
            if names:
                notices.append((feed, f"sheets not read: {', '.join(names)}; set format.sheet if they matter"))
    return notices


def sheets_left_out(manifests: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Sheets of the extracts that hold something and were not read, with the reason."""
    left_out = [item for manifest in manifests for item in manifest.get("sheets_left_out", {}).items()]
    return tuple(f"{sheet}（{reason}）" for sheet, reason in left_out if reason != "empty")
