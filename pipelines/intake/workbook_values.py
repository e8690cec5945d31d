"""Cell values of a workbook as text, as the sender saw them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

CellValue = int | float | str | bool | time | date | datetime | timedelta

# Excel keeps 15 digits. A longer whole number has already lost its tail in the workbook and shows so.
_EXACT_DIGITS = 15
_EXACT = 10**_EXACT_DIGITS
# Stands in no text that a person typed; where it does, the slower way is taken.
_SEPARATOR = "\x1f"
_EMPTY, _NULL = pa.scalar("", pa.string()), pa.scalar(None, pa.string())
_HALF_A_SECOND = timedelta(microseconds=500_000)


def text_of(value: CellValue) -> str:
    """The text of one cell; empty for an empty cell.

    Whole numbers have no ``.0``; other numbers have the 15 significant digits that Excel shows (0.239049 is
    stored as 0.23904899999999998); whole numbers of more than 15 digits are written as Excel does
    (``9.1330201234568E+17``), so that nobody takes them for the code that was typed. A percentage is the number
    that is stored (``0.15``). Dates are ``YYYY/MM/DD``, with ``HH:MM:SS`` if they have a time; a length of time
    is ``26:03:00``.
    """
    return _TEXT[type(value)](value)


def texts_of(values: Sequence[CellValue]) -> pa.Array[Any]:
    """The texts of cells as a string array, NULL for an empty cell."""
    texts: Sequence[Any] = values
    try:
        joined = _SEPARATOR.join(texts)
    except TypeError:
        # Not all of them are texts; asking each of its kind would cost more than finding out this way.
        texts = [value if type(value) is str else _TEXT[type(value)](value) for value in values]
        joined = _SEPARATOR.join(texts)
    # One long text that Arrow splits is several times faster than an array made of many Python strings.
    array: Any = pc.split_pattern(pa.array([joined]), _SEPARATOR).flatten()
    if len(array) != len(texts):
        array = pa.array(texts, pa.string())
    found: pa.Array[Any] = pc.if_else(pc.equal(array, _EMPTY), _NULL, array)
    return found


def _whole(value: int) -> str:
    return str(value) if -_EXACT < value < _EXACT else _float(float(value))


def _float(value: float) -> str:
    if value.is_integer() and -_EXACT < value < _EXACT:
        return str(int(value))
    short = f"{value:.{_EXACT_DIGITS}G}"
    return f"{Decimal(short):f}" if "E-" in short else short


@lru_cache(maxsize=10_000)
def _date(value: date) -> str:
    return value.isoformat().replace("-", "/")


def _moment(value: datetime) -> str:
    second = value + _HALF_A_SECOND if value.microsecond else value
    day = _date(second.date())
    return day if second.time().replace(microsecond=0) == time(0) else f"{day} {second:%H:%M:%S}"


def _time(value: time) -> str:
    whole = value.hour * 3600 + value.minute * 60 + value.second + round(value.microsecond / 1e6)
    return _duration(timedelta(seconds=whole))


def _duration(value: timedelta) -> str:
    seconds = round(value.total_seconds())
    sign = "-" if seconds < 0 else ""
    minutes, second = divmod(abs(seconds), 60)
    return f"{sign}{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}"


_TEXT: dict[type, Callable[[Any], str]] = {
    str: str,
    float: _float,
    int: _whole,
    bool: lambda value: "TRUE" if value else "FALSE",
    date: _date,
    datetime: _moment,
    time: _time,
    timedelta: _duration,
}
