"""Feeds side by side end as feeds one after the other do, and a process that dies takes one feed along."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
import yaml

from pipelines.errors import ExtractError, GuijiError
from pipelines.ledger.models import Run
from pipelines.operations.night import run_night
from tests.operations import state
from tests.operations.delivering import opened
from tests.operations.small_feed import FEED, MONDAY, Installation, rows

FEEDS = (FEED, "dept_second", "dept_third", "dept_wrong")


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    made = Installation(tmp_path)
    departments = tmp_path / "root" / "schemas" / "departments" / "dept"
    about = yaml.safe_load((departments / "penalty.yaml").read_text(encoding="utf-8"))
    for number, feed in enumerate(FEEDS[1:], start=1):
        path = f"{feed}/{{date}}"
        text = yaml.safe_dump({**about, "feed": feed, "source": {**about["source"], "path": path}}, allow_unicode=True)
        (departments / f"{feed.removeprefix('dept_')}.yaml").write_text(text, encoding="utf-8")
        made.send(MONDAY, rows(range(number * 10, number * 10 + 4)))
        (tmp_path / "inbox" / "dept").rename(tmp_path / "inbox" / feed)
    (tmp_path / "inbox" / "dept_wrong" / MONDAY.isoformat() / "penalty.csv").unlink()
    made.send(MONDAY, rows(range(4)))
    made.describe()
    return made


def test_side_by_side_ends_as_one_after_the_other(installation: Installation) -> None:
    heard: list[tuple[str, str]] = []
    found = run_night(installation.context, MONDAY, FEEDS, lambda *stage: heard.append(stage), at_once=2)
    assert [(one.feed, type(one.problem)) for one in found] == [
        *((feed, type(None)) for feed in FEEDS[:3]),
        ("dept_wrong", ExtractError),
    ]
    assert {feed: [stage for name, stage in heard if name == feed] for feed in FEEDS} == {
        **{feed: ["pulling", "judging", "publishing", "done"] for feed in FEEDS[:3]},
        "dept_wrong": ["pulling", "failed"],
    }
    alone = Installation(installation.folder, home="alone").context
    run_night(alone, MONDAY, FEEDS)
    assert state.records(installation.context) == state.records(alone)
    assert len(state.records(alone)["administrative_penalty"]) == 12
    assert multiprocessing.active_children() == []


def test_a_process_that_is_killed_takes_its_own_feed_along_and_the_night_goes_on(installation: Installation) -> None:
    killed = []

    def kill_the_first_two(feed: str, stage: str) -> None:
        if not killed:
            killed.extend(multiprocessing.active_children())
            for process in multiprocessing.active_children():
                process.kill()

    found = {one.feed: one for one in run_night(installation.context, MONDAY, FEEDS[:3], kill_the_first_two, at_once=2)}
    assert len(killed) == 2
    for feed in FEEDS[:2]:
        assert type(found[feed].problem) is GuijiError
        assert "its process was ended by signal 9" in str(found[feed].problem)
    assert found["dept_third"].problem is None
    again = run_night(installation.context, MONDAY, FEEDS[:3], at_once=2)
    assert [one.problem for one in again] == [None] * 3
    published = {run.feed for run in opened(installation.context, Run) if run.state == "published"}
    assert published == set(FEEDS[:3])
