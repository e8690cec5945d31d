"""A night of many small feeds, by ``guiji run`` alone and through Airflow, and what Airflow itself takes for a task.

Every feed gets the same rows, and both ways work on as many feeds at once as the machine has room for. After the night
the same dates run through Airflow once more: their bytes are known, so that the tasks find nothing to do, and what they
take is Airflow's own. Memory is the proportional set size of all its processes together, looked at while it waits.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from benchmarks.clock import new_database
from benchmarks.meter import Meter
from pipelines.operations.capacity import batches_at_once
from pipelines.operations.context import Context, open_context
from pipelines.operations.night import run_night
from pipelines.settings import PROJECT_ROOT, Settings

sys.path.insert(0, str(PROJECT_ROOT / "dags" / "local_airflow"))

from airflow_service import AirflowService
from processes import Processes, free_port

DAY = date(2026, 11, 20)
FEEDS = int(os.environ.get("GUIJI_NIGHT_FEEDS", "6"))
TASKS = 3
BY_COMMAND, BY_AIRFLOW, OWN = "a feed by guiji run", "a feed through Airflow", "a task of Airflow that does nothing"
SECONDS = 3600.0
FEED = """
feed: {name}_penalty
name_zh: 基准测试
category: administrative_penalty
edition: 2018
source: {{kind: folder, path: {name}}}
conflict: last_row
"""


def installation(folder: Path, csv: Path) -> Settings:
    """A root with that many departments, each with one feed of the same rows."""
    root, inbox = folder / "root", folder / "inbox"
    (root / "schemas").mkdir(parents=True)
    for part in (*(PROJECT_ROOT / "schemas").iterdir(), PROJECT_ROOT / "expectations"):
        if part.name != "departments":
            (root / part.relative_to(PROJECT_ROOT)).symlink_to(part)
    for number in range(FEEDS):
        name = f"d{number:03d}"
        department = root / "schemas" / "departments" / name
        department.mkdir(parents=True)
        (department / "department.yaml").write_text(f"department: {name}\nname_zh: 基准\nuscc: 12100000400000624D\n")
        (department / "penalty.yaml").write_text(FEED.format(name=name))
        (inbox / name).mkdir(parents=True)
        (inbox / name / "penalties.csv").hardlink_to(csv)
    return Settings(root=root, inbox=inbox, home=folder / "by_command")


def by_command(context: Context) -> None:
    """The night as ``guiji run --at-once`` runs it."""
    results = run_night(context, DAY, at_once=batches_at_once(context.settings))
    problems = [result.problem for result in results if result.problem is not None]
    if problems:
        raise RuntimeError(f"the night failed: {problems[0]}")


@contextmanager
def started(folder: Path, settings: Settings) -> Iterator[tuple[AirflowService, Processes]]:
    """An Airflow of its own over the same sources, with a home of its own, on PostgreSQL where there is one."""
    names = {"root": settings.root, "inbox": settings.inbox, "home": folder / "by_airflow"}
    os.environ.update({f"GUIJI_{name.upper()}": str(path) for name, path in names.items()})
    with new_database() as database:
        airflow = AirflowService(folder / "airflow", free_port(), scheduled=False, database=database)
        environment = airflow.environment()
        airflow.migrate(environment)
        with Processes(folder / "processes") as processes:
            airflow.start(processes, environment)
            airflow.wait_until_ready(processes, {f"feed_d{number:03d}_penalty" for number in range(FEEDS)})
            yield airflow, processes


def through_airflow(airflow: AirflowService, processes: Processes, run: str) -> float:
    """Start every feed at once and wait for all of them; the most memory (GB) that was seen meanwhile."""
    dags = [f"feed_d{number:03d}_penalty" for number in range(FEEDS)]
    for dag in dags:
        airflow.trigger(dag, run, {"business_date": DAY.isoformat()})
    limit, most = time.monotonic() + SECONDS, 0.0
    # One question a second: more of them would be measured as Airflow's own.
    for dag in dags:
        while (state := airflow.run_state(dag, run)) != "success":
            if state == "failed" or time.monotonic() > limit:
                raise RuntimeError(f"{dag} is {state}; see {processes.logs}")
            processes.check()
            most = max(most, _memory(processes))
            time.sleep(1.0)
    return most


def _memory(processes: Processes) -> float:
    """Proportional set size of all that was started, in GB; each part leads a session that its children belong to."""
    leaders = {process.pid for process in processes.running.values()}
    total = 0
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if int((path / "stat").read_text().rsplit(")", 1)[1].split()[3]) in leaders:
                lines = (path / "smaps_rollup").read_text().splitlines()
                total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended since the folder was listed
    return total / 1e6


def main(csv_file: str, folder: str) -> None:
    """Measure in ``folder``, with all rows of the CSV in every feed."""
    place = Path(folder)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    settings = installation(place, Path(csv_file))
    meter = Meter()
    with meter.part(BY_COMMAND):
        by_command(open_context(settings))
    print(f"{FEEDS} feeds by guiji run: {meter.parts[BY_COMMAND]:.0f} s", file=sys.stderr)
    with started(place, settings) as (airflow, processes):
        with meter.part(BY_AIRFLOW):
            most = through_airflow(airflow, processes, "night")
        print(f"{FEEDS} feeds through Airflow: {meter.parts[BY_AIRFLOW]:.0f} s", file=sys.stderr)
        with meter.part(OWN):
            through_airflow(airflow, processes, "again")
    for part, share in ((BY_COMMAND, FEEDS), (BY_AIRFLOW, FEEDS), (OWN, FEEDS * TASKS)):
        meter.parts[part] /= share
    meter.print(most)


if __name__ == "__main__":
    main(*sys.argv[1:])
