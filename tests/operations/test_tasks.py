"""The life of tasks over days of real batches: appear, stay, mended in part, come back; runs again, late, killed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import time_machine
from sqlalchemy import select
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.errors import CatalogueError, RunConflictError
from pipelines.ledger.database import now
from pipelines.ledger.models import DeliveryFinding, Outbox, Run
from pipelines.ledger.quality_models import Closing, Task, TaskEvent
from pipelines.operations import publishing
from pipelines.operations.cases import CASES_FILE
from pipelines.operations.context import Context
from pipelines.operations.delivery_tasks import refresh_delivery_tasks
from pipelines.operations.judging import judge_batch
from pipelines.operations.publishing import publish_batch
from pipelines.operations.pulling import pull_batch
from pipelines.operations.task_life import change_task
from pipelines.operations.task_references import new_reference
from pipelines.operations.task_views import list_tasks, view_task
from tests.databases import new_postgresql_database
from tests.operations.small_feed import FEED, MONDAY, THURSDAY, TUESDAY, WEDNESDAY, Installation, Rows, row, rows

WRONG_CODE, NO_KIND = "CODE-CF_XDR_SHXYM", "REQ-CF_CFLB"


def wrong_code(number: int) -> dict[str, str]:
    return row(number, 统一社会信用代码="91110000600007467X")


def no_kind(number: int) -> dict[str, str]:
    return row(number, 处罚类别="")


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


def night(installation: Installation, day: date, sent: Rows) -> Run:
    """The batch of a day, run on the morning after it."""
    morning = datetime(day.year, day.month, day.day, 22, tzinfo=UTC)
    with time_machine.travel(morning, tick=False):
        return installation.publish(day, sent)


def tasks(context: Context) -> dict[str, tuple[str, int]]:
    """Rule → state and open rows."""
    with context.ledger.read() as ledger:
        return {task.rule: (task.state, task.rows) for task in ledger.scalars(select(Task))}


def events(context: Context, rule: str) -> list[tuple[str, int]]:
    query = select(TaskEvent).join(Task, Task.id == TaskEvent.task).where(Task.rule == rule).order_by(TaskEvent.id)
    with context.ledger.read() as ledger:
        return [(event.event, event.rows) for event in ledger.scalars(query)]


def closings(context: Context) -> list[tuple[str, str, int, int]]:
    query = select(Task.rule, Closing.how, Closing.rows, Closing.days).join(Task, Task.id == Closing.task)
    with context.ledger.read() as ledger:
        return sorted((rule, how, count, days) for rule, how, count, days in ledger.execute(query))


def a_week(installation: Installation) -> None:
    """Three rows are wrong on Monday, one of them and a new one on Tuesday, all are right on Wednesday; one returns."""
    night(installation, MONDAY, [row(1), wrong_code(2), wrong_code(3), wrong_code(4)])
    assert tasks(installation.context) == {WRONG_CODE: ("open", 3)}
    night(installation, TUESDAY, [row(2), row(3), wrong_code(4), wrong_code(5)])
    assert tasks(installation.context) == {WRONG_CODE: ("open", 2)}
    night(installation, WEDNESDAY, [row(4), row(5)])
    assert tasks(installation.context) == {WRONG_CODE: ("verified", 0)}
    night(installation, THURSDAY, [wrong_code(4), no_kind(6)])
    assert tasks(installation.context) == {WRONG_CODE: ("reopened", 1), NO_KIND: ("open", 1)}
    assert events(installation.context, WRONG_CODE) == [("opened", 3), ("counted", 2), ("verified", 0), ("reopened", 1)]
    # Two rows after one day, one after two days (since Monday), one after one day.
    assert closings(installation.context) == [(WRONG_CODE, "source", 2, 2), (WRONG_CODE, "source", 2, 3)]
    (task,) = [one for one in list_tasks(installation.context) if one.rule == WRONG_CODE]
    assert (task.rows_ever, task.first_seen, task.last_seen, task.open_since) == (4, MONDAY, THURSDAY, THURSDAY)


def test_a_week_of_a_task(installation: Installation) -> None:
    a_week(installation)


def test_a_week_of_a_task_in_postgresql(tmp_path: Path) -> None:
    with new_postgresql_database() as url:
        a_week(Installation(tmp_path, ledger_url=url.render_as_string(hide_password=False)))


def test_a_full_dump_without_the_row_and_a_late_batch(tmp_path: Path) -> None:
    """Wednesday's dump speaks louder than Tuesday's, whichever of them is run first."""
    installation = Installation(tmp_path, {"dump": "full", "withdrawals": {"sightings": 2, "max_share": 0.9}})
    night(installation, MONDAY, [*rows([1, 2, 3]), wrong_code(4), wrong_code(5)])
    night(installation, WEDNESDAY, [*rows([1, 2, 3]), wrong_code(5)])
    assert closings(installation.context) == [(WRONG_CODE, "gone", 1, 2)]
    night(installation, TUESDAY, [*rows([1, 2]), no_kind(3), wrong_code(4), row(5)])
    assert tasks(installation.context) == {WRONG_CODE: ("open", 1)}, "Wednesday knows row 3 without the problem"
    assert closings(installation.context) == [(WRONG_CODE, "gone", 1, 2)]


def test_the_same_batch_again_changes_no_task(installation: Installation) -> None:
    night(installation, MONDAY, [wrong_code(1), wrong_code(2), no_kind(3)])
    night(installation, TUESDAY, [row(1), wrong_code(2)])
    before = everything(installation.context)
    # A feed described otherwise is another fingerprint: the batch is judged anew.
    installation.describe(name_zh="示例局处罚")
    again = night(installation, TUESDAY, [row(1), wrong_code(2)])
    assert again.attempt == 2
    assert everything(installation.context) == before


def everything(context: Context) -> list[object]:
    """Tasks, their events and closings, without the attempt that said it last."""
    with context.ledger.read() as ledger:
        found = [
            (task.reference, task.state, task.rows, task.rows_ever, task.waived, task.first_seen, task.last_seen)
            for task in ledger.scalars(select(Task).order_by(Task.reference))
        ]
        steps = [(one.task, one.event, one.rows) for one in ledger.scalars(select(TaskEvent).order_by(TaskEvent.id))]
    return [found, steps, closings(context)]


def test_killed_between_the_tables_and_the_ledger(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """The findings are in the log of their table, and nobody sees them; the batch run again ends as ever."""
    context = installation.context
    installation.send(MONDAY, [wrong_code(1), row(2)])
    run = pull_batch(context, FEED, MONDAY)
    judge_batch(context, run)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(publishing, "store_tasks", die)
        with pytest.raises(KeyboardInterrupt):
            publish_batch(context, run)
    assert findings(context) == []
    assert tasks(context) == {}
    published = installation.publish(MONDAY, [wrong_code(1), row(2)])
    assert published.attempt == 2
    assert findings(context) == [(published.id, WRONG_CODE)]
    assert tasks(context) == {WRONG_CODE: ("open", 1)}
    left = {file.stem for file in context.settings.findings.rglob("*.parquet")} - {published.id}
    assert not any(name.startswith(FEED) for name in left), "the killed run was swept"


def findings(context: Context) -> list[tuple[str, str]]:
    with context.session() as session:
        context.findings.create_view(session, context.ledger, "found", feed=FEED, since=MONDAY, until=THURSDAY)
        return sorted(session.rows("SELECT run, rule FROM found"))


def test_findings_are_those_of_the_runs_that_count(installation: Installation) -> None:
    first = night(installation, MONDAY, [wrong_code(1)])
    night(installation, TUESDAY, [no_kind(2)])
    installation.describe(name_zh="示例局处罚")
    second = night(installation, MONDAY, [wrong_code(1)])
    assert second.id != first.id
    assert [rule for _, rule in findings(installation.context)] == [WRONG_CODE, NO_KIND]
    with installation.context.session() as session:
        installation.context.findings.create_view(session, installation.context.ledger, "found", since=TUESDAY)
        kept = session.arrow("FROM found").to_pylist()
    assert [(one["feed"], one["month"], one["rule"], one["line"]) for one in kept] == [(FEED, "2026-11", NO_KIND, 2)]
    folder = pq.read_table(installation.context.settings.runs / second.id / "findings.parquet").to_pylist()
    assert [one["rule"] for one in folder] == [WRONG_CODE]


def test_what_a_workbook_corrected_is_fixed_first_and_then_verified_or_still_wrong(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    night(installation, MONDAY, [wrong_code(1), wrong_code(2), wrong_code(3)])
    installation.describe(name_zh="示例局处罚")
    pulled = installation.context
    installation.send(MONDAY, [row(1), wrong_code(2), wrong_code(3)])
    run = pull_batch(pulled, FEED, MONDAY)
    cells = {"row_no": pa.array([0, 1], pa.int64()), "field": ["CF_XDR_SHXYM"] * 2, "workbook": ["0" * 64] * 2}
    corrected = pa.table(cells)
    pq.write_table(corrected, pulled.settings.runs / run / "corrections.parquet")
    judge_batch(pulled, run)
    with time_machine.travel(datetime(2026, 11, 18, 2, tzinfo=UTC), tick=False):
        publish_batch(pulled, run)
    assert closings(pulled) == [(WRONG_CODE, "workbook", 1, 2)], "Monday's rows came back on Wednesday"
    assert events(pulled, WRONG_CODE) == [("opened", 3), ("fixed", 3), ("counted", 2)]
    (task,) = list_tasks(pulled)
    assert "2 rows corrected in a workbook, 1 of them still wrong" in {
        event.why for event in view_task(pulled, task.reference).history
    }


def test_people_acknowledge_fix_and_reopen(installation: Installation) -> None:
    night(installation, MONDAY, [wrong_code(1)])
    context = installation.context
    (task,) = list_tasks(context)
    change_task(context, task.reference.lower(), "acknowledged", "王五", "电话13800138000确认")
    assert "13800138000" not in str(view_task(context, task.reference).history)
    night(installation, TUESDAY, [wrong_code(1), wrong_code(2)])
    assert tasks(context) == {WRONG_CODE: ("acknowledged", 2)}
    change_task(context, task.reference, "fixed", "王五")
    assert view_task(context, task.reference).timeline == ((MONDAY, 1), (TUESDAY, 2)), "what people say opens no row"
    with pytest.raises(RunConflictError, match="is fixed and cannot become acknowledged"):
        change_task(context, task.reference, "acknowledged", "王五")
    night(installation, WEDNESDAY, [row(3)])
    assert tasks(context) == {WRONG_CODE: ("fixed", 2)}, "nobody has looked at its rows yet"
    night(installation, THURSDAY, [wrong_code(1), row(2)])
    assert tasks(context) == {WRONG_CODE: ("reopened", 1)}
    assert view_task(context, task.reference).history[-1].why == "declared fixed, and still wrong"
    with pytest.raises(RunConflictError, match="there is no task XX-2222"):
        view_task(context, "XX-2222")


def test_what_people_say_keeps_no_number_of_a_person(installation: Installation) -> None:
    night(installation, MONDAY, [wrong_code(1)])
    context = installation.context
    (task,) = list_tasks(context)
    change_task(context, task.reference, "acknowledged", "王五 13800138000", "联系13800138000")
    said = view_task(context, task.reference).history[-1]
    assert (said.by, said.why) == ("王五 138********", "联系138********")


def test_the_list_is_loudest_first_and_late_tasks_stand_out(installation: Installation) -> None:
    night(installation, MONDAY, [no_kind(1), wrong_code(2), wrong_code(3)])
    context = installation.context
    soon = list_tasks(context, today=MONDAY + timedelta(days=9))
    assert [(line.rule, line.days, line.overdue) for line in soon] == [(WRONG_CODE, 9, False), (NO_KIND, 9, False)]
    assert all(line.overdue for line in list_tasks(context, today=MONDAY + timedelta(days=10)))
    assert list_tasks(context, states=["verified"]) == []
    for wrong in ({"departments": ["elsewhere"]}, {"owners": ["nobody"]}, {"states": ["done"]}, {"feeds": ["nothing"]}):
        with pytest.raises(CatalogueError, match="unknown"):
            list_tasks(context, **wrong)


@pytest.fixture
def commands(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Iterator[CliRunner]:
    for name in ("ROOT", "INBOX", "HOME"):
        monkeypatch.setenv(f"GUIJI_{name}", str(installation.folder / name.lower()))
    night(installation, MONDAY, [wrong_code(1), no_kind(2)])
    night(installation, TUESDAY, [row(1)])
    yield CliRunner()


def test_the_commands_list_show_and_change(installation: Installation, commands: CliRunner) -> None:
    (line,) = json.loads(commands.invoke(app, ["tasks", "list", "--json", "--owner", "department"]).output)
    assert (line["rule"], line["rows"], line["first_seen"]) == (NO_KIND, 1, "2026-11-16")
    done = commands.invoke(app, ["tasks", "list", "--state", "verified"]).output
    assert WRONG_CODE in done
    assert NO_KIND not in done
    assert commands.invoke(app, ["tasks", "acknowledge", line["reference"], "--by", "赵六"]).exit_code == 0
    shown = commands.invoke(app, ["tasks", "show", line["reference"]]).output
    assert "acknowledged" in shown
    assert "处罚类别" in shown
    assert "by 赵六" in shown
    assert "2026-11-16  ███" in shown


def test_what_receivers_reject_or_would_not_take_is_a_task_until_a_new_version(installation: Installation) -> None:
    night(installation, MONDAY, rows([1, 2, 3]))
    context = installation.context
    with context.ledger.write() as ledger:
        run = ledger.scalars(select(Run)).one()
        owed = [outbox(run, number, 1) for number in range(3)]
        owed[2].withheld_rule, owed[2].withheld_at = "LENGTH", now()
        ledger.add_all(owed)
        ledger.flush()
        ledger.add_all(
            DeliveryFinding(
                outbox_id=one.id, endpoint="province", feed=FEED, record_key=one.record_key, rule="1001",
                message="no such subject", found_at=now(),
            )
            for one in owed[:2]
        )  # fmt: skip
    refresh_delivery_tasks(context, "delivery")
    assert tasks(context) == {"province:1001": ("open", 2), "province:LENGTH": ("open", 1)}
    with context.ledger.write() as ledger:
        ledger.add_all(outbox(run, number, 2) for number in (0, 2))
    refresh_delivery_tasks(context, "delivery")
    refresh_delivery_tasks(context, "delivery")
    assert tasks(context) == {"province:1001": ("open", 1), "province:LENGTH": ("verified", 0)}
    assert events(context, "province:1001") == [("opened", 2), ("counted", 1)]
    (task,) = list_tasks(context)
    assert [one.row for one in view_task(context, task.reference).examples] == [
        "record 111111111111",
        "record 000000000000",
    ]


def test_a_rejection_without_a_rule_shows_its_records_too(installation: Installation) -> None:
    night(installation, MONDAY, rows([1]))
    context = installation.context
    with context.ledger.write() as ledger:
        owed = outbox(ledger.scalars(select(Run)).one(), 7, 1)
        ledger.add(owed)
        ledger.flush()
        ledger.add(
            DeliveryFinding(
                outbox_id=owed.id, endpoint="province", feed=FEED, record_key=owed.record_key, rule=None,
                message="no", found_at=now(),
            )
        )  # fmt: skip
    refresh_delivery_tasks(context, "delivery")
    (task,) = list_tasks(context)
    assert [one.row for one in view_task(context, task.reference).examples] == ["record 777777777777"]


def outbox(run: Run, number: int, version: int) -> Outbox:
    return Outbox(
        endpoint="province", category=run.category, feed=FEED, run=run.id, record_key=str(number) * 64, version=version,
        content_hash="c" * 64, operation="upsert", business_date=MONDAY, decision_date=MONDAY, deadline=THURSDAY,
        deadline_provisional=False, idempotency_key=f"{number}-{version}", queued_at=now(),
    )  # fmt: skip


def test_the_cases_of_the_last_run_may_not_be_lost(installation: Installation) -> None:
    """Without them all that is open would be forgotten in silence; a run from before there were cases had none."""
    first = night(installation, MONDAY, [wrong_code(1)])
    folder = installation.context.settings.runs / first.id
    (folder / CASES_FILE).unlink()
    night(installation, TUESDAY, [no_kind(2)])
    second = installation.context.settings.runs / installation.published(TUESDAY).id
    second.rename(second.with_name("elsewhere"))
    installation.send(WEDNESDAY, rows([3]))
    problem = installation.night(WEDNESDAY)
    assert problem is not None
    assert "what is open for the feed" in str(problem)


def test_references_are_derived_and_never_given_twice() -> None:
    given: set[str] = set()
    for rule in range(500):
        reference = new_reference("market_penalty", str(rule), "", given.__contains__)
        assert reference not in given
        assert reference.startswith("MP-")
        assert len(reference) == 7
        given.add(reference)
    assert new_reference("market_penalty", "0", "", set().__contains__) in given
    assert new_reference("tax", "0", "", set().__contains__).startswith("TA-")
