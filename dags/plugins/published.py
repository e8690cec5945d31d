"""Assets: what a feed has published, and when those who react to it begin.

Airflow queues at most one event of each asset for each DAG and starts no second run of a DAG beside the first. A run
that waits a little before it begins therefore takes along whatever is published meanwhile: hundreds of feeds of a night
are one delivery, not hundreds.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import pendulum
from airflow.sdk import Asset, AssetAny
from airflow.sdk.exceptions import AirflowRescheduleException
from business_day import TIMEZONE

from pipelines.catalogue.feeds import feed_schedules
from pipelines.settings import Settings

ASSET_TRIGGERED = "asset_triggered"
GATHERING = pendulum.duration(minutes=10)


def records_of(feed_code: str) -> Asset:
    """The asset of a feed: its published records."""
    return Asset(f"guiji_records_{feed_code}")


def any_records() -> AssetAny:
    """The published records of any feed."""
    return AssetAny(*(records_of(code) for code in feed_schedules(Settings())))


def gather(context: Mapping[str, Any], opens: datetime.time) -> None:
    """Let a run that was started by assets wait: ten minutes, and on until ``opens`` (China time) if that is later.

    Raises :class:`AirflowRescheduleException`, which gives the slot back and has the task started again at that moment.
    Runs by schedule or by hand begin at once.
    """
    run = context["dag_run"]
    if run.run_type != ASSET_TRIGGERED:
        return
    begins = pendulum.instance(run.run_after).in_timezone(TIMEZONE) + GATHERING
    begins = max(begins, begins.at(opens.hour, opens.minute))
    if pendulum.now(TIMEZONE) < begins:
        raise AirflowRescheduleException(begins)


def published_dates(context: Mapping[str, Any]) -> list[datetime.date]:
    """The business dates of what started a run, the earliest first; none for a run that no asset started."""
    events = [event for found in context["triggering_asset_events"].values() for event in found]
    # An event that somebody made by hand on Airflow's page may name no date; the others must not be lost with it.
    days = {event.extra.get("business_date") for event in events} - {None}
    return sorted(datetime.date.fromisoformat(day) for day in days)
