"""A plan as commands of Airflow's own backfill: one per feed and stretch of days."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import groupby

from pipelines.errors import RunConflictError
from pipelines.operations.backfill_days import DAY, is_expected
from pipelines.operations.backfill_plans import OPEN, load_plan, slices_of
from pipelines.operations.context import Context

REPROCESS = {"missing": "none", "missing_and_errored": "failed", "all": "completed"}


def airflow_commands(context: Context, number: int) -> list[str]:
    """The commands that let Airflow run what is left of a plan.

    A feed's DAG runs a business date under its own name, so the days are those of the plan (dags/plugins/business_day).
    Days between two stretches are left out, and days on which the schedule expects nothing are none to Airflow. Raises
    :class:`RunConflictError` for a plan that judges stored rows (a DAG pulls) or that has ended.
    """
    plan = load_plan(context, number)
    if plan.replay != "pull":
        raise RunConflictError(
            "a feed's DAG pulls from its source, and this plan judges what is stored",
            remedy=f"run it with 'guiji backfill run {number}'",
        )
    if plan.state not in OPEN:
        raise RunConflictError(f"the plan {number} is {plan.state}", remedy="make a new one with 'guiji backfill plan'")
    days: dict[str, list[date]] = {}
    for one in slices_of(context, number):
        if one.state != "done":
            days.setdefault(one.feed, []).append(one.business_date)
    return [
        shlex.join(
            [
                *("airflow", "backfill", "create", "--dag-id", f"feed_{feed}"),
                *("--from-date", first.isoformat(), "--to-date", last.isoformat()),
                *("--reprocess-behavior", REPROCESS[plan.reprocess], "--max-active-runs", "1"),
            ]
        )
        for feed, planned in days.items()
        for first, last in _stretches(context, feed, planned)
    ]


def _stretches(context: Context, feed: str, planned: Sequence[date]) -> Iterator[tuple[date, date]]:
    """First and last of the planned days between which every day that the schedule expects is planned."""
    described = context.catalogue.feed(feed)
    days = (planned[0] + DAY * number for number in range((planned[-1] - planned[0]).days + 1))
    scheduled = (day for day in days if is_expected(described, day))
    for is_planned, stretch in groupby(scheduled, key=set(planned).__contains__):
        if is_planned:
            first, *others = stretch
            yield first, others[-1] if others else first
