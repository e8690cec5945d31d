"""A clock that is set back and a machine in another time zone change nothing of what is published."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine

from pipelines.operations.judging import judge_batch
from pipelines.operations.publishing import publish_batch
from pipelines.operations.pulling import pull_batch
from tests.chaos import child
from tests.operations import state
from tests.operations.small_feed import FEED, MONDAY, THURSDAY, TUESDAY, WEDNESDAY, Installation, Rows, row, rows

NOON = datetime(2026, 11, 19, 4, tzinfo=UTC)
SENT: dict[object, Rows] = {
    MONDAY: [*rows(range(3)), row(3, 统一社会信用代码="1")],
    TUESDAY: [row(0, 处罚内容="给予警告，责令改正。"), *rows(range(3, 5))],
    WEDNESDAY: [row(0, 处罚内容="没收。"), row(5, 统一社会信用代码="1")],
    THURSDAY: [row(0, 处罚内容="没收违法所得。"), *rows(range(5, 7))],
}


def four_days(folder: Path, back: timedelta) -> Installation:
    """Four batches; the clock is set back after Monday, and Wednesday's waits while Tuesday's is published."""
    installation = Installation(folder)
    context = installation.context
    with time_machine.travel(NOON, tick=True) as clock:
        installation.publish(MONDAY, SENT[MONDAY])
        clock.shift(-back)
        installation.send(WEDNESDAY, SENT[WEDNESDAY])
        waiting = pull_batch(context, FEED, WEDNESDAY)
        judge_batch(context, waiting)
        installation.publish(TUESDAY, SENT[TUESDAY])
        publish_batch(context, waiting)
        installation.publish(THURSDAY, SENT[THURSDAY])
    return installation


def test_a_clock_that_is_set_back_a_day(tmp_path: Path) -> None:
    for name in ("straight", "back"):
        (tmp_path / name).mkdir()
    straight = four_days(tmp_path / "straight", timedelta())
    back = four_days(tmp_path / "back", timedelta(days=1))
    for what in (state.records, state.outbox, state.tasks, state.findings, state.counts, state.facts, state.sightings):
        assert what(back.context) == what(straight.context), what.__name__
    changes = [version for versions in state.records(back.context).values() for version in versions]
    assert len(changes) == len(set(map(str, changes)))


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/Los_Angeles"])
def test_the_time_zone_of_the_machine(zone: str, tmp_path: Path) -> None:
    """The day begins in Shanghai, wherever the machine believes that it stands."""
    told = []
    for name, where in (("reference", "UTC"), ("elsewhere", zone)):
        (tmp_path / name).mkdir()
        installation = Installation(tmp_path / name)
        installation.send(MONDAY, SENT[MONDAY])
        folders = {f"GUIJI_{part.upper()}": str(tmp_path / name / part) for part in ("root", "inbox", "home")}
        before = datetime.now(UTC)
        process = child.start(["night", str(MONDAY), FEED], {**folders, "TZ": where}, tmp_path / name / "said")
        process.join()
        assert process.exitcode == 0
        begun = installation.published(MONDAY).started_at.replace(tzinfo=UTC)
        assert before <= begun <= datetime.now(UTC)
        told.append([what(installation.context) for what in (state.records, state.outbox, state.tasks, state.facts)])
    assert told[0] == told[1]
