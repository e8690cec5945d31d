"""Late records and who had them: every way a record can be held up, with the days counted by hand."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path

import pytest
import time_machine
from typer.testing import CliRunner

from pipelines import cli
from pipelines.ledger.quality_models import GateDecision
from pipelines.operations.clock_late import LateRecord, by_department, late_records
from tests.operations.clock_world import PUBLIC, World, beijing

# A Monday; seven working days end with Wednesday 11 March.
DECIDED = date(2026, 3, 2)
FIRST, LAST = date(2026, 3, 1), date(2026, 3, 31)
NOW = beijing(date(2026, 3, 20))


def march(day: int, hour: int = 12) -> datetime:
    return beijing(date(2026, 3, day), hour)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def late(world: World, **choice: object) -> list[LateRecord]:
    return late_records(world.context, FIRST, LAST, at=NOW, **choice)  # type: ignore[arg-type]


def the_days(world: World) -> tuple[int, int, int, int]:
    (record,) = late(world)
    assert record.total == sum(record.days.values())
    return record.days["department"], record.days["us"], record.days["steward"], record.days["receiver"]


def accepted(world: World, row: int, sent: int, at: int) -> None:
    world.package([row], march(sent))
    world.change(row, accepted_at=march(at, 13))


def test_a_department_that_reports_late(world: World) -> None:
    """It came on the 12th: the 3rd to the 11th are seven working days of the department."""
    run = world.run("market", date(2026, 3, 11), march(12, 1))
    row = world.queue(run, "one", DECIDED, march(12, 2))
    accepted(world, row, 12, 13)
    assert the_days(world) == (7, 0, 0, 2)


def test_what_came_in_time_and_was_accepted_in_time_is_not_late(world: World) -> None:
    run = world.run("market", DECIDED, march(3, 1))
    accepted(world, world.queue(run, "one", DECIDED, march(3, 2)), 3, 11)
    assert late(world) == []


def test_the_deadline_ends_at_midnight_in_beijing(world: World) -> None:
    run = world.run("market", DECIDED, march(3, 1))
    in_time = world.queue(run, "in time", DECIDED, march(3, 2))
    too_late = world.queue(run, "too late", DECIDED, march(3, 2))
    world.package([in_time, too_late], march(3))
    world.change(in_time, accepted_at=beijing(date(2026, 3, 11), 23, 59))
    world.change(too_late, accepted_at=beijing(date(2026, 3, 12), 0))
    (record,) = late(world)
    assert record.record_key != "" and record.stopped_at is not None


def test_a_batch_that_a_gate_held(world: World) -> None:
    """Here on the 4th, released on the 11th: the evenings of 4, 5, 6, 9 and 10 were the steward's.

    Ours were the evening of the 11th and most of the 12th, on which the receiver answered at once.
    """
    run = world.run("market", date(2026, 3, 3), march(4, 1))
    with world.context.ledger.write() as session:
        session.add(GateDecision(run=run, decision="release", by="专员甲", at=march(11), why="核实"))
    accepted(world, world.queue(run, "one", DECIDED, march(11, 13)), 12, 12)
    assert the_days(world) == (1, 2, 5, 0)


def test_a_batch_that_was_refused_is_the_departments_again(world: World) -> None:
    """Refused on the 5th, sent again on the 12th."""
    day = date(2026, 3, 3)
    held = world.run("market", day, march(4, 1), state="failed")
    with world.context.ledger.write() as session:
        session.add(GateDecision(run=held, decision="refuse", by="专员甲", at=march(5), why="重报"))
    again = world.run("market", day, march(12, 1), attempt=2)
    accepted(world, world.queue(again, "one", DECIDED, march(12, 2)), 12, 12)
    # 3; 5, 6, 9, 10, 11 with the department, 4 with the steward, most of 12 with us.
    assert the_days(world) == (6, 1, 1, 0)


def test_a_rejected_record_is_the_departments_until_it_comes_again(world: World) -> None:
    run = world.run("market", DECIDED, march(3, 1))
    first = world.queue(run, "one", DECIDED, march(3, 2))
    world.package([first], march(3, 3))
    world.change(first, rejected_at=march(4))
    again = world.run("market", date(2026, 3, 11), march(12, 1))
    second = world.queue(again, "one", DECIDED, march(12, 2), version=2)
    accepted(world, second, 12, 13)
    # 3 at the receiver; 4, 5, 6, 9, 10, 11 with the department; 12 and 13 at the receiver.
    assert the_days(world) == (6, 0, 0, 3)


def test_an_endpoint_that_does_not_answer_has_the_record(world: World) -> None:
    run = world.run("market", DECIDED, march(3, 1))
    row = world.queue(run, "one", DECIDED, march(3, 2))
    package = world.package([row], march(5), sent=False)
    world.call(package, march(5), "unreachable")
    world.call(package, march(12), "answered")
    world.change(row, sent_at=march(12), accepted_at=march(12, 13))
    # 3 and 4 with us; 5, 6, 9, 10, 11 it was down; 12 it accepted.
    assert the_days(world) == (0, 2, 0, 6)


def test_a_record_that_is_open_is_counted_until_today(world: World) -> None:
    run = world.run("market", DECIDED, march(3, 1))
    world.queue(run, "one", DECIDED, march(3, 2))
    (record,) = late(world)
    assert (record.stopped_at, record.days["us"], record.total) == (None, 14, 14)


def test_what_nobody_has_to_send_is_not_late(world: World) -> None:
    run = world.run("market", DECIDED, march(3, 1))
    world.queue(run, "one", DECIDED, march(3, 2), withheld_at=march(3, 2), withheld_reason="reported by another feed")
    assert late(world) == []


def test_a_correction_does_not_make_an_accepted_record_late(world: World) -> None:
    run = world.run("market", DECIDED, march(3, 1))
    accepted(world, world.queue(run, "one", DECIDED, march(3, 2)), 3, 4)
    again = world.run("market", date(2026, 3, 18), march(19, 1))
    world.queue(again, "one", DECIDED, march(19, 2), version=2)
    assert late(world) == []


def test_the_policy_says_what_stops_the_clock(world: World) -> None:
    """Delivered on the 4th, accepted on the 13th, published never."""
    run = world.run("market", DECIDED, march(3, 1))
    accepted(world, world.queue(run, "one", DECIDED, march(3, 2)), 4, 13)
    world.queue(run, "one", DECIDED, march(3, 2), endpoint=PUBLIC)
    found = {}
    for stops_at in ("received", "delivered", "accepted", "published"):
        world.policies({"stops_at": stops_at})
        found[stops_at] = [(one.endpoint, one.stopped_at is None) for one in late(world)]
    assert found == {
        "received": [],
        "delivered": [(PUBLIC, True)],
        "accepted": [("province_sandbox", False), (PUBLIC, True)],
        "published": [("province_sandbox", True), (PUBLIC, True)],
    }


def test_the_command_sums_by_department(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, folder in (("ROOT", "root"), ("HOME", "home")):
        monkeypatch.setenv(f"GUIJI_{name}", str(world.folder / folder))
    for department in ("market", "ecology"):
        run = world.run(department, DECIDED, march(12, 1))
        accepted(world, world.queue(run, department, DECIDED, march(12, 2)), 12, 13)
        world.queue(run, f"{department} open", DECIDED, march(12, 2))
    (ecology, market) = by_department(late(world))
    assert (market.department, market.records, market.still_open) == ("market", 2, 1)
    assert ecology.total == sum(ecology.days.values())
    assert [one.department for one in by_department(late(world, department="market"))] == ["market"]
    commands = CliRunner()
    with time_machine.travel(NOW, tick=False):
        shown = commands.invoke(cli.app, ["clock", "late", "--list"])
        as_json = json.loads(commands.invoke(cli.app, ["clock", "late", "--json"]).output)
    assert "ecology" in shown.output and "receiver" in shown.output
    assert [one["total"] for one in as_json["departments"]] == [ecology.total, market.total]
    assert {one["record_key"] for one in as_json["records"]} == {one.record_key for one in late(world)}
