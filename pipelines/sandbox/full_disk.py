"""A full disk, as the database itself knows it: SQLite may not make its file any larger."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

LARGEST = 0xFFFF_FFFE  # what SQLite allows by itself
BALLAST = 1 << 20


@contextmanager
def full_disk(session: Session) -> Iterator[None]:
    """Within, whatever needs another page fails; at the end at least a ballast does, so that nothing is stored."""
    # SQLite takes the present number of pages for a smaller one.
    connection = session.connection().connection.driver_connection
    if not isinstance(connection, sqlite3.Connection):
        raise TypeError("the store is no SQLite file")
    connection.execute("PRAGMA max_page_count = 1")
    try:
        yield
        session.flush()
        session.execute(text("CREATE TABLE ballast AS SELECT zeroblob(:size) AS bytes"), {"size": BALLAST})
    finally:
        connection.execute(f"PRAGMA max_page_count = {LARGEST}")


def is_full(error: OperationalError) -> bool:
    """Whether the database failed for want of room."""
    return isinstance(error.orig, sqlite3.OperationalError) and error.orig.sqlite_errorcode == sqlite3.SQLITE_FULL
