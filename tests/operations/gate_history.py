"""A feed with a past: good batches in the ledger, without running each of them."""

from __future__ import annotations

from datetime import date, timedelta

from sqlalchemy import select

from pipelines.deadlines.calendar import load_calendar
from pipelines.errors import BatchHeldError
from pipelines.ledger.models import Batch, Run
from pipelines.ledger.quality_models import Measure
from tests.operations.small_feed import FEED, MONDAY, TUESDAY, Installation, row, rows

USUAL, COLLAPSED = 60, 8
BAD = {"统一社会信用代码": "91119900MA90000000"}


def live_through(installation: Installation, first: date, usual: int, batches: int = 6) -> Run:
    """Publish a batch of ``usual`` rows on ``first``; the working days before it had good batches just like it."""
    run = installation.publish(first, rows(range(usual)))
    context = installation.context
    calendar = load_calendar(context.settings)
    days = [day for back in range(1, 60) if calendar.estimate(day := first - timedelta(days=back))][: batches - 1]
    with context.ledger.write() as ledger:
        measured = ledger.scalars(select(Measure).where(Measure.run == run.id)).all()
        assert measured, "a published batch has measures"
        for day in days:
            batch = Batch(feed=FEED, business_date=day, run=f"{FEED}-{day:%Y%m%d}-001")
            ledger.add(batch)
            ledger.flush()
            ledger.add(
                Run(
                    id=batch.run,
                    batch_id=batch.id,
                    feed=FEED,
                    category=run.category,
                    business_date=day,
                    attempt=1,
                    state="published",
                    stage="published",
                    started_at=run.started_at - timedelta(days=30),
                    finished_at=run.started_at - timedelta(days=30),
                    settled_at=run.started_at,
                    rows_decoded=usual,
                    accepted=usual,
                )
            )
            ledger.flush()
            ledger.add_all(Measure(run=batch.run, name=one.name, item=one.item, value=one.value) for one in measured)
    return run


def hold(installation: Installation, usual: int = USUAL) -> Run:
    """A feed with a past whose Tuesday has collapsed: one of its few rows is quarantined, the others are new."""
    live_through(installation, MONDAY, usual)
    installation.send(TUESDAY, [*rows(range(500, 500 + COLLAPSED - 1)), row(900, **BAD)])
    problem = installation.night(TUESDAY)
    assert isinstance(problem, BatchHeldError), problem
    return installation.last_run(TUESDAY)
