"""Compare what every endpoint holds with what we believe. Daily at a quarter past five, when no delivery begins."""

# Steps are imported inside their tasks: a DAG file is parsed every half minute, and parsing must stay cheap.
# ruff: noqa: PLC0415

from __future__ import annotations

from typing import Any

from airflow.sdk import CronTriggerTimetable, dag, task
from business_day import TIMEZONE
from step import DEFAULTS, lend_connections, step


@dag(
    schedule=CronTriggerTimetable("15 5 * * *", timezone=TIMEZONE),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    tags=["delivery"],
)
def reconcile() -> None:
    @task
    @step
    def compare() -> dict[str, Any]:
        from pipelines.operations.reconciliation import reconcile_due

        lend_connections()
        return reconcile_due()

    compare()


reconcile()
