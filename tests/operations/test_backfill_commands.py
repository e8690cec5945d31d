"""``guiji backfill`` as an operator types it: days, words, and the commands for Airflow."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.errors import CatalogueError, RunConflictError
from pipelines.operations.backfill_airflow import airflow_commands
from pipelines.operations.backfill_days import days_of_feed, is_expected
from pipelines.operations.backfill_planning import Wish, make_plan
from tests.operations.backfilling import installed, plan
from tests.operations.small_feed import FEED, MONDAY, THURSDAY, TUESDAY, WEDNESDAY, Installation

# Business dates Monday to Friday: the cron fires on the day after.
WEEKDAYS = "0 1 * * 2-6"
# Parses each line with the parser of the installed airflow command.
PARSE = """
import shlex, sys
from airflow.cli.cli_parser import get_parser
for line in sys.stdin:
    found = get_parser().parse_args(shlex.split(line)[1:])
    print(found.dag_id, found.from_date.date(), found.to_date.date(), found.reprocess_behavior, found.max_active_runs)
"""


@pytest.fixture
def weekly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    made = installed(tmp_path, schedule=WEEKDAYS)
    for name in ("root", "inbox", "home"):
        monkeypatch.setenv(f"GUIJI_{name.upper()}", str(tmp_path / name))
    return made


def test_days_on_which_nothing_is_expected_are_not_missing(weekly: Installation) -> None:
    feed = weekly.context.catalogue.feed(FEED)
    last_week = MONDAY - timedelta(days=4)
    days = days_of_feed(weekly.context, feed, last_week, MONDAY)
    assert [(day.business_date.day, day.state) for day in days] == [
        (12, "missing"), (13, "missing"), (14, "not expected"), (15, "not expected"), (16, "missing"),
    ]  # fmt: skip
    asked = Wish([FEED], last_week, MONDAY, "pull", "missing", every_day=True)
    assert len(make_plan(weekly.context, asked, "运维甲", "a test").slices) == 5
    monthly = feed.model_copy(update={"schedule": "@monthly"})
    assert [day for day in range(1, 31) if is_expected(monthly, date(2026, 11, day))] == [30]
    with pytest.raises(CatalogueError, match="no schedule"):
        is_expected(feed.model_copy(update={"schedule": "at night"}), MONDAY)


def test_a_plan_is_shown_stored_and_given_up(weekly: Installation) -> None:
    invoke = CliRunner().invoke
    period = ["--feed", FEED, "--from", "2026-11-12", "--to", "2026-11-16", "--why", "部门 11010519491231002X 补报"]
    result = invoke(app, ["backfill", "plan", *period, "--by", "运维甲"])
    assert result.exit_code == 0, result.output
    assert "next: guiji backfill run 1" in result.output
    assert "left as they are: 2 not expected" in result.output
    shown = invoke(app, ["backfill", "show", "1"]).output
    assert "waiting" in shown and "11010519491231002X" not in shown
    commands = invoke(app, ["backfill", "airflow", "1"]).output.splitlines()
    assert commands == [
        f"airflow backfill create --dag-id feed_{FEED} --from-date 2026-11-12 --to-date 2026-11-16 "
        "--reprocess-behavior none --max-active-runs 1"
    ]
    assert "given up" in invoke(app, ["backfill", "cancel", "1"]).output
    assert "cancelled" in invoke(app, ["backfill", "show"]).output
    judged = invoke(app, ["backfill", "plan", *period, "--replay", "judge"]).output
    assert "Nothing to run. Left as they are: 3 missing, nothing stored to judge; 2 not expected." in judged


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Wish([FEED], TUESDAY, MONDAY, "pull", "all"), "lies before"),
        (Wish([FEED], MONDAY, date(2126, 1, 1), "pull", "all"), "has not come"),
        (Wish([FEED], MONDAY, TUESDAY, "judge", "missing"), "nothing is stored"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(weekly: Installation, wish: Wish, words: str) -> None:
    with pytest.raises(RunConflictError, match=words):
        make_plan(weekly.context, wish, "运维甲", "a test")


def test_airflow_understands_the_commands(weekly: Installation) -> None:
    """One stretch over the weekend, another after a day that is not in the plan; the words become Airflow's."""
    weekly.send(TUESDAY, [])
    assert weekly.night(TUESDAY) is not None
    context = weekly.context
    missing = plan(context, reprocess="missing", first=MONDAY - timedelta(days=3))
    errored = plan(context, reprocess="missing_and_errored", first=TUESDAY)
    lines = [command for planned in (missing, errored) for command in airflow_commands(context, planned.number or 0)]
    environment = {**os.environ, "AIRFLOW_HOME": str(weekly.folder / "airflow")}
    answer = subprocess.run(
        [sys.executable, "-c", PARSE],
        input="\n".join(lines),
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.splitlines()[-3:] == [
        f"feed_{FEED} 2026-11-13 {MONDAY} none 1",
        f"feed_{FEED} {WEDNESDAY} {THURSDAY} none 1",
        f"feed_{FEED} {TUESDAY} {THURSDAY} failed 1",
    ]
    assert all(shlex.split(line)[:3] == ["airflow", "backfill", "create"] for line in lines)
