"""What is said of every feed: its last good batch, what is wrong, and the command that mends it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from pipelines.operations.feed_rhythm import MONTH, WEEK, Rhythm, rhythm_of, scheduled_gap
from pipelines.operations.feed_states import FeedState, read_feed_states
from tests.databases import new_postgresql_database
from tests.operations.clock_world import FEEDS, World
from tests.operations.status_world import NOON, TODAY, YESTERDAY, batches, working_days

MARKET, ECOLOGY, HOUSING = FEEDS.values()
MONTH_AGO = TODAY - timedelta(days=30)


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "sqlite":
        yield World(tmp_path)
        return
    with new_postgresql_database() as url:
        made = World(tmp_path, ledger_url=url.render_as_string(hide_password=False))
        yield made
        made.context.ledger.engine.dispose()


@pytest.fixture
def plain(tmp_path: Path) -> World:
    return World(tmp_path)


def states(world: World) -> dict[str, FeedState]:
    return {one.feed: one for one in read_feed_states(world.context, TODAY, NOON)}


def test_the_longest_failing_feed_is_named_first(world: World) -> None:
    batches(world, "market", working_days(world, MONTH_AGO, YESTERDAY))
    weeks_ago = TODAY - timedelta(days=20)
    batches(world, "ecology", working_days(world, TODAY - timedelta(days=60), weeks_ago))
    failing = working_days(world, weeks_ago + timedelta(days=1), YESTERDAY)
    batches(world, "ecology", failing, state="failed", stage="pulling", problem="the server is down — start it")
    batches(world, "housing", working_days(world, MONTH_AGO, TODAY - timedelta(days=2)))
    batches(world, "housing", [YESTERDAY], state="held", stage="judged", problem="unlike the others")

    found = read_feed_states(world.context, TODAY, NOON)

    assert [(one.feed, one.state) for one in found] == [(ECOLOGY, "failing"), (HOUSING, "held"), (MARKET, "good")]
    ecology, housing, market = found
    assert (ecology.last_good, ecology.age_days) == (weeks_ago, 20)
    assert (ecology.since, ecology.batches) == (failing[0], len(failing))
    assert ecology.problem is not None and "the server is down — start it" in ecology.problem
    which = f"--feed {ECOLOGY} --from {failing[0]} --to {YESTERDAY} --reprocess missing_and_errored"
    assert ecology.command == f"guiji backfill plan {which} --why 'never published'"
    assert housing.command == f"guiji gates show {HOUSING}-{YESTERDAY:%Y%m%d}-001"
    assert (market.problem, market.command, market.age_days) == (None, None, 1)
    assert market.outcomes["accepted"] == 100


def test_empty_batches_are_silence_and_no_batches_are_too(world: World) -> None:
    last = TODAY - timedelta(days=6)
    for department in ("market", "ecology", "housing"):
        batches(world, department, working_days(world, MONTH_AGO, last))
    batches(world, "market", working_days(world, last + timedelta(days=1), YESTERDAY), rows=0)
    batches(world, "housing", [last + timedelta(days=1), YESTERDAY])

    found = states(world)

    assert found[MARKET].state == found[ECOLOGY].state == "silent"
    assert found[MARKET].problem == "no rows for 3 working days, usually every working day; its batches come empty"
    assert found[ECOLOGY].problem is not None and f"no batch was tried after {last}" in found[ECOLOGY].problem
    assert found[ECOLOGY].command == f"guiji run --feed {ECOLOGY} --date {YESTERDAY}"
    assert found[HOUSING].state == "good"


def test_a_hole_between_good_batches_is_named(world: World) -> None:
    days = working_days(world, MONTH_AGO, YESTERDAY)
    hole = days[-4:-2]
    batches(world, "market", [day for day in days if day not in hole])
    batches(world, "market", hole, state="failed", stage="pulled", problem="wrong file")
    found = states(world)[MARKET]
    assert (found.state, found.since, found.batches) == ("incomplete", hole[0], 2)
    assert found.command is not None and f"--from {hole[0]} --to {hole[1]}" in found.command


def test_a_held_batch_stays_held_when_the_next_one_is_published(world: World) -> None:
    days = working_days(world, MONTH_AGO, YESTERDAY)
    batches(world, "market", [day for day in days if day != days[-3]])
    batches(world, "market", [days[-3]], state="held", stage="judged", problem="unlike the others")
    found = states(world)[MARKET]
    assert (found.state, found.since) == ("held", days[-3])
    assert found.command == f"guiji gates show {MARKET}-{days[-3]:%Y%m%d}-001"


def test_a_feed_that_never_had_rows_is_waited_for_from_its_first_batch_on(plain: World) -> None:
    first = TODAY - timedelta(days=20)
    batches(plain, "market", working_days(plain, first, YESTERDAY), rows=0)
    batches(plain, "ecology", [YESTERDAY], rows=0)
    found = states(plain)
    assert (found[MARKET].state, found[MARKET].since) == ("silent", working_days(plain, first, YESTERDAY)[0])
    assert found[ECOLOGY].state == "good"


def test_a_batch_of_years_ago_is_still_the_last_good_one(plain: World) -> None:
    long_ago = date(2023, 3, 1)
    batches(plain, "market", [long_ago])
    found = states(plain)
    assert (found[MARKET].state, found[MARKET].last_good) == ("silent", long_ago)
    assert found[ECOLOGY].state == "never ran"
    assert found[ECOLOGY].command == f"guiji run --feed {ECOLOGY} --date {YESTERDAY}"


def test_a_run_whose_process_died_is_no_run_at_work(plain: World) -> None:
    batches(plain, "market", [YESTERDAY], state="running", stage="pulled", started_at=NOON - timedelta(hours=1))
    batches(plain, "ecology", [YESTERDAY], state="running", stage="pulled", started_at=NOON - timedelta(days=1))
    found = states(plain)
    assert found[MARKET].state == "running"
    assert found[ECOLOGY].state == "failing"
    assert found[ECOLOGY].problem == f"run {ECOLOGY}-{YESTERDAY:%Y%m%d}-001 ended while pulled"


def test_a_broken_description_is_the_problem_of_its_feed_alone(plain: World) -> None:
    batches(plain, "market", [YESTERDAY])
    path = plain.folder / "root/schemas/departments/ecology/penalties.yaml"
    path.write_text("feed: [", encoding="utf-8")
    plain.reload()
    found = states(plain)
    assert found[ECOLOGY].state == "misdescribed"
    assert found[ECOLOGY].problem is not None and "penalties.yaml" in found[ECOLOGY].problem
    assert found[MARKET].state == "good"


def test_a_holiday_week_makes_nobody_silent(plain: World) -> None:
    days = working_days(plain, date(2026, 9, 1), date(2026, 9, 30))
    batches(plain, "market", days)
    (found,) = read_feed_states(plain.context, date(2026, 10, 9), NOON, [MARKET])
    assert found.state == "good", "1 to 8 October were days off"


@pytest.mark.parametrize(
    ("schedule", "gap"),
    [
        ("0 1 * * *", 1),
        ("0 1 * * 1-5", 1),
        ("0 1 * * 1", WEEK),
        ("0 1 5 * *", MONTH),
        ("@monthly", MONTH),
        ("@daily", 1),
        ("0 1 1 6 *", 250),
    ],
)
def test_a_feed_without_a_habit_is_expected_by_its_schedule(schedule: str, gap: int) -> None:
    assert scheduled_gap(schedule) == gap


def test_a_habit_says_more_than_a_schedule(plain: World) -> None:
    mondays = [date(2026, 7, 6) + timedelta(days=7 * week) for week in range(8)]
    assert rhythm_of(plain.calendar, "0 1 * * *", mondays, 1) == Rhythm(5, 6, is_habit=True)
    assert rhythm_of(plain.calendar, "0 1 * * *", mondays[:3], 1) == Rhythm(1, 2, is_habit=False)
