"""A table of days as public calendars give it, read into an arrangement.

A column with the date, and one that says what the day is: ``is_holiday`` (or ``is_off_day``), ``is_workday``, or a
``kind`` such as off and makeup_work. Rows may be all days of a year or only those that differ from Monday to Friday.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping
from datetime import date

from pipelines.deadlines.arrangements import SATURDAY, Arrangement
from pipelines.errors import CalendarError

_DAY = ("date", "day", "日期")
_OFF = ("is_holiday", "isholiday", "is_off_day", "isoffday", "holiday", "是否放假", "是否休息")
_WORKING = ("is_workday", "isworkday", "is_working_day", "workday", "是否上班", "是否工作日")
_KIND = ("kind", "type", "status", "类型")
_SOURCE = ("state_council_notice", "source", "notice", "papers", "来源")
_YEAR = ("notice_year", "year", "年份")
_YES, _NO = {"1", "true", "yes", "y", "是"}, {"0", "false", "no", "n", "否", ""}
_KINDS = {
    "off": False, "holiday": False, "休": False, "放假": False, "节假日": False,
    "makeup_work": True, "makeup": True, "work": True, "workday": True, "班": True, "上班": True, "调休上班": True,
}  # fmt: skip
_GUESS = re.compile(r"estimat|forecast|predict|预测|预计|推算", re.IGNORECASE)
_DATE = re.compile(r"([0-9]{4})[-/.年]?([0-9]{1,2})[-/.月]?([0-9]{1,2})日?")
# Nobody makes up on more weekend days than this; a table that says so calls weekends no holidays.
MOST_MADE_UP = 30
_UNKNOWN = "the year stays unknown until the notice of the State Council is imported"


def read_table(text: str, year: int | None = None, source: str | None = None) -> Arrangement:
    """The arrangement of one year; ``year`` chooses it where the table has several.

    Raises :class:`CalendarError` for a table of another form, and for a year that it leaves empty or estimates: every
    notice since 2007 has moved working days to weekends, so a year without any is an estimate.
    """
    reader = csv.DictReader(io.StringIO(text))
    columns = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
    day_column, says = _column(columns, _DAY), _working_by(columns)
    if day_column is None or says is None:
        raise CalendarError(
            "no column with the date, or none that says whether it is a working day",
            remedy="name the columns date and is_holiday, is_workday or kind",
        )
    year_column, source_column = _column(columns, _YEAR), _column(columns, _SOURCE)
    years: dict[int, dict[date, bool]] = {}
    sources: dict[int, str] = {}
    for line, row in enumerate(reader, start=2):
        day = _date(row.get(day_column) or "", line)
        belongs = _year(row.get(year_column) or "", day, line) if year_column is not None else day.year
        if year in {None, belongs} and any(_GUESS.search(str(value)) for value in row.values()):
            raise CalendarError(f"line {line} is an estimate: {day}", remedy=_UNKNOWN)
        years.setdefault(belongs, {})[day] = says(row, line)
        if source_column is not None and row.get(source_column):
            sources.setdefault(belongs, str(row[source_column]))
    chosen = _chosen(years, year)
    days = {day: working for day, working in years[chosen].items() if working != (day.weekday() < SATURDAY)}
    _check(chosen, days)
    told = source or sources.get(chosen)
    if told is None:
        raise CalendarError("the table does not say where it comes from", remedy="say --source TEXT")
    return Arrangement(chosen, True, 1, told, dict(sorted(days.items())))


def _check(year: int, days: Mapping[date, bool]) -> None:
    made_up = sum(days.values())
    if not days:
        raise CalendarError(f"no day of {year} differs from Monday to Friday", remedy=_UNKNOWN)
    if made_up == 0:
        raise CalendarError(f"{year} has no make-up working day: this is an estimate", remedy=_UNKNOWN)
    if made_up > MOST_MADE_UP:
        raise CalendarError(
            f"{made_up} weekend days of {year} are working days: the column counts holidays only",
            remedy="list the days that differ from Monday to Friday, or give a column is_workday",
        )


def _chosen(years: Mapping[int, object], year: int | None) -> int:
    if not years:
        raise CalendarError("the table has no row", remedy=_UNKNOWN)
    if year is not None:
        if year not in years:
            raise CalendarError(f"the table has no day of {year}", remedy=_UNKNOWN)
        return year
    if len(years) > 1:
        raise CalendarError(
            f"the table has the years {min(years)} to {max(years)}", remedy="say which one: --year YEAR"
        )
    return next(iter(years))


def _working_by(columns: Mapping[str, str]) -> Callable[[Mapping[str, str | None], int], bool] | None:
    """How a row says whether its day is a working day."""
    kind, working, off = _column(columns, _KIND), _column(columns, _WORKING), _column(columns, _OFF)
    if working is not None:
        return lambda row, line: _yes(row.get(working), line)
    if off is not None:
        return lambda row, line: not _yes(row.get(off), line)
    if kind is not None:
        return lambda row, line: _kind(row.get(kind), line)
    return None


def _column(columns: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((columns[name] for name in names if name in columns), None)


def _yes(value: str | None, line: int) -> bool:
    text = (value or "").strip().lower()
    if text not in _YES | _NO:
        raise CalendarError(f"line {line}: {text[:20]!r} is neither yes nor no", remedy="write 1 or 0")
    return text in _YES


def _kind(value: str | None, line: int) -> bool:
    text = (value or "").strip().lower()
    if text not in _KINDS:
        raise CalendarError(f"line {line}: nobody knows the kind {text[:20]!r}", remedy=f"use {', '.join(_KINDS)}")
    return _KINDS[text]


def _year(value: str, day: date, line: int) -> int:
    text = value.strip()
    if text not in {str(day.year), str(day.year + 1)}:
        raise CalendarError(f"line {line}: {day} does not belong to {text[:10]!r}", remedy="mend the year")
    return int(text)


def _date(value: str, line: int) -> date:
    found = _DATE.fullmatch(value.strip())
    try:
        if found is not None:
            return date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError as error:
        raise CalendarError(f"line {line}: there is no day {value.strip()}", remedy="mend the date") from error
    raise CalendarError(f"line {line}: {value.strip()[:20]!r} is no date", remedy="write it as 2027-01-31")
