"""Settle duplicates across feeds, then send what is due. Every hour from two, after the feeds of the night.

One DAG and not two: nothing may leave before it has been consolidated.
"""

# Steps are imported inside their tasks: a DAG file is parsed every half minute, and parsing must stay cheap.
# ruff: noqa: PLC0415

from __future__ import annotations

from typing import Any

from airflow.sdk import CronTriggerTimetable, dag, get_current_context, task
from business_day import TIMEZONE, business_date
from step import DEFAULTS, business_date_parameter, lend_connections, step


@dag(
    # At half past: a run at eight would bear midnight UTC, which is read as a bare date.
    schedule=CronTriggerTimetable("30 2-23 * * *", timezone=TIMEZONE),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    params=business_date_parameter(),
    tags=["delivery"],
)
def deliver() -> None:
    @task
    @step
    def consolidate() -> dict[str, Any]:
        from pipelines.operations.deliveries import consolidate_night

        return consolidate_night(business_date(get_current_context()))

    @task
    @step
    def send() -> dict[str, Any]:
        from pipelines.operations.deliveries import deliver_due

        lend_connections()
        return deliver_due()

    consolidate() >> send()


deliver()
