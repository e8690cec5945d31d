"""Connections to a front-end database, and what its errors mean for a delivery.

A driver's message may repeat values of a record, and its exception the password: neither is told or chained.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from sqlalchemy import URL, Connection, create_engine, func, select
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.pool import NullPool

from pipelines.catalogue.endpoints import Endpoint
from pipelines.delivery.replies import PackageRefusedError, Trouble
from pipelines.errors import DeliveryError

Stage = Literal["opening", "working", "committing"]

# SQLSTATE of PostgreSQL, error numbers of MariaDB and MySQL.
_LOGIN = {"28000", "28P01", "3D000", "1044", "1045", "1049", "1130", "1698"}
_RIGHT = {"42501", "1142", "1143", "1227", "1370"}
_NAME = {"42P01", "42703", "3F000", "1054", "1146"}
# A lock that was waited for too long, a deadlock, a statement cut short, no room, no connection left, read-only.
_BUSY_CLASSES = ("40001", "40P01", "53", "55", "57014", "25006")
_BUSY = {"1021", "1040", "1114", "1203", "1205", "1213", "1290", "1317", "1836", "1969", "3024"}
# Too long, not of the type, not of the character set, missing, or there already: about the values in this package.
_VALUE_CLASSES = ("22", "23")
_VALUES = {"1048", "1062", "1264", "1265", "1292", "1364", "1366", "1406", "3140", "4025"}
_GONE_CLASSES = ("08", "57P")
# The whole message, so that what is taken for a column can be nothing else.
_COLUMN = re.compile(
    r"(?:[^`]*for column (?:`\w+`\.)*|.* for column |Column |Field )[`'](\w+)[`']"
    r"(?: at row \d+| cannot be null| doesn't have a default value)",
    re.DOTALL,
)


class FrontEndDatabase:
    """Transactions on the database of one endpoint, each on a connection of its own.

    A lock is waited for half as long as an answer, so that a busy table is told from a dead server. Times are written
    and read in Chinese time.
    """

    def __init__(self, endpoint: Endpoint, url: URL, user: str, password: str) -> None:
        self.place = url.render_as_string()
        self._endpoint = endpoint
        self._seconds = max(2, math.ceil(endpoint.timeout_seconds))
        self._lock_seconds = max(1, self._seconds // 2)
        postgresql = url.get_backend_name() == "postgresql"
        self._engine = create_engine(
            url.set(username=user, password=password),
            poolclass=NullPool,
            hide_parameters=True,
            connect_args=self._postgresql_arguments() if postgresql else self._mariadb_arguments(),
            **({"isolation_level": "READ COMMITTED"} if postgresql else {}),
        )

    def close(self) -> None:
        """Let go of everything."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to look things up with."""
        with self._told("opening"):
            connection = self._engine.connect()
        with connection, self._told("working"):
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction, committed at the end.

        Before the commit nothing has been done, whatever happens; a connection that is lost while committing leaves it
        open whether it was done, and is the only ``ambiguous`` trouble.
        """
        with self._told("opening"):
            connection = self._engine.connect()
        with connection:
            with self._told("working"):
                yield connection
            with self._told("committing"):
                connection.commit()

    def hold(self, connection: Connection, name: str) -> None:
        """Wait until no other transaction holds ``name``, then hold it until this one has ended.

        The commit of a connection that we lost may still be under way: as long as it is, its transaction holds the
        name. Needs no right of ours, and no constraint of the receiver's table.
        """
        digest = hashlib.sha256(f"guiji {name}".encode()).digest()
        if connection.dialect.name == "postgresql":
            key = int.from_bytes(digest[:8], "big", signed=True)
            connection.execute(select(func.pg_advisory_xact_lock(key)))
        elif connection.scalar(select(func.get_lock(digest.hex()[:60], self._lock_seconds))) != 1:
            raise Trouble("busy", "an earlier transaction of ours has not ended")

    def _postgresql_arguments(self) -> dict[str, Any]:
        settings = {
            # POSIX counts westwards: this is eight hours east.
            "TimeZone": "<+08>-08",
            "DateStyle": "ISO,YMD",
            "lock_timeout": f"{self._lock_seconds}s",
            "statement_timeout": f"{self._seconds}s",
        }
        return {
            "connect_timeout": self._seconds,
            "application_name": "guiji",
            "client_encoding": "utf8",
            "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
            # A server that vanished without a word is noticed while we wait for its answer.
            "keepalives_idle": self._seconds,
            "keepalives_interval": max(1, self._seconds // 3),
            "keepalives_count": 3,
            "tcp_user_timeout": self._seconds * 1000,
        }

    def _mariadb_arguments(self) -> dict[str, Any]:
        settings = {
            "time_zone": "'+08:00'",
            # Without strict mode a value that is too long would be cut and taken.
            "sql_mode": "CONCAT_WS(',', NULLIF(@@sql_mode, ''), 'STRICT_ALL_TABLES')",
            "innodb_lock_wait_timeout": str(self._lock_seconds),
            "lock_wait_timeout": str(self._lock_seconds),
        }
        return {
            "connect_timeout": self._seconds,
            "read_timeout": self._seconds,
            "write_timeout": self._seconds,
            "charset": "utf8mb4",
            "init_command": "SET " + ", ".join(f"SESSION {name} = {value}" for name, value in settings.items()),
        }

    @contextmanager
    def _told(self, stage: Stage) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise self._meaning(error, stage) from None
        except UnicodeEncodeError:
            raise PackageRefusedError("no valid Unicode") from None

    def _meaning(self, error: DBAPIError, stage: Stage) -> Exception:
        code = _code(error)
        named = f"{type(error.orig).__name__} {code}".strip()
        if code in _LOGIN or (stage == "opening" and _used_password(error)):
            return DeliveryError(
                f"the database of {self._endpoint.endpoint} at {self.place} does not let us in ({named}); "
                "everything stays queued",
                remedy=f"check exchange_table.user and the password in {self._endpoint.secret_variable}, and whether "
                "the database has that name",
            )
        if code in _RIGHT or code in _NAME:
            what = "does not allow this" if code in _RIGHT else "has no table or column of that name"
            return DeliveryError(
                f"the database of {self._endpoint.endpoint} at {self.place} {what} ({named}){self._tables()}; "
                "everything stays queued",
                remedy="have the rights granted that docs/endpoints.md lists, and compare the names in "
                f"schemas/endpoints/{self._endpoint.endpoint}.yaml with those of the database",
            )
        if code in _BUSY or code.startswith(_BUSY_CLASSES):
            return Trouble("busy", named)
        if isinstance(error, DataError | IntegrityError) or code in _VALUES or code.startswith(_VALUE_CLASSES):
            return PackageRefusedError(f"{code or named}{_column(error)}"[:40])
        if stage == "committing":
            return Trouble("ambiguous", named)
        if stage == "opening" or error.connection_invalidated or code.startswith(_GONE_CLASSES):
            return Trouble("unreachable", named)
        return DeliveryError(
            f"the database of {self._endpoint.endpoint} at {self.place} refuses ({named}){self._tables()}; "
            "everything stays queued",
            remedy="look the code up in the manual of the database, and compare its tables with docs/endpoints.md",
        )

    def _tables(self) -> str:
        section = self._endpoint.exchange_table
        return "" if section is None else f": {', '.join((*section.tables.values(), section.receipts))}"


def _code(error: DBAPIError) -> str:
    """SQLSTATE or error number, empty when the driver has neither."""
    arguments = getattr(error.orig, "args", ())
    if arguments and isinstance(arguments[0], int):
        return str(arguments[0])
    return getattr(error.orig, "sqlstate", None) or ""


def _used_password(error: DBAPIError) -> bool:
    """Whether PostgreSQL got as far as the password; it gives no code for a connection that failed."""
    attempt = getattr(error.orig, "pgconn", None)
    return bool(attempt is not None and (attempt.used_password or attempt.needs_password))


def _column(error: DBAPIError) -> str:
    """The column or constraint that a refusal is about, where the database names it; values are never repeated."""
    told = getattr(error.orig, "diag", None)
    if told is not None:
        name = told.column_name or told.constraint_name
    else:
        found = _COLUMN.fullmatch(str(error.orig.args[-1])) if error.orig is not None else None
        name = found.group(1) if found else None
    return f" {name}" if name else ""
