"""One delivery per endpoint at a time.

The lock belongs to a living process: the operating system or the database drops it when the process dies, so a
killed delivery never keeps the next one waiting, and nobody has to guess how long a lease should last. Should a
lock be lost under a living process, the idempotency keys still make the second sending harmless.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from pipelines.errors import RunConflictError, StorageError
from pipelines.ledger.locks import HeldElsewhereError, held


@contextmanager
def exclusive(engine: Engine, endpoint: str) -> Iterator[None]:
    """Hold the delivery to ``endpoint``; :class:`RunConflictError` when another process holds it."""
    if engine.dialect.name == "postgresql":
        holder = _advisory(engine, endpoint)
    elif engine.dialect.name == "sqlite" and engine.url.database not in {None, "", ":memory:"}:
        holder = _file(Path(f"{engine.url.database}.deliver-{endpoint}.lock"), endpoint)
    else:
        raise StorageError("delivery needs a ledger in an SQLite file or in PostgreSQL", remedy="set GUIJI_LEDGER_URL")
    with holder:
        yield


@contextmanager
def _file(path: Path, endpoint: str) -> Iterator[None]:
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _conflict(endpoint) from error
        yield


@contextmanager
def _advisory(engine: Engine, endpoint: str) -> Iterator[None]:
    try:
        with held(engine, f"guiji deliver {endpoint}"):
            yield
    except HeldElsewhereError as error:
        raise _conflict(endpoint) from error


def _conflict(endpoint: str) -> RunConflictError:
    return RunConflictError(
        f"another process is delivering to {endpoint}", remedy="wait until it has ended; it delivers what is due"
    )
