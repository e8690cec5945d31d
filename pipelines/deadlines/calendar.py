"""The working-day calendar: Monday to Friday, less days off, plus make-up working days.

It is made of the package ``chinesecalendar`` and the files of ``schemas/calendars/`` that amend it. A year for which
nobody has published the arrangement is *unknown*: it is never taken for Monday to Friday silently. Whoever accepts
an estimate asks for one (:meth:`WorkingCalendar.estimate`), and deadlines say when they rest on one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from functools import cache

from chinese_calendar import constants

from pipelines.deadlines.arrangements import SATURDAY, Arrangement, missing_holidays, read_arrangements
from pipelines.errors import CalendarError
from pipelines.settings import Settings

DAY = timedelta(days=1)


class WorkingCalendar:
    """Which days are working days, and for which years that is published.

    ``exceptions`` maps days that differ from Monday-to-Friday to whether they are working days (weekends off may be
    among them); ``known_years`` are the years whose arrangement is published.
    """

    def __init__(self, exceptions: Mapping[date, bool], known_years: Iterable[int]) -> None:
        self._exceptions = dict(exceptions)
        self.known_years = frozenset(known_years)

    def knows(self, year: int) -> bool:
        """Whether the arrangement of the year is published."""
        return year in self.known_years

    def is_working_day(self, day: date) -> bool:
        """Raises :class:`CalendarError` when the arrangement of the year is not published."""
        if not self.knows(day.year):
            raise CalendarError(
                f"the working days of {day.year} are not known",
                remedy=f"import the State Council's notice for {day.year}: guiji calendar import FILE",
            )
        return self.estimate(day)

    def estimate(self, day: date) -> bool:
        """Like :meth:`is_working_day`, but in an unknown year Monday to Friday, unless a notice names the day."""
        return self._exceptions.get(day, day.weekday() < SATURDAY)

    def exception(self, day: date) -> bool | None:
        """What notices say of the day: whether it is a working day; None where none names it."""
        return self._exceptions.get(day)

    def working_days_between(self, after: date, until: date) -> int:
        """Working days later than ``after`` and not later than ``until``; 0 when ``until`` is not later.

        Estimated where a year is unknown; :meth:`first_unknown_year` tells.
        """
        return sum(self.estimate(after + DAY * step) for step in range(1, (until - after).days + 1))

    def first_unknown_year(self, first: date, last: date) -> int | None:
        """The earliest year of ``first``..``last`` whose arrangement is not published."""
        return next((year for year in range(first.year, last.year + 1) if not self.knows(year)), None)

    @property
    def fingerprint(self) -> str:
        """Changes whenever a working day or a known year changes: open deadlines have to be computed again then."""
        different = {day: working for day, working in self._exceptions.items() if working != (day.weekday() < SATURDAY)}
        text = repr((sorted(self.known_years), sorted(different.items())))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def load_calendar(settings: Settings) -> WorkingCalendar:
    """The calendar of the package, amended by the files of ``schemas/calendars/``.

    Raises :class:`CatalogueError` naming file and line for a file that cannot be.
    """
    return amended_calendar(published_days(), read_arrangements(settings.schemas / "calendars"))


@cache
def published_days() -> Mapping[date, bool]:
    """Days off (False) and make-up working days (True) as the package ``chinesecalendar`` has them."""
    days: dict[date, bool] = dict.fromkeys(constants.holidays, False)
    return days | dict.fromkeys(constants.workdays, True)


def amended_calendar(published: Mapping[date, bool], arrangements: Iterable[Arrangement]) -> WorkingCalendar:
    """``published`` with ``arrangements`` applied in their order.

    A year that is empty or lacks a fixed statutory holiday in ``published`` is not known. A complete arrangement
    replaces everything said about its year before; December days of the year before that it names stay with it.
    """
    days = {day: (working, day.year) for day, working in published.items()}
    years = {year for year in {day.year for day in published} if not missing_holidays(year, published)}
    for arrangement in arrangements:
        if arrangement.complete:
            days = {day: state for day, state in days.items() if state[1] != arrangement.year}
            years.add(arrangement.year)
        days |= {day: (working, arrangement.year) for day, working in arrangement.days.items()}
    return WorkingCalendar({day: working for day, (working, _) in days.items()}, years)
