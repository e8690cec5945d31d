"""A connection to a front-end database: where it is, how it is opened, and what its errors mean.

Neither the address nor a message of the driver is ever repeated: both may hold the password, and a message a value of a
row as well.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, NoSuchTableError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from pipelines.catalogue.sources import DatabaseSource
from pipelines.errors import SourceError
from pipelines.intake.connectors.patience import Trouble
from pipelines.network.time_limit import cut_connection

# Rows are read as of one moment: rows that are written meanwhile belong to the next batch.
_SNAPSHOT = {
    "postgresql": "REPEATABLE READ",
    "mysql": "REPEATABLE READ",
    "mariadb": "REPEATABLE READ",
    "oracle": "SERIALIZABLE",
    "mssql": "SNAPSHOT",
}
_UTC8 = "+08:00"

_LOGIN = "the database does not let us in"
_RIGHT = "the account may not do this"
_TABLE = "there is no such table, view or column"
# SQLSTATE (PostgreSQL) and error numbers (MySQL, MariaDB); all others are named by their code alone.
_MEANINGS: dict[str, str] = {
    **dict.fromkeys(("28000", "28P01", "1044", "1045", "1698", "3D000", "1049"), _LOGIN),
    **dict.fromkeys(("42501", "1142", "1143", "1227"), _RIGHT),
    **dict.fromkeys(("42P01", "42703", "3F000", "1054", "1146"), _TABLE),
}
_REMEDIES = {
    _LOGIN: "check user, password and database name in {variable}",
    _RIGHT: "have SELECT granted on the table, and UPDATE on the columns of the read flag",
    _TABLE: "mend source.table and the columns in the feed's YAML, or ask the department what it renamed",
}
# Gone, restarting, too many connections, lock or deadlock, statement taking too long.
_PASSING_CLASSES = ("08", "53", "57", "40", "55")
_PASSING_NUMBERS = {"1040", "1053", "1205", "1213", "1317", "1927", "2002", "2003", "2006", "2013", "3024", "1969"}


def database_url(source: DatabaseSource, environment: Mapping[str, str] = os.environ) -> URL:
    """The address in ``source.url_variable``; a :class:`SourceError` names the variable when it is of no use."""
    text = environment.get(source.url_variable, "")
    if not text:
        raise SourceError(
            "the address of the database is missing",
            remedy=f"set the environment variable {source.url_variable} to an SQLAlchemy URL",
        )
    try:
        return make_url(text)
    except (ArgumentError, ValueError):
        raise SourceError(
            "the address of the database is no SQLAlchemy URL",
            remedy=f"write {source.url_variable} as dialect+driver://user:password@host:port/database",
        ) from None


def database_place(source: DatabaseSource, url: URL) -> str:
    """Host, database and table, without user and password."""
    host = url.host or ""
    port = f":{url.port}" if url.port else ""
    schema = f"{source.table_schema}." if source.table_schema else ""
    return f"{host}{port}/{url.database or ''} {schema}{source.table}"


@contextmanager
def open_database(source: DatabaseSource, *, write: bool = False) -> Iterator[Connection]:
    """A connection of its own, whose transaction reads as of one moment, or one that may write.

    Everything that fails inside is told as :class:`Trouble` or :class:`SourceError`, and the connection is cut then.
    """
    url = database_url(source)
    place = database_place(source, url)
    with _told(source, place, while_opening=True):
        connection = _connect(source, url, write=write)
        raw = connection.connection.driver_connection
    try:
        with _told(source, place):
            yield connection
    except BaseException:
        _abandon(connection, raw)
        raise
    finally:
        connection.close()


def descriptor_of(connection: Connection) -> Callable[[], int | None]:
    """How to ask for the descriptor of the connection's socket; None where the driver does not show it."""
    raw = connection.connection.driver_connection
    return lambda: _descriptor(raw, connection.dialect.driver)


def _descriptor(raw: Any, driver: str) -> int | None:
    if driver == "psycopg":
        return None if raw.closed else int(raw.fileno())
    if driver == "pymysql":
        return None if raw._sock is None else int(raw._sock.fileno())
    return None


def _abandon(connection: Connection, raw: Any) -> None:
    """Closed in order, a driver would first read the rest of a result that nobody wants."""
    cut_connection(_descriptor(raw, connection.dialect.driver))
    if connection.dialect.driver == "pymysql" and raw._result is not None:
        raw._result.unbuffered_active = False
    connection.invalidate()


def _connect(source: DatabaseSource, url: URL, *, write: bool) -> Connection:
    seconds = max(1, math.ceil(source.timeout_seconds))
    arguments: dict[str, Any] = {}
    if url.get_driver_name() == "psycopg":
        arguments = {"connect_timeout": seconds, "application_name": "guiji", "client_encoding": "utf8"}
    elif url.get_driver_name() == "pymysql":
        arguments = {"connect_timeout": seconds, "read_timeout": seconds, "write_timeout": seconds}
        if "charset" not in url.query:
            arguments["charset"] = "utf8mb4"
    engine = create_engine(url, poolclass=NullPool, connect_args=arguments, hide_parameters=True)
    statements = _session_statements(engine.dialect.name, source, write=write)

    def prepare(raw: Any, _record: Any) -> None:
        cursor = raw.cursor()
        for statement in statements:
            cursor.execute(statement)
        cursor.close()
        raw.commit()

    event.listen(engine, "connect", prepare)
    options: dict[str, Any] = {}
    level = source.isolation or _SNAPSHOT.get(engine.dialect.name)
    if level is not None and not write:
        options["isolation_level"] = level
    if engine.dialect.name == "postgresql":
        options["postgresql_readonly"] = not write
    return engine.connect().execution_options(**options)


def _session_statements(dialect: str, source: DatabaseSource, *, write: bool) -> tuple[str, ...]:
    """Times in Chinese time, numbers with all their digits, and statements that do not run for ever."""
    if dialect == "postgresql":
        return (
            "SET DateStyle TO 'ISO, YMD'",
            f"SET TIME ZONE INTERVAL '{_UTC8}' HOUR TO MINUTE",
            "SET extra_float_digits TO 3",
            "SET bytea_output TO 'hex'",
            f"SET statement_timeout TO {math.ceil(source.timeout_seconds * 1000)}",
        )
    if dialect in {"mysql", "mariadb"}:
        access = "READ WRITE" if write else "READ ONLY"
        return (f"SET time_zone = '{_UTC8}'", f"SET SESSION TRANSACTION {access}")
    return ()


@contextmanager
def _told(source: DatabaseSource, place: str, *, while_opening: bool = False) -> Iterator[None]:
    try:
        yield
    except NoSuchTableError:
        raise SourceError(_TABLE, remedy=_REMEDIES[_TABLE], file=place) from None
    except (NoSuchModuleError, ModuleNotFoundError):
        raise SourceError(
            "the driver for this database is not installed",
            remedy=f"install the driver that {source.url_variable} names, such as guiji[postgresql] or guiji[mariadb]",
            file=place,
        ) from None
    except DBAPIError as error:
        raise _told_by_driver(source, place, error, while_opening=while_opening) from None
    except SQLAlchemyError as error:
        raise SourceError(
            f"the database cannot be asked ({type(error).__name__})",
            remedy=f"check {source.url_variable}, source.isolation and the columns in the feed's YAML",
            file=place,
        ) from None


def _told_by_driver(
    source: DatabaseSource, place: str, error: DBAPIError, *, while_opening: bool
) -> Trouble | SourceError:
    code = _code(error)
    name = type(error.orig).__name__
    named = f"{name}, {code}" if code else name
    meaning = _MEANINGS.get(code)
    if meaning is not None or (while_opening and _used_password(error)):
        meaning = meaning or _LOGIN
        return SourceError(
            f"{meaning} ({named})", remedy=_REMEDIES[meaning].format(variable=source.url_variable), file=place
        )
    if while_opening or error.connection_invalidated or _may_pass(code):
        what = "the database cannot be reached" if while_opening else "the database broke off"
        return Trouble(f"{what} ({named})", remedy="ask the operators of the source, then run the batch again")
    return SourceError(
        f"the database refuses ({named})",
        remedy="look the code up in the manual of the database; source.isolation or a type may not fit",
        file=place,
    )


def _code(error: DBAPIError) -> str:
    """The driver's error number or SQLSTATE, empty when it has neither."""
    arguments = getattr(error.orig, "args", ())
    if arguments and isinstance(arguments[0], int):
        return str(arguments[0])
    return getattr(error.orig, "sqlstate", None) or ""


def _may_pass(code: str) -> bool:
    return code in _PASSING_NUMBERS or (len(code) == 5 and code.startswith(_PASSING_CLASSES))


def _used_password(error: DBAPIError) -> bool:
    """Whether PostgreSQL got as far as the password: then the same password again may lock the account."""
    attempt = getattr(error.orig, "pgconn", None)
    return bool(attempt is not None and (attempt.used_password or attempt.needs_password))
