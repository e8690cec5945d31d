"""The database connector against a bare cursor loop: same server, driver, query and fetch size, same rows.

The loop fetches every row and does nothing with it; the feed pulls, renders all values as text, keeps them as Parquet
and lands that. Both in turn, several rounds, the best of each. A server that does not answer is left out and named.
"""

from __future__ import annotations

import csv
import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg
import pymysql
from pymysql.cursors import SSCursor
from sqlalchemy import URL, make_url

from benchmarks.meter import Meter
from benchmarks.penalty_rows import write_penalty_rows
from pipelines.catalogue.feeds import Feed
from pipelines.intake.connectors import database
from pipelines.intake.connectors.contract import PullRequest
from pipelines.settings import Settings

ROWS = 200_000
TEXTS = 22
FETCH = 10_000
ROUNDS = 3
VARIABLE = "GUIJI_BENCH_DATABASE"
NAME = f"guiji_bench_{os.getpid()}"
POSTGRESQL = os.environ.get("GUIJI_BENCH_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")
MARIADB = os.environ.get("GUIJI_BENCH_MARIADB", "mysql+pymysql://root@127.0.0.1:3306/")
QUERY = "SELECT * FROM penalty ORDER BY id"
COLUMNS = ", ".join(f"c{number} VARCHAR(600)" for number in range(TEXTS))
# With the texts, 26 columns.
TABLE = f"CREATE TABLE penalty (id BIGINT PRIMARY KEY, {COLUMNS}, amount NUMERIC(18,6), day DATE, written TIMESTAMP)"


def rows(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        lines = csv.reader(file)
        next(lines)
        for number, line in enumerate(lines):
            yield [str(number), *line[:TEXTS], f"{number % 500}.250000", "2026-11-20", "2026-11-20 10:00:00"]


def fill_postgresql(url: URL, path: Path) -> None:
    with psycopg.connect(**to_libpq(url)) as connection, connection.cursor() as cursor:
        cursor.execute(TABLE)
        with cursor.copy("COPY penalty FROM STDIN") as copy:
            for row in rows(path):
                copy.write_row(row)
        cursor.execute("ANALYZE penalty")


def fill_mariadb(url: URL, path: Path) -> None:
    with pymysql.connect(**to_pymysql(url)) as connection, connection.cursor() as cursor:
        cursor.execute(TABLE)
        lines = rows(path)
        while some := list(islice(lines, 2_000)):
            cursor.executemany(f"INSERT INTO penalty VALUES ({', '.join(['%s'] * 26)})", some)
        connection.commit()


def bare_postgresql(url: URL) -> None:
    with psycopg.connect(**to_libpq(url)) as connection, connection.cursor("bare") as cursor:
        cursor.itersize = FETCH
        cursor.execute(QUERY)
        for _row in cursor:
            pass


def bare_mariadb(url: URL) -> None:
    with pymysql.connect(**to_pymysql(url)) as connection, connection.cursor(SSCursor) as cursor:
        cursor.execute(QUERY)
        while some := cursor.fetchmany(FETCH):
            for _row in some:
                pass


def feed(url: URL, folder: Path) -> None:
    os.environ[VARIABLE] = url.render_as_string(hide_password=False)
    source = {"kind": "database", "url_variable": VARIABLE, "table": "penalty", "key": ["id"], "fetch_rows": FETCH}
    described = {"feed": "bench_penalty", "name_zh": "基准", "category": "administrative_penalty", "edition": 2018}
    folder.mkdir(parents=True)
    request = PullRequest(
        Settings(home=folder), Feed.model_validate({**described, "source": source}), date(2026, 11, 20), folder
    )
    pulled = database.pull(request)
    if pulled.facts["rows"] != ROWS:
        raise SystemExit(f"{pulled.facts['rows']} rows were pulled, {ROWS} are there")


def to_libpq(url: URL) -> dict[str, Any]:
    return {"host": url.host, "port": url.port, "user": url.username, "password": url.password, "dbname": url.database}


def to_pymysql(url: URL) -> dict[str, Any]:
    login = {"host": url.host, "port": url.port or 3306, "user": url.username, "password": url.password or ""}
    return {**login, "database": url.database, "charset": "utf8mb4"}


def measure(
    name: str, url: URL, folder: Path, fill: Callable[[URL, Path], None], bare: Callable[[URL], None], path: Path
) -> dict[str, float]:
    fill(url, path)
    seconds: dict[str, list[float]] = {f"{name} bare cursor": [], f"{name} feed": []}
    for number in range(ROUNDS):
        for part, work in (
            (f"{name} bare cursor", lambda: bare(url)),
            (f"{name} feed", lambda number=number: feed(url, folder / f"{name}-{number}")),
        ):
            start = time.perf_counter()
            work()
            seconds[part].append(time.perf_counter() - start)
    return {part: min(found) for part, found in seconds.items()}


def main(_csv: str, folder: str) -> None:
    root = Path(folder)
    root.mkdir(parents=True)
    path = root / "rows.csv"
    write_penalty_rows(path, ROWS, hard=0)
    meter = Meter()
    url = make_url(POSTGRESQL)
    try:
        server: Any = psycopg.connect(**to_libpq(url), autocommit=True)
    except psycopg.OperationalError:
        print("no PostgreSQL answers", file=sys.stderr)
    else:
        server.execute(f"CREATE DATABASE {NAME}")
        try:
            found = measure("postgresql", url.set(database=NAME), root, fill_postgresql, bare_postgresql, path)
            meter.parts.update(found)
        finally:
            server.execute(f"DROP DATABASE {NAME} WITH (FORCE)")
            server.close()
    url = make_url(MARIADB)
    try:
        server = pymysql.connect(**to_pymysql(url))
    except pymysql.OperationalError:
        print("no MariaDB answers", file=sys.stderr)
    else:
        server.query(f"CREATE DATABASE {NAME} CHARACTER SET utf8mb4")
        try:
            meter.parts.update(measure("mariadb", url.set(database=NAME), root, fill_mariadb, bare_mariadb, path))
        finally:
            server.query(f"DROP DATABASE {NAME}")
            server.close()
    meter.print()


if __name__ == "__main__":
    main(*sys.argv[1:])
