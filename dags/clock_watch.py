"""Look at every deadline that is near or missed, and warn. Every quarter of an hour.

That this DAG runs is checked from outside: ``guiji watchdog`` in a timer of the operating system (docs/clock_watch.md).
"""

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
        from pipelines.operations.clock_watch import watch_clock, watch_result
        from pipelines.operations.context import open_context

        return dict(watch_result(watch_clock(open_context())))

    watch()


clock_watch()
