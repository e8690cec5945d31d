"""What operators and monitors are told: status, diagnosis, metrics, health."""

from __future__ import annotations

import json
import re
import shlex
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from pipelines import cli
from pipelines.errors import CatalogueError, StorageError
from pipelines.ledger.delivery_models import EndpointState
from pipelines.ledger.models import Heartbeat, RuleCount, Run
from pipelines.ledger.operation_models import BackfillPlan, BackfillSlice
from pipelines.ledger.quality_models import GateResult, Task
from pipelines.operations.diagnosis import diagnose
from pipelines.operations.diagnosis_view import strip
from pipelines.operations.health import read_health
from pipelines.operations.metrics import exposition, read_metrics, write_metrics
from pipelines.operations.night import run_night
from pipelines.operations.overview import read_overview
from tests.operations.clock_world import FEEDS, PROVINCE, PUBLIC, World
from tests.operations.status_world import NOON, TODAY, YESTERDAY, batches, working_days

MARKET, ECOLOGY, HOUSING = FEEDS.values()
PERSON = "11010119900307109X"
SAMPLE = re.compile(r'^[a-z_]+(\{[a-z]+="[^"\n]*"(,[a-z]+="[^"\n]*")*\})? -?[0-9.e+]+$')


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The market is well and rejects more than usual, ecology has been failing for weeks, housing never ran."""
    made = World(tmp_path_factory.mktemp("world"))
    days = working_days(made, TODAY - timedelta(days=40), YESTERDAY)
    batches(made, "market", days)
    batches(made, "ecology", days[:10])
    batches(made, "ecology", days[10:], state="failed", stage="pulling", problem="the server is down — start it")
    with made.context.ledger.write() as session:
        last, before = (f"{MARKET}-{day:%Y%m%d}-001" for day in (days[-1], days[-2]))
        for run, failed in ((last, 30), (before, 3)):
            session.add(RuleCount(run=run, rule="REQ-CF_NR", severity="block", applied=100, failed=failed))
        found = session.get_one(Run, last)
        found.accepted, found.quarantined = 70, 30
        found.manifest = {"changes": [{"rule": "SRC-001", "extract_name": "a.csv", "observed": f"column {PERSON}"}]}
        share = {"gate": "outcome_share", "item": "quarantined", "usual": 0.0, "low": 0.0, "high": 0.1}
        session.add(GateResult(run=last, outcome="fail", observed=0.3, batches=10, **share))
        about = {"department": "market", "category": "administrative_penalty", "rule": "REQ-CF_NR", "rule_version": 1}
        state = {"severity": "block", "owner": "department", "state": "open", "rows": 30, "rows_ever": 30}
        seen = {"first_seen": days[-1], "last_seen": days[-1], "open_since": days[-1]}
        session.add(Task(reference="T-0001", feed=MARKET, run=last, field="CF_NR", **about, **state, **seen))
        dead = EndpointState(endpoint=PUBLIC, failures=5, opened_at=NOON, reason="HTTP 503")
        dead.retry_at = NOON + timedelta(hours=1)
        session.add(dead)
        session.add(Heartbeat(name="clock_watch", at=NOON - timedelta(minutes=5), examined=100))
        plan = BackfillPlan(replay="pull", reprocess="missing", first_day=days[10], last_day=YESTERDAY, state="running")
        plan.by, plan.why, plan.created_at, plan.basis = "tester", "the server was down", NOON, {}
        session.add(plan)
        session.flush()
        session.add_all(
            BackfillSlice(plan=plan.id, feed=ECOLOGY, business_date=day, reason="failed", state="waiting", tries=0)
            for day in days[10:13]
        )
    long_ago = TODAY - timedelta(days=30)
    for number, decided in enumerate((long_ago, long_ago, TODAY)):
        made.queue(last, f"record {number}", decided, NOON - timedelta(hours=2))
    rejected = made.queue(last, "record 9", TODAY, NOON)
    made.change(rejected, rejected_at=NOON)
    return made


def test_the_overview_says_everything_at_once(world: World) -> None:
    overview = read_overview(world.context, TODAY, NOON)
    assert [(feed.feed, feed.state) for feed in overview.feeds][:2] == [(ECOLOGY, "failing"), (HOUSING, "never ran")]
    public, province = overview.endpoints
    assert (public.endpoint, public.is_breaker_open) == (PUBLIC, True)
    assert public.obstacle is not None and "HTTP 503" in public.obstacle
    assert public.command == f"guiji deliver --endpoint {PUBLIC} --force"
    assert (province.overdue, province.waiting, province.rejected) == (2, 3, 1)
    assert [(line.state, line.slices) for line in overview.backfills] == [("running", {"waiting": 3})]


def test_a_diagnosis_names_drift_reasons_and_what_to_run(world: World) -> None:
    found = diagnose(world.context, MARKET, 30, TODAY, NOON)
    assert found.verdict.startswith(f"{MARKET} is well: last good batch {YESTERDAY}; 2 deliveries are overdue")
    (reason,) = found.reasons
    assert (reason.rule, reason.rows, reason.trend) == ("REQ-CF_NR", 30, "rising")
    assert (found.quarantined, found.usually) == (0.3, 0.0)
    assert [(one.gate, one.item, one.outside) for one in found.drift] == [("outcome_share", "quarantined", True)]
    assert [task.reference for task in found.tasks] == ["T-0001"]
    for command in (f"guiji gates show {MARKET}-{YESTERDAY:%Y%m%d}-001", "guiji rules explain REQ-CF_NR"):
        assert command in found.commands
    assert PERSON not in repr(found)


def test_the_history_is_drawn_in_blocks(world: World) -> None:
    history = diagnose(world.context, ECOLOGY, 40, TODAY, NOON).history
    drawn = strip(history).plain
    failed = sum(one.state == "failed" for one in history)
    assert drawn.count("█" * 4) and f"▓ failed {failed}" in drawn
    with pytest.raises(CatalogueError, match="nobody"):
        diagnose(world.context, "nobody")


def test_metrics_are_what_prometheus_reads(world: World, tmp_path: Path) -> None:
    text = exposition(read_metrics(world.context, NOON))
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(SAMPLE.match(line) for line in samples), "every sample is name, labels, number"
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(names) == len(set(names))
    for expected in (
        'guiji_feeds{state="failing"} 1',
        f'guiji_feed_rows{{feed="{MARKET}",outcome="quarantined"}} 30',
        f'guiji_outbox_records{{endpoint="{PROVINCE}",state="waiting"}} 3',
        f'guiji_outbox_oldest_waiting_seconds{{endpoint="{PROVINCE}"}} 7200',
        f'guiji_deadline_records{{endpoint="{PROVINCE}",due="overdue"}} 2',
        f'guiji_endpoint_breaker_open{{endpoint="{PUBLIC}"}} 1',
        'guiji_heartbeat_age_seconds{name="clock_watch"} 300',
        'guiji_backfill_slices{state="waiting"} 3',
    ):
        assert expected in samples
    file = tmp_path / "collector" / "guiji.prom"
    write_metrics(world.context, file)
    assert [path.name for path in file.parent.iterdir()] == ["guiji.prom"]
    assert file.stat().st_mode & 0o777 == 0o644
    (tmp_path / "no folder").write_text("")
    with pytest.raises(StorageError):
        write_metrics(world.context, tmp_path / "no folder" / "guiji.prom")


def test_health_is_one_word_and_its_checks(world: World) -> None:
    found = read_health(world.context, NOON)
    said = {check.name: check for check in found.checks}
    assert found.verdict == "degraded"
    assert (said["feeds"].verdict, said["silence"].verdict) == ("degraded", "ok")
    assert said["feeds"].command is not None and said["feeds"].command.startswith("guiji backfill plan")
    assert (said["clock watch"].verdict, said["clock watch"].age_seconds) == ("ok", 300)
    assert said[f"endpoint {PUBLIC}"].verdict == "degraded"
    assert read_health(world.context, NOON + timedelta(days=1)).verdict == "failing", "nobody watches the clock"


def test_the_commands_end_with_codes_a_script_can_use(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = world.context.settings
    for name, value in (("ROOT", settings.root), ("HOME", settings.home)):
        monkeypatch.setenv(f"GUIJI_{name}", str(value))
    runner = CliRunner()

    def told(*arguments: str) -> Any:
        done = runner.invoke(cli.app, [*arguments, "--json"])
        assert done.exit_code in {0, cli.FEEDS_FAILED}, done.output
        return json.loads(done.stdout)

    feeds = told("status")["feeds"]
    assert {"feed", "last_good", "age_days", "state", "problem", "command"} <= set(feeds[0])
    for command in (one["command"] for one in feeds if one["command"]):
        name = shlex.split(command)[1:]
        parsed: Any = typer.main.get_command(cli.app)
        while commands := getattr(parsed, "commands", None):
            parsed = commands[name.pop(0)]
        parsed.make_context("guiji", name)
    assert told("diagnose", MARKET)["verdict"].startswith(MARKET)
    shown = runner.invoke(cli.app, ["status"])
    assert shown.exit_code == cli.FEEDS_FAILED
    first = next(feed for feed in feeds if feed["feed"] == ECOLOGY)
    assert f"  {first['command']}" in shown.stdout.splitlines(), "a command can be copied in one piece"
    assert runner.invoke(cli.app, ["diagnose", MARKET]).exit_code == 0
    assert "# TYPE guiji_feeds gauge" in runner.invoke(cli.app, ["metrics"]).stdout
    file = tmp_path / "health.json"
    ended = runner.invoke(cli.app, ["health", "--file", str(file)])
    verdict = json.loads(file.read_text(encoding="utf-8"))["verdict"]
    assert ended.exit_code == {"ok": 0, "degraded": 10, "failing": 1}[verdict]


def test_a_run_that_fails_is_logged_with_its_kind(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    other = World(tmp_path)
    with caplog.at_level("INFO", logger="guiji"):
        run_night(other.context, YESTERDAY, [HOUSING])
    run = f"{HOUSING}-{YESTERDAY:%Y%m%d}-001"
    told = [record for record in caplog.records if record.name == "guiji.run"]
    assert [vars(record)["event"] for record in told] == ["run.begun", "run.failed"]
    assert all(vars(record)["facts"]["run"] == run for record in told)
    assert vars(told[-1])["facts"]["kind"] == "ExtractError"
