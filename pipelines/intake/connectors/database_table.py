"""A table as its database describes it, and values of its columns as parameters."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    MetaData,
    Select,
    Table,
    bindparam,
    column,
    literal_column,
    or_,
    select,
    table,
    types,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import SAWarning
from sqlalchemy.types import NullType, TypeEngine

from pipelines.catalogue.sources import DatabaseSource
from pipelines.errors import SourceError
from pipelines.intake.connectors.database_values import ColumnText
from pipelines.intake.connectors.patience import CHINA


class SourceTable:
    """A table as the database describes it, with statements that leave every value as the driver makes it."""

    def __init__(self, connection: Connection, source: DatabaseSource, place: str) -> None:
        with warnings.catch_warnings():
            # Types that SQLAlchemy does not know are text to us like all others.
            warnings.simplefilter("ignore", SAWarning)
            described = Table(
                source.table, MetaData(), schema=source.table_schema, autoload_with=connection, resolve_fks=False
            )
        self.source = source
        self.place = place
        self.driver = connection.dialect.driver
        self.dialect = connection.dialect
        self.types: dict[str, TypeEngine[Any]] = {
            found.name: getattr(found.type, "data_type", found.type) for found in described.columns
        }
        self.table = table(source.table, *(column(name) for name in self.types), schema=source.table_schema)
        self.key = self._real(source.key)
        self.watermark = self._real((source.watermark,))[0] if source.watermark else None
        self.day = self._real((source.day_column,))[0] if source.day_column else None
        flag = source.read_flag
        self.flag = self._real((flag.column,))[0] if flag else None
        self.flag_time = self._real((flag.time_column,))[0] if flag and flag.time_column else None
        self.selected = self._selected()

    def column(self, name: str) -> ColumnElement[Any]:
        found: ColumnElement[Any] = self.table.columns[name]
        return found

    def select_columns(self, names: Sequence[str]) -> Select[Any]:
        return select(*(self._expression(name).label(name) for name in names))

    def texts(self, names: Sequence[str]) -> list[ColumnText]:
        """What turns these columns into text."""
        return [ColumnText(name, self.types[name], self.driver) for name in names]

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that a statement may hold."""
        return (self.source.table, self.source.table_schema or "", *self.types)

    @property
    def has_horizon(self) -> bool:
        """Whether the watermark is a date or a time, which may lie in the future."""
        return self.watermark is not None and issubclass(self.python_type(self.watermark), date)

    def type_name(self, name: str) -> str:
        type_ = self.types[name]
        return "unknown" if isinstance(type_, NullType) else type_.compile(dialect=self.dialect)

    def value(self, name: str, text: str) -> BindParameter[Any]:
        """A parameter that means ``text``, a value of column ``name`` as we write it.

        PostgreSQL reads its own text as what the column is. MySQL would compare a number with a text as floating
        point, in which two codes of 18 digits may be the same.
        """
        given: Any = text
        type_: TypeEngine[Any] = NullType()
        if self.driver == "pymysql":
            given = self._number_or_bytes(name, text.removesuffix("+08:00") if self._is_time(name) else text)
        elif self.driver == "psycopg":
            given = f"\\x{text}" if isinstance(self.types[name], types.LargeBinary) else text
        else:
            given, type_ = self._typed(name, text), self.types[name]
        return bindparam(None, given, type_=type_, unique=True)

    def is_unread(self) -> ColumnElement[bool]:
        flag = self.source.read_flag
        if flag is None or self.flag is None:
            raise TypeError("the source has no read flag")
        return or_(self.column(self.flag) == self.value(self.flag, flag.unread), self.column(self.flag).is_(None))

    def python_type(self, name: str) -> type:
        try:
            found: type = self.types[name].python_type
        except NotImplementedError:
            return object
        return found

    def _selected(self) -> tuple[str, ...]:
        source = self.source
        kept_back = {self.flag, self.flag_time}
        named = self._real(source.columns) or tuple(name for name in self.types if name not in kept_back)
        # Without these a row could be neither told apart nor found again.
        needed = (*self.key, *((self.watermark,) if self.watermark else ()))
        return (*named, *(name for name in dict.fromkeys(needed) if name not in named))

    def _real(self, names: Iterable[str]) -> tuple[str, ...]:
        """The names as the database writes them."""
        folded = {name.casefold(): name for name in self.types}
        wanted = list(names)
        missing = [name for name in wanted if name not in self.types and name.casefold() not in folded]
        if missing:
            raise SourceError(
                f"there is no column {', '.join(missing)}",
                remedy="ask the department what it renamed, then mend the source in the feed's YAML",
                file=self.place,
            )
        return tuple(name if name in self.types else folded[name.casefold()] for name in wanted)

    def _expression(self, name: str) -> ColumnElement[Any]:
        if isinstance(self.types[name], mysql.FLOAT) and self.driver == "pymysql":
            # The server writes FLOAT with six digits only; as DOUBLE it writes all of them.
            return self.column(name) + literal_column("0e0")
        return self.column(name)

    def _is_time(self, name: str) -> bool:
        return isinstance(self.types[name], types.DateTime)

    def _number_or_bytes(self, name: str, text: str) -> Any:
        kind = self.python_type(name)
        try:
            if issubclass(kind, (int, Decimal, float)):
                return int(text) if issubclass(kind, int) else Decimal(text)
            return bytes.fromhex(text) if issubclass(kind, bytes) else text
        except (ValueError, InvalidOperation):
            raise self._unfit(name) from None

    def _typed(self, name: str, text: str) -> Any:
        kind = self.python_type(name)
        try:
            if issubclass(kind, datetime):
                found = datetime.fromisoformat(text)
                zoned = bool(getattr(self.types[name], "timezone", False))
                local = found.astimezone(CHINA) if found.tzinfo else found.replace(tzinfo=CHINA)
                return local if zoned else local.replace(tzinfo=None)
            if issubclass(kind, date):
                return date.fromisoformat(text)
            if issubclass(kind, bool):
                return text in {"1", "true"}
        except ValueError:
            raise self._unfit(name) from None
        return self._number_or_bytes(name, text)

    def _unfit(self, name: str) -> SourceError:
        return SourceError(
            f"column {name} is {self.type_name(name)}, and a value for it in the feed or the manifest is not",
            remedy="mend read_flag, key or watermark in the feed's YAML",
            file=self.place,
        )
