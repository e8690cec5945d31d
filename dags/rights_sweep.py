"""Records whose publication has ended (公示截止期): listed every morning, withdrawn if the installation says so."""

# Steps are imported inside their tasks: a DAG file is parsed every half minute, and parsing must stay cheap.
# ruff: noqa: PLC0415

from __future__ import annotations

from typing import Any

from airflow.sdk import CronTriggerTimetable, dag, task
from business_day import TIMEZONE
from rows_pool import ROWS_POOL
from step import DEFAULTS, step


@dag(
    # Before the first delivery of the day, which tells the endpoints.
    schedule=CronTriggerTimetable("15 2 * * *", timezone=TIMEZONE),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS | {"pool": ROWS_POOL},
    tags=["rights"],
)
def rights_sweep() -> None:
    @task
    @step
    def expired() -> dict[str, Any]:
        from pipelines.operations.rights_sweep import sweep_rights

        return sweep_rights()

    expired()


rights_sweep()
