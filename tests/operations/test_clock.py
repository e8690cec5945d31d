"""The clock counts what is owed by how much time is left."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import select, update
from typer.testing import CliRunner

from pipelines import cli
from pipelines.ledger.database import now
from pipelines.ledger.models import Outbox
from pipelines.operations.clock import read_clock
from pipelines.operations.context import Context
from pipelines.operations.night import run_night
from tests.operations.conftest import FRIDAY

# Friday 2026-11-27: no holiday is near.
DEADLINE = date(2026, 11, 27)


@pytest.fixture
def context(tmp_path: Path, install: Callable[[Path], Context]) -> Context:
    opened = install(tmp_path / "home")
    run_night(opened, FRIDAY, ["market_licence"])
    with opened.ledger.write() as session:
        session.execute(update(Outbox).values(deadline=DEADLINE))
    return opened


def owed(context: Context) -> int:
    with context.ledger.read() as session:
        return len(session.scalars(select(Outbox)).all())


@pytest.mark.parametrize(
    ("today", "bucket"),
    [
        (date(2026, 11, 28), "overdue"),
        (date(2026, 11, 27), "today"),
        (date(2026, 11, 26), "1 day"),
        (date(2026, 11, 25), "2 days"),
        (date(2026, 11, 24), "3 days"),
        (date(2026, 11, 23), "later"),
        (date(2026, 11, 22), "later"),
    ],
)
def test_the_bucket_of_a_deadline(context: Context, today: date, bucket: str) -> None:
    (line,) = read_clock(context, today)
    assert {name: count for name, count in line.counts.items() if count} == {bucket: owed(context)}


def test_a_weekend_is_no_time(context: Context) -> None:
    with context.ledger.write() as session:
        session.execute(update(Outbox).values(deadline=date(2026, 11, 30)))
    (line,) = read_clock(context, date(2026, 11, 27))
    assert line.counts["1 day"] == owed(context)


def test_rejected_records_are_still_owed_and_accepted_ones_are_not(context: Context) -> None:
    with context.ledger.write() as session:
        first, second = session.scalars(select(Outbox).limit(2)).all()
        first.rejected_at = now()
        second.accepted_at = now()
    (line,) = read_clock(context, DEADLINE)
    assert (line.total, line.rejected) == (owed(context) - 1, 1)


def test_the_command_shows_it(context: Context) -> None:
    shown = CliRunner().invoke(cli.app, ["clock", "--today", "2026-11-28"])
    assert shown.exit_code == 0
    assert "Records owed" in shown.output
