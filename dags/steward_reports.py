"""Scorecards, department workbooks and Data Docs of a business date, ready before the stewards come in at eight.

Once per night, after all feeds; the Data Docs are a task of their own, so that neither waits for the other.
"""

# Steps are imported inside their tasks: a DAG file is parsed every half minute, and parsing must stay cheap.
# ruff: noqa: PLC0415

from __future__ import annotations

from airflow.sdk import dag, get_current_context, task
from business_day import BusinessDayTimetable, business_date
from step import DEFAULTS, business_date_parameter, step


@dag(
    schedule=BusinessDayTimetable("0 7 * * *"),
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

        return build_reports(business_date(get_current_context()))

    @task
    @step
    def data_docs() -> str:
        from pipelines.operations.data_docs import build_night_docs

        return build_night_docs(business_date(get_current_context()))

    build()
    data_docs()


steward_reports()
