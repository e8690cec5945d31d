"""Every command of a few days killed at every place that makes something last, and at random moments, changes nothing.

The short form runs with all tests, the long one with ``make chaos``. A seed that fails is played again with
``GUIJI_CHAOS_SEED``.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from pipelines.ledger.models import Batch, Run
from pipelines.operations.judging import OUTCOMES
from pipelines.quality import conservation
from tests.chaos.course import Extent, Told, walk
from tests.chaos.doom import site
from tests.chaos.places import ELSEWHERE, excuse, places
from tests.chaos.world import World, world
from tests.databases import new_postgresql_database
from tests.operations import state
from tests.operations.small_feed import MONDAY

SHORT = 6


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Told]]:
    """A world in which nobody was killed, and every fail point on its way."""
    with world(tmp_path_factory.mktemp("undisturbed")) as made:
        yield made, walk(made)


def test_every_place_that_makes_something_last_is_a_fail_point_or_excused(undisturbed: tuple[World, Told]) -> None:
    passed = {site(point) for point in undisturbed[1].passed}
    missed = places() - passed
    excused = {place: excuse(place) for place in missed}
    new = sorted(place for place, known in excused.items() if known is None)
    assert not new, "come to these places in a step, or say in places.py who kills there"
    assert set(excused.values()) == ELSEWHERE.keys(), "places.py excuses what is killed here, or is gone"


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_kills_change_nothing(
    database: str, undisturbed: tuple[World, Told], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference, way = undisturbed
    extent = Extent.of_environment(SHORT)
    chance = random.Random(extent.seed)
    points = sorted(set(way.passed))
    chosen = frozenset(chance.sample(points, min(len(points), extent.kills)))
    told = Told()
    while told.kills < extent.kills:
        left = chosen - frozenset(told.died)
        with ExitStack() as opened:
            url = None
            if database == "postgresql":
                url = opened.enter_context(new_postgresql_database()).render_as_string(hide_password=False)
            folder = tmp_path / f"{told.kills}"
            folder.mkdir()
            killed = opened.enter_context(world(folder, url, reference.returned))
            try:
                round_ = walk(killed, left, chance if extent.kills > SHORT else None)
                told = Told(told.passed + round_.passed, told.died + round_.died, told.moments + round_.moments)
                assert_same(killed, reference)
            finally:
                with capsys.disabled():
                    sys.stdout.write(f"\n{database}: {extent}, {len(told.died)} + {told.moments} kills\n")
        # Who dies late in a step leaves less to do for it; what was missed so is met in another world.
        if extent.kills <= SHORT:
            break
    assert told.kills > extent.kills // 2


def assert_same(killed: World, undisturbed: World) -> None:
    ours, theirs = killed.context, undisturbed.context
    conserved(killed)
    for what in (state.records, state.outbox, state.receipts, state.tasks, state.findings, state.counts):
        assert what(ours) == what(theirs), what.__name__
    for what in (state.facts, state.sightings, state.files):
        assert what(ours) == what(theirs), what.__name__
    assert state.report(ours, MONDAY) == state.report(theirs, MONDAY)
    assert killed.held() == undisturbed.held()


def conserved(world: World) -> None:
    """Every row of every run that counts has one outcome, and they add up."""
    with world.context.ledger.read() as session:
        runs = session.scalars(select(Run).join(Batch, Batch.run == Run.id)).all()
    assert runs
    for run in runs:
        outcomes = {name: getattr(run, name) for name in OUTCOMES}
        conservation.check(run.id, run.rows_decoded, run.lines_undecoded, outcomes)
        table = pq.read_table(world.context.settings.runs / run.id / "outcomes.parquet", columns=["row_no", "outcome"])
        assert sorted(table["row_no"].to_pylist()) == list(range(run.rows_decoded))
        assert Counter(table["outcome"].to_pylist()) == {name: count for name, count in outcomes.items() if count}
