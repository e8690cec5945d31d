"""Filling the outbox against the database's own bulk load of the same rows into the same table with the same indexes.

PostgreSQL is given the rows as bytes by COPY, SQLite by executemany in one transaction. We read the versions of a run
from Parquet, work out deadlines and keys, and load them in the transaction that publishes.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Engine, make_url, text

from benchmarks.meter import Meter
from pipelines.ledger.database import now, open_ledger
from pipelines.ledger.models import Batch, Run
from pipelines.operations.context import Context, open_context
from pipelines.operations.outbox import COLUMNS, fill_outbox
from pipelines.settings import Settings

ROWS = int(os.environ.get("GUIJI_BENCH_OUTBOX_ROWS", "1000000"))
DAY = date(2026, 11, 20)
FEED = "market_penalty"
RUN = f"{FEED}-20261120-001"
POSTGRESQL = os.environ.get("GUIJI_BENCH_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")
NAME = f"guiji_bench_{os.getpid()}"

Row = tuple[Any, ...]


def write_versions(context: Context, path: Path) -> None:
    """What a run adds to the record store, as far as the outbox asks for it."""
    with context.session() as duck:
        duck.write_parquet(
            f"""
            SELECT sha256('record' || number) AS record_key, 1::INTEGER AS version,
                   sha256('content' || number) AS content_hash, 'new' AS change,
                   DATE '2026-11-01' + (number % 19)::INTEGER AS decision_date
            FROM range({ROWS}) AS numbers(number)
            """,
            path,
        )


def prepare(context: Context) -> None:
    """A published run that the rows refer to."""
    with context.ledger.write() as session:
        session.add(Batch(id=1, feed=FEED, business_date=DAY))
        session.flush()
        session.add(
            Run(
                id=RUN, batch_id=1, feed=FEED, category="administrative_penalty", business_date=DAY, attempt=1,
                state="published", stage="published", started_at=now(),
            )
        )  # fmt: skip


def fill(context: Context, versions: Path) -> None:
    with context.session() as duck, context.ledger.write() as session:
        run = session.get_one(Run, RUN)
        endpoints = [context.catalogue.endpoints["province_sandbox"]]
        if fill_outbox(context, session, duck, versions, run, endpoints, now()) != ROWS:
            raise SystemExit("rows are missing in the outbox")


def stored_rows(engine: Engine) -> list[Row]:
    """What :func:`fill` has stored, in its order and as the driver gives and takes it."""
    with engine.connect() as connection:
        return [
            tuple(row) for row in connection.exec_driver_sql(f"SELECT {', '.join(COLUMNS)} FROM outbox ORDER BY id")
        ]


def empty(engine: Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("DELETE FROM outbox"))
        connection.execute(text("VACUUM"))


def bare_sqlite(engine: Engine) -> Callable[[], None]:
    rows = stored_rows(engine)

    def load() -> None:
        with engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            driver.execute("BEGIN IMMEDIATE")
            driver.executemany(
                f"INSERT INTO outbox ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})", rows
            )
            driver.execute("COMMIT")

    return load


def bare_postgresql(engine: Engine) -> Callable[[], None]:
    # The text form of COPY: nothing in these rows has to be escaped.
    rows = stored_rows(engine)
    blocks = [
        "".join("\t".join(map(str, row)) + "\n" for row in rows[start : start + 10_000]).encode()
        for start in range(0, len(rows), 10_000)
    ]

    def load() -> None:
        with engine.begin() as connection:
            driver: Any = connection.connection.driver_connection
            with driver.cursor() as cursor, cursor.copy(f"COPY outbox ({', '.join(COLUMNS)}) FROM STDIN") as copy:
                for block in blocks:
                    copy.write(block)

    return load


def measure(
    meter: Meter, name: str, context: Context, folder: Path, bare: Callable[[Engine], Callable[[], None]]
) -> None:
    versions = folder / "versions.parquet"
    if not versions.exists():
        write_versions(context, versions)
    prepare(context)
    with meter.part(f"{name} outbox"):
        fill(context, versions)
    load = bare(context.ledger.engine)
    empty(context.ledger.engine)
    with meter.part(f"{name} bulk load"):
        load()


@contextmanager
def postgresql_database() -> Iterator[str | None]:
    url = make_url(POSTGRESQL)
    try:
        server = psycopg.connect(
            host=url.host, port=url.port, user=url.username, password=url.password, dbname=url.database, autocommit=True
        )
    except psycopg.OperationalError:
        print("no PostgreSQL answers", file=sys.stderr)
        yield None
        return
    server.execute(f"CREATE DATABASE {NAME}")
    try:
        yield url.set(database=NAME).render_as_string(hide_password=False)
    finally:
        server.execute(f"DROP DATABASE {NAME} WITH (FORCE)")
        server.close()


def main(_csv: str, folder: str) -> None:
    root = Path(folder)
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    meter = Meter()
    measure(meter, "sqlite", open_context(Settings(home=root / "sqlite")), root, bare_sqlite)
    with postgresql_database() as url:
        if url is not None:
            context = open_context(Settings(home=root / "postgresql", ledger_url=url))
            measure(meter, "postgresql", context, root, bare_postgresql)
            open_ledger(url).engine.dispose()
    meter.print()


if __name__ == "__main__":
    main(*sys.argv[1:])
