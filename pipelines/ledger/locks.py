"""Locks in PostgreSQL, for processes on any machine: they belong to a connection, and are gone when its process is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

# The server needs a moment to notice that the process which held the lock was killed.
NOTICE_MILLISECONDS = 2000
LOCK_NOT_AVAILABLE = "55P03"


class HeldElsewhereError(Exception):
    """Somebody else holds the lock."""


@contextmanager
def held(engine: Engine, name: str) -> Iterator[None]:
    """Hold the lock ``name`` until the block ends; raises :class:`HeldElsewhereError` when somebody else has it.

    Whoever loses the connection has lost the lock and is not told: what must not happen twice is checked in the
    transaction that makes it last.
    """
    key = _key(name)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"SET lock_timeout = {NOTICE_MILLISECONDS}"))
        try:
            connection.execute(select(func.pg_advisory_lock(key)))
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
            connection.execute(text("RESET lock_timeout"))
            raise HeldElsewhereError from error
        connection.execute(text("RESET lock_timeout"))
        try:
            yield
        finally:
            try:
                connection.execute(select(func.pg_advisory_unlock(key)))
            except OperationalError:
                # The server lets go of the lock with the connection. What stopped the block, if anything did, matters.
                connection.invalidate()


def take_turn(session: Session, name: str, *, shared: bool = False) -> None:
    """Wait until nobody else is between here and the end of the transaction; ``shared`` turns wait for others only.

    Does nothing on SQLite, which has one writer at a time anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        lock = func.pg_advisory_xact_lock_shared if shared else func.pg_advisory_xact_lock
        session.execute(select(lock(_key(name))))


def _key(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
