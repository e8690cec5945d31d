"""Airflow on one machine, for ``make run`` and ``make up``.

``run`` takes one business date through the real scheduler and ends; ``up`` keeps everything running for
someone who wants to look. Both start what they need and stop it whatever happens. Nothing here knows what a
feed is made of: it starts processes, asks Airflow to run DAGs and hands the summary over to ``guiji status``.
"""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from airflow_service import START_SECONDS, USER, AirflowService
from night import Night
from processes import LocalFailure, Processes, free_port, only_one

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.catalogue.feeds import feed_schedules
from pipelines.errors import GuijiError
from pipelines.settings import Settings

GUIJI = Path(sys.executable).with_name("guiji")
SHARED_DAGS = {"deliver", "clock_watch", "steward_reports"}


def main() -> int:
    arguments = _arguments()
    # For every process that is started from here: what they write belongs to its owner alone.
    os.umask(0o077)
    settings = Settings()
    home = settings.home_path
    os.environ["GUIJI_HOME"] = str(home)
    try:
        airflow = AirflowService(home / "airflow", free_port(arguments.airflow_port), arguments.command == "up")
        feeds = [f"feed_{code}" for code in feed_schedules(settings)]
        with only_one(airflow.home), Processes(airflow.home / "processes") as processes:
            port_file = _start_receiver(processes, settings, free_port(arguments.sandbox_port))
            environment = airflow.environment()
            airflow.migrate(environment)
            airflow.start(processes, environment)
            _guiji("migrate")  # while the others start
            _wait_for(port_file.exists, processes, "the sandbox receiver")
            airflow.wait_until_ready(processes, {*feeds, *SHARED_DAGS})
            if arguments.command == "up":
                _keep_up(airflow, processes)
                return 0
            night = Night(airflow, processes, arguments.date, arguments.seconds, _say)
            failures = night.run(feeds)
            for failure in failures:
                _say(f"failed: {failure}")
            _guiji("status", "--date", arguments.date, failing=bool(failures))
            _say(f"Report: {night.report()}")
    except (GuijiError, LocalFailure, httpx.HTTPError) as error:
        _say(f"error: {error}")
        return 1
    return 1 if failures else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="local_airflow", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="one business date through the DAGs, then stop")
    run.add_argument("--date", required=True, help="business date, YYYY-MM-DD")
    run.add_argument("--seconds", type=float, default=300.0, help="what the feeds may take together")
    up = commands.add_parser("up", help="Airflow with its web page until Ctrl-C")
    for command, airflow_port, sandbox_port in ((run, 0, 0), (up, 8080, 8765)):
        command.add_argument("--airflow-port", type=int, default=airflow_port, help="0: any free one")
        command.add_argument("--sandbox-port", type=int, default=sandbox_port, help="0: any free one")
    return parser.parse_args()


def _start_receiver(processes: Processes, settings: Settings, port: int) -> Path:
    """Start the sandbox receiver and point every endpoint at it that is not set to something else.

    Returns the file that appears once it answers.
    """
    endpoints = load_catalogue(settings).endpoints.values()
    token = secrets.token_urlsafe(24)
    for endpoint in endpoints:
        os.environ.setdefault(endpoint.secret_variable, token)
        if endpoint.url_variable:
            os.environ.setdefault(endpoint.url_variable, f"http://127.0.0.1:{port}")
    port_file = settings.home_path / "sandbox.port"
    port_file.unlink(missing_ok=True)
    command = [str(GUIJI), "sandbox", "--port", str(port), "--port-file", str(port_file)]
    command += ["--store", str(settings.home_path / "sandbox.sqlite")]
    subjects = settings.inbox / "subjects.csv"
    if subjects.exists():
        command += ["--subjects", str(subjects)]
    processes.start("sandbox", command, dict(os.environ))
    return port_file


def _wait_for(ready: Callable[[], bool], processes: Processes, what: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        processes.check()
        if time.monotonic() > deadline:
            raise LocalFailure(f"{what} was not ready after {START_SECONDS:.0f} s; see {processes.logs}")
        time.sleep(0.1)


def _keep_up(airflow: AirflowService, processes: Processes) -> None:
    _say(f"Airflow:  {airflow.url}\nuser:     {USER}\npassword: {airflow.password()}\nCtrl-C stops everything.")
    while True:
        processes.check()
        time.sleep(1.0)


def _guiji(*arguments: str, failing: bool = False) -> None:
    """Run a command; ``failing`` says that a problem is known already and its exit code tells nothing new."""
    code = subprocess.run([str(GUIJI), *arguments], stdin=subprocess.DEVNULL, check=False).returncode
    if code and not failing:
        raise LocalFailure(f"guiji {' '.join(arguments)} failed")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
