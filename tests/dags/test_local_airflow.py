"""What ``make run`` and ``make up`` promise: one order, no shared fate, nothing left running."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from airflow_service import PRELOADED, AirflowService
from night import Night
from processes import LocalFailure, Processes, free_port, only_one

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]
# A child that ignores SIGTERM and has a child of its own; both numbers go to the file named last.
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
with open(sys.argv[1] + ".draft", "w") as file:
    file.write(f"{os.getpid()} {child.pid}")
os.rename(sys.argv[1] + ".draft", sys.argv[1])
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _handlers() -> Any:
    """``Processes`` is made for a program, not for a test: what it sets for signals is put back."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def wait_until(ready: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_nothing_outlives_the_block_whatever_happens(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Processes(tmp_path) as processes:
        processes.start("sleeper", SLEEPER, dict(os.environ))
        pid = processes.running["sleeper"].pid
        assert is_running(pid)
        raise ZeroDivisionError
    assert not is_running(pid)


def test_a_process_that_will_not_leave_goes_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processes.GRACE_SECONDS", 0.2)
    numbers = tmp_path / "numbers"
    with Processes(tmp_path) as processes:
        processes.start("stubborn", [sys.executable, "-c", STUBBORN, str(numbers)], dict(os.environ))
        wait_until(numbers.exists)
    parent, child = (int(number) for number in numbers.read_text().split())
    wait_until(lambda: not is_running(parent) and not is_running(child))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_what_was_started(tmp_path: Path, number: signal.Signals) -> None:
    program = f"""
import os, sys, time
sys.path.insert(0, {str(Path(__file__).parents[2] / "dags" / "local_airflow")!r})
from pathlib import Path
from processes import Processes
with Processes(Path({str(tmp_path)!r})) as processes:
    processes.start("sleeper", {SLEEPER!r}, dict(os.environ))
    print(processes.running["sleeper"].pid, flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        pid = int(running.stdout.readline())
        running.send_signal(number)
        assert running.wait(20) == 128 + number
    assert not is_running(pid)


def test_a_process_that_died_is_named_with_its_log(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        processes.start("receiver", [sys.executable, "-c", "raise SystemExit(3)"], dict(os.environ))
        processes.running["receiver"].wait()
        with pytest.raises(LocalFailure, match=r"receiver ended with 3; see .*receiver\.log"):
            processes.check()


def test_two_programs_do_not_share_one_airflow(tmp_path: Path) -> None:
    refusal = pytest.raises(LocalFailure, match="another 'make run' or 'make up'")
    with only_one(tmp_path), refusal, only_one(tmp_path):
        pass
    with only_one(tmp_path):
        pass


def test_a_port_in_use_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LocalFailure, match=f"port {port} cannot be used"):
            free_port(port)


def test_the_password_is_made_once_and_for_the_owner_only(tmp_path: Path) -> None:
    service = AirflowService(tmp_path / "airflow", 1, scheduled=False)
    first = service.password()
    assert len(first) >= 16
    assert AirflowService(tmp_path / "airflow", 1, scheduled=False).password() == first
    assert service.password_file.stat().st_mode & 0o077 == 0


def test_airflow_reports_to_nobody_and_listens_here_only(tmp_path: Path) -> None:
    environment = AirflowService(tmp_path, 8080, scheduled=False).environment()
    assert environment["AIRFLOW__USAGE_DATA_COLLECTION__ENABLED"] == "False"
    assert environment["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert environment["AIRFLOW__CORE__LOAD_EXAMPLES"] == "False"


class FakeAirflow:
    """Answers as a scheduler would: every run ends at the second question, as told in ``ends``."""

    def __init__(self, ends: dict[str, str]) -> None:
        self.ends = ends
        self.asked: dict[str, int] = {}
        self.events: list[str] = []

    def close_unfinished(self, dag_id: str) -> int:
        return 0

    def trigger(self, dag_id: str, run_id: str, parameters: dict[str, str]) -> None:
        self.events.append(f"start {dag_id} {parameters.get('business_date', '')}".strip())

    def run_state(self, dag_id: str, run_id: str) -> str:
        self.asked[dag_id] = self.asked.get(dag_id, 0) + 1
        if self.asked[dag_id] < 2:
            return "running"
        state = self.ends.get(dag_id, "success")
        if state in ("success", "failed"):
            self.events.append(f"{state} {dag_id}")
            return state
        return "running"

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        state = {"failed": "failed", "retrying": "up_for_retry"}.get(self.ends.get(dag_id, ""), "running")
        return [{"task_id": "pull", "state": state, "try_number": 1 if self.asked[dag_id] < 4 else 2}]

    def complaint(self, dag_id: str, run_id: str, task_id: str, attempt: int) -> str:
        return "the extract is missing — ask the department"

    def result(self, dag_id: str, run_id: str, task_id: str) -> str | None:
        return "var/reports/index.html"


def night(ends: dict[str, str], tmp_path: Path, seconds: float = 30.0) -> tuple[Night, FakeAirflow, list[str]]:
    airflow = FakeAirflow(ends)
    said: list[str] = []
    made = Night(cast(AirflowService, airflow), Processes(tmp_path), "2026-11-20", seconds, said.append)
    return made, airflow, said


def test_feeds_come_first_then_delivery_then_reports(tmp_path: Path) -> None:
    made, airflow, _ = night({}, tmp_path)
    assert made.run(["feed_a", "feed_b"]) == []
    assert airflow.events == [
        "start feed_a 2026-11-20",
        "start feed_b 2026-11-20",
        "success feed_a",
        "success feed_b",
        "start deliver 2026-11-20",
        "success deliver",
        "start clock_watch",
        "start steward_reports 2026-11-20",
        "success clock_watch",
        "success steward_reports",
    ]
    assert made.report() == "var/reports/index.html"


def test_a_failed_feed_is_reported_and_the_night_goes_on(tmp_path: Path) -> None:
    made, airflow, _ = night({"feed_a": "failed"}, tmp_path)
    assert made.run(["feed_a", "feed_b"]) == ["feed_a, pull: the extract is missing — ask the department"]
    assert "success deliver" in airflow.events


def test_a_feed_that_keeps_failing_does_not_hold_up_the_others(tmp_path: Path) -> None:
    made, airflow, said = night({"feed_a": "retrying"}, tmp_path)
    complaint = "feed_a, pull: the extract is missing — ask the department"
    assert made.run(["feed_a", "feed_b"]) == [complaint]
    assert "success steward_reports" in airflow.events
    assert sum("the extract is missing" in line for line in said) == 2


def test_a_feed_that_does_not_end_does_not_hold_up_the_others(tmp_path: Path) -> None:
    made, airflow, _ = night({"feed_a": "running"}, tmp_path, seconds=1.0)
    assert made.run(["feed_a", "feed_b"]) == ["feed_a: not finished after 1 s"]
    assert "success steward_reports" in airflow.events


def test_what_the_fork_server_is_told_to_import_exists() -> None:
    """The fork server passes over a module that it cannot import, and every task would pay for it."""
    assert [name for name in PRELOADED if importlib.util.find_spec(name) is None] == []
