"""Corrected workbooks of departments: taken in after the feeds and before the reports, one task per department."""

# Steps are imported inside their tasks: a DAG file is parsed every half minute, and parsing must stay cheap.
# ruff: noqa: PLC0415

from __future__ import annotations

from airflow.sdk import dag, get_current_context, task
from business_day import BusinessDayTimetable, business_date
from rows_pool import ROWS_POOL
from step import DEFAULTS, business_date_parameter, step


@dag(
    schedule=BusinessDayTimetable("0 6 * * *"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    params=business_date_parameter(),
    tags=["corrections"],
)
def corrections() -> None:
    @task
    @step
    def departments() -> list[str]:
        from pipelines.operations.returning import departments_with_corrections

        return departments_with_corrections()

    # One at a time: each runs whole batches again, and the reports of the night wait for nobody.
    @task(max_active_tis_per_dag=1, pool=ROWS_POOL)
    @step
    def take_in(department: str) -> list[str]:
        from pipelines.operations.returning import take_in_returned

        return take_in_returned(department, business_date(get_current_context()))

    take_in.expand(department=departments())


corrections()
