"""``guiji status`` with 200 feeds that have run every night for three years, on SQLite and on PostgreSQL.

219,000 batches with one run each. Of 20 feeds one has been failing for weeks, one is silent, one has holes. The whole
command is measured, with the start of Python and the reading of 200 feeds' YAML, and what it asks of the ledger.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path

from sqlalchemy import Engine, text

from benchmarks.clock import new_database
from benchmarks.meter import Meter
from benchmarks.report_site import describe
from pipelines.operations.clock import today_in_shanghai
from pipelines.operations.context import open_context
from pipelines.operations.overview import read_overview
from pipelines.settings import Settings

DEPARTMENTS, NIGHTS, ROUNDS = 40, 1095, 3
COMMAND = "guiji status"
# Night 0 is yesterday. Made by the database: a quarter of a million rows one by one would take longer than all else.
DAYS = {
    "sqlite": "date(:yesterday, '-' || night || ' days')",
    "postgresql": "(CAST(:yesterday AS date) - night)",
}
INSTANTS = {"sqlite": "day || ' 01:00:00.000000'", "postgresql": "CAST(day AS timestamp)"}
MANIFESTS = {"sqlite": ":manifest", "postgresql": "CAST(:manifest AS json)"}
PLACED = """
WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < :rows),
placed AS (SELECT n, n / 200 AS night, n % 200 AS place FROM numbers),
nights AS (
    SELECT n + 1 AS id, feed, {day} AS day,
           (place % 20 = 0 AND night < 20) OR (place % 20 = 1 AND night IN (5, 9)) AS is_failed,
           CASE WHEN place % 20 = 2 AND night < 10 THEN 0 ELSE 5000 END AS decoded
    FROM placed JOIN places USING (place)
)
"""
BATCHES = """
INSERT INTO batch (id, feed, business_date, run)
{placed} SELECT id, feed, day, CASE WHEN is_failed THEN NULL ELSE feed || '-' || id END FROM nights
"""
RUNS = """
INSERT INTO run (id, batch_id, feed, category, business_date, attempt, state, stage, swept, started_at, finished_at,
    settled_at, rows_decoded, lines_undecoded, accepted, duplicate, quarantined, blocked, excluded, new, changed,
    unchanged, outdated, late, repairs, problem, manifest)
{placed} SELECT feed || '-' || id, id, feed, 'administrative_penalty', day, 1,
    CASE WHEN is_failed THEN 'failed' ELSE 'published' END, 'published', {swept}, {at}, {at}, {at},
    decoded, 0, decoded, 0, 0, 0, 0, decoded, 0, 0, 0, 0, 0,
    CASE WHEN is_failed THEN 'the server does not answer — start it' END, {manifest}
FROM nights
"""
# About as much as a real run says about its files.
MANIFEST = json.dumps({"parts": [{"columns": [f"column {number}" for number in range(40)]}]})


def fill(engine: Engine, feeds: list[str], today: date) -> None:
    """Three years of batches."""
    name = engine.dialect.name
    placed = PLACED.format(day=DAYS[name])
    swept, at = ("0" if name == "sqlite" else "false"), INSTANTS[name]
    with engine.begin() as connection:
        connection.execute(text("CREATE TEMP TABLE places (place INTEGER, feed VARCHAR(100))"))
        connection.execute(
            text("INSERT INTO places VALUES (:place, :feed)"),
            [{"place": place, "feed": feed} for place, feed in enumerate(feeds)],
        )
        values = {"rows": NIGHTS * len(feeds), "yesterday": today - timedelta(days=1), "manifest": MANIFEST}
        connection.execute(text(BATCHES.format(placed=placed)), values)
        connection.execute(text(RUNS.format(placed=placed, swept=swept, at=at, manifest=MANIFESTS[name])), values)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


def measure(folder: Path, meter: Meter, database: str, url: str | None) -> None:
    """The command and its questions, three times each; the slowest counts."""
    folder.mkdir(parents=True)
    feeds = [feed for _, feed in describe(folder / "root", DEPARTMENTS)]
    (folder / "home").mkdir()
    settings = Settings(root=folder / "root", home=folder / "home", ledger_url=url)
    context = open_context(settings)
    fill(context.ledger.engine, feeds, today_in_shanghai())
    slowest = 0.0
    for _ in range(ROUNDS):
        start = time.perf_counter()
        overview = read_overview(context)
        slowest = max(slowest, time.perf_counter() - start)
    if len(overview.feeds) != len(feeds) or len(overview.troubled) != 3 * len(feeds) // 20:
        raise RuntimeError(f"{len(overview.troubled)} of {len(overview.feeds)} feeds are in trouble")
    meter.parts[f"questions on {database}"] = slowest
    context.ledger.engine.dispose()
    environment = os.environ | {"GUIJI_ROOT": str(settings.root), "GUIJI_HOME": str(settings.home)}
    environment["GUIJI_LEDGER_URL"] = settings.ledger
    command = [sys.executable, "-m", "pipelines.cli", "status"]
    slowest, before = 0.0, resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(ROUNDS):
        start = time.perf_counter()
        done = subprocess.run(command, check=False, env=environment, stdout=subprocess.DEVNULL)
        slowest = max(slowest, time.perf_counter() - start)
        if done.returncode != 10:
            raise RuntimeError(f"{COMMAND} ended with {done.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    meter.parts[f"{COMMAND} on {database}"] = slowest
    # What it takes of a processor, whatever else this machine does meanwhile.
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    meter.parts[f"{COMMAND} on {database}, processor time"] = used / ROUNDS


def main() -> None:
    folder = Path(sys.argv[2])
    meter = Meter()
    measure(folder / "sqlite", meter, "sqlite", None)
    with new_database() as url:
        if url is not None:
            measure(folder / "postgresql", meter, "postgresql", url)
    meter.print()


if __name__ == "__main__":
    main()
