"""Values of a database as text, without loss: what the department sees in its own client is what comes out.

Where the driver can hand over the server's own text (psycopg, pymysql), it is taken as it is; values that other drivers
make are written by the same rules:

* whole numbers and NUMERIC as they are, with their scale (``100.00``); binary floating point with the fewest digits
  that mean the same number, never with an exponent, whole ones with all their digits;
* a date as ``YYYY-MM-DD``, a time without zone as it stands, an instant (``timestamptz``, MySQL ``TIMESTAMP``) in
  Chinese time with its offset ``+08:00``; zero dates, ``infinity`` and years after 9999 stay;
* ``CHAR`` without the blanks that fill it up, ``true`` and ``false``, bits as zeros and ones, bytes in hexadecimal
  digits, JSON as it stands or written without blanks;
* NULL and empty text are both NULL.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, types
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

from pipelines.errors import SourceError
from pipelines.intake.connectors.patience import CHINA
from pipelines.intake.decoding import Decoder

# From here on not every whole number has a binary floating point number of its own (2⁵³).
_EXACT_BELOW = 1 << 53
# Larger ones are no codes; their digits are as many as one likes.
_WRITTEN_OUT_BELOW = 10**30
_EMPTY = pa.scalar("", pa.string())
_NOTHING = pa.scalar(None, pa.string())
_BYTES = Decoder("gb18030")
_HOURS_ONLY = re.compile(r"([+-]\d\d)(?= BC$|$)")

TEXT_DRIVERS = frozenset({"psycopg", "pymysql"})


def answer_in_text(connection: Connection, names: Iterable[str], place: str) -> None:
    """Have the driver hand over the server's text; drivers that cannot keep making values.

    ``names`` are those of the table and its columns. For connections that are thrown away afterwards, and only once the
    table is known: reflection needs values.
    """
    raw: Any = connection.connection.driver_connection
    if connection.dialect.driver == "psycopg":
        from psycopg.types.string import TextLoader  # noqa: PLC0415 - installed where PostgreSQL is a source

        encoding = raw.info.parameter_status("server_encoding")
        is_ascii = all(name.isascii() for name in names)
        if encoding == "SQL_ASCII" and not is_ascii:
            raise SourceError(
                "the database has no encoding (SQL_ASCII), and the table or a column no ASCII name",
                remedy="have a view made with names in ASCII",
                file=place,
            )
        if encoding in {"UTF8", "SQL_ASCII"} and is_ascii:
            # Told that we know no encoding either, the server sends its bytes, which Arrow takes faster than str. The
            # driver could not write other names any more.
            raw.execute("SET client_encoding TO 'SQL_ASCII'")
        for known in raw.adapters.types:
            raw.adapters.register_loader(known.oid, TextLoader)
            raw.adapters.register_loader(known.array_oid, TextLoader)
    elif connection.dialect.driver == "pymysql":
        raw.decoders = {}


class ColumnText:
    """One selected column: turns blocks of its values into Arrow text, and counts what cannot be told exactly.

    ``inexact``: numbers in binary floating point so large that their last digits may be none of the department's.
    ``undecodable``: texts that are neither UTF-8 nor GB18030; they are kept with their bytes written out behind U+FFFD.
    """

    def __init__(self, name: str, type_: TypeEngine[Any], driver: str) -> None:
        self.name = name
        self.inexact = 0
        self.undecodable = 0
        self._type = getattr(type_, "data_type", type_)  # what a domain of PostgreSQL is made of
        self._driver = driver
        self._write = self._writer()

    def block(self, values: Sequence[Any]) -> pa.Array[Any]:
        """The values as ``pa.string()``, NULL where there is nothing."""
        if self._driver not in TEXT_DRIVERS:
            values = [None if value is None else self._general(value) for value in values]
        elif isinstance(next((value for value in values if value is not None), None), bytes):
            if self._driver == "psycopg":
                return self._written(self._decoded(values))
            values = [None if value is None else self._binary(value) for value in values]
        try:
            return self._written(pa.array(values, pa.string()))
        except UnicodeEncodeError:
            return self._written(
                pa.array([None if text is None else self._without_surrogates(text) for text in values], pa.string())
            )

    def _written(self, texts: pa.Array[Any]) -> pa.Array[Any]:
        if self._write is not None:
            write = self._write
            texts = pa.array([None if text is None else write(text) for text in texts.to_pylist()], pa.string())
        # An empty cell is NULL, as in the rows of every other format.
        found: pa.Array[Any] = pc.if_else(pc.equal(texts, _EMPTY), _NOTHING, texts)
        return found

    def _decoded(self, values: Sequence[bytes | None]) -> pa.Array[Any]:
        """Bytes of PostgreSQL, which are UTF-8 unless the database itself does not know what it holds."""
        try:
            return pa.array(values, pa.binary()).cast(pa.string())
        except pa.ArrowInvalid:
            return pa.array([None if value is None else self._decode(value) for value in values], pa.string())

    def _writer(self) -> Callable[[str], str] | None:
        """What is still to be done to the text of this column, None where it is right already."""
        type_ = self._type
        if isinstance(type_, types.Float):
            return self._single if isinstance(type_, mysql.FLOAT) else self._number
        if isinstance(type_, (types.CHAR, types.NCHAR)):
            return lambda text: text.rstrip(" ")
        if self._driver == "psycopg":
            if isinstance(type_, types.Boolean):
                return lambda text: {"t": "true", "f": "false"}.get(text, text)
            if isinstance(type_, types.LargeBinary):
                return lambda text: text.removeprefix("\\x")
            if isinstance(type_, (types.TIMESTAMP, types.DateTime)) and type_.timezone:
                return lambda text: _HOURS_ONLY.sub(r"\1:00", text)
        if self._driver == "pymysql" and isinstance(type_, mysql.TIMESTAMP):
            return lambda text: text if text.startswith("0000") else f"{text}+08:00"
        return None

    def _general(self, value: Any) -> str:
        try:
            return text_of(value)
        except TypeError:
            raise SourceError(
                f"column {self.name}: the driver gives values of type {type(value).__name__}",
                remedy="have a view made that gives the column as text, or leave it out of source.columns",
            ) from None

    def _decode(self, value: bytes) -> str:
        found = _BYTES.line(value)
        if found is not None:
            return found[0]
        self.undecodable += 1
        return "\ufffd" + value.decode("utf-8", "backslashreplace")

    def _binary(self, value: bytes) -> str:
        if isinstance(self._type, mysql.BIT):
            return f"{int.from_bytes(value):0{self._type.length or 1}b}"
        return value.hex()

    def _without_surrogates(self, text: str) -> str:
        if text.isprintable() or not any("\ud800" <= character <= "\udfff" for character in text):
            return text
        self.undecodable += 1
        return "\ufffd" + text.encode("utf-8", "backslashreplace").decode()

    def _number(self, text: str) -> str:
        written = digits(text)
        if written.lstrip("-").isdigit() and abs(int(written)) >= _EXACT_BELOW:
            self.inexact += 1
        return written

    def _single(self, text: str) -> str:
        """MySQL writes FLOAT with six digits; asked for as DOUBLE it is exact, and shortest once single again."""
        return self._number(str(pa.scalar(float(text), pa.float32()).cast(pa.string()).as_py()))


def digits(text: str) -> str:
    """A binary floating point number without exponent; whole ones exactly, ``NaN`` and ``Infinity`` as they are."""
    if "e" not in text and "E" not in text:
        return text
    number = float(text)
    if number.is_integer() and abs(number) < _WRITTEN_OUT_BELOW:
        return str(int(number))
    return format(Decimal(text), "f")


def text_of(value: Any) -> str:
    """What a driver made, by the rules above; raises :class:`TypeError` for what has no rule."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | UUID):
        return str(value)
    if isinstance(value, float):
        return digits(repr(value).removesuffix(".0"))
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.isoformat(" ") if value.tzinfo is None else value.astimezone(CHINA).isoformat(" ")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return _duration(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=text_of)
    if hasattr(value, "read"):
        return text_of(value.read())
    raise TypeError(type(value).__name__)


def _duration(value: timedelta) -> str:
    sign = "-" if value < timedelta() else ""
    whole = abs(value)
    minutes, seconds = divmod(whole.days * 86_400 + whole.seconds, 60)
    fraction = f".{whole.microseconds:06d}" if whole.microseconds else ""
    return f"{sign}{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}{fraction}"
