"""A batch that is unlike the good ones before it waits, and a steward decides."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner

from pipelines import cli
from pipelines.errors import BatchHeldError, GuijiError, RunConflictError
from pipelines.ledger.database import open_ledger
from pipelines.ledger.models import Batch, Outbox, Run
from pipelines.ledger.quality_models import GateDecision, GateResult, GateThreshold, Measure
from pipelines.operations import gate_decisions
from pipelines.operations.attempts import run_folder
from pipelines.operations.gate_decisions import refuse, release
from pipelines.operations.gate_learning import accept_limits, forget_limits, learn_limits
from pipelines.operations.gate_views import bar, gate_lines, gate_view
from pipelines.operations.judging import judge_batch
from pipelines.operations.publishing import publish_batch
from pipelines.operations.pulling import pull_batch
from pipelines.operations.reports import build_site
from pipelines.operations.resubmitting import resubmit
from pipelines.operations.status import notices_of, problems_of
from tests.databases import new_postgresql_database
from tests.operations import state
from tests.operations.gate_history import COLLAPSED, USUAL, hold, live_through
from tests.operations.returned_workbook import fill
from tests.operations.small_feed import (
    COLUMNS,
    FEED,
    MONDAY,
    THURSDAY,
    TUESDAY,
    WEDNESDAY,
    Installation,
    row,
    rows,
)


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    made = Installation(tmp_path)
    for name in ("root", "inbox", "home"):
        monkeypatch.setenv(f"GUIJI_{name.upper()}", str(tmp_path / name))
    return made


@pytest.fixture(params=["sqlite", "postgresql"])
def on_any_ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    if request.param == "sqlite":
        yield Installation(tmp_path)
        return
    with new_postgresql_database() as url:
        address = url.render_as_string(hide_password=False)
        yield Installation(tmp_path, ledger_url=address)
        open_ledger(address).engine.dispose()


def visible(installation: Installation) -> int:
    return len(state.records(installation.context)["administrative_penalty"])


def invoke(*arguments: str) -> tuple[int, str]:
    found = CliRunner(env={"COLUMNS": "200"}).invoke(cli.app, list(arguments))
    problem = found.exception
    if isinstance(problem, GuijiError):
        return problem.exit_code, found.output + str(problem)
    return found.exit_code, found.output


def test_a_collapsed_feed_is_held_and_released_once(on_any_ledger: Installation) -> None:
    held = hold(on_any_ledger)
    context = on_any_ledger.context
    assert (held.state, held.stage, held.accepted, held.quarantined) == ("held", "judged", COLLAPSED - 1, 1)
    for word in ("GATE-001 row_count is 8, usually 60", "allowed", f"guiji gates show {held.id}", "gates release"):
        assert word in (held.problem or "")
    assert visible(on_any_ledger) == USUAL
    with pytest.raises(BatchHeldError):
        publish_batch(context, held.id)

    assert release(context, held.id, "示例专员", "部门确认当日仅此数件") is True
    published = on_any_ledger.published(TUESDAY)
    assert (published.id, published.state, published.problem) == (held.id, "published", None)
    assert (published.accepted, published.quarantined) == (COLLAPSED - 1, 1), "rules of rows are never skipped"
    assert visible(on_any_ledger) == USUAL + COLLAPSED - 1

    assert release(context, held.id, "另一人", "再次") is False
    with context.ledger.read() as ledger:
        (decision,) = ledger.scalars(select(GateDecision)).all()
        assert (decision.run, decision.decision, decision.by) == (held.id, "release", "示例专员")
        assert ledger.scalar(select(func.count()).select_from(Run).where(Run.business_date == TUESDAY)) == 1
        failed = ledger.scalars(select(GateResult.gate).where(GateResult.outcome == "fail")).all()
    assert "row_count" in failed
    assert visible(on_any_ledger) == USUAL + COLLAPSED - 1
    with pytest.raises(RunConflictError, match="was released by 示例专员"):
        refuse(context, held.id, "另一人", "不同意")

    assert on_any_ledger.night(TUESDAY) is None
    assert on_any_ledger.last_run(TUESDAY).state == "unchanged"


def test_a_workbook_that_comes_back_for_a_released_batch_needs_no_second_release(
    installation: Installation, tmp_path: Path
) -> None:
    held = hold(installation)
    release(installation.context, held.id, "专员", "部门确认属实")
    out = build_site(installation.context, TUESDAY).workbooks[FEED]
    right = row(900)["统一社会信用代码"]
    fill(out, tmp_path / "back.xlsx", {(COLLAPSED + 1, "行政相对人代码_1(统一社会信用代码)"): right})
    back = resubmit(installation.context, tmp_path / "back.xlsx", "经办")
    assert (back.applied, back.still_wrong) == (1, 0)
    assert installation.published(TUESDAY).id == back.run != held.id
    # Another file is another question.
    installation.send(TUESDAY, rows(range(600, 600 + COLLAPSED - 1)))
    assert isinstance(installation.night(TUESDAY), BatchHeldError)


def test_a_refused_run_publishes_nothing_and_the_next_attempt_waits_again(on_any_ledger: Installation) -> None:
    held = hold(on_any_ledger)
    context = on_any_ledger.context
    assert refuse(context, held.id, "示例专员", "漏导，请重报；联系13800138000") is True
    refused = on_any_ledger.last_run(TUESDAY)
    assert refused.state == "failed"
    assert "refused by 示例专员: 漏导，请重报；联系138********" in (refused.problem or "")
    assert refuse(context, held.id, "示例专员", "再次") is False
    for attempt in (release, None):
        with pytest.raises(RunConflictError, match="was refused"):
            attempt(context, held.id, "a", "b") if attempt else publish_batch(context, held.id)
    with pytest.raises(RunConflictError, match="was refused"):
        judge_batch(context, held.id)
    assert visible(on_any_ledger) == USUAL

    assert isinstance(on_any_ledger.night(TUESDAY), BatchHeldError)
    again = on_any_ledger.last_run(TUESDAY)
    assert (again.id, again.state) != (held.id, "failed")
    on_any_ledger.send(TUESDAY, rows(range(300, 300 + USUAL)))
    assert on_any_ledger.night(TUESDAY) is None, "the department sent the whole of it"
    with pytest.raises(RunConflictError, match="newer attempt"):
        release(context, again.id, "a", "b")


def test_a_held_run_survives_later_batches_and_is_judged_again(installation: Installation) -> None:
    held = hold(installation)
    installation.publish(WEDNESDAY, rows(range(100, 100 + USUAL)))
    assert run_folder(installation.context, held.id).exists(), "a run that waits is not swept"
    assert release(installation.context, held.id, "示例专员", "属实") is True
    published = installation.published(TUESDAY)
    assert published.state == "published"
    assert (published.manifest or {})["compared_with"] == installation.published(WEDNESDAY).id
    assert visible(installation) == 2 * USUAL + COLLAPSED - 1


def test_held_and_refused_batches_are_no_history(installation: Installation) -> None:
    held = hold(installation)
    installation.publish(WEDNESDAY, rows(range(100, 100 + USUAL)))
    view = gate_view(installation.context, installation.published(WEDNESDAY).id)
    assert {one.usual for one in view.results if one.gate == "row_count"} == {USUAL}
    assert {one.batches for one in view.results if one.gate == "row_count"} == {6}
    release(installation.context, held.id, "示例专员", "属实")
    installation.publish(THURSDAY, rows(range(200, 200 + USUAL)))
    later = gate_view(installation.context, installation.published(THURSDAY).id)
    assert {one.batches for one in later.results if one.gate == "row_count"} == {8}


def test_first_days_are_not_applicable(installation: Installation) -> None:
    run = installation.publish(MONDAY, rows(range(3)))
    view = gate_view(installation.context, run.id)
    assert {one.outcome for one in view.results} == {"not_applicable"}
    assert {one.reason for one in view.results if one.gate == "row_count"} == {"few_batches"}
    with installation.context.ledger.read() as ledger:
        assert ledger.scalar(select(func.count()).select_from(Measure)) > 0


def test_what_no_gate_holds_cannot_be_released(installation: Installation) -> None:
    held = hold(installation)
    context = installation.context
    with pytest.raises(RunConflictError, match="there is no run"):
        release(context, "dept_penalty-20261117-999", "a", "b")
    with pytest.raises(RunConflictError, match="is published; only a run that a gate holds can be released"):
        release(context, installation.published(MONDAY).id, "a", "b")
    with pytest.raises(GuijiError, match="a name and a reason"):
        release(context, held.id, "示例专员", "  ")
    lost = tuple(column for column in COLUMNS if column != "决定书文号")
    installation.send(WEDNESDAY, rows(range(USUAL)), lost)
    assert isinstance(installation.night(WEDNESDAY), BatchHeldError)
    column = installation.last_run(WEDNESDAY)
    for decide in (release, refuse):
        with pytest.raises(RunConflictError, match="no gate holds the run"):
            decide(context, column.id, "a", "b")
    assert [line.run for line in gate_lines(context, held=True)] == [held.id]


def test_a_gate_that_is_off_holds_nothing(installation: Installation) -> None:
    live_through(installation, MONDAY, USUAL)
    installation.describe(gates={"row_count": {"off": True}})
    run = installation.publish(TUESDAY, rows(range(500, 500 + COLLAPSED)))
    (result,) = (one for one in gate_view(installation.context, run.id).results if one.gate == "row_count")
    assert (result.outcome, result.reason) == ("not_applicable", "off")


def test_a_run_that_its_gates_have_not_seen_is_not_published(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.send(MONDAY, rows(range(3)))
    context = installation.context
    run = pull_batch(context, FEED, MONDAY)
    with monkeypatch.context() as patched:
        patched.setattr("pipelines.operations.judging.check_gates", lambda *_: None)
        judge_batch(context, run)
    with pytest.raises(RunConflictError, match="the gates have not seen"):
        publish_batch(context, run)
    judge_batch(context, run)
    assert publish_batch(context, run) == run


def test_what_gates_said_of_an_earlier_judgement_opens_nothing(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that dies between judging again and asking the gates again leaves the answers of before."""
    installation.send(MONDAY, rows(range(3)))
    context = installation.context
    run = pull_batch(context, FEED, MONDAY)
    judge_batch(context, run)
    with monkeypatch.context() as patched:
        patched.setattr("pipelines.operations.judging.check_gates", lambda *_: None)
        judge_batch(context, run)
    with pytest.raises(RunConflictError, match="the gates have not seen"):
        publish_batch(context, run)


def _release_and_die(environment: dict[str, str], run: str) -> None:
    os.environ.update(environment)
    gate_decisions.publish_batch = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment]
    from pipelines.operations.context import open_context

    release(open_context(), run, "示例专员", "属实")


def test_killed_between_decision_and_publication(installation: Installation) -> None:
    held = hold(installation)
    environment = {name: value for name, value in os.environ.items() if name.startswith("GUIJI_")}
    process = multiprocessing.get_context("spawn").Process(target=_release_and_die, args=(environment, held.id))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    context = installation.context
    assert installation.last_run(TUESDAY).state == "held"
    with pytest.raises(RunConflictError, match="was released by 示例专员"):
        refuse(context, held.id, "另一人", "不同意")
    assert release(context, held.id, "另一人", "再次") is True
    with context.ledger.read() as ledger:
        (decision,) = ledger.scalars(select(GateDecision)).all()
        assert decision.by == "示例专员", "the first decision is the one that counts"
        assert ledger.scalar(select(func.count()).select_from(Outbox)) == 0
        assert ledger.scalars(select(Batch.run).where(Batch.business_date == TUESDAY)).all() == [held.id]
    assert visible(installation) == USUAL + COLLAPSED - 1


def test_learned_limits_are_shown_accepted_and_taken_back(installation: Installation) -> None:
    live_through(installation, MONDAY, USUAL)
    context = installation.context
    news = learn_limits(context, FEED, 20, "row_count")
    (rows_learned,) = news
    assert rows_learned.in_force is not None
    assert (rows_learned.batches, rows_learned.usual) == (6, USUAL)
    assert (rows_learned.in_force.low or 0) < rows_learned.low <= USUAL <= rows_learned.high
    with context.ledger.read() as ledger:
        assert ledger.scalars(select(GateThreshold)).all() == []
    with pytest.raises(GuijiError, match="there is no gate"):
        learn_limits(context, FEED, 20, "row_counts")
    with pytest.raises(GuijiError, match="a name and a reason"):
        accept_limits(context, FEED, news, "示例专员", "")

    assert accept_limits(context, FEED, news, "示例专员", "数量一向稳定") == 1
    installation.send(TUESDAY, rows(range(300, 300 + USUAL - 12)))
    assert isinstance(installation.night(TUESDAY), BatchHeldError), "too few under the learned limits"
    assert forget_limits(context, FEED, "示例专员", "过严") == 1
    assert forget_limits(context, FEED, "示例专员", "过严") == 0
    assert installation.night(TUESDAY) is None, "within what chance does to sixty rows"


def test_the_commands_show_decide_and_explain(installation: Installation) -> None:
    assert invoke("gates", "list") == (0, "No gate was asked yet.\n")
    held = hold(installation)
    code, listed = invoke("gates", "list", "--held")
    assert code == 0
    assert held.id in listed
    assert "waits for a decision" in listed
    code, shown = invoke("gates", "show", held.id)
    assert code == 0
    for word in ("GATE-001", "行数", "60", "未通过", "├", "●", f"guiji gates release {held.id}"):
        assert word in shown, word
    (problem,) = (text for feed, text in problems_of(installation.context, TUESDAY) if feed == FEED)
    assert problem.startswith("HELD: the batch is unlike the good ones before it")
    code, learned = invoke("gates", "learn", FEED)
    assert "limits in force → learned" in learned
    assert invoke("gates", "release", held.id)[0] == 2, "a reason is asked for"
    code, said = invoke("gates", "release", held.id, "--by", "示例专员", "--why", "部门确认属实")
    assert (code, said) == (0, f"{held.id} is released and published.\n")
    code, said = invoke("gates", "release", held.id, "--by", "示例专员", "--why", "部门确认属实")
    assert (code, said) == (0, f"{held.id} was released and published before.\n")
    assert "release by 示例专员" in invoke("gates", "show", held.id)[1]
    assert "release by 示例专员" in invoke("gates", "list", "--feed", FEED, "--date", "2026-11-17")[1]
    code, said = invoke("gates", "refuse", held.id, "--by", "示例专员", "--why", "不对")
    assert code == RunConflictError.exit_code
    assert "was released" in said
    assert invoke("gates", "show", "nothing")[0] == RunConflictError.exit_code
    notices = [text for feed, text in notices_of(installation.context, TUESDAY)]
    assert any("released" in text and "部门确认属实" in text for text in notices)
    assert not any(text.startswith("SRC-007") for text in notices), "the gate has said it already"


def test_the_bar_shows_where_a_figure_lies() -> None:
    inside, below = bar(50, 50, 40, 60), bar(10, 50, 40, 60)
    assert len(inside) == len(below) == 24
    assert (inside[0], inside[-1], inside.count("●")) == ("├", "┤", 1)
    assert below[0] == "●"
    assert below.index("├") < below.index("┃") < below.index("┤")
    assert bar(None, 1, 0, 2) == bar(1, None, 0, 2) == ""
    assert bar(5, 9, 1, None).count("●") == 1
