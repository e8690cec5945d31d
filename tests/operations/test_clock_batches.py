"""The clock over real batches: quarantined rows and held batches have one too; delays begin with the first sight."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime, time
from pathlib import Path

import pytest
import time_machine
from sqlalchemy import select, update

from pipelines.ledger.models import Outbox, Run
from pipelines.operations.clock_before import NotYetQueued, not_yet_queued
from pipelines.operations.clock_late import late_records
from pipelines.operations.clock_list import list_open
from pipelines.settings import PROJECT_ROOT
from tests.operations.clock_world import PROVINCE, beijing
from tests.operations.small_feed import FEED, MONDAY, Installation, row
from tests.reporting.figure_month import WRONG

# Monday 16 November; decisions of Friday 13 are due on Tuesday 24.
DEADLINE = date(2026, 11, 24)
AGAIN = date(2026, 11, 25)
CODE = "统一社会信用代码"


@pytest.fixture
def shop(tmp_path: Path) -> Installation:
    shop = Installation(tmp_path)
    endpoints = tmp_path / "root" / "schemas" / "endpoints"
    endpoints.mkdir()
    shutil.copy(PROJECT_ROOT / "schemas" / "endpoints" / f"{PROVINCE}.yaml", endpoints)
    shop.describe(endpoints=[PROVINCE])
    return shop


def night_of(day: date) -> datetime:
    """One o'clock in China on the morning after a business date."""
    return datetime.combine(day, time(17), tzinfo=UTC)


def test_a_quarantined_row_is_counted_by_the_deadline_of_its_decision(shop: Installation) -> None:
    with time_machine.travel(night_of(MONDAY), tick=False):
        shop.publish(MONDAY, [row(1, **{CODE: WRONG}), row(2)])
    expected = NotYetQueued(FEED, "dept", "quarantine", "department", DEADLINE, 1, MONDAY)
    assert not_yet_queued(shop.context) == [expected]


def test_a_held_batch_waits_for_a_steward(shop: Installation) -> None:
    with time_machine.travel(night_of(MONDAY), tick=False):
        run = shop.publish(MONDAY, [row(1), row(2)])
    with shop.context.ledger.write() as session:
        values = {"state": "held", "earliest_deadline": DEADLINE}
        session.execute(update(Run).where(Run.id == run.id).values(values))
    assert not_yet_queued(shop.context)[0] == NotYetQueued(FEED, "dept", "held", "steward", DEADLINE, 2, MONDAY)


def test_single_records_are_named_by_their_document_number(shop: Installation) -> None:
    with time_machine.travel(night_of(MONDAY), tick=False):
        shop.publish(MONDAY, [row(1)])
    (one,) = list_open(shop.context, DEADLINE, at=beijing(DEADLINE))
    assert (one.document_number, one.days_left, one.department) == ("示市监罚〔2026〕1号", 0, "dept")


def test_a_row_that_was_quarantined_first_was_the_departments_until_it_came_mended(shop: Installation) -> None:
    """Here on the 17th with a wrong code, right on the 26th, accepted an hour later: nine working days.

    The 16th was before it came; from the 17th to the 25th it lay in quarantine; on the 26th we had it.
    """
    with time_machine.travel(night_of(MONDAY), tick=False):
        shop.publish(MONDAY, [row(1, **{CODE: WRONG}), row(2)])
    with time_machine.travel(night_of(AGAIN), tick=False):
        shop.publish(AGAIN, [row(1)])
    with shop.context.ledger.write() as session:
        accepted = beijing(date(2026, 11, 26), 2)
        session.execute(update(Outbox).values(accepted_at=beijing(date(2026, 11, 17), 2)))
        newest = select(Outbox.id).order_by(Outbox.id.desc()).limit(1).scalar_subquery()
        session.execute(update(Outbox).where(Outbox.id == newest).values(accepted_at=accepted))
    (late,) = late_records(shop.context, MONDAY, AGAIN, at=beijing(date(2026, 11, 27)))
    assert late.deadline == DEADLINE
    assert late.days == {"department": 8, "us": 1, "steward": 0, "receiver": 0}
    assert [handover.what.split(" ")[0] for handover in late.timeline] == [
        "arrived",
        "quarantined",
        "arrived",
        "version",
    ]
