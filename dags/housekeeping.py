"""Remove what dead processes and crashed attempts left. Every day at a quarter to six, between feeds and reports."""

# Steps are imported inside their tasks: a DAG file is parsed every half minute, and parsing must stay cheap.
# ruff: noqa: PLC0415

from __future__ import annotations

from typing import Any

from airflow.sdk import CronTriggerTimetable, dag, task
from business_day import TIMEZONE
from step import DEFAULTS, step


@dag(
    schedule=CronTriggerTimetable("45 5 * * *", timezone=TIMEZONE),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    tags=["housekeeping"],
)
def housekeeping() -> None:
    @task
    @step
    def sweep() -> dict[str, Any]:
        from pipelines.operations.housekeeping import keep_house_nightly

        return keep_house_nightly()

    sweep()


housekeeping()
