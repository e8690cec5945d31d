"""One DAG for each feed, made from the feed's YAML: pull, judge, publish."""

# Steps are imported inside their tasks: a DAG file is parsed every half minute, and parsing must stay cheap.
# ruff: noqa: PLC0415

from __future__ import annotations

from airflow.sdk import DAG, dag, get_current_context, task
from business_day import BusinessDayTimetable, business_date
from step import DEFAULTS, business_date_parameter, step

from pipelines.catalogue.feeds import feed_schedules
from pipelines.settings import Settings


def feed_dag(feed_code: str, cron: str) -> DAG:
    """The DAG of one feed. Only one run at a time: a batch must see the records of the batch before it."""

    @task
    @step
    def pull() -> str:
        from pipelines.operations.night import pull_batch

        return pull_batch(feed_code, business_date(get_current_context()))

    @task
    @step
    def judge(run: str) -> str:
        from pipelines.operations.night import judge_batch

        return judge_batch(run)

    @task
    @step
    def publish(run: str) -> str:
        from pipelines.operations.night import publish_batch

        return publish_batch(run)

    @dag(
        dag_id=f"feed_{feed_code}",
        schedule=BusinessDayTimetable(cron),
        catchup=False,
        max_active_runs=1,
        default_args=DEFAULTS,
        params=business_date_parameter(),
        tags=["feed"],
    )
    def night() -> None:
        publish(judge(pull()))

    return night()


for code, schedule in feed_schedules(Settings()).items():
    globals()[f"feed_{code}"] = feed_dag(code, schedule)
