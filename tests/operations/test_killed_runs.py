"""``guiji run`` killed at random moments and run again ends where an undisturbed run ends."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from pipelines.ledger.models import Run
from pipelines.operations.context import Context
from tests.operations import child, state
from tests.operations.conftest import FRIDAY

KILLS = 10
SEED = 20261120
COMMITS = (
    "pipelines.intake.connectors.folder:land",
    "pipelines.operations.pulling:_record",
    "pipelines.records.store:RecordStore.write",
    "pipelines.operations.judging:judge_batch",
    "pipelines.records.store:RecordStore.commit",
    "pipelines.records.findings:FindingsTable.commit",
    "pipelines.operations.publishing:fill_outbox",
    "pipelines.operations.publishing:store_tasks",
    "pipelines.operations.publishing:publish_batch",
    "pipelines.operations.deliveries:consolidate_stores",
)


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("GUIJI_")}


def run_to_the_end() -> float:
    """Seconds that a run takes which nobody disturbs."""
    start = time.monotonic()
    process = child.start(environment(), FRIDAY)
    process.join()
    assert process.exitcode == 0
    return time.monotonic() - start


def assert_same(killed: Context, undisturbed: Context) -> None:
    assert state.records(killed) == state.records(undisturbed)
    assert state.outbox(killed) == state.outbox(undisturbed)
    assert state.tasks(killed) == state.tasks(undisturbed)
    assert state.tasks(killed)
    assert state.findings(killed) == state.findings(undisturbed)
    assert state.counts(killed) == state.counts(undisturbed)
    with killed.ledger.read() as session:
        published = set(session.scalars(select(Run.id).where(Run.state == "published")))
    for folder in (killed.settings.records, killed.settings.findings):
        left = {path.stem for path in folder.rglob("*.parquet") if "_delta_log" not in path.parts}
        assert left == published, f"a crashed run left something in {folder.name}"
    assert state.report(killed, FRIDAY) == state.report(undisturbed, FRIDAY)
    assert state.report(killed, FRIDAY)


@pytest.fixture(scope="module")
def undisturbed_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("undisturbed")


@pytest.fixture
def undisturbed(undisturbed_home: Path, install: Callable[[Path], Context]) -> tuple[Context, float]:
    """A home that ran once without a kill, and how long that took; later tests find it as a recorded no-op."""
    context = install(undisturbed_home)
    return context, run_to_the_end()


def test_ten_kills_at_random_moments_change_nothing(
    tmp_path: Path, install: Callable[[Path], Context], undisturbed: tuple[Context, float]
) -> None:
    reference, seconds = undisturbed
    context = install(tmp_path / "killed")
    moments = random.Random(SEED)
    killed = tries = 0
    while killed < KILLS:
        tries += 1
        assert tries < 10 * KILLS, "the runs end before they can be killed"
        process = child.start(environment(), FRIDAY)
        process.join(timeout=moments.uniform(0.02, 0.7) * seconds)
        process.kill()
        process.join()
        killed += process.exitcode == -signal.SIGKILL
    run_to_the_end()
    assert_same(context, reference)


def test_killed_right_after_each_commit(
    tmp_path: Path, install: Callable[[Path], Context], undisturbed: tuple[Context, float]
) -> None:
    """Every commit boundary in turn, each time on top of what the kill before left behind."""
    context = install(tmp_path / "killed")
    for place in COMMITS:
        process = child.start(environment(), FRIDAY, die_after=place)
        process.join()
        assert process.exitcode == -signal.SIGKILL, place
    run_to_the_end()
    assert_same(context, undisturbed[0])
