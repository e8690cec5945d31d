"""Scorecards, department workbooks and Data Docs of a business date, ready before the stewards come in at eight.

Once per night, after all feeds, and again for the dates of whatever is published later in the day, such as a late or
backfilled batch. The Data Docs are a task of their own, so that neither waits for the other.
"""

# Steps are imported inside their tasks: a DAG file is parsed every half minute, and parsing must stay cheap.
# ruff: noqa: PLC0415

from __future__ import annotations

import datetime

from airflow.sdk import AssetOrTimeSchedule, dag, get_current_context, task
from business_day import BusinessDayTimetable, business_date
from published import any_records, gather, published_dates
from step import DEFAULTS, business_date_parameter, step

OPENS = datetime.time(7)


def dates() -> list[datetime.date]:
    """The business dates that a run is about."""
    context = get_current_context()
    gather(context, OPENS)
    return published_dates(context) or [business_date(context)]


@dag(
    schedule=AssetOrTimeSchedule(timetable=BusinessDayTimetable("0 7 * * *"), assets=any_records()),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    params=business_date_parameter(),
    tags=["reporting"],
)
def steward_reports() -> None:
    @task
    @step
    def build() -> str:
        from pipelines.operations.reports import build_reports

        return [build_reports(day) for day in dates()][-1]

    @task
    @step
    def data_docs() -> str:
        from pipelines.operations.data_docs import build_night_docs

        return [build_night_docs(day) for day in dates()][-1]

    build()
    data_docs()


steward_reports()
