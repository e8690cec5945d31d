"""The DAG files: they load, they are made from the catalogue, they are cheap, and feeds do not share a fate."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.jobs.job import Job
from airflow.models.pool import Pool
from airflow.sdk import DAG, AssetAny
from airflow.utils.db import initdb
from business_day import BusinessDayTimetable, midnight
from rows_pool import ROWS_POOL, on_starting

from pipelines.catalogue.feeds import feed_schedules
from pipelines.errors import ExtractError
from pipelines.settings import Settings

DAGS = Path(__file__).resolve().parent.parent.parent / "dags"
PARSE_SECONDS = 1.0


@pytest.fixture
def bag() -> DagBag:
    """Loaded anew for each test: a run by ``DAG.test`` leaves its parameters in the DAG."""
    return DagBag(str(DAGS))


@pytest.fixture(scope="module")
def database() -> None:
    initdb()


@pytest.fixture
def operations(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Stands in for the operations; remembers how it was called. The feed ``market_penalty`` has no extract."""
    calls: list[tuple[str, Any]] = []

    def pull_batch(feed: str, business_date: date) -> str:
        calls.append(("pull", (feed, business_date)))
        if feed == "market_penalty":
            raise ExtractError("no extract for the day", remedy="ask the department", file="inbox/market_penalty")
        return f"run of {feed}"

    def later(stage: str) -> Any:
        def call(run: str) -> str:
            calls.append((stage, run))
            return True if stage == "publish" else run

        return call

    def deliver_due() -> dict[str, Any]:
        calls.append(("deliver", (os.environ.get("GUIJI_PROVINCE_URL"), os.environ.get("GUIJI_PROVINCE_TOKEN"))))
        return {}

    def consolidate_night(business_date: date) -> dict[str, Any]:
        calls.append(("consolidate", business_date))
        return {}

    def reconcile_due() -> dict[str, Any]:
        calls.append(("reconcile", os.environ.get("GUIJI_PROVINCE_TOKEN")))
        return {}

    modules = {
        "reconciliation": SimpleNamespace(reconcile_due=reconcile_due),
        "night": SimpleNamespace(pull_batch=pull_batch, judge_batch=later("judge"), publish_batch=later("publish")),
        "deliveries": SimpleNamespace(deliver_due=deliver_due, consolidate_night=consolidate_night),
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, f"pipelines.operations.{name}", module)
    return SimpleNamespace(calls=calls)


def order(dag: DAG) -> list[str]:
    return [task.task_id for task in dag.topological_sort()]


def test_every_file_loads(bag: DagBag) -> None:
    assert bag.import_errors == {}


def test_there_is_one_dag_for_each_feed_and_nothing_unknown(bag: DagBag) -> None:
    feeds = {f"feed_{code}" for code in feed_schedules(Settings())}
    assert len(feeds) >= 4
    assert set(bag.dags) == feeds | {
        "clock_watch",
        "corrections",
        "deliver",
        "housekeeping",
        "reconcile",
        "rights_sweep",
        "steward_reports",
    }


def test_a_feed_is_pulled_judged_and_published_at_its_own_hour(bag: DagBag) -> None:
    for code, cron in feed_schedules(Settings()).items():
        dag = bag.dags[f"feed_{code}"]
        assert order(dag) == ["pull", "judge", "publish"]
        assert dag.timetable == BusinessDayTimetable(cron)
        assert [outlet.name for outlet in dag.get_task("publish").outlets] == [f"guiji_records_{code}"]
        assert {task.pool for task in dag.tasks} == {ROWS_POOL}


def test_a_feed_that_was_begun_comes_before_one_that_was_not(bag: DagBag) -> None:
    assert {task.weight_rule for task in bag.dags["feed_market_penalty"].tasks} == {"upstream"}


def test_corrected_workbooks_are_taken_in_by_department_before_the_reports_are_made(bag: DagBag) -> None:
    assert order(bag.dags["corrections"]) == ["departments", "take_in"]
    assert bag.dags["corrections"].get_task("take_in").get_needs_expansion()
    assert bag.dags["corrections"].timetable == BusinessDayTimetable("0 6 * * *")


def test_nothing_is_delivered_before_it_is_consolidated(bag: DagBag) -> None:
    assert order(bag.dags["deliver"]) == ["consolidate", "send"]


def test_reports_and_data_docs_are_built_once_a_night_after_the_feeds_and_do_not_wait_for_each_other(
    bag: DagBag,
) -> None:
    dag = bag.dags["steward_reports"]
    assert sorted(order(dag)) == ["build", "data_docs"]
    assert not any(task.upstream_task_ids for task in dag.tasks)
    assert dag.timetable.timetable == BusinessDayTimetable("0 7 * * *")
    assert all(int(cron.split()[1]) < 7 for cron in feed_schedules(Settings()).values())


def connect_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """An Airflow connection, and no variable that wins over it: set and removed, so that what a task sets is undone."""
    for name in ("GUIJI_PROVINCE_URL", "GUIJI_PROVINCE_TOKEN"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("AIRFLOW_CONN_PROVINCE_SANDBOX", "https://:a-token@platform.invalid:8443")


def test_no_dag_overtakes_itself_or_catches_up_unasked(bag: DagBag) -> None:
    for dag in bag.dags.values():
        assert dag.max_active_runs == 1
        assert not dag.catchup


def test_delivery_never_fires_at_a_moment_that_reads_as_a_bare_date(bag: DagBag) -> None:
    minute, hours = bag.dags["deliver"].timetable.timetable.expression.split()[:2]
    assert minute != "0"
    assert hours == "2-23"


def test_endpoints_are_reconciled_once_a_day_with_their_addresses_and_tokens(
    bag: DagBag, database: None, operations: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bag.dags["reconcile"].timetable.expression == "15 5 * * *"
    connect_the_endpoint(monkeypatch)
    assert bag.dags["reconcile"].test(logical_date=None).state == "success"
    assert operations.calls == [("reconcile", "a-token")]


def test_each_file_parses_in_under_a_second() -> None:
    """Measured in a process that has imported Airflow only, as the DAG processor's children have.

    Processor time, not time on the clock: what else the machine does is not the file's fault.
    """
    script = """
import json, sys, time
from airflow.dag_processing.dagbag import DagBag
import airflow.sdk
from airflow.providers.standard.operators.python import PythonOperator
seconds = {}
for path in sys.argv[1:]:
    start = time.process_time()
    bag = DagBag(path)
    seconds[path] = time.process_time() - start
    assert bag.dags, path
heavy = {"great_expectations", "duckdb", "deltalake", "pyarrow", "pandas"} & set(sys.modules)
print(json.dumps({"seconds": seconds, "heavy": sorted(heavy)}))
"""
    files = [str(path) for path in sorted(DAGS.glob("*.py"))]
    done = subprocess.run([sys.executable, "-c", script, *files], capture_output=True, text=True, check=True)
    measured = json.loads(done.stdout.splitlines()[-1])
    assert measured["heavy"] == []
    assert {path: took for path, took in measured["seconds"].items() if took > PARSE_SECONDS} == {}
    assert len(measured["seconds"]) == 8


def test_deliveries_and_reports_are_started_by_any_feed_and_by_the_hour(bag: DagBag) -> None:
    records = {f"guiji_records_{code}" for code in feed_schedules(Settings())}
    for dag_id in ("deliver", "steward_reports"):
        condition = bag.dags[dag_id].timetable.asset_condition
        assert isinstance(condition, AssetAny)
        assert {asset.name for asset in condition.objects} == records


def test_the_morning_sweeps_come_before_the_first_delivery_and_before_the_reports(bag: DagBag) -> None:
    assert bag.dags["rights_sweep"].timetable.expression == "15 2 * * *"
    assert bag.dags["housekeeping"].timetable.expression == "45 5 * * *"


def test_a_batch_with_nothing_new_is_skipped_so_that_nobody_is_woken(
    bag: DagBag, database: None, operations: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = sys.modules["pipelines.operations.night"]
    monkeypatch.setattr(night, "publish_batch", lambda run: False)
    run = bag.dags["feed_market_licence"].test(logical_date=None, run_conf={"business_date": "2026-11-20"})
    states = {task.task_id: task.state for task in run.get_task_instances()}
    assert (run.state, states["publish"]) == ("success", "skipped")


def test_the_pool_is_made_when_airflow_starts_and_follows_the_settings(
    database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for slots in (3, 5):
        monkeypatch.setenv("GUIJI_BATCHES_AT_ONCE", str(slots))
        on_starting(Job())
        found = Pool.get_pool(ROWS_POOL)
        assert found is not None
        assert found.slots == slots


def test_one_feeds_failure_stops_that_feed_only(
    bag: DagBag, database: None, operations: SimpleNamespace, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = {"business_date": "2026-11-20"}
    broken = bag.dags["feed_market_penalty"].test(logical_date=None, run_conf=asked)
    sound = bag.dags["feed_market_licence"].test(logical_date=None, run_conf=asked)
    assert (broken.state, sound.state) == ("failed", "success")
    assert operations.calls == [
        ("pull", ("market_penalty", date(2026, 11, 20))),
        ("pull", ("market_licence", date(2026, 11, 20))),
        ("judge", "run of market_licence"),
        ("publish", "run of market_licence"),
    ]
    states = {task.task_id: task.state for task in broken.get_task_instances()}
    assert states == {"pull": "failed", "judge": "upstream_failed", "publish": "upstream_failed"}
    assert "inbox/market_penalty: no extract for the day — ask the department" in capfd.readouterr().out


def test_a_backfilled_run_gets_the_date_of_its_logical_date(
    bag: DagBag, database: None, operations: SimpleNamespace
) -> None:
    run = bag.dags["feed_market_licence"].test(logical_date=midnight(date(2026, 11, 18)))
    assert run.state == "success"
    assert operations.calls[0] == ("pull", ("market_licence", date(2026, 11, 18)))


def test_an_airflow_connection_supplies_address_and_token(
    bag: DagBag, database: None, operations: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect_the_endpoint(monkeypatch)
    run = bag.dags["deliver"].test(logical_date=None, run_conf={"business_date": "2026-11-20"})
    assert run.state == "success"
    assert operations.calls == [
        ("consolidate", date(2026, 11, 20)),
        ("deliver", ("https://platform.invalid:8443", "a-token")),
    ]


def test_a_variable_that_is_set_wins_over_the_connection(
    bag: DagBag, database: None, operations: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUIJI_PROVINCE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("GUIJI_PROVINCE_TOKEN", "of the environment")
    monkeypatch.setenv("AIRFLOW_CONN_PROVINCE_SANDBOX", "https://:a-token@platform.invalid:8443")
    bag.dags["deliver"].test(logical_date=None, run_conf={"business_date": "2026-11-20"})
    assert operations.calls[-1] == ("deliver", ("http://127.0.0.1:1", "of the environment"))
