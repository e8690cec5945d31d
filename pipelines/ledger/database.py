"""The ledger's engine and sessions; SQLite (WAL) or PostgreSQL, the same code on both."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from pipelines.errors import StorageError
from pipelines.ledger.revisions import HEAD, chosen_revision, current_revision

LOCK_SECONDS = 30


def now() -> datetime:
    """This instant in UTC, in the form the ledger stores."""
    return datetime.now(UTC).replace(tzinfo=None)


class Ledger:
    """Access to one ledger.

    ``read`` and ``write`` give SQLAlchemy sessions; ``write`` is one transaction that takes the write lock
    first, so that two writers queue instead of failing half-way.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.sessions = sessionmaker(engine, expire_on_commit=False)

    @contextmanager
    def read(self) -> Iterator[Session]:
        with self.troubles("read"), self.sessions() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        with self.troubles("written"), self.sessions.begin() as session:
            if self.engine.dialect.name == "sqlite":
                session.connection().exec_driver_sql("BEGIN IMMEDIATE")
            yield session

    @contextmanager
    def troubles(self, done: str) -> Iterator[None]:
        """Raises :class:`StorageError` where the database does not do what it is asked, and says what was ``done``."""
        try:
            yield
        except OperationalError as error:
            raise StorageError(
                f"the ledger cannot be {done} ({type(error.orig).__name__}: {str(error.orig).partition(chr(10))[0]})",
                file=self.place,
                remedy="check disk space, permissions and that the database answers, then run again",
            ) from error

    @property
    def place(self) -> str:
        """The ledger's address without a password."""
        return self.engine.url.render_as_string(hide_password=True)


@lru_cache(maxsize=8)
def open_ledger(url: str) -> Ledger:
    """Open the ledger at a SQLAlchemy URL; the tables must have been migrated.

    Errors of SQLAlchemy do not quote the values of a statement: they may be personal.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, connect_args={"timeout": LOCK_SECONDS}, hide_parameters=True)
        event.listen(engine, "connect", _prepare_sqlite)
    else:
        engine = create_engine(url, pool_pre_ping=True, hide_parameters=True)
    return Ledger(engine)


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    # Transactions are begun by Ledger.write alone: the driver's own implicit BEGIN would take the lock too late.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={LOCK_SECONDS * 1000}"):
        connection.execute(f"PRAGMA {pragma}")


def migrate(url: str, revision: str = HEAD) -> None:
    """Bring the ledger's tables up, or down, to a revision; ``base`` is none at all. Safe to call again.

    Processes that do it at the same time queue. Raises :class:`StorageError` for a ledger that a newer program made,
    and for a revision that there is not.
    """
    ledger = open_ledger(url)
    wanted = chosen_revision(revision)
    with ledger.troubles("opened"):
        with ledger.engine.connect() as connection:
            present = current_revision(connection, ledger.place)
        if present != wanted:
            # Alembic takes longer to import than most commands to answer.
            from pipelines.ledger.migrating import bring_to  # noqa: PLC0415

            bring_to(ledger.engine, wanted, ledger.place)
