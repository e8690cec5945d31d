"""What is published by many feeds starts one delivery: when runs that assets started begin."""

from __future__ import annotations

import datetime
from types import SimpleNamespace
from typing import Any

import pendulum
import pytest
import time_machine
from airflow.sdk.exceptions import AirflowRescheduleException
from published import gather, published_dates

OPENS = datetime.time(2, 30)


def china(text: str) -> pendulum.DateTime:
    moment = pendulum.parse(text, tz="Asia/Shanghai")
    assert isinstance(moment, pendulum.DateTime)
    return moment


def context(asked_for: str, run_type: str = "asset_triggered", *dates: str) -> dict[str, Any]:
    events = [[SimpleNamespace(extra={"business_date": date})] for date in dates]
    return {
        "dag_run": SimpleNamespace(run_type=run_type, run_after=china(asked_for).in_timezone("UTC")),
        "triggering_asset_events": dict(enumerate(events)),
    }


@pytest.mark.parametrize(
    ("published", "begins"),
    [
        ("2026-11-21T01:04", "2026-11-21T02:30"),
        ("2026-11-21T02:25", "2026-11-21T02:35"),
        ("2026-11-21T14:00", "2026-11-21T14:10"),
        ("2026-11-21T23:55", "2026-11-22T02:30"),
    ],
    ids=["in the night", "about when it opens", "in the day", "over midnight"],
)
def test_a_run_that_assets_started_waits_for_more(published: str, begins: str) -> None:
    with time_machine.travel(china(begins) - pendulum.duration(seconds=1), tick=False):
        with pytest.raises(AirflowRescheduleException) as waits:
            gather(context(published), OPENS)
        assert waits.value.reschedule_date == china(begins)
    with time_machine.travel(china(begins), tick=False):
        gather(context(published), OPENS)


@pytest.mark.parametrize("run_type", ["scheduled", "manual"])
def test_a_run_by_schedule_or_by_hand_begins_at_once(run_type: str) -> None:
    with time_machine.travel(china("2026-11-21T01:00"), tick=False):
        gather(context("2026-11-21T01:00", run_type), OPENS)


def test_each_business_date_that_was_published_is_taken_once() -> None:
    days = ("2026-11-20", "2026-11-18", "2026-11-20")
    found = published_dates(context("2026-11-21T14:00", "asset_triggered", *days))
    assert found == [datetime.date(2026, 11, 18), datetime.date(2026, 11, 20)]
