"""The calendar in a terminal: a year drawn by months, the arrangements loaded, what an import or a notice changes."""

from __future__ import annotations

import calendar as months
from collections.abc import Iterable, Sequence
from datetime import date
from importlib.metadata import version

from rich.columns import Columns
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from pipelines.deadlines.arrangements import SATURDAY, read_arrangements
from pipelines.deadlines.calendar import DAY, WorkingCalendar, amended_calendar, load_calendar, published_days
from pipelines.deadlines.policies import load_policies
from pipelines.deadlines.provisional import provisional_notice
from pipelines.ledger.delivery_models import DeadlineChange
from pipelines.operations.calendar_import import CalendarImport
from pipelines.operations.context import Context
from pipelines.operations.deadline_changes import count_provisional

OFF, MAKE_UP = "休", "班"
_HEAD = "一  二  三  四  五  六  日"
_SHOWN_CHANGES = 8


def year_panels(calendar: WorkingCalendar, year: int) -> Columns:
    """Twelve months, Monday first. 休 is a working day that is off, 班 a weekend day that is worked."""
    return Columns([_month(calendar, year, month) for month in range(1, 13)], equal=True)


def year_title(calendar: WorkingCalendar, year: int) -> str:
    """What the drawing of a year is worth."""
    if calendar.knows(year):
        working = sum(calendar.is_working_day(day) for day in _days(year))
        return f"{year}: {working} working days. {OFF} = day off by notice, {MAKE_UP} = make-up working day"
    return f"{year}: PROVISIONAL (暂定). The arrangement is not loaded; Monday to Friday are taken for working days"


def arrangement_table(context: Context) -> Table:
    """Where the calendar comes from: the package, then every file, in the order in which they apply."""
    table = Table(title="Calendars, in the order in which they apply (节假日安排)")
    for name in ("year", "arrangement", "version", "days off", "make-up days", "source"):
        table.add_column(name, overflow="fold")
    package = f"package chinesecalendar {version('chinesecalendar')}"
    table.add_row(_years(amended_calendar(published_days(), ()).known_years), "all known years", "—", "—", "—", package)
    for one in read_arrangements(context.settings.schemas / "calendars"):
        kind = "complete" if one.complete else "amendment"
        made_up = sum(one.days.values())
        table.add_row(
            str(one.year), kind, str(one.version), str(len(one.days) - made_up), str(made_up), Text(one.source)
        )
    return table


def import_lines(plan: CalendarImport) -> list[str]:
    """What an import changes, in sentences."""
    arrangement = plan.arrangement
    kind = "the whole year" if arrangement.complete else "single days"
    lines = [f"{arrangement.source}: {kind} of {arrangement.year}, version {arrangement.version}"]
    if plan.newly_known:
        lines.append(f"{arrangement.year} becomes known; until now it was estimated")
    lines += [f"{day} {_weekday(day)}: {'working day' if works else 'day off'}" for day, works in plan.days.items()]
    owed = plan.deadlines
    if owed.moves:
        lines.append(f"{owed.moved} of {owed.examined} open deadlines move; {owed.final} become final")
    else:
        lines.append(f"none of {owed.examined} open deadlines changes")
    return lines


def change_table(changes: Sequence[DeadlineChange]) -> Table:
    """The audit lines of open deadlines, the newest first."""
    table = Table(title="Open deadlines worked out anew (时限重算)")
    for name in ("at (UTC)", "by", "why", "examined", "changed", "which"):
        table.add_column(name, justify="right" if name in {"examined", "changed"} else "left", overflow="fold")
    for change in changes:
        told = [
            f"{one['begins']} {one['policy']}: {one['before']} → {one['after']}"
            f"{' (provisional)' if one['provisional'] else ''}, {one['records']} records"
            for one in change.details[:_SHOWN_CHANGES]
        ]
        if len(change.details) > _SHOWN_CHANGES:
            told.append(f"… and {len(change.details) - _SHOWN_CHANGES} more")
        table.add_row(
            f"{change.at:%Y-%m-%d %H:%M}",
            Text(change.by),
            Text(change.why),
            str(change.examined),
            str(change.changed),
            "\n".join(told) or "—",
        )
    return table


def calendar_notice(context: Context, today: date) -> str | None:
    """One sentence about a year that should be loaded by now, with the open deadlines that rest on an estimate."""
    found = provisional_notice(
        load_calendar(context.settings), load_policies(context.settings, context.catalogue), today
    )
    if found is None:
        return None
    since = ", ".join(f"{day} on ({policy.code})" for policy, day in found.since)
    with context.ledger.read() as session:
        count = count_provisional(session)
    return (
        f"the working days of {found.year} are not loaded: deadlines are provisional for decisions from {since}; "
        f"{count} open deadlines are; import the notice with 'guiji calendar import FILE'"
    )


def _month(calendar: WorkingCalendar, year: int, month: int) -> Panel:
    text = Text(_HEAD + "\n")
    for week in months.Calendar().monthdayscalendar(year, month):
        for weekday, number in enumerate(week):
            if number == 0:
                text.append("    ")
                continue
            works = calendar.estimate(date(year, month, number))
            differs = works != (weekday < SATURDAY)
            mark = (MAKE_UP if works else OFF) if differs else "  "
            style = "red" if not works else "bold" if differs else ""
            text.append(f"{number:>2}{mark}", style=style)
        text.append("\n")
    known = "" if calendar.knows(year) else " 暂定"
    return Panel(text, title=f"{year}-{month:02d}{known}", width=32)


def _days(year: int) -> Iterable[date]:
    first = date(year, 1, 1)
    return (first + DAY * step for step in range((date(year + 1, 1, 1) - first).days))


def _years(known: Iterable[int]) -> str:
    """Years as spans: 2004–2026."""
    spans: list[list[int]] = []
    for year in sorted(known):
        if spans and spans[-1][1] == year - 1:
            spans[-1][1] = year
        else:
            spans.append([year, year])
    return ", ".join(f"{first}–{last}" if first != last else str(first) for first, last in spans)


def _weekday(day: date) -> str:
    return f"周{'一二三四五六日'[day.weekday()]}"
