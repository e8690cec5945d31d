"""Loading a notice into ``schemas/calendars``: what it would change first, then the file and the open deadlines."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import yaml

from pipelines.deadlines.arrangements import Arrangement, read_arrangement, read_arrangements
from pipelines.deadlines.calendar import DAY, WorkingCalendar, amended_calendar, load_calendar, published_days
from pipelines.deadlines.notice_files import read_notice
from pipelines.errors import CatalogueError, StorageError
from pipelines.ledger.delivery_models import DeadlineChange
from pipelines.operations.clock import today_in_shanghai
from pipelines.operations.context import Context
from pipelines.operations.deadline_changes import Recomputation, preview_deadlines, recompute_deadlines


@dataclass(frozen=True)
class CalendarImport:
    """What a notice would change. ``days``: day → whether it becomes a working day, where that is news.

    ``newly_known``: the year was unknown before. ``deadlines``: what becomes of the deadlines that are open.
    """

    arrangement: Arrangement
    path: Path
    days: Mapping[date, bool]
    newly_known: bool
    deadlines: Recomputation

    @property
    def is_news(self) -> bool:
        return bool(self.days) or self.newly_known


def plan_import(context: Context, file: Path, year: int | None = None, source: str | None = None) -> CalendarImport:
    """Read a notice and say what it would change; nothing is written.

    Raises :class:`CalendarError` or :class:`CatalogueError` for a file that is no arrangement of a year.
    """
    folder = context.settings.schemas / "calendars"
    installed, before = read_arrangements(folder), load_calendar(context.settings)
    read = read_notice(file, before, year, source)
    versions = [one.version for one in installed if one.year == read.year]
    arrangement = replace(read, version=max([read.version, *(version + 1 for version in versions)]))
    _check(arrangement, file)
    after = amended_calendar(published_days(), sorted([*installed, arrangement], key=lambda one: one.version))
    return CalendarImport(
        arrangement,
        folder / _file_name(arrangement),
        dict(_news(before, after, arrangement.year)),
        after.knows(arrangement.year) and not before.knows(arrangement.year),
        preview_deadlines(context, after),
    )


def install(context: Context, plan: CalendarImport, by: str) -> DeadlineChange:
    """Write the arrangement and work the open deadlines out anew; returns the audit line.

    Should the second step fail, the next delivery or the next look at the clock does it: the calendar has changed.
    """
    _write(plan.path, arrangement_text(plan.arrangement))
    return recompute_deadlines(context, by, f"calendar imported: {plan.path.name}, {plan.arrangement.source}")


def arrangement_text(arrangement: Arrangement) -> str:
    """The file of an arrangement; the head of 2020_spring_festival.yaml explains the form."""
    content = {
        "year": arrangement.year,
        "arrangement": "complete" if arrangement.complete else "amendment",
        "version": arrangement.version,
        "source": arrangement.source,
        "days_off": [day for day, working in sorted(arrangement.days.items()) if not working],
        "working_days": [day for day, working in sorted(arrangement.days.items()) if working],
    }
    head = f"# Written by 'guiji calendar import' on {today_in_shanghai()}.\n"
    return head + yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=200)


def _file_name(arrangement: Arrangement) -> str:
    if not arrangement.complete:
        return f"{arrangement.year}_amendment_v{arrangement.version}.yaml"
    return f"{arrangement.year}.yaml" if arrangement.version == 1 else f"{arrangement.year}_v{arrangement.version}.yaml"


def _check(arrangement: Arrangement, file: Path) -> None:
    """The checks of an installed file, before it is one."""
    with tempfile.TemporaryDirectory(prefix="guiji-calendar-") as folder:
        path = Path(folder) / "arrangement.yaml"
        path.write_text(arrangement_text(arrangement), encoding="utf-8")
        try:
            read_arrangement(path)
        except CatalogueError as error:
            raise CatalogueError(error.problem, remedy=error.remedy, file=file) from error


def _news(before: WorkingCalendar, after: WorkingCalendar, year: int) -> list[tuple[date, bool]]:
    """Days of the year and of the December before it that become something else."""
    day, found = date(year - 1, 12, 1), []
    while day <= date(year, 12, 31):
        if before.estimate(day) != after.estimate(day):
            found.append((day, after.estimate(day)))
        day += DAY
    return found


def _write(path: Path, text: str) -> None:
    """All of the file or nothing, and never in place of another one."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.writing")
    try:
        beside.write_text(text, encoding="utf-8")
        os.link(beside, path)
    except FileExistsError as error:
        raise CatalogueError("there is such a file already", remedy="import the notice again", file=path) from error
    except OSError as error:
        raise StorageError(
            f"the calendar cannot be written: {error.strerror}", remedy="mend permissions or free disk space", file=path
        ) from error
    finally:
        beside.unlink(missing_ok=True)
