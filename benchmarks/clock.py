"""``guiji clock`` on a ledger with as many open records as the benchmark has rows, on SQLite and on PostgreSQL.

The rows are synthetic and in every state that a record can wait in: 50 feeds of ten departments, four endpoints; one
record in twenty is a second version. A third as many are accepted already.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine, Table, create_engine, insert, make_url, text
from sqlalchemy.exc import OperationalError

from benchmarks.meter import Meter
from benchmarks.report_site import describe
from pipelines.ledger.models import Batch, ConsolidatedRun, Outbox, Package, Run
from pipelines.operations.clock import read_clock
from pipelines.operations.context import Context, open_context
from pipelines.settings import Settings

TODAY = date(2026, 11, 20)
INSTANT = datetime(2026, 11, 18, 4)  # noqa: DTZ001 -- as the ledger stores it
ENDPOINTS = ("city", "province", "nation", "public")
DAYS = 20
ROUNDS = 3
POSTGRESQL = os.environ.get("GUIJI_BENCH_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")
CATEGORY = "administrative_penalty"
PACKAGES = 1_000
KEYS = {"sqlite": "printf('%064d', {})", "postgresql": "lpad(({})::text, 64, '0')"}
# Three of four rows are open; of these every fifth is in a package, every tenth rejected, every twentieth withheld.
# Every twentieth row is a newer version of the one before it.
ROWS = """
WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < :rows),
placed AS (
    SELECT n, n % 4 <> 3 AS is_open, n / 4 % 20 AS kind, n % 20 = 18 AS is_second,
           CASE WHEN n % 20 = 18 THEN n - 1 ELSE n END AS record
    FROM numbers
)
INSERT INTO outbox (
    endpoint, category, feed, run, record_key, version, content_hash, act, family, operation, business_date,
    decision_date, deadline, deadline_provisional, idempotency_key, queued_at, package, packaged_at, sent_at,
    accepted_at, rejected_at, withheld_at, withheld_rule
)
SELECT CASE record / 7 % 4 WHEN 0 THEN 'city' WHEN 1 THEN 'province' WHEN 2 THEN 'nation' ELSE 'public' END,
       r.category, r.feed, r.id, {record_key}, CASE WHEN is_second THEN 2 ELSE 1 END, {{package}}, 0, 'content',
       'new', r.business_date, r.business_date, r.business_date, r.attempt <> 1, {own_key}, r.started_at,
       CASE WHEN kind % 5 = 0 OR NOT is_open THEN {{package}} END,
       CASE WHEN kind % 5 = 0 OR NOT is_open THEN r.started_at END,
       CASE WHEN kind % 10 = 0 OR NOT is_open THEN r.started_at END,
       CASE WHEN NOT is_open THEN r.started_at END,
       CASE WHEN is_open AND kind IN (3, 13) THEN r.started_at END,
       CASE WHEN is_open AND kind = 7 THEN r.started_at END,
       CASE WHEN is_open AND kind = 7 THEN 'ACC-1' END
FROM placed JOIN run r ON r.batch_id = record % :runs
"""
NAME = f"guiji_bench_{os.getpid()}"
ON_SQLITE, ON_POSTGRESQL = "clock on sqlite", "clock on postgresql"


def open_ledger(folder: Path, url: str | None) -> tuple[Context, list[str]]:
    """An installation of 50 feeds with an empty ledger, and its feeds."""
    feeds = [feed for _, feed in describe(folder / "root")]
    (folder / "home").mkdir()
    return open_context(Settings(root=folder / "root", home=folder / "home", ledger_url=url)), feeds


def fill(engine: Engine, feeds: list[str], count: int) -> None:
    """Runs of 20 days, 1,000 packages, ``count`` open rows and a third as many accepted ones; made by the database."""
    days = [TODAY + timedelta(days=step) for step in range(-DAYS // 2, DAYS // 2)]
    places = [(feed, day) for day in days for feed in feeds]
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.execute(text("PRAGMA cache_size = -500000"))
        batches = [{"id": number, "feed": feed, "business_date": day} for number, (feed, day) in enumerate(places)]
        connection.execute(insert(Batch), batches)
        states = {"attempt": 1, "state": "published", "stage": "published", "started_at": INSTANT}
        runs = [
            {"id": f"{feed}-{day}", "batch_id": number, "feed": feed, "business_date": day, "category": CATEGORY}
            | states
            for number, (feed, day) in enumerate(places)
        ]
        connection.execute(insert(Run), runs)
        consolidated = [{"run": run["id"], "at": INSTANT} for run in runs[: -len(feeds)]]
        connection.execute(insert(ConsolidatedRun), consolidated)
        packages = [{"id": f"{number:064d}", "endpoint": ENDPOINTS[number % 4]} for number in range(PACKAGES)]
        about = {"category": CATEGORY, "records": 500, "created_at": INSTANT}
        connection.execute(insert(Package), [package | about for package in packages])
        table = Outbox.__table__
        assert isinstance(table, Table)  # noqa: S101 -- it is, the type does not say so
        # Made once at the end: the database would sort a million keys into each of them one by one.
        for index in table.indexes:
            index.drop(connection)
        key = KEYS[engine.dialect.name]
        statement = ROWS.format(record_key=key.format("record * 2654435761 % 4294967296"), own_key=key.format("n"))
        statement = statement.format(package=key.format(f"n % {PACKAGES}"))
        connection.execute(text(statement), {"rows": count + count // 3, "runs": len(runs)})
        for index in table.indexes:
            index.create(connection)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


def measure(folder: Path, count: int, meter: Meter, part: str, url: str | None) -> None:
    """The clock as the command asks it, three times; the slowest counts."""
    folder.mkdir()
    context, feeds = open_ledger(folder, url)
    fill(context.ledger.engine, feeds, count)
    slowest = 0.0
    for _ in range(ROUNDS):
        start = time.perf_counter()
        lines = read_clock(context, TODAY)
        slowest = max(slowest, time.perf_counter() - start)
    found = sum(line.total for line in lines)
    if found < count // 2:
        raise RuntimeError(f"the clock knows {found} open records of {count}")
    meter.parts[part] = slowest
    context.ledger.engine.dispose()


@contextmanager
def new_database() -> Iterator[str | None]:
    """The URL of an empty database on the PostgreSQL of this machine, dropped afterwards; None where there is none."""
    server = create_engine(POSTGRESQL, isolation_level="AUTOCOMMIT")
    try:
        with server.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {NAME}"))
    except OperationalError:
        yield None
        return
    try:
        yield make_url(POSTGRESQL).set(database=NAME).render_as_string(hide_password=False)
    finally:
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE {NAME} WITH (FORCE)"))


def main() -> None:
    csv, folder = Path(sys.argv[1]), Path(sys.argv[2])
    with csv.open("rb") as lines:
        count = sum(1 for _ in lines) - 1
    folder.mkdir(parents=True, exist_ok=True)
    meter = Meter()
    measure(folder / "sqlite", count, meter, ON_SQLITE, None)
    with new_database() as url:
        if url is not None:
            measure(folder / "postgresql", count, meter, ON_POSTGRESQL, url)
    meter.print()


if __name__ == "__main__":
    main()
