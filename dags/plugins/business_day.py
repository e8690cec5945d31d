"""When a feed runs and for which business date.

A run belongs to one business date: the calendar day in China before the moment its cron fires. Airflow's own
cron timetables cannot say that: ``CronTriggerTimetable`` calls a run by the moment it fires, so that a backfill
of the 18th to the 20th would process the 17th to the 19th; ``CronDataIntervalTimetable`` calls it by the
previous firing, so that a Monday-to-Friday feed would get Saturday for Monday and the last day of a backfill
would be left out. Here the logical date of a run is midnight of its business date, whatever the cron.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import pendulum
from airflow.plugins_manager import AirflowPlugin
from airflow.timetables._cron import CronMixin
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction, Timetable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pendulum import DateTime

TIMEZONE = "Asia/Shanghai"
MIDNIGHT = datetime.time(0)

# A first run whose moment has passed by no more than this is still made: the DAG may be parsed a little late.
LATENESS = pendulum.duration(minutes=10)


def midnight(day: datetime.date) -> DateTime:
    return pendulum.datetime(day.year, day.month, day.day, tz=TIMEZONE)


def named_day(moment: datetime.datetime) -> datetime.date | None:
    """The day that a bare date stands for, or ``None`` when ``moment`` is more than a bare date.

    Airflow turns ``2026-11-20`` into midnight of its default time zone; both midnight in China and midnight
    in UTC are taken for that day, so that a backfill means the same whatever ``default_timezone`` says.
    """
    for zone in (TIMEZONE, "UTC"):
        local = pendulum.instance(moment).in_timezone(zone)
        if local.time() == MIDNIGHT:
            return local.date()
    return None


def day_before(moment: datetime.datetime) -> datetime.date:
    """The last whole day in China before ``moment``: what a run that starts then is about."""
    return pendulum.instance(moment).in_timezone(TIMEZONE).date() - datetime.timedelta(days=1)


def business_date(context: Mapping[str, Any]) -> datetime.date:
    """The business date of a task's run.

    In this order: the parameter ``business_date``; the day of a logical date that is a bare date (every
    scheduled and every backfill run of :class:`BusinessDayTimetable`); the day before the logical date; for a
    run without one, the day before the moment it was asked for.
    """
    asked = context["params"].get("business_date")
    if asked:
        return datetime.date.fromisoformat(asked)
    run = context["dag_run"]
    if run.logical_date is None:
        return day_before(run.run_after)
    return named_day(run.logical_date) or day_before(run.logical_date)


class BusinessDayTimetable(CronMixin, Timetable):
    """One run for each business date on whose next day ``cron`` fires (China time).

    The data interval is the business date from midnight to midnight. A cron that fires twice a day still makes
    one run a day: a feed has one batch for each business date.
    """

    def __init__(self, cron: str) -> None:
        super().__init__(cron, TIMEZONE)

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Timetable:
        return cls(data["cron"])

    def serialize(self) -> dict[str, Any]:
        return {"cron": self._expression}

    def infer_manual_data_interval(self, *, run_after: DateTime) -> DataInterval:
        return self._interval(named_day(run_after) or day_before(run_after))

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        first = self._first_day(last_automated_data_interval, restriction.earliest)
        if restriction.catchup and first is not None:
            fires = self._fires_for(first)
        else:
            fires = self._newest(new=first is None)
            if first is not None:
                fires = max(fires, self._fires_for(first))
        interval = self._interval(day_before(fires))
        if restriction.latest is not None and interval.start > restriction.latest:
            return None
        return DagRunInfo(run_after=fires, data_interval=interval)

    @staticmethod
    def _first_day(last: DataInterval | None, earliest: DateTime | None) -> datetime.date | None:
        """The first business date that may still be run: after the last one, not before the start date."""
        days: list[datetime.date] = []
        if last is not None:
            days.append(last.start.in_timezone(TIMEZONE).date() + datetime.timedelta(days=1))
        if earliest is not None:
            day = named_day(earliest)
            days.append(day or earliest.in_timezone(TIMEZONE).date() + datetime.timedelta(days=1))
        return max(days, default=None)

    @staticmethod
    def _interval(day: datetime.date) -> DataInterval:
        return DataInterval(midnight(day), midnight(day + datetime.timedelta(days=1)))

    def _fires_for(self, day: datetime.date) -> DateTime:
        """The first moment at which the cron fires for ``day`` or a later business date."""
        return self._align_to_next(midnight(day + datetime.timedelta(days=1)))

    def _newest(self, *, new: bool) -> DateTime:
        """The newest moment that has come; for a DAG that never ran, only if it has come just now."""
        now = pendulum.now("UTC")
        passed = self._align_to_prev(now)
        return self._get_next(now) if new and now - passed > LATENESS else passed


class BusinessDayPlugin(AirflowPlugin):
    """Lets the scheduler and the web page read the timetable back."""

    name = "business_day"
    timetables = [BusinessDayTimetable]  # noqa: RUF012 - Airflow's base class declares it so
