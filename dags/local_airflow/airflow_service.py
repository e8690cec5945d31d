"""Airflow on one machine: its settings, its database, its processes and its REST interface."""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
from processes import LocalFailure, Processes
from tenacity import retry, retry_if_exception, stop_after_delay, wait_fixed

DAGS = Path(__file__).resolve().parent.parent
USER = "admin"
START_SECONDS = 180.0
# Whoever writes asks for that at the beginning and waits this long for the one before: who began to read first and then
# finds that another one has written is told at once that the database is locked, and a task or a command is lost.
SQLITE_MANNERS = "timeout=60&isolation_level=IMMEDIATE"
# Airflow imports ``airflow_local_settings`` from wherever Python finds it.
LOCAL_SETTINGS = Path(__file__).resolve().parent / "config"
PRELOADED = (
    "airflow.executors.local_executor",
    "pipelines.quality.great_expectations_engine",
    "pipelines.operations.night",
)


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.is_server_error
    return isinstance(error, httpx.TransportError)


@dataclass
class AirflowService:
    """One Airflow with the LocalExecutor below ``home``, reachable on 127.0.0.1 only.

    ``scheduled``: whether DAGs also start by their schedules and by assets or only when asked to. ``database``: the
    SQLAlchemy URL of Airflow's own database, ``postgresql+psycopg://…``; SQLite below ``home`` unless given.
    """

    home: Path
    port: int
    scheduled: bool
    database: str | None = None
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx.Client(base_url=self.url, trust_env=False, timeout=30.0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def sqlite_file(self) -> Path:
        return self.home / "airflow.db"

    @property
    def password_file(self) -> Path:
        return self.home / "passwords.json"

    def password(self) -> str:
        """The password of the one user, made on first use."""
        if not self.password_file.exists():
            self.home.mkdir(parents=True, exist_ok=True)
            self.password_file.touch(mode=0o600)
            self.password_file.write_text(json.dumps({USER: secrets.token_urlsafe(12)}), encoding="utf-8")
        password: str = json.loads(self.password_file.read_text(encoding="utf-8"))[USER]
        return password

    def environment(self) -> dict[str, str]:
        """The variables every Airflow process gets. Nothing in it asks anything of the network."""
        self.password()
        settings = {
            "CORE__DAGS_FOLDER": DAGS,
            "CORE__PLUGINS_FOLDER": DAGS / "plugins",
            "CORE__LOAD_EXAMPLES": False,
            "CORE__DEFAULT_TIMEZONE": "Asia/Shanghai",
            "CORE__EXECUTOR": "LocalExecutor",
            "CORE__PARALLELISM": max(4, os.cpu_count() or 1),
            "CORE__DAGS_ARE_PAUSED_AT_CREATION": False,
            "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": self.password_file,
            "CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "API__HOST": "127.0.0.1",
            "API__PORT": self.port,
            "API__BASE_URL": self.url,
            "API_AUTH__JWT_SECRET": secrets.token_hex(32),
            # Airflow gives these rights to its logs whatever the process forbids.
            "LOGGING__FILE_TASK_HANDLER_NEW_FOLDER_PERMISSIONS": "0o700",
            "LOGGING__FILE_TASK_HANDLER_NEW_FILE_PERMISSIONS": "0o600",
            "SCHEDULER__USE_JOB_SCHEDULE": self.scheduled,
            "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": 0.2,
            "SCHEDULER__ENABLE_TRACEMALLOC": False,
            # Great Expectations takes seconds to import. A fork server does that once and every task inherits it.
            "SCHEDULER__MP_START_METHOD": "forkserver",
            "SCHEDULER__MP_FORKSERVER_PRELOAD": ",".join(PRELOADED),
            "USAGE_DATA_COLLECTION__ENABLED": False,
            # A finished task is noticed after up to this many seconds; Airflow's own value is 5.
            "WORKERS__MIN_HEARTBEAT_INTERVAL": 1,
        }
        if self.database:
            # psycopg serves both; Airflow's own guess for the second would be asyncpg.
            settings["DATABASE__SQL_ALCHEMY_CONN"] = self.database
            settings["DATABASE__SQL_ALCHEMY_CONN_ASYNC"] = self.database
        else:
            settings["DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{self.sqlite_file}?{SQLITE_MANNERS}"
        local = "127.0.0.1,localhost"
        paths = [str(LOCAL_SETTINGS), os.environ.get("PYTHONPATH", "")]
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path for path in paths if path),
            **{f"AIRFLOW__{name}": str(value) for name, value in settings.items()},
            "AIRFLOW_HOME": str(self.home),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "no_proxy": local,
            "NO_PROXY": local,
        }

    def migrate(self, environment: dict[str, str]) -> None:
        """Bring Airflow's database to this version; done once for each version."""
        stamp = self.home / f"migrated-{version('apache-airflow')}"
        if stamp.exists():
            return
        done = subprocess.run(
            ["airflow", "db", "migrate"],  # noqa: S607 - PATH of the environment starts with our own
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise LocalFailure(f"airflow db migrate failed:\n{(done.stdout + done.stderr)[-2000:]}")
        if not self.database:
            # Whoever reads no longer stops whoever writes; the file keeps this.
            with closing(sqlite3.connect(self.sqlite_file)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
        stamp.touch()

    def start(self, processes: Processes, environment: dict[str, str]) -> None:
        for component in ("api-server", "dag-processor", "scheduler"):
            processes.start(component, ["airflow", component], environment)

    def wait_until_ready(self, processes: Processes, dag_ids: set[str]) -> None:
        """Wait for the three processes and until the DAGs are parsed; :class:`LocalFailure` when one is not."""
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            self._pause(processes, deadline, "its web server does not answer")
        self._log_in()
        while missing := {dag_id for dag_id in dag_ids if self._find(f"/api/v2/dags/{dag_id}") is None}:
            errors = self._get("/api/v2/importErrors")["import_errors"]
            if errors:
                raise LocalFailure(
                    "\n".join(f"{error['filename']}: {error['stack_trace'].strip()}" for error in errors)
                )
            self._pause(processes, deadline, f"these DAGs are missing: {', '.join(sorted(missing))}")
        while self._get("/api/v2/monitor/health")["scheduler"]["status"] != "healthy":
            self._pause(processes, deadline, "the scheduler does not answer")

    def _answers(self) -> bool:
        try:
            return self.client.get("/api/v2/version").is_success
        except httpx.TransportError:
            return False

    @staticmethod
    def _pause(processes: Processes, deadline: float, problem: str) -> None:
        processes.check()
        if time.monotonic() > deadline:
            raise LocalFailure(f"Airflow was not ready after {START_SECONDS:.0f} s: {problem}; see {processes.logs}")
        time.sleep(0.2)

    def trigger(self, dag_id: str, run_id: str, parameters: dict[str, str]) -> None:
        """Start a run of a DAG, paused or not."""
        self.ask("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": False})
        body = {"dag_run_id": run_id, "logical_date": None, "conf": parameters}
        try:
            self.ask("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body)
        except httpx.HTTPStatusError as error:
            # Asked again after an answer got lost: the run is there.
            if error.response.status_code != httpx.codes.CONFLICT:
                raise

    def close_unfinished(self, dag_id: str) -> int:
        """Mark what an interrupted session left running as failed, and say how many runs that were.

        Its tasks died with it; Airflow itself would notice after minutes and keep new runs waiting until then.
        """
        closed = 0
        for state in ("running", "queued"):
            for run in self._get(f"/api/v2/dags/{dag_id}/dagRuns", state=state)["dag_runs"]:
                path = f"/api/v2/dags/{dag_id}/dagRuns/{run['dag_run_id']}"
                self.ask("PATCH", path, json={"state": "failed"})
                closed += 1
        return closed

    def run_state(self, dag_id: str, run_id: str) -> str:
        state: str = self._get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")["state"]
        return state

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        instances: list[dict[str, Any]] = self._get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances")[
            "task_instances"
        ]
        return instances

    def result(self, dag_id: str, run_id: str, task_id: str) -> str | None:
        """What a task returned, ``None`` when it did not get that far."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        found = self._find(path)
        return None if found is None else str(found["value"])

    def complaint(self, dag_id: str, run_id: str, task_id: str, attempt: int) -> str:
        """The message with which an attempt of a task failed, empty when its log has none."""
        log = self._get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{attempt}")
        details = [
            event["error_detail"] for event in log["content"] if isinstance(event, dict) and event.get("error_detail")
        ]
        return str(details[-1][0]["exc_value"]) if details else ""

    def _log_in(self) -> None:
        answer = self.ask("POST", "/auth/token", json={"username": USER, "password": self.password()})
        self.client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def _get(self, path: str, **parameters: int | str) -> Any:
        return self.ask("GET", path, params=parameters).json()

    def _find(self, path: str) -> Any:
        try:
            return self._get(path)
        except httpx.HTTPStatusError as error:
            if error.response.status_code == httpx.codes.NOT_FOUND:
                return None
            raise

    @retry(
        retry=retry_if_exception(_may_pass),
        wait=wait_fixed(0.5),
        stop=stop_after_delay(20.0),
        reraise=True,
    )
    def ask(self, method: str, path: str, **content: Any) -> httpx.Response:
        """Ask until answered: with SQLite underneath, Airflow answers 500 when it could not get the lock."""
        return self.client.request(method, path, **content).raise_for_status()
