"""Cell values of a workbook as text, as the sender saw them."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal

CellValue = int | float | str | bool | time | date | datetime | timedelta

# Excel keeps 15 digits. A longer whole number has already lost its tail in the workbook and shows so.
_EXACT_DIGITS = 15


def text_of(value: CellValue) -> str:
    """The text of one cell; empty for an empty cell.

    Whole numbers have no ``.0``; other numbers have the 15 significant digits that Excel shows (0.239049 is
    stored as 0.23904899999999998); whole numbers of more than 15 digits are written as Excel does
    (``9.1330201234568E+17``), so that nobody takes them for the code that was typed. Dates are
    ``YYYY/MM/DD``, with ``HH:MM:SS`` if they have a time.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, (int, float)):
        return _number(value)
    if isinstance(value, datetime):
        midnight = value.time() == time(0)
        return value.strftime("%Y/%m/%d") if midnight else value.strftime("%Y/%m/%d %H:%M:%S")
    if isinstance(value, date):
        return f"{value.year:04d}/{value.month:02d}/{value.day:02d}"
    if isinstance(value, time):
        return value.strftime("%H:%M:%S")
    return str(value)


def _number(value: float) -> str:
    if float(value).is_integer() and abs(value) < 10**_EXACT_DIGITS:
        return str(int(value))
    short = f"{value:.{_EXACT_DIGITS}G}"
    if "E-" in short:
        return f"{Decimal(short):f}"
    return short
