"""The forecast reads speed and habits from the ledger, and says what it supposes where there is no history."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
import time_machine
from typer.testing import CliRunner

from pipelines import cli
from pipelines.deadlines.calendar import load_calendar
from pipelines.deadlines.forecast import Prediction
from pipelines.ledger.delivery_models import EndpointState
from pipelines.ledger.models import Package
from pipelines.operations.clock_forecast import EXPECTED, feed_habit, forecast_late
from tests.operations.clock_world import FEEDS, PROVINCE, PUBLIC, World, beijing

TODAY = date(2026, 3, 10)
AT = beijing(TODAY, 8)
ARRIVED = beijing(date(2026, 3, 9), 1)
# Due on Wednesday 11 March.
URGENT = date(2026, 3, 2)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, public={"windows": [{"start": "00:00", "end": "06:00"}]})


def queue(world: World, count: int, decided: date = URGENT, endpoint: str = PROVINCE) -> list[int]:
    run = world.run("market", date(2026, 3, 8), ARRIVED)
    return [world.queue(run, f"open {number}", decided, ARRIVED, endpoint=endpoint) for number in range(count)]


def history(world: World, endpoint: str, *, records: int, hours: int, receipt_hours: int) -> None:
    """Six settled packages of February, each a whole number of hours under way."""
    with world.context.ledger.write() as session:
        for number in range(6):
            start = beijing(date(2026, 2, 24) + timedelta(days=number), 0, 30)
            package = Package(id=f"{endpoint} {number}", endpoint=endpoint, category="administrative_penalty")
            package.records, package.created_at, package.offers, package.offered_at = records, start, 1, start
            package.sent_at = start + timedelta(hours=hours)
            package.settled_at = package.sent_at + timedelta(hours=receipt_hours)
            session.add(package)


def predicted(world: World) -> list[Prediction]:
    """What is foreseen of the records that are here."""
    return [one for one in forecast_late(world.context, 14, AT) if one.group.waiting != EXPECTED]


def test_without_history_the_assumption_is_named(world: World) -> None:
    queue(world, 3)
    with world.context.ledger.write() as session:
        session.add(
            EndpointState(endpoint=PROVINCE, failures=9, opened_at=ARRIVED, retry_at=beijing(date(2026, 3, 12)))
        )
    (late,) = predicted(world)
    assert (late.late, late.accepted, late.working_days) == (3, date(2026, 3, 12), 1)
    assert "1,000/h (no history: assumed)" in late.reason
    assert "closed until 03-12 12:00" in late.reason


def test_the_speed_of_an_endpoint_is_what_it_took_in_its_hours(world: World) -> None:
    """Two records an hour from 00:00 to 06:00: twelve a night, and one night is left before the deadline."""
    history(world, PUBLIC, records=2, hours=1, receipt_hours=1)
    queue(world, 20, endpoint=PUBLIC)
    (late,) = predicted(world)
    assert (late.late, late.group.records, late.accepted) == (8, 20, date(2026, 3, 12))
    assert "2/h (measured on 6 packages), window 00:00-06:00" in late.reason


def test_what_was_sent_is_expected_when_receipts_usually_come(world: World) -> None:
    history(world, PROVINCE, records=100, hours=1, receipt_hours=72)
    rows = queue(world, 2)
    world.package(rows, ARRIVED)
    (late,) = predicted(world)
    assert (late.late, late.accepted) == (2, date(2026, 3, 12))
    assert "9 of 10 come within 72.0 h" in late.reason


def test_a_rejected_record_comes_back_when_the_department_usually_sends_it_again(world: World) -> None:
    for number, days in enumerate((4, 5, 9)):
        run = world.run("market", date(2026, 2, 24 + number), beijing(date(2026, 2, 24 + number), 1))
        rejected = beijing(date(2026, 2, 25), 3)
        first = world.queue(run, f"old {number}", date(2026, 2, 24), rejected - timedelta(hours=2))
        world.change(first, rejected_at=rejected)
        back = date(2026, 2, 25) + timedelta(days=days)
        again = world.run("market", back, beijing(back, 1))
        world.change(
            world.queue(again, f"old {number}", date(2026, 2, 24), beijing(back, 2), version=2), accepted_at=AT
        )
    (row,) = queue(world, 1)
    world.change(row, rejected_at=beijing(date(2026, 3, 9), 3))
    with world.context.ledger.read() as session:
        habit = feed_habit(session, PROVINCE, FEEDS["market"], load_calendar(world.context.settings), AT)
    # Saturday 28 February is a working day: 26, 27, 28, 2 March are four of them.
    assert habit.resubmission == 4
    late = next(one for one in predicted(world) if one.group.waiting == "rejected")
    assert late.accepted == date(2026, 3, 13)
    assert "rejected on 03-09, comes back after 4 working days (the department's median)" in late.reason


def test_a_department_that_always_reports_late_is_foreseen_before_anything_is_here(world: World) -> None:
    for number in range(6):
        day = date(2026, 3, 2) + timedelta(days=number)
        run = world.run("market", day, beijing(day, 1))
        world.change(world.queue(run, f"old {number}", date(2026, 2, 10), beijing(day, 2)), accepted_at=beijing(day, 3))
    queue(world, 1, date(2026, 3, 9))
    expected = [one for one in forecast_late(world.context, 14, AT) if one.group.waiting == EXPECTED]
    assert expected
    assert all(one.late == one.group.records for one in expected)
    assert "not here yet: about 1 records a working day arrive" in expected[0].reason


def test_the_command_says_why(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, folder in (("ROOT", "root"), ("HOME", "home")):
        monkeypatch.setenv(f"GUIJI_{name}", str(world.folder / folder))
    row = queue(world, 1)[0]
    world.change(row, withheld_at=ARRIVED, withheld_rule="ACC-1")
    commands = CliRunner()
    with time_machine.travel(AT, tick=False):
        shown = commands.invoke(cli.app, ["clock", "forecast"])
        nothing = commands.invoke(cli.app, ["clock", "forecast", "--department", "ecology"])
        (late,) = json.loads(commands.invoke(cli.app, ["clock", "forecast", "--json"]).output)
    assert "not foreseen" in shown.output
    assert nothing.exit_code == 0
    assert "Nothing that is open will be late" in nothing.output
    assert "waits for profile (ACC-1)" in late["reason"]
