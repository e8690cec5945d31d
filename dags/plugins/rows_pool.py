"""The pool in which tasks that hold rows in memory wait for one another.

Airflow leaves a task whose pool does not exist waiting for ever, with no more than a warning in the scheduler's log. So
the pool is not left to somebody's memory: the scheduler and the DAG processor make it when they start, with as many
slots as ``GUIJI_BATCHES_AT_ONCE`` says or as the machine has room for.
"""

from __future__ import annotations

import sys

from airflow.jobs.job import Job
from airflow.listeners import hookimpl
from airflow.models.pool import Pool
from airflow.plugins_manager import AirflowPlugin
from sqlalchemy.exc import IntegrityError

ROWS_POOL = "guiji_rows"


def make_pool() -> None:
    """Create the pool or give it as many slots as the settings say now."""
    from pipelines.operations.capacity import batches_at_once  # noqa: PLC0415 - plugins are loaded by every command
    from pipelines.settings import Settings  # noqa: PLC0415

    slots = batches_at_once(Settings())
    description = "Tasks of guiji that hold rows in memory; slots follow GUIJI_BATCHES_AT_ONCE."
    try:
        Pool.create_or_update_pool(ROWS_POOL, slots, description, include_deferred=False)
    except IntegrityError:
        return  # scheduler and DAG processor start at the same time: the other one has just made it


@hookimpl
def on_starting(component: object) -> None:
    """Called in every process of Airflow; tasks start too, and must not touch Airflow's database."""
    if isinstance(component, Job):
        make_pool()


class RowsPoolPlugin(AirflowPlugin):
    """Has Airflow call :func:`on_starting`."""

    name = "rows_pool"
    listeners = [sys.modules[__name__]]  # noqa: RUF012 - Airflow's base class declares it so
