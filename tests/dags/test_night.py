"""A night under a real scheduler, on PostgreSQL and on SQLite: a killed task, a wrong file, two ways to backfill.

What it leaves behind is compared with what ``guiji run`` makes of the same sources.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pendulum
import pytest
import yaml
from airflow_service import AirflowService
from otlp_collector import collector
from processes import Processes, free_port
from rows_pool import ROWS_POOL
from sqlalchemy import select

from pipelines.ledger.models import Run
from pipelines.operations.night import run_night
from tests.databases import new_postgresql_database
from tests.operations import state
from tests.operations.small_feed import FEED, MONDAY, TUESDAY, WEDNESDAY, Installation, row, rows

ASKED, WRONG = "dept_asked", "dept_wrong"
DAYS = (MONDAY, TUESDAY, WEDNESDAY)
NIGHT = "by_hand__monday"
SECONDS = 120.0


class Interface(ThreadingHTTPServer):
    """Has three rows a day; the first answer is held back while ``held`` is set, and ``asked`` tells that it is."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.held, self.asked, self.open = True, threading.Event(), threading.Event()


class Answer(BaseHTTPRequestHandler):
    """The rows of one day as JSON."""

    server: Interface

    def do_GET(self) -> None:
        if self.server.held:
            self.server.held = False
            self.server.asked.set()
            self.server.open.wait()
            return
        day = parse_qs(urlsplit(self.path).query)["day"][0]
        first = 1000 + int(day[-2:]) * 10
        # After a backfill the scheduler also makes the newest run that is due; for that day there is nothing.
        found = {"rows": [row(number) for number in range(first, first + 3) if day <= WEDNESDAY.isoformat()]}
        body = json.dumps(found, ensure_ascii=False).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Test output is not a server's log."""


@pytest.fixture
def interface() -> Iterator[Interface]:
    with Interface() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.open.set()
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """``Processes`` is made for a program, not for a test: what it sets for signals is put back."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@contextmanager
def databases(kind: str) -> Iterator[tuple[str | None, str | None]]:
    """The addresses of a ledger and of a database for Airflow; None for the SQLite file that each makes by itself."""
    if kind == "sqlite":
        yield None, None
        return
    with new_postgresql_database() as ours, new_postgresql_database() as airflows:
        yield ours.render_as_string(hide_password=False), airflows.render_as_string(hide_password=False)


def three_feeds(folder: Path, interface: Interface, ledger: str | None) -> Installation:
    """One that drops files, one that is asked, one whose file is missing; none is due by itself while a test runs."""
    installation = Installation(folder, ledger_url=ledger)
    schedule = f"0 {pendulum.now('Asia/Shanghai').add(hours=12).hour} * * *"
    address = f"http://127.0.0.1:{interface.server_port}/rows"
    asked = {"kind": "http", "url": address, "rows_path": "rows", "since_parameter": "day"}
    wrong = {"kind": "folder", "path": "wrong/{date}", "pattern": "*"}
    departments = installation.folder / "root" / "schemas" / "departments" / "dept"
    for feed, source in ((ASKED, asked), (WRONG, wrong)):
        about = {
            "feed": feed,
            "name_zh": "示例局行政处罚二",
            "category": "administrative_penalty",
            "edition": 2018,
            "source": source,
            "schedule": schedule,
        }
        path = departments / f"{feed.removeprefix('dept_')}.yaml"
        path.write_text(yaml.safe_dump(about, allow_unicode=True), encoding="utf-8")
    installation.describe(schedule=schedule)
    for number, day in enumerate(DAYS):
        installation.send(day, rows(range(number * 4, number * 4 + 6)))
    return installation


class Scheduler:
    """The REST interface of a running Airflow, in the words of this test."""

    def __init__(self, airflow: AirflowService, processes: Processes) -> None:
        self.airflow, self.processes = airflow, processes

    def wait(self, ready: Callable[[], Any], what: str) -> Any:
        """What ``ready`` gives once it gives something."""
        limit = time.monotonic() + SECONDS
        while not (found := ready()):
            self.processes.check()
            assert time.monotonic() < limit, f"waited in vain: {what}"
            time.sleep(0.3)
        return found

    def task(self, dag: str, run: str, task: str) -> dict[str, Any]:
        return next(one for one in self.airflow.tasks(dag, run) if one["task_id"] == task)

    def runs(self, dag: str, **wanted: str) -> list[dict[str, Any]]:
        return list(self.airflow.ask("GET", f"/api/v2/dags/{dag}/dagRuns", params=wanted).json()["dag_runs"])

    def ended(self, dag: str, number: int = 1, **wanted: str) -> list[str]:
        """The states of the runs of a DAG, when so many have ended."""
        states = [run["state"] for run in self.runs(dag, **wanted)]
        return states if len(states) == number and set(states) <= {"success", "failed"} else []


@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
def test_a_night_with_a_killed_task_and_two_backfills_ends_as_guiji_run_does(
    kind: str, tmp_path: Path, interface: Interface, monkeypatch: pytest.MonkeyPatch
) -> None:
    with databases(kind) as (ledger, metadata), collector() as told:
        installation = three_feeds(tmp_path, interface, ledger)
        for name in ("root", "inbox", "home"):
            monkeypatch.setenv(f"GUIJI_{name.upper()}", str(tmp_path / name))
        if ledger is not None:
            monkeypatch.setenv("GUIJI_LEDGER_URL", ledger)
        airflow = AirflowService(tmp_path / "airflow", free_port(), scheduled=True, database=metadata)
        environment = airflow.environment() | told.settings()
        airflow.migrate(environment)
        with Processes(tmp_path / "processes") as processes:
            airflow.start(processes, environment)
            airflow.wait_until_ready(processes, {f"feed_{code}" for code in (FEED, ASKED, WRONG)} | {"deliver"})
            through_the_night(Scheduler(airflow, processes), environment, interface)
        assert {"airflow.scheduler_heartbeat", "airflow.ti_failures"} <= told.metrics, sorted(told.metrics)
        assert told.spans, "the collector was told of no task"

        context = installation.context
        with context.ledger.read() as session:
            query = select(Run.feed, Run.business_date, Run.attempt, Run.state).where(Run.business_date.in_(DAYS))
            attempts = session.execute(query).all()
        published = {(feed, day, 1, "published") for feed in (FEED, ASKED) for day in DAYS}
        killed = {(ASKED, MONDAY, 1, "abandoned"), (ASKED, MONDAY, 2, "published"), (WRONG, MONDAY, 1, "failed")}
        assert {tuple(one) for one in attempts} == published - {(ASKED, MONDAY, 1, "published")} | killed

        by_command = Installation(tmp_path, home="by_command").context
        for day in DAYS:
            results = run_night(by_command, day, [FEED, ASKED])
            assert [result.problem for result in results] == [None, None]
        assert state.records(context) == state.records(by_command)
        assert len(state.records(context)["administrative_penalty"]) == 14 + 9


def through_the_night(scheduler: Scheduler, environment: dict[str, str], interface: Interface) -> None:
    airflow = scheduler.airflow
    pool = airflow.ask("GET", f"/api/v2/pools/{ROWS_POOL}").json()
    assert pool["slots"] >= 1
    for code in (ASKED, FEED, WRONG):
        airflow.trigger(f"feed_{code}", NIGHT, {"business_date": MONDAY.isoformat()})

    # The task waits for an answer when it is killed, and its retry half a minute later finds the interface mended.
    assert interface.asked.wait(SECONDS)
    pulling = scheduler.wait(lambda: scheduler.task(f"feed_{ASKED}", NIGHT, "pull")["pid"], "the task says who it is")
    os.kill(pulling, signal.SIGKILL)
    interface.open.set()

    # Rows that two days repeat belong to the day that is published first: here as by command, the earlier one.
    scheduler.wait(lambda: scheduler.ended(f"feed_{FEED}", run_type="manual"), "the batch of the first day")
    first, last = TUESDAY.isoformat(), WEDNESDAY.isoformat()
    command = ["airflow", "backfill", "create", "--dag-id", f"feed_{FEED}", "--from-date", first, "--to-date", last]
    subprocess.run([*command, "--max-active-runs", "1"], env=environment, check=True, stdout=subprocess.DEVNULL)
    scheduler.wait(lambda: scheduler.ended(f"feed_{FEED}", 2, run_type="backfill"), "the backfill by command")
    scheduler.wait(lambda: scheduler.ended(f"feed_{ASKED}", run_type="manual"), "the killed batch")
    body = {"dag_id": f"feed_{ASKED}", "from_date": f"{first}T00:00:00Z", "to_date": f"{last}T00:00:00Z"}
    airflow.ask("POST", "/api/v2/backfills", json={**body, "max_active_runs": 1})
    states = scheduler.wait(lambda: scheduler.ended(f"feed_{ASKED}", 2, run_type="backfill"), "the backfill by REST")
    assert states == ["success", "success"]

    assert scheduler.ended(f"feed_{FEED}", run_type="manual") == ["success"]
    assert scheduler.ended(f"feed_{FEED}", 2, run_type="backfill") == ["success"] * 2
    again = scheduler.task(f"feed_{ASKED}", NIGHT, "pull")
    assert (again["state"], again["try_number"]) == ("success", 2)
    wrong = scheduler.task(f"feed_{WRONG}", NIGHT, "pull")
    assert (wrong["state"], wrong["try_number"]) == ("failed", 1)
    # Six batches were published, and one delivery and one report wait for whatever else may come.
    for dag in ("deliver", "steward_reports"):
        (woken,) = scheduler.wait(lambda dag=dag: scheduler.runs(dag, run_type="asset_triggered"), f"{dag} is woken")
        assert woken["state"] in ("queued", "running")
