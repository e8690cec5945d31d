"""Feeds with a past, written into the ledger row by row: no batch is run for it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

from pipelines.ledger.models import Batch, Run
from tests.operations.clock_world import CATEGORY, FEEDS, World, beijing

TODAY = date(2026, 11, 25)  # a Wednesday
YESTERDAY = TODAY - timedelta(days=1)
NOON = beijing(TODAY)


def working_days(world: World, first: date, last: date) -> list[date]:
    days = [first + timedelta(days=step) for step in range((last - first).days + 1)]
    return [day for day in days if world.calendar.estimate(day)]


def batches(world: World, department: str, days: Iterable[date], *, rows: int = 100, **values: Any) -> None:
    """A batch for each day, one run each; published with ``rows`` unless ``state`` says otherwise."""
    feed = FEEDS[department]
    values = {"state": "published", "stage": "published", "settled_at": NOON} | values
    with world.context.ledger.write() as session:
        for day in days:
            name = f"{feed}-{day:%Y%m%d}-001"
            batch = Batch(feed=feed, business_date=day, run=name if values["state"] == "published" else None)
            session.add(batch)
            session.flush()
            began = beijing(day + timedelta(days=1), 1)
            run = Run(id=name, batch_id=batch.id, feed=feed, category=CATEGORY, business_date=day, attempt=1)
            run.started_at, run.finished_at = began, began + timedelta(minutes=5)
            run.rows_decoded = run.accepted = rows
            for column, value in values.items():
                setattr(run, column, value)
            session.add(run)
