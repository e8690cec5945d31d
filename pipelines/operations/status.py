"""What went wrong, in one sentence per feed."""

from __future__ import annotations

from datetime import date

from sqlalchemy import select

from pipelines.ledger.models import Run
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
            elif run.state == "failed":
                problems.append((feed, run.problem or "failed without a message"))
            elif run.state in {"running", "abandoned"}:
                problems.append((feed, f"run {run.id} ended while {run.stage}; run the batch again"))
    return problems
