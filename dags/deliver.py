"""Settle duplicates across feeds, then send what is due. Every hour from two, and soon after a feed has published.

One DAG and not two: nothing may leave before it has been consolidated. What is published before half past two waits
until then, so that a record that two feeds report in one night is not sent before both of them have.
"""

# Steps are imported inside their tasks: a DAG file is parsed every half minute, and parsing must stay cheap.
# ruff: noqa: PLC0415

from __future__ import annotations

import datetime
from typing import Any

from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable, dag, get_current_context, task
from business_day import TIMEZONE, business_date
from published import any_records, gather
from step import DEFAULTS, business_date_parameter, lend_connections, step

OPENS = datetime.time(2, 30)


@dag(
    schedule=AssetOrTimeSchedule(
        # At half past: a run at eight would bear midnight UTC, which is read as a bare date.
        timetable=CronTriggerTimetable("30 2-23 * * *", timezone=TIMEZONE),
        assets=any_records(),
    ),
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

        context = get_current_context()
        gather(context, OPENS)
        return consolidate_night(business_date(context))

    @task
    @step
    def send() -> dict[str, Any]:
        from pipelines.operations.deliveries import deliver_due

        lend_connections()
        return deliver_due()

    consolidate() >> send()


deliver()
