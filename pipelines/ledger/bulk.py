"""Many rows into one table of the ledger at once, in the transaction of the caller, as fast as the database can."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from pipelines.ledger.models import Base

Row = Sequence[Any]
CHUNK = 10_000


def insert_rows(session: Session, table: type[Base], columns: Sequence[str], rows: Iterable[Row]) -> int:
    """Insert rows whose values stand in the order of ``columns``; returns how many there were.

    Days and instants are texts as both databases store or read them: ``2026-11-20``, ``2026-11-20 01:02:03.000000``.
    PostgreSQL takes them by COPY, SQLite by one prepared statement. Raises SQLAlchemy's errors, as every statement
    of a session does: :class:`IntegrityError` for a row that is there already.
    """
    session.flush()
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        return _copy(connection, table, columns, rows)
    quote = connection.dialect.identifier_preparer.quote
    names, marks = ", ".join(map(quote, columns)), ", ".join("?" * len(columns))
    statement = f"INSERT INTO {quote(table.__tablename__)} ({names}) VALUES ({marks})"  # noqa: S608 - names only, quoted
    count = 0
    for chunk in _chunks(rows):
        connection.exec_driver_sql(statement, chunk)
        count += len(chunk)
    return count


def _copy(connection: Connection, table: type[Base], columns: Sequence[str], rows: Iterable[Row]) -> int:
    quote = connection.dialect.identifier_preparer.quote
    statement = f"COPY {quote(table.__tablename__)} ({', '.join(map(quote, columns))}) FROM STDIN"
    driver: Any = connection.connection.driver_connection
    errors: Any = connection.dialect.loaded_dbapi
    count = 0
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
                count += 1
    except errors.Error as error:
        raise DBAPIError.instance(statement, None, error, errors.Error) from error
    return count


def _chunks(rows: Iterable[Row]) -> Iterator[list[tuple[Any, ...]]]:
    """exec_driver_sql takes many rows only as a list of tuples."""
    remaining = iter(rows)
    while chunk := [tuple(row) for row in islice(remaining, CHUNK)]:
        yield chunk
