"""Waivers: a row as it stands is excused from a rule for a while; nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from pipelines import cli
from pipelines.errors import CatalogueError, GuijiError, RunConflictError
from pipelines.ledger.models import Outbox, RuleCount, Run
from pipelines.ledger.quality_models import Task, Waiver
from pipelines.operations.clock import today_in_shanghai
from pipelines.operations.trace import trace
from pipelines.operations.waiver_granting import Approval, Granted, grant_by_number, grant_by_row, grant_by_task
from pipelines.operations.waiving import expiring_waivers, list_waivers, revoke_waivers, waivers_in_force
from pipelines.reporting.problem_lines import create_lines
from pipelines.reporting.reasons import reason_counts
from pipelines.reporting.run_files import run_files
from pipelines.reporting.what_if import what_if
from tests.databases import new_postgresql_database
from tests.operations.small_feed import FEED, MONDAY, TUESDAY, WEDNESDAY, Installation, Rows, row

RULE = "ENUM-CF_CFLB"
UNTIL = date(2027, 1, 31)
APPROVAL = Approval("示例处长", "示例市二〇二五年第3号会议纪要同意", UNTIL)
ENDPOINT = {"endpoints": ["province_sandbox"]}


@pytest.fixture
def feed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    if getattr(request, "param", "sqlite") == "sqlite":
        yield installation(tmp_path)
        return
    with new_postgresql_database() as url:
        yield installation(tmp_path, url.render_as_string(hide_password=False))


on_both_ledgers = pytest.mark.parametrize("feed", ["sqlite", "postgresql"], indirect=True)


def installation(folder: Path, ledger_url: str | None = None) -> Installation:
    from pipelines.settings import PROJECT_ROOT

    made = Installation(folder, ledger_url=ledger_url)
    endpoints = folder / "root" / "schemas" / "endpoints"
    endpoints.mkdir(exist_ok=True)
    text = (PROJECT_ROOT / "schemas" / "endpoints" / "province_sandbox.yaml").read_text(encoding="utf-8")
    (endpoints / "province_sandbox.yaml").write_text(
        text.replace("[administrative_licence, administrative_penalty]", "[administrative_penalty]"), encoding="utf-8"
    )
    made.describe(**ENDPOINT)
    return made


def odd(**cells: str) -> dict[str, str]:
    """A row with a class of penalty that stands in no code list."""
    return row(1, 处罚类别="训诫", **cells)


def outcomes(feed: Installation, run: Run) -> list[dict[str, Any]]:
    found = pq.read_table(feed.context.settings.runs / run.id / "outcomes.parquet").to_pylist()
    return sorted(found, key=lambda one: int(one["row_no"]))


def grant(feed: Installation, run: Run, row_no: int = 0, approval: Approval = APPROVAL) -> Granted:
    return grant_by_number(feed.context, run.id, row_no, RULE, approval)


def queued(feed: Installation) -> list[tuple[str, int]]:
    with feed.context.ledger.read() as session:
        return [(one.record_key, one.version) for one in session.scalars(select(Outbox).order_by(Outbox.id))]


@on_both_ledgers
def test_a_waived_row_is_published_once_and_only_once(feed: Installation) -> None:
    sent: Rows = [odd(), row(2)]
    before = feed.publish(MONDAY, sent)
    assert (before.accepted, before.quarantined) == (1, 1)
    grant(feed, before)
    again = feed.publish(MONDAY, sent)
    assert (again.accepted, again.quarantined, again.new) == (2, 0, 1)
    for day in (MONDAY, TUESDAY):
        feed.publish(day, sent)
    assert feed.published(TUESDAY).unchanged == 2
    assert len(queued(feed)) == len(set(queued(feed))) == 2


def test_nothing_of_a_waived_row_is_hidden(feed: Installation) -> None:
    first = feed.publish(MONDAY, [odd()])
    grant(feed, first)
    run = feed.publish(MONDAY, [odd()])
    (judged,) = outcomes(feed, run)
    assert (judged["outcome"], judged["reasons"], judged["waived"]) == ("accepted", [], [RULE])
    with feed.context.ledger.read() as ledger:
        count = ledger.scalars(select(RuleCount).where(RuleCount.run == run.id, RuleCount.rule == RULE)).one()
        assert (count.failed, count.waived) == (1, 1)
    with feed.context.session() as session:
        (version,) = trace(feed.context, session, "administrative_penalty", judged["record_key"]).versions
    assert version.version["flags"] == [f"waived:{RULE}"]
    assert [waiver.approver for waiver in version.waivers] == ["示例处长"]


def test_the_same_content_is_excused_the_next_day_without_anything_being_done(feed: Installation) -> None:
    grant(feed, feed.publish(MONDAY, [odd()]))
    assert feed.publish(TUESDAY, [row(7), odd()]).accepted == 2


@pytest.mark.parametrize(
    "cells", [{"处罚内容": "给予训诫。"}, {"处罚类别": "训诫书"}], ids=["elsewhere", "in the field"]
)
def test_a_changed_row_is_judged_in_full(feed: Installation, cells: dict[str, str]) -> None:
    grant(feed, feed.publish(MONDAY, [odd()]))
    run = feed.publish(TUESDAY, [odd() | cells])
    (judged,) = outcomes(feed, run)
    assert (judged["outcome"], judged["reasons"], judged["waived"]) == ("quarantined", [RULE], [])


def test_other_rules_of_the_row_still_count(feed: Installation) -> None:
    broken = odd(法定代表人="张*")
    run = feed.publish(MONDAY, [broken])
    grant(feed, run)
    (judged,) = outcomes(feed, feed.publish(MONDAY, [broken]))
    assert (judged["outcome"], judged["reasons"], judged["waived"]) == ("quarantined", ["MASK-CF_FRDB"], [RULE])


@on_both_ledgers
def test_what_is_waived_is_nobodys_work(feed: Installation) -> None:
    """Neither the workbook nor the reasons of a page, nor the question what mending would bring, know it any more."""
    sent: Rows = [odd(), row(2, 处罚类别="训诫", 处罚内容="给予训诫。", 法定代表人="张*")]
    before = feed.publish(MONDAY, sent)
    for number in (0, 1):
        grant(feed, before, number)
    run = feed.publish(MONDAY, sent)
    files = run_files(feed.context.settings, run)
    with feed.context.session() as session:
        assert [(one.code, one.rows, one.sole) for one in reason_counts(session, files)] == [("MASK-CF_FRDB", 1, 1)]
        assert [(kind.code, kind.rows) for kind in create_lines(session, files, [])] == [("MASK-CF_FRDB", 1)]
        profile = feed.context.catalogue.profile("national")
        found = what_if(session, feed.context.settings, feed.context.ledger, profile, [FEED], MONDAY, MONDAY)
        assert [step.fixed for step in found.steps] == [("MASK-CF_FRDB",)]


def test_a_waiver_holds_for_its_last_day_and_not_for_the_next(feed: Installation) -> None:
    first = feed.publish(MONDAY, [odd()])
    until = today_in_shanghai() + timedelta(days=1)
    grant(feed, first, approval=Approval("示例处长", "过渡期", until))
    assert feed.publish(until, [odd()]).accepted == 1
    assert feed.publish(until + timedelta(days=1), [odd()]).quarantined == 1


def test_a_waiver_does_not_reach_back(feed: Installation) -> None:
    feed.publish(MONDAY, [odd()])
    grant(feed, feed.publish(TUESDAY, [odd(), row(3)]))
    assert feed.publish(MONDAY, [odd(), row(4)]).quarantined == 1


@on_both_ledgers
def test_a_revoked_waiver_excuses_nothing_from_then_on(feed: Installation) -> None:
    sent: Rows = [odd(), row(2)]
    granted = grant(feed, feed.publish(MONDAY, sent))
    assert feed.publish(MONDAY, sent).accepted == 2
    assert revoke_waivers(feed.context, list(granted.numbers), "示例局长", "依据已失效，见13800138000") == 1
    # The same bytes are judged again, because other waivers are in force.
    assert feed.publish(MONDAY, sent).quarantined == 1
    with feed.context.ledger.read() as ledger:
        (waiver,) = ledger.scalars(select(Waiver))
    assert (waiver.revoked_by, waiver.revoked_why) == ("示例局长", "依据已失效，见138********")
    with pytest.raises(RunConflictError, match="revoked by 示例局长 before"):
        revoke_waivers(feed.context, list(granted.numbers), "示例局长", "再次")


def test_the_same_bytes_under_the_same_waivers_are_a_no_op(feed: Installation) -> None:
    grant(feed, feed.publish(MONDAY, [odd()]))
    feed.publish(MONDAY, [odd()])
    feed.night(MONDAY)
    assert feed.last_run(MONDAY).state == "unchanged"


def test_a_new_version_of_the_rule_is_not_waived(feed: Installation) -> None:
    grant(feed, feed.publish(MONDAY, [odd()]))
    with feed.context.ledger.write() as ledger:
        ledger.scalars(select(Waiver)).one().rule_version = 99
    assert feed.publish(WEDNESDAY, [odd()]).quarantined == 1


def test_a_task_is_waived_as_a_whole(feed: Installation) -> None:
    sent: Rows = [odd(), odd(决定书文号="示市监罚〔2026〕9号"), row(2)]
    feed.publish(MONDAY, sent)
    (task,) = tasks_about(feed, RULE)
    granted = grant_by_task(feed.context, task.reference, APPROVAL)
    assert (len(granted.numbers), granted.business_date) == (2, MONDAY)
    assert feed.publish(MONDAY, sent).accepted == 3
    (task,) = tasks_about(feed, RULE)
    assert (task.state, task.rows) == ("waived", 0)
    with pytest.raises(RunConflictError, match="is open"):
        grant_by_task(feed.context, task.reference, APPROVAL)


def tasks_about(feed: Installation, rule: str) -> list[Task]:
    with feed.context.ledger.read() as ledger:
        return list(ledger.scalars(select(Task).where(Task.rule == rule)))


def test_waivers_are_listed_by_what_ends_first(feed: Installation) -> None:
    run = feed.publish(MONDAY, [odd(), odd(决定书文号="示市监罚〔2026〕9号")])
    soon = today_in_shanghai() + timedelta(days=5)
    grant(feed, run, 0)
    grant(feed, run, 1, Approval("示例处长", "短期", soon))
    shown = list_waivers(feed.context, today_in_shanghai())
    assert [one.waiver.until for one in shown] == [soon, UNTIL]
    assert [one.waiver.until for one in expiring_waivers(feed.context, today_in_shanghai(), 10)] == [soon]
    assert [one.state for one in list_waivers(feed.context, soon + timedelta(days=1), in_force_only=False)] == [
        "expired",
        "in force",
    ]
    assert waivers_in_force(feed.context, "other_feed", TUESDAY).num_rows == 0


class TestWhatIsRefused:
    """On SQLite only: nothing here depends on the ledger."""

    @pytest.fixture
    def small(self, tmp_path: Path) -> Installation:
        return installation(tmp_path)

    @pytest.mark.parametrize(
        ("approval", "said"),
        [
            (Approval(" ", "过渡期", UNTIL), "an approver and a reason"),
            (Approval("示例处长", "", UNTIL), "an approver and a reason"),
            (Approval("示例处长", "过渡期", date(2026, 1, 1)), "is over"),
            (Approval("示例处长", "过渡期", date(2031, 1, 1)), "365 days at most"),
            (Approval("示例处长", "身份证号110101199003070011", UNTIL), "personal data"),
        ],
    )
    def test_an_approval_that_is_not_complete(self, small: Installation, approval: Approval, said: str) -> None:
        run = small.publish(MONDAY, [odd()])
        with pytest.raises(GuijiError, match=said):
            grant(small, run, approval=approval)
        assert list_waivers(small.context, MONDAY, in_force_only=False) == []

    def test_a_rule_that_the_row_keeps(self, small: Installation) -> None:
        run = small.publish(MONDAY, [odd()])
        with pytest.raises(RunConflictError, match="does not break the rule REQ-CF_WSH") as refused:
            grant_by_number(small.context, run.id, 0, "REQ-CF_WSH", APPROVAL)
        assert RULE in str(refused.value)

    def test_a_rule_that_may_be_waived_for_nobody(self, small: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
        from dataclasses import replace

        from pipelines.operations import waiver_granting

        made = waiver_granting.suite_of

        def strict(*given: Any) -> Any:
            suite = made(*given)
            rules = tuple(replace(rule, waivable=rule.code != RULE) for rule in suite.rules)
            return replace(suite, rules=rules)

        run = small.publish(MONDAY, [odd()])
        monkeypatch.setattr(waiver_granting, "suite_of", strict)
        with pytest.raises(CatalogueError, match=f"{RULE} may be waived for no record"):
            grant(small, run)

    def test_a_rule_that_is_not_about_single_rows(self, small: Installation) -> None:
        run = small.publish(MONDAY, [row(1), row(1, 处罚内容="其他内容。")])
        assert run.quarantined == 2
        with pytest.raises(CatalogueError, match="not judged row by row"):
            grant_by_number(small.context, run.id, 0, "DUP-003", APPROVAL)

    def test_what_is_waived_already(self, small: Installation) -> None:
        run = small.publish(MONDAY, [odd()])
        grant(small, run)
        with pytest.raises(RunConflictError, match="already"):
            grant(small, run)

    @pytest.mark.parametrize("reference", ["nonsense", "0123456789ab/Sheet1/seven", "ffffffffffff//2"])
    def test_a_reference_that_leads_nowhere(self, small: Installation, reference: str) -> None:
        small.publish(MONDAY, [odd()])
        with pytest.raises(RunConflictError):
            grant_by_row(small.context, reference, RULE, APPROVAL)


def test_the_command_grants_by_the_reference_of_the_workbook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = installation(tmp_path)
    (judged,) = outcomes(feed, feed.publish(MONDAY, [odd()]))
    for name in ("root", "inbox", "home"):
        monkeypatch.setenv(f"GUIJI_{name.upper()}", str(tmp_path / name))
    reference = f"{judged['extract'][:12]}/{judged['sheet']}/{judged['line']}"
    arguments = ["waivers", "grant", reference, "--rule", RULE, "--approver", "示例处长", "--why", "过渡期[/]"]
    granted = CliRunner().invoke(cli.app, [*arguments, "--until", str(UNTIL)])
    assert granted.exit_code == 0, granted.output
    assert f"guiji run --feed {FEED} --date {MONDAY}" in " ".join(granted.output.split())
    for command in (["list"], ["list", "--all"], ["expiring", "--days", "200"]):
        shown = CliRunner().invoke(cli.app, ["waivers", *command], env={"COLUMNS": "200"})
        assert RULE in shown.output and "in force" in shown.output
        assert "过渡期[/]" in shown.output, "brackets are no markup"
    assert CliRunner().invoke(cli.app, ["waivers", "revoke", "1", "--by", "甲", "--why", "乙"]).exit_code == 0
    assert "no waivers" in CliRunner().invoke(cli.app, ["waivers", "list"]).output
