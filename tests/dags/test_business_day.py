"""Which business date a run gets: scheduled, late, backfilled or started by hand."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pendulum
import pytest
import time_machine
from airflow.timetables.base import DagRunInfo, TimeRestriction
from business_day import BusinessDayTimetable, business_date, midnight

NIGHTLY = "0 1 * * *"


def china(text: str) -> pendulum.DateTime:
    moment = pendulum.parse(text, tz="Asia/Shanghai")
    assert isinstance(moment, pendulum.DateTime)
    return moment


def day_of(info: DagRunInfo | None) -> date:
    assert info is not None
    assert info.logical_date is not None
    return pendulum.instance(info.logical_date).in_timezone("Asia/Shanghai").date()


def backfilled(timetable: BusinessDayTimetable, earliest: datetime, latest: datetime) -> list[DagRunInfo]:
    """What ``airflow backfill create`` would make, walked the way Airflow walks it."""
    restriction = TimeRestriction(pendulum.instance(earliest), pendulum.instance(latest), catchup=True)
    found: list[DagRunInfo] = []
    while info := timetable.next_dagrun_info_v2(last_dagrun_info=found[-1] if found else None, restriction=restriction):
        found.append(info)
    return found


def scheduled(
    timetable: BusinessDayTimetable, now: str, last: date | None = None, start: str | None = None
) -> DagRunInfo | None:
    interval = timetable.infer_manual_data_interval(run_after=midnight(last)) if last else None
    restriction = TimeRestriction(china(start) if start else None, None, catchup=False)
    with time_machine.travel(china(now), tick=False):
        return timetable.next_dagrun_info(last_automated_data_interval=interval, restriction=restriction)


@pytest.mark.parametrize(
    ("earliest", "latest"),
    [
        (china("2026-11-18"), china("2026-11-20")),
        (pendulum.datetime(2026, 11, 18), pendulum.datetime(2026, 11, 20)),
    ],
    ids=["dates of an Airflow in China time", "dates of an Airflow in UTC"],
)
def test_a_backfill_takes_exactly_the_named_business_dates(
    earliest: pendulum.DateTime, latest: pendulum.DateTime
) -> None:
    runs = backfilled(BusinessDayTimetable(NIGHTLY), earliest, latest)
    assert [day_of(run) for run in runs] == [date(2026, 11, day) for day in (18, 19, 20)]
    assert runs[0].run_after == china("2026-11-19T01:00")


def test_a_feed_that_rests_at_weekends_leaves_out_the_days_it_does_not_report() -> None:
    runs = backfilled(BusinessDayTimetable("30 1 * * 2-6"), china("2026-11-13"), china("2026-11-18"))
    assert [day_of(run).isoweekday() for run in runs] == [5, 1, 2, 3]


def test_a_cron_that_fires_twice_a_day_makes_one_run_a_day() -> None:
    runs = backfilled(BusinessDayTimetable("0 1,13 * * *"), china("2026-11-18"), china("2026-11-20"))
    assert [day_of(run) for run in runs] == [date(2026, 11, day) for day in (18, 19, 20)]


def test_a_schedule_runs_the_day_before_it_fires() -> None:
    info = scheduled(BusinessDayTimetable(NIGHTLY), "2026-11-21T00:30", last=date(2026, 11, 19))
    assert info is not None
    assert (day_of(info), info.run_after) == (date(2026, 11, 20), china("2026-11-21T01:00"))


def test_after_a_pause_only_the_newest_day_is_run() -> None:
    assert day_of(scheduled(BusinessDayTimetable(NIGHTLY), "2026-11-21T09:00", last=date(2026, 11, 16))) == date(
        2026, 11, 20
    )


def test_a_new_feed_starts_with_its_next_night() -> None:
    assert day_of(scheduled(BusinessDayTimetable(NIGHTLY), "2026-11-21T09:00")) == date(2026, 11, 21)


def test_a_first_night_is_not_lost_when_the_file_is_parsed_a_little_late() -> None:
    assert day_of(scheduled(BusinessDayTimetable(NIGHTLY), "2026-11-21T01:03")) == date(2026, 11, 20)


def test_nothing_runs_before_the_start_date() -> None:
    found = scheduled(BusinessDayTimetable(NIGHTLY), "2026-11-21T09:00", start="2026-12-01")
    assert day_of(found) == date(2026, 12, 1)


def test_the_data_interval_is_the_day_in_china() -> None:
    info = scheduled(BusinessDayTimetable(NIGHTLY), "2026-11-21T00:30", last=date(2026, 11, 19))
    assert info is not None
    assert info.data_interval is not None
    assert info.data_interval.start == china("2026-11-20T00:00")
    assert info.data_interval.end - info.data_interval.start == timedelta(days=1)


def test_the_timetable_survives_the_database() -> None:
    timetable = BusinessDayTimetable(NIGHTLY)
    assert BusinessDayTimetable.deserialize(timetable.serialize()) == timetable


@pytest.mark.parametrize(
    ("parameter", "logical_date", "run_after", "expected"),
    [
        ("2026-11-02", None, china("2026-11-21T09:00"), date(2026, 11, 2)),
        ("2026-11-02", china("2026-11-20"), china("2026-11-21T09:00"), date(2026, 11, 2)),
        (None, china("2026-11-20"), china("2026-11-21T01:00"), date(2026, 11, 20)),
        (None, pendulum.datetime(2026, 11, 20), china("2026-11-21T01:00"), date(2026, 11, 20)),
        (None, china("2026-11-21T09:17:03"), china("2026-11-21T09:17:03"), date(2026, 11, 20)),
        (None, None, china("2026-11-21T00:10"), date(2026, 11, 20)),
        (None, None, pendulum.datetime(2026, 11, 20, 17, 0), date(2026, 11, 20)),
    ],
    ids=[
        "asked for by hand",
        "asked for by hand, whatever else",
        "scheduled or backfilled",
        "a bare date in UTC",
        "the form's current time",
        "no logical date",
        "no logical date, UTC",
    ],
)
def test_business_date_of_a_run(
    parameter: str | None, logical_date: datetime | None, run_after: datetime, expected: date
) -> None:
    context: dict[str, Any] = {
        "params": {"business_date": parameter},
        "dag_run": SimpleNamespace(logical_date=logical_date, run_after=run_after),
    }
    assert business_date(context) == expected
