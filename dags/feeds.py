"""One DAG for each feed, made from the feed's YAML: pull, judge, publish.

Three tasks and not one: the grid shows where a feed stands, and a retry repeats a stage and not the batch. All of them
wait for a slot of one pool, so that a night of hundreds of feeds takes no more memory than the machine has.
"""

# Steps are imported inside their tasks: a DAG file is parsed every half minute, and parsing must stay cheap.
# ruff: noqa: PLC0415

from __future__ import annotations

from airflow.sdk import DAG, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException
from business_day import BusinessDayTimetable, business_date
from published import records_of
from rows_pool import ROWS_POOL
from step import DEFAULTS, business_date_parameter, step

from pipelines.catalogue.feeds import feed_schedules
from pipelines.settings import Settings


def feed_dag(feed_code: str, cron: str) -> DAG:
    """The DAG of one feed. Only one run at a time: a batch must see the records of the batch before it."""
    records = records_of(feed_code)

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

    @task(outlets=[records])
    @step
    def publish(run: str) -> str:
        from pipelines.operations.night import publish_batch

        context = get_current_context()
        if not publish_batch(run):
            # A task that is skipped emits no asset: nobody has to react to what was published before.
            raise AirflowSkipException(f"{run} has nothing new: same bytes, same rules")
        context["outlet_events"][records].extra = {"run": run, "business_date": business_date(context).isoformat()}
        return run

    @dag(
        dag_id=f"feed_{feed_code}",
        schedule=BusinessDayTimetable(cron),
        catchup=False,
        max_active_runs=1,
        default_args=DEFAULTS | {"pool": ROWS_POOL},
        params=business_date_parameter(),
        tags=["feed"],
    )
    def night() -> None:
        publish(judge(pull()))

    return night()


for code, schedule in feed_schedules(Settings()).items():
    globals()[f"feed_{code}"] = feed_dag(code, schedule)
