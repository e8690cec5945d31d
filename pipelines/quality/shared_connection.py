"""A SQLAlchemy engine over a session that is already open, for libraries that only speak SQLAlchemy.

Nothing is copied: the library sees the tables, views and macros of the very session, and cannot close it. Results
are fetched completely before they are handed on, because Great Expectations closes its connection first and reads
afterwards.
"""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb_sqlalchemy
from duckdb_sqlalchemy import ConnectionWrapper, Dialect
from sqlalchemy.dialects import registry
from sqlalchemy.engine.cursor import FullyBufferedCursorFetchStrategy
from sqlalchemy.pool import StaticPool

from pipelines.engine.duck import Session

URL = "duckdb+shared://"


class _SharedConnection(ConnectionWrapper):
    """The session's connection; its owner closes it, nobody else."""

    def close(self) -> None:
        self._set_pending_cursor(None)

    def release(self) -> None:
        """Forget the connection; whoever still holds this wrapper holds nothing of the session."""
        self._ConnectionWrapper__c: Any = None


class _BufferedContext(Dialect.execution_ctx_cls):  # type: ignore[misc,valid-type]
    """Runs a statement and keeps all of its rows."""

    def post_exec(self) -> None:
        super().post_exec()
        if self.cursor.description is not None:
            self.cursor_fetch_strategy = FullyBufferedCursorFetchStrategy(
                self.cursor, initial_buffer=self.cursor.fetchall()
            )


class SharedDialect(Dialect):
    """The DuckDB dialect with buffered results."""

    supports_statement_cache = True
    execution_ctx_cls = _BufferedContext


registry.register("duckdb.shared", __name__, "SharedDialect")


@contextmanager
def engine_arguments(session: Session) -> Iterator[dict[str, Any]]:
    """Keyword arguments of ``sqlalchemy.create_engine(URL, ...)`` that bind an engine to the session for a while.

    Statements commit on their own, so that the engine never ends a transaction of the session's owner.
    """
    lent: list[_SharedConnection] = []

    def lend() -> _SharedConnection:
        lent.append(_SharedConnection(session.connection))
        return lent[-1]

    try:
        yield {"creator": lend, "poolclass": StaticPool, "isolation_level": "AUTOCOMMIT"}
    finally:
        for connection in lent:
            connection.release()


@atexit.register
def _let_types_go() -> None:
    """Beside Great Expectations the dialect's module outlives the interpreter, and the DuckDB client complains."""
    vars(duckdb_sqlalchemy).clear()
