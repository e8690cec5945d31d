"""What housekeeping removes, and what it leaves alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from pipelines.ledger.database import now
from pipelines.ledger.models import Run
from pipelines.operations.attempts import feed_lock, run_folder
from pipelines.operations.housekeeping import Removed, keep_house
from pipelines.operations.judging import judge_batch
from pipelines.operations.pulling import pull_batch
from tests.databases import new_postgresql_database
from tests.operations.small_feed import FEED, MONDAY, TUESDAY, Installation, rows

TOMORROW = timedelta(days=1, minutes=1)


@pytest.fixture(params=["sqlite", "postgresql"])
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    if request.param == "sqlite":
        yield Installation(tmp_path)
        return
    with new_postgresql_database() as url:
        yield Installation(tmp_path, ledger_url=url.render_as_string(hide_password=False))


def age(path: Path, by: timedelta) -> None:
    when = path.stat().st_mtime - by.total_seconds()
    os.utime(path, (when, when))


def test_leftovers_of_dead_processes_go_after_a_day(tmp_path: Path) -> None:
    context = Installation(tmp_path).context
    scratch, landing = context.settings.scratch, context.settings.landing
    for folder in (scratch / "duck-old", scratch / "duck-new", scratch / "sources" / FEED / "day-old"):
        folder.mkdir(parents=True)
        (folder / "spill").write_bytes(b"x" * 1000)
    landing.mkdir(exist_ok=True)
    kept = scratch / "sources" / FEED / "days.json"
    for file in (landing / ".landing-old", landing / ("a" * 64), kept):
        file.write_bytes(b"y" * 100)
        age(file, TOMORROW)
    for folder in (scratch / "duck-old", scratch / "sources" / FEED / "day-old"):
        age(folder / "spill", TOMORROW)
        age(folder, TOMORROW)

    assert keep_house(context, now()) == Removed(3, 2100, (), 0)
    assert {path.name for path in scratch.iterdir()} == {"duck-new", "sources"}
    assert kept.exists()
    assert [path.name for path in landing.iterdir()] == ["a" * 64]


def test_what_a_crashed_attempt_of_a_resting_feed_left_goes_and_published_runs_stay(
    installation: Installation,
) -> None:
    published = installation.publish(MONDAY, rows(range(5)))
    context = installation.context
    installation.send(TUESDAY, rows(range(5, 9)))
    crashed = judge_batch(context, pull_batch(context, FEED, TUESDAY))
    with context.ledger.write() as session:
        run = session.get_one(Run, crashed)
        run.state, run.finished_at = "abandoned", now()
    left = context.stores["administrative_penalty"].file_of(FEED, crashed)
    assert left.exists()

    assert keep_house(context, now()).runs == ()  # a retry of Airflow may still be to come
    with feed_lock(context, FEED):
        assert keep_house(context, now() + TOMORROW).runs == ()
    assert left.exists()
    assert keep_house(context, now() + TOMORROW).runs == (crashed,)
    assert not left.exists()
    assert not run_folder(context, crashed).exists()
    assert run_folder(context, published.id).exists()
    with context.ledger.read() as session:
        assert dict(session.execute(select(Run.id, Run.swept)).all()) == {published.id: False, crashed: True}


def test_a_folder_that_a_killed_sweep_left_behind_goes(installation: Installation) -> None:
    installation.send(MONDAY, rows(range(3)))
    context = installation.context
    run = pull_batch(context, FEED, MONDAY)
    with context.ledger.write() as session:
        found = session.get_one(Run, run)
        found.state, found.swept, found.finished_at = "failed", True, now()
    assert keep_house(context, now()).folders == 0
    assert keep_house(context, now() + TOMORROW).folders == 1
    assert not run_folder(context, run).exists()
