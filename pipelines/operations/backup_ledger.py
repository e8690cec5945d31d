"""The ledger of a backup: SQLite by its own online backup, PostgreSQL by pg_dump and pg_restore."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from sqlalchemy import URL, Connection, Row, inspect, make_url, text

from pipelines.errors import StorageError
from pipelines.ledger.database import Ledger, open_ledger
from pipelines.ledger.revisions import current_revision
from pipelines.operations.backup_files import copy_file

FILES = {"sqlite": "ledger.sqlite", "postgresql": "ledger.pgdump"}
_RUNS = text("SELECT id, feed, category, state FROM run ORDER BY id")


@dataclass(frozen=True)
class SavedLedger:
    """A ledger as it was at one moment: kind of database, revision, and of all its runs id, feed, category, state."""

    database: str
    revision: str
    runs: list[Row[tuple[str, str, str, str]]]


def save_ledger(ledger: Ledger, folder: Path) -> SavedLedger:
    """Write the ledger as it is at this moment into a folder; others go on writing meanwhile.

    Raises :class:`StorageError` when pg_dump is missing or fails.
    """
    database = ledger.engine.dialect.name
    target = folder / FILES[database]
    if database == "sqlite":
        _save_sqlite(ledger, target)
        saved = open_ledger(f"sqlite:///{target}")
        try:
            with saved.engine.connect() as connection:
                found = _describe(connection, database, ledger.place)
        finally:
            # The last one to leave takes the files beside the database along.
            saved.engine.dispose()
        _as_one_file(target)
        return found
    with ledger.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        snapshot = str(connection.scalar(text("SELECT pg_export_snapshot()")))
        found = _describe(connection, database, ledger.place)
        options = ["--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}", f"--file={target}"]
        _run("pg_dump", options, ledger.engine.url)
    return found


def load_ledger(folder: Path, database: str, url: str) -> None:
    """Put a saved ledger where there is none yet; ``url`` is where.

    Raises :class:`StorageError` when it is another kind of database, when something is there already, or when
    pg_restore is missing or fails.
    """
    wanted = make_url(url)
    if wanted.get_backend_name() != database:
        raise StorageError(
            f"the backup holds a {database} ledger, and the ledger of this installation is {wanted.get_backend_name()}",
            remedy="set GUIJI_LEDGER_URL to an empty database of the kind that was saved, or unset it for SQLite",
        )
    source = folder / FILES[database]
    if database == "sqlite":
        target = Path(wanted.database or "")
        if target.exists():
            raise StorageError("there is a ledger already", file=target, remedy="name a place where there is none")
        copy_file(source, target)
        return
    ledger = open_ledger(url)
    if inspect(ledger.engine).get_table_names():
        raise StorageError(
            "the database of the ledger is not empty",
            file=ledger.place,
            remedy="create a new database and name it in GUIJI_LEDGER_URL; nothing is ever overwritten",
        )
    _run("pg_restore", ["--no-owner", "--no-privileges", "--single-transaction", str(source)], wanted)


def check_ledger(folder: Path, database: str) -> str | None:
    """What is wrong with a saved ledger, if anything."""
    source = folder / FILES[database]
    if database == "sqlite":
        with closing(sqlite3.connect(f"file:{source}?mode=ro&immutable=1", uri=True)) as connection:
            found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        return None if found == "ok" else f"{source.name} is damaged: {found}"
    try:
        _run("pg_restore", ["--list", str(source)], None)
    except StorageError as error:
        return error.problem
    return None


def _save_sqlite(ledger: Ledger, target: Path) -> None:
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with ledger.engine.connect() as connection, closing(sqlite3.connect(target)) as saved:
        source = cast(sqlite3.Connection, connection.connection.driver_connection)
        source.backup(saved)


def _as_one_file(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")


def _describe(connection: Connection, database: str, place: str) -> SavedLedger:
    revision = current_revision(connection, place)
    if revision is None:
        raise StorageError("there is no ledger to save", file=place, remedy="check GUIJI_HOME and GUIJI_LEDGER_URL")
    return SavedLedger(database, revision, list(connection.execute(_RUNS)))


def _run(program: str, options: list[str], url: URL | None) -> None:
    """Run a tool of PostgreSQL; it learns the database from a file that only we may read, never from its arguments."""
    path = shutil.which(program)
    if path is None:
        raise StorageError(
            f"{program} is not installed here",
            remedy="install the client programs of PostgreSQL (postgresql-client), at least as new as the server",
        )
    with _service(url) as environment:
        into = ["--dbname=service=guiji"] if program == "pg_restore" and url is not None else []
        done = subprocess.run(
            [path, "--no-password", *into, *options] if url is not None else [path, *options],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        # Only the first line: those after it may quote rows.
        said = next(iter(done.stderr.strip().splitlines()), f"exit code {done.returncode}")
        raise StorageError(
            f"{program} failed ({said[:200]})",
            remedy="check that the database answers and that the program is at least as new as the server",
        )


@contextmanager
def _service(url: URL | None) -> Iterator[dict[str, str]]:
    """The environment in which libpq finds the database that ``url`` names."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    if url is None:
        yield environment
        return
    known = {"host": url.host, "port": url.port, "user": url.username, "password": url.password, "dbname": url.database}
    values = {name: str(value) for name, value in {**known, **url.query}.items() if value not in {None, ""}}
    with tempfile.TemporaryDirectory(prefix="guiji-backup-") as folder:
        service = Path(folder) / "service.conf"
        service.write_text("[guiji]\n" + "".join(f"{name}={value}\n" for name, value in values.items()), "utf-8")
        service.chmod(0o600)
        yield {**environment, "PGSERVICEFILE": str(service), "PGSERVICE": "guiji"}
