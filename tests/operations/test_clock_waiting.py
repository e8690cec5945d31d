"""``guiji clock``: what is owed, what is not, and what each open record waits for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from typer.testing import CliRunner

from pipelines import cli
from pipelines.ledger.delivery_models import EndpointState
from pipelines.ledger.models import DeliveryFinding
from pipelines.operations import clock
from pipelines.operations.clock import ClockLine, read_clock
from pipelines.operations.clock_late import late_records
from pipelines.operations.clock_list import list_open
from pipelines.operations.clock_watch import watch_clock
from tests.databases import new_postgresql_database
from tests.operations.clock_world import FEEDS, PROVINCE, PUBLIC, World, beijing, key

DECIDED = date(2026, 3, 2)
TODAY = date(2026, 3, 9)
NOON = beijing(TODAY)
BEFORE = beijing(date(2026, 3, 4), 2)


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "sqlite":
        yield World(tmp_path)
        return
    with new_postgresql_database() as url:
        world = World(tmp_path, ledger_url=url.render_as_string(hide_password=False))
        yield world
        world.context.ledger.engine.dispose()


def the_line(world: World, today: date = TODAY, at: datetime = NOON) -> ClockLine:
    (line,) = [line for line in read_clock(world.context, today, at) if line.endpoint == PROVINCE]
    return line


def test_every_open_record_says_what_it_waits_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    run = world.run("market", DECIDED, BEFORE)
    unconsolidated = world.run("market", DECIDED + timedelta(days=1), BEFORE)
    rows = {name: world.queue(run, name, DECIDED, BEFORE) for name in ("queued", "packed", "sent", "rejected")}
    world.queue(unconsolidated, "unconsolidated", DECIDED, BEFORE, consolidated=False)
    world.package([rows["packed"]], BEFORE, sent=False)
    world.package([rows["sent"]], BEFORE)
    world.package([rows["rejected"]], BEFORE)
    world.change(rows["rejected"], rejected_at=BEFORE)
    world.queue(run, "withheld", DECIDED, BEFORE, withheld_at=BEFORE, withheld_rule="ACC-1")
    manual = world.queue(run, "manual", DECIDED, BEFORE, withheld_at=BEFORE, withheld_reason="接收方不受理")
    with world.context.ledger.write() as session:
        found = {"endpoint": PROVINCE, "feed": FEEDS["market"], "record_key": key("manual"), "message": "不受理"}
        session.add(DeliveryFinding(outbox_id=manual, found_at=BEFORE, **found))
    line = the_line(world)
    assert line.waiting == {
        "queue": 1, "sending": 1, "receipt": 1, "rejected": 1, "consolidation": 1, "profile": 1, "manual": 1,
    }  # fmt: skip
    assert (line.department, line.rules, line.since["rejected"]) == ("market", {"ACC-1": 1}, BEFORE)
    # Decided on Monday 2 March, due on Wednesday 11.
    assert line.counts == {"overdue": 0, "today": 0, "1 day": 0, "2 days": 7, "3 days": 0, "later": 0}
    monkeypatch.setattr(clock, "SMALLEST_PART", 1)
    assert the_line(world) == line, "asked in parts, the outbox says the same"


def test_what_another_feed_reported_is_not_owed(world: World) -> None:
    run = world.run("market", DECIDED, BEFORE)
    world.queue(run, "elsewhere", DECIDED, BEFORE, withheld_at=BEFORE, withheld_reason="reported by another feed")
    assert read_clock(world.context, TODAY, NOON) == []


def test_a_closed_endpoint_is_named(world: World) -> None:
    run = world.run("market", DECIDED, BEFORE)
    world.queue(run, "one", DECIDED, BEFORE)
    world.package([world.queue(run, "packed", DECIDED, BEFORE)], BEFORE, sent=False)
    with world.context.ledger.write() as session:
        session.add(EndpointState(endpoint=PROVINCE, failures=3, opened_at=BEFORE))
    assert the_line(world).waiting == {"breaker": 2}
    assert {record.waiting for record in list_open(world.context, TODAY, at=NOON)} == {"breaker"}


def test_outside_its_hours_an_endpoint_is_waited_for(tmp_path: Path) -> None:
    world = World(tmp_path, public={"windows": [{"start": "00:00", "end": "06:00"}]})
    run = world.run("market", DECIDED, BEFORE)
    world.queue(run, "one", DECIDED, BEFORE, endpoint=PUBLIC)
    (by_day,) = read_clock(world.context, TODAY, NOON)
    (by_night,) = read_clock(world.context, TODAY, beijing(TODAY, 3))
    assert (by_day.waiting, by_night.waiting) == ({"window": 1}, {"queue": 1})


def test_a_rejected_version_is_owed_by_the_one_that_follows_it(world: World) -> None:
    run = world.run("market", DECIDED, BEFORE)
    first = world.queue(run, "one", DECIDED, BEFORE)
    world.package([first], BEFORE)
    world.change(first, rejected_at=BEFORE)
    again = world.run("market", TODAY, NOON)
    world.queue(again, "one", DECIDED, NOON, version=2)
    line = the_line(world)
    assert (line.total, line.waiting, line.corrections) == (1, {"queue": 1}, 0)


def test_an_act_has_a_line_of_its_own_and_waits_for_the_version_before_it(world: World) -> None:
    run = world.run("market", DECIDED, BEFORE)
    world.queue(run, "one", DECIDED, BEFORE)
    world.queue(run, "one", DECIDED, BEFORE, act=1, family="objection", policy="objection_mark")
    lines = {line.family: line for line in read_clock(world.context, TODAY, NOON)}
    assert (lines["content"].waiting, lines["objection"].waiting) == ({"queue": 1}, {"earlier": 1})


def test_a_refused_withdrawal_is_not_owed_once_the_record_was_reinstated(world: World) -> None:
    run = world.run("market", DECIDED, BEFORE)
    world.change(world.queue(run, "one", DECIDED, BEFORE), accepted_at=BEFORE)
    withdrawal = world.queue(run, "one", DECIDED, BEFORE, act=1, family="withdrawal", policy="penalty_removal")
    world.change(withdrawal, rejected_at=BEFORE)
    # The feed goes on reporting the record: that does not show it again.
    again = world.run("market", TODAY, NOON)
    newer = world.queue(again, "one", DECIDED, NOON, version=2)
    world.change(newer, withheld_at=NOON)
    assert the_line(world).family == "withdrawal"
    world.change(world.queue(run, "one", DECIDED, NOON, act=2), accepted_at=NOON)
    assert read_clock(world.context, TODAY, NOON) == []
    assert late_records(world.context, DECIDED, TODAY, at=beijing(date(2026, 3, 20))) == []


def test_an_older_version_that_is_sent_again_does_not_replace_a_newer_one(world: World) -> None:
    run = world.run("market", DECIDED, BEFORE)
    newer = world.queue(run, "one", DECIDED, BEFORE, version=2)
    world.change(newer, rejected_at=BEFORE)
    world.change(world.queue(run, "one", DECIDED, NOON, act=1), accepted_at=NOON)
    assert the_line(world).waiting == {"rejected": 1}


def test_a_limit_that_is_in_the_file_no_more_takes_nothing_off_the_clock(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.policies({"stops_at": "delivered"})
    world.queue(world.run("market", DECIDED, BEFORE), "one", DECIDED, BEFORE, policy="of_last_year")
    assert the_line(world).total == 1


def test_a_correction_of_an_accepted_record_has_no_clock(world: World) -> None:
    run = world.run("market", DECIDED, BEFORE)
    first = world.queue(run, "one", DECIDED, BEFORE)
    world.change(first, accepted_at=BEFORE)
    again = world.run("market", TODAY, NOON)
    world.queue(again, "one", DECIDED, NOON, version=2)
    line = the_line(world, date(2026, 3, 20))
    assert (line.total, line.corrections) == (0, 1)
    assert list_open(world.context, date(2026, 3, 20), at=NOON) == []
    watched = watch_clock(world.context, beijing(date(2026, 3, 20)))
    assert (watched.examined, watched.levels) == (1, {})


@pytest.mark.parametrize(
    ("stops_at", "open_at_the_platform"),
    [("received", 0), ("delivered", 0), ("accepted", 1), ("published", 1)],
)
def test_the_policy_says_what_stops_the_clock(tmp_path: Path, stops_at: str, open_at_the_platform: int) -> None:
    world = World(tmp_path)
    world.policies({"stops_at": stops_at})
    run = world.run("market", DECIDED, BEFORE)
    world.package([world.queue(run, "one", DECIDED, BEFORE)], BEFORE)
    world.queue(run, "one", DECIDED, BEFORE, endpoint=PUBLIC)
    found = [line.total for line in read_clock(world.context, TODAY, NOON) if line.endpoint == PROVINCE]
    assert sum(found) == open_at_the_platform


def test_publication_is_the_acceptance_by_an_endpoint_for_the_public(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.policies({"stops_at": "published"})
    run = world.run("market", DECIDED, BEFORE)
    world.change(world.queue(run, "one", DECIDED, BEFORE), accepted_at=BEFORE)
    public = world.queue(run, "one", DECIDED, BEFORE, endpoint=PUBLIC)
    waiting = {line.endpoint: line.waiting for line in read_clock(world.context, TODAY, NOON)}
    assert waiting == {PROVINCE: {"publication": 1}, PUBLIC: {"queue": 1}}
    world.change(public, accepted_at=NOON)
    assert read_clock(world.context, TODAY, NOON) == []


def test_records_are_listed_by_urgency_with_the_command_that_tells_more(world: World) -> None:
    run = world.run("market", DECIDED, BEFORE)
    world.queue(run, "patient", date(2026, 3, 5), BEFORE)
    world.queue(run, "urgent", DECIDED, BEFORE)
    listed = list_open(world.context, date(2026, 3, 12), at=NOON)
    assert [(one.record_key, one.days_left, one.owner) for one in listed] == [
        (key("urgent"), -1, "us"),
        (key("patient"), 2, "us"),
    ]
    assert listed[0].command == f"guiji trace {key('urgent')[:12]}"
    assert len(list_open(world.context, date(2026, 3, 12), overdue=True, at=NOON)) == 1
    assert list_open(world.context, date(2026, 3, 12), department="ecology", at=NOON) == []


def test_the_command_tells_it_by_department_and_by_feed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path)
    for name, folder in (("ROOT", "root"), ("HOME", "home")):
        monkeypatch.setenv(f"GUIJI_{name}", str(tmp_path / folder))
    run = world.run("market", DECIDED, BEFORE)
    world.queue(run, "one", DECIDED, BEFORE)
    commands = CliRunner()
    with time_machine.travel(NOON.replace(tzinfo=None), tick=False):
        shown = commands.invoke(cli.app, ["clock", "--today", "2026-03-12"])
        as_json = commands.invoke(cli.app, ["clock", "--by", "feed", "--today", "2026-03-12", "--json"])
        listed = commands.invoke(cli.app, ["clock", "--list", "--today", "2026-03-12", "--json"])
        nothing = commands.invoke(cli.app, ["clock", "--overdue", "--today", "2026-03-10"])
    assert "market" in shown.output and "queued" in shown.output
    (line,) = json.loads(as_json.output)["open"]
    assert (line["feed"], line["counts"]["overdue"]) == (FEEDS["market"], 1)
    assert json.loads(listed.output)[0]["days_left"] == -1
    assert nothing.output.strip() == "Nothing is owed."
