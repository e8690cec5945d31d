"""Look at every deadline that is near or missed. Every quarter of an hour."""

# Steps are imported inside their tasks: a DAG file is parsed every half minute, and parsing must stay cheap.
# ruff: noqa: PLC0415

from __future__ import annotations

from typing import Any

from airflow.sdk import CronTriggerTimetable, dag, task
from business_day import TIMEZONE
from step import DEFAULTS, step


@dag(
    schedule=CronTriggerTimetable("*/15 * * * *", timezone=TIMEZONE),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    tags=["deadlines"],
)
def clock_watch() -> None:
    @task
    @step
    def watch() -> dict[str, Any]:
        from pipelines.operations.clock import watch_clock
        from pipelines.operations.context import open_context

        return watch_clock(open_context())

    watch()


clock_watch()
