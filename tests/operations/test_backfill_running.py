"""Plans that run: slice by slice, whatever dies, fails or comes in between."""

from __future__ import annotations

import importlib
import os
import signal
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from pipelines.errors import FeedBusyError, RunConflictError, SourceError
from pipelines.ledger.models import Outbox
from pipelines.operations import backfill_running
from pipelines.operations.attempts import feed_lock
from pipelines.operations.backfill_plans import cancel_plan, slices_of
from pipelines.operations.backfill_running import refresh_plan, run_plan
from pipelines.operations.context import Context
from pipelines.records.reading import current
from tests.databases import new_postgresql_database
from tests.operations import child
from tests.operations.backfilling import compared, installed, plan, queued, run
from tests.operations.small_feed import FEED, MONDAY, TUESDAY, WEDNESDAY, row, rows

NOTHING = dict.fromkeys(("new", "changed", "unchanged", "outdated", "lost", "withdrawn", "outbox"), 0)


def states(context: Context, number: int | None) -> list[str]:
    assert number is not None
    return [one.state for one in slices_of(context, number)]


def test_a_wrong_file_fails_its_slice_and_the_plan_goes_on(tmp_path: Path) -> None:
    with new_postgresql_database() as url:
        made = installed(tmp_path, ledger_url=url.render_as_string(hide_password=False))
        context = made.context
        made.send(MONDAY, rows([1, 2]))
        made.drop(TUESDAY, b"\x00\x01 no table")
        made.send(WEDNESDAY, rows([2, 3]))
        planned = plan(context, reprocess="missing", last=WEDNESDAY)
        assert [(one.day.state, one.sure, one.counts) for one in planned.slices] == [("missing", "unknown", None)] * 3
        outcome = run(context, planned)
        assert (outcome.done, list(outcome.failed), outcome.plan.state) == (2, [f"{FEED} {TUESDAY}"], "done")
        assert states(context, planned.number) == ["done", "failed", "done"]
        # The words of Airflow: what failed is not missing any more.
        assert plan(context, reprocess="missing", last=WEDNESDAY).number is None
        (errored,) = plan(context, reprocess="missing_and_errored", last=WEDNESDAY).slices
        assert (errored.day.state, errored.sure, (errored.counts or {})["new"]) == ("failed", "estimate", 1)
        made.send(TUESDAY, rows([1, 3, 4]))
        assert run(context, planned, again=True).failed == {}
        actual = [line[3] for line in compared(context, planned)]
        assert [(counts["new"], counts["outdated"], counts["outbox"]) for counts in actual] == [
            (2, 0, 2), (1, 1, 1), (1, 0, 1),
        ], "record 3 is on Wednesday already"  # fmt: skip

        before = queued(context)
        everything = plan(context, last=WEDNESDAY)
        assert [(one.day.state, one.counts) for one in everything.slices] == [("current", NOTHING)] * 3
        run(context, everything)
        assert [line[3] for line in compared(context, everything)] == [NOTHING] * 3
        assert queued(context) == before
        context.ledger.engine.dispose()


def test_a_killed_plan_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once right after a batch was published and before anybody noted it, once in the middle of the next batch."""
    made = installed(tmp_path)
    for name in ("root", "inbox", "home"):
        monkeypatch.setenv(f"GUIJI_{name.upper()}", str(tmp_path / name))
    made.send(MONDAY, rows([1, 2]))
    made.send(TUESDAY, [row(1, 处罚内容="罚款五千元。"), row(3)])
    planned = plan(made.context, reprocess="missing", last=TUESDAY)
    for place in ("publishing:publish_batch", "judging:judge_batch"):
        environment = {name: value for name, value in os.environ.items() if name.startswith("GUIJI_")}
        process = child.CONTEXT.Process(target=_run_plan, args=(environment, f"pipelines.operations.{place}"))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert "running" in states(made.context, planned.number)
    outcome = run(made.context, planned)
    assert (outcome.done, outcome.plan.state) == (1, "done"), "Monday was done by the process that died"
    assert [(line[1], line[3]["new"], line[3]["changed"]) for line in compared(made.context, planned)] == [
        ("done", 2, 0),
        ("done", 1, 1),
    ]
    with made.context.ledger.read() as session:
        owed = [(one.record_key, one.version) for one in session.scalars(select(Outbox))]
    assert len(owed) == len(set(owed)) == 4


def _run_plan(environment: dict[str, str], die_after: str) -> None:
    os.environ.update(environment)
    child._arm(die_after)
    importlib.import_module("pipelines.cli").app(["backfill", "run", "1", "--pause", "0"], standalone_mode=False)


def test_days_that_come_late_end_where_the_right_order_ends(tmp_path: Path) -> None:
    """Wednesday was there first: what Monday and Tuesday said before it never wins, neither here nor at receivers."""
    sent = {
        MONDAY: [row(1), row(2, 处罚内容="旧"), row(3)],
        TUESDAY: [row(1, 处罚内容="周二"), row(2, 处罚内容="旧"), row(3, 处罚内容="周二"), row(4)],
        WEDNESDAY: [row(1, 处罚内容="周三"), row(2), row(5)],
    }
    made = installed(tmp_path)
    late = replace(made, home="late")
    for day, day_rows in sent.items():
        made.send(day, day_rows)
        assert made.night(day) is None
    assert late.night(WEDNESDAY) is None
    run(late.context, plan(late.context, reprocess="missing", last=WEDNESDAY))
    assert _believed(late.context) == _believed(made.context)
    assert _last_said(late.context) == _last_said(made.context)
    assert len(_last_said(late.context)) == 5


def _believed(context: Context) -> list[tuple[Any, ...]]:
    with context.session() as session:
        current(session, context.stores["administrative_penalty"], context.ledger, feed=FEED)
        return session.rows("SELECT record_key, content_hash, CF_NR FROM current_records ORDER BY 1")


def _last_said(context: Context) -> dict[str, str]:
    with context.ledger.read() as session:
        return {one.record_key: one.content_hash for one in session.scalars(select(Outbox).order_by(Outbox.id))}


def test_a_busy_feed_is_waited_for_and_never_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = installed(tmp_path).context
    monkeypatch.setattr(backfill_running, "BUSY_SECONDS", 0.01)
    planned = plan(context, reprocess="missing", last=MONDAY)
    said = []
    with ExitStack() as night:
        night.enter_context(feed_lock(context, FEED))

        def progress(_done: int, _total: int, what: str) -> None:
            said.append(what)
            if said.count(f"waiting for {FEED}") == 2:
                night.close()

        outcome = run(context, planned, progress=progress)
    assert said.count(f"waiting for {FEED}") == 2
    assert "no such folder" in outcome.failed[f"{FEED} {MONDAY}"], "the slice ran once the feed was free"
    [one] = slices_of(context, planned.number or 0)
    assert one.tries == 1


def test_the_night_waits_for_a_stage_of_a_backfill_and_comes_before_the_next(tmp_path: Path) -> None:
    context = installed(tmp_path).context
    modest = replace(context, settings=context.settings.model_copy(update={"gives_way": True}))
    order = []

    def night() -> None:
        with feed_lock(context, FEED):
            order.append("night")

    with feed_lock(modest, FEED):
        waiting = threading.Thread(target=night)
        waiting.start()
        time.sleep(0.3)
        order.append("backfill")
    waiting.join()
    assert order == ["backfill", "night"]
    with feed_lock(context, FEED), pytest.raises(FeedBusyError), feed_lock(modest, FEED):
        pass


def test_a_dead_source_leaves_the_other_days_of_its_feed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = installed(tmp_path).context

    def dead(*_: object) -> str:
        raise SourceError("nobody answers", remedy="ask the department")

    monkeypatch.setattr(backfill_running, "run_batch", dead)
    planned = plan(context, reprocess="missing", last=WEDNESDAY)
    outcome = run(context, planned)
    assert (len(outcome.failed), list(outcome.left)) == (1, [FEED])
    assert states(context, planned.number) == ["failed", "waiting", "waiting"]
    assert outcome.plan.state == "running"


def test_a_plan_whose_feed_was_changed_has_to_be_made_again(tmp_path: Path) -> None:
    made = installed(tmp_path)
    planned = plan(made.context, reprocess="missing", last=MONDAY)
    context = made.describe(endpoints=["province_sandbox"], conflict="last_row")
    with pytest.raises(RunConflictError, match="plan again"):
        run(context, planned)
    cancel_plan(context, planned.number or 0)
    with pytest.raises(RunConflictError, match="given up"):
        run(context, planned)


def test_only_one_process_runs_a_plan(tmp_path: Path) -> None:
    context = installed(tmp_path).context
    planned = plan(context, reprocess="missing", last=TUESDAY)
    number = planned.number or 0

    def progress(*_: object) -> None:
        with pytest.raises(RunConflictError, match="another process"):
            run_plan(context, number)
        cancel_plan(context, number)

    run(context, planned, progress=progress)
    assert states(context, number) == ["failed", "waiting"], "given up: the slice at work ends, no other begins"


def test_what_others_have_run_meanwhile_is_done(tmp_path: Path) -> None:
    made = installed(tmp_path)
    planned = plan(made.context, reprocess="missing", last=MONDAY)
    made.publish(MONDAY, rows([1]))
    assert refresh_plan(made.context, planned.number or 0).state == "done"
    [(_, state, _, actual)] = compared(made.context, planned)
    assert (state, actual["new"]) == ("done", 1)
