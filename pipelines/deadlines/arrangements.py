"""Files of ``schemas/calendars/`` that amend the published calendar, each with the notice it comes from.

``policies.yaml`` in the same folder holds the time limits (:mod:`pipelines.deadlines.policies`). The format is
explained at the head of ``2020_spring_festival.yaml``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from pipelines.catalogue.yaml_source import Document, Strict, parse, read
from pipelines.errors import CatalogueError

POLICIES_FILE = "policies.yaml"
SATURDAY = 5
_DATE = re.compile(rb"\b([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})\b")

# Statutory holidays with a fixed date since 1999 (全国年节及纪念日放假办法). A year whose arrangement leaves one of
# them a working day is empty or unfinished.
FIXED_HOLIDAYS = ((1, 1), (5, 1), (10, 1), (10, 2), (10, 3))


@dataclass(frozen=True)
class Arrangement:
    """What one file says about one year: days off (False) and working days (True)."""

    year: int
    complete: bool
    version: int
    source: str
    days: Mapping[date, bool]


class _ArrangementFile(Strict):
    year: int = Field(ge=1949, le=2100)
    arrangement: Literal["complete", "amendment"]
    version: int = Field(ge=1)
    source: str = Field(min_length=4)
    days_off: list[date]
    working_days: list[date]

    @field_validator("days_off", "working_days", mode="before")
    @classmethod
    def _only_dates(cls, value: object) -> object:
        # pydantic would read 20270101 as seconds since 1970.
        if isinstance(value, list):
            for entry in value:
                if not isinstance(entry, date) or isinstance(entry, datetime):
                    raise ValueError(f"{entry!r} is not a date; write it as 2027-01-31")
        return value


def read_arrangements(folder: Path) -> list[Arrangement]:
    """All arrangements of a folder in the order in which they apply: by version, then by file name.

    Raises :class:`CatalogueError` with file and line for a file that cannot be, and for a missing folder.
    """
    if not folder.is_dir():
        raise CatalogueError("the folder of calendars is missing", remedy="restore schemas/calendars", file=folder)
    paths = sorted((*folder.glob("*.yaml"), *folder.glob("*.yml")))
    found = [read_arrangement(path) for path in paths if path.name != POLICIES_FILE]
    return sorted(found, key=lambda arrangement: arrangement.version)


def read_arrangement(path: Path) -> Arrangement:
    """One file; raises :class:`CatalogueError` with file and line."""
    _check_dates_exist(path)
    document = read(path)
    file = parse(document, _ArrangementFile)
    days: dict[date, bool] = {}
    for key, entries, working in (("days_off", file.days_off, False), ("working_days", file.working_days, True)):
        for place, day in enumerate(entries):
            if day in days:
                raise document.error(
                    f"{day} stands twice in days_off and working_days", remedy="keep one of them", at=(key, place)
                )
            _check_day(document, file, key, place)
            days[day] = working
    if not days:
        raise document.error(
            "no day is listed", remedy="list the days of the notice, or remove the file: the year stays unknown"
        )
    if file.arrangement == "complete":
        _check_complete(document, file.year, days)
    return Arrangement(file.year, file.arrangement == "complete", file.version, file.source, days)


def missing_holidays(year: int, days: Mapping[date, bool]) -> list[date]:
    """Fixed statutory holidays that would be working days if these were all the exceptions of the year."""
    fixed = (date(year, month, day) for month, day in FIXED_HOLIDAYS)
    return [day for day in fixed if days.get(day, day.weekday() < SATURDAY)]


def _check_dates_exist(path: Path) -> None:
    """A day like 2027-02-30 would stop the YAML reader without a word about the place."""
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        for year, month, day in _DATE.findall(line.split(b"#")[0]):
            try:
                date(int(year), int(month), int(day))
            except ValueError as error:
                raise CatalogueError(
                    f"there is no day {year.decode()}-{month.decode()}-{day.decode()}",
                    remedy="mend the date",
                    file=path,
                    line=number,
                ) from error


def _check_day(document: Document, file: _ArrangementFile, key: str, place: int) -> None:
    day = (file.days_off if key == "days_off" else file.working_days)[place]
    of_the_year = day.year == file.year or (day.year, day.month) == (file.year - 1, 12)
    if not of_the_year:
        raise document.error(
            f"{day} does not belong to {file.year}",
            remedy=f"list days of {file.year} and of December {file.year - 1} only",
            at=(key, place),
        )
    if key == "working_days" and file.arrangement == "complete" and day.weekday() < SATURDAY:
        raise document.error(
            f"{day} is no weekend: it is a working day anyway",
            remedy="list make-up working days only, that is Saturdays and Sundays",
            at=(key, place),
        )


def _check_complete(document: Document, year: int, days: Mapping[date, bool]) -> None:
    missing = missing_holidays(year, days)
    if missing:
        raise document.error(
            f"a complete arrangement without the statutory holiday {missing[0]}",
            remedy="list every day off of the notice, or write arrangement: amendment",
            at=("days_off",),
        )
