"""Acts on records: withdrawn for good, reinstated, objected to; known to every endpoint that ever had the record."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest
from sqlalchemy import inspect, select
from typer.testing import CliRunner

from pipelines import cli
from pipelines.errors import CatalogueError, GuijiError, RunConflictError
from pipelines.ledger.models import Outbox, Tombstone
from pipelines.operations import judging, publishing, pulling
from pipelines.operations.clock import today_in_shanghai
from pipelines.operations.record_acts import SET_ASIDE, expect, store_act, take_turn
from pipelines.operations.record_states import Decision, open_objections
from pipelines.operations.task_views import list_tasks
from tests.operations.delivering import CATEGORY, ENDPOINT, Delivering, delivering
from tests.operations.small_feed import FEED, TUESDAY, WEDNESDAY, row, rows


def test_a_withdrawn_record_disappears_there_and_no_dump_brings_it_back(shop: Delivering) -> None:
    key = shop.key(1)
    stored = shop.act(key, "withdraw", "revoked")
    assert stored.endpoints == (ENDPOINT,)
    assert shop.deliver().accepted == 1
    assert shop.shown() == {shop.key(2), shop.key(3)}
    content, withdrawal = shop.owed(key)
    assert content.withdrawn_at == withdrawal.accepted_at is not None
    assert (withdrawal.family, withdrawal.reason, withdrawal.policy) == ("withdrawal", "revoked", "penalty_removal")
    assert withdrawal.act == stored.act.id

    again = shop.installation.publish(TUESDAY, [row(1, 处罚内容="给予警告，责令改正。"), row(2), row(3)])
    assert (again.blocked, again.accepted) == (1, 2)
    assert shop.deliver().sent == 0
    assert shop.shown() == {shop.key(2), shop.key(3)}

    reinstated = shop.act(key, "reinstate")
    assert shop.deliver().accepted == 1
    assert key in shop.shown()
    back = shop.owed(key)[-1]
    assert (back.family, back.operation, back.version, back.act) == ("content", "new", 1, reinstated.act.id)

    # What was blocked on Tuesday is judged again, because a record of the feed was reinstated since.
    assert shop.installation.publish(TUESDAY, [row(1, 处罚内容="给予警告，责令改正。"), row(2), row(3)]).changed == 1
    assert shop.deliver().accepted == 1
    assert shop.held()[key]["contentHash"] == shop.owed(key)[-1].content_hash


def test_an_objection_is_marked_there_and_taken_off(small_shop: Delivering) -> None:
    key = small_shop.key(2)
    small_shop.act(key, "objection_on")
    with small_shop.context.ledger.read() as ledger:
        assert set(open_objections(ledger, CATEGORY)) == {key}
    small_shop.deliver()
    assert small_shop.held()[key]["objection"] is True
    small_shop.act(key, "objection_off")
    small_shop.deliver()
    assert small_shop.held()[key]["objection"] is False
    with small_shop.context.ledger.read() as ledger:
        assert open_objections(ledger, CATEGORY) == {}
    assert [(one.operation, one.policy) for one in small_shop.owed(key)[1:]] == [
        ("objection_on", "objection_mark"),
        ("objection_off", "objection_mark"),
    ]


def test_what_was_never_sent_is_set_aside_and_nobody_hears_of_the_withdrawal(small_shop: Delivering) -> None:
    small_shop.installation.publish(TUESDAY, rows([1, 2, 3, 4]))
    key = small_shop.key(4)
    assert small_shop.act(key, "withdraw", "error").set_aside == 1
    assert small_shop.deliver().sent == 0
    content, withdrawal = small_shop.owed(key)
    assert content.withheld_reason == SET_ASIDE
    assert content.withheld_rule is None
    assert withdrawal.withheld_at is not None
    assert withdrawal.sent_at is None
    assert key not in small_shop.held()
    small_shop.act(key, "reinstate")
    assert small_shop.deliver().accepted == 1
    assert key in small_shop.shown()


def test_a_withdrawal_that_was_called_off_in_time_is_never_sent(small_shop: Delivering) -> None:
    key = small_shop.key(1)
    small_shop.act(key, "withdraw", "error")
    small_shop.act(key, "reinstate")
    small_shop.deliver()
    _, withdrawal, content = small_shop.owed(key)
    assert withdrawal.sent_at is None
    assert content.operation == "update"
    assert small_shop.held()[key]["state"] == "shown"


def test_what_cannot_be_is_refused_and_leaves_nothing_behind(small_shop: Delivering) -> None:
    key = small_shop.key(1)
    with pytest.raises(RunConflictError, match="is not withdrawn"):
        small_shop.act(key, "reinstate")
    with pytest.raises(RunConflictError, match="no open objection"):
        small_shop.act(key, "objection_off")
    with pytest.raises(CatalogueError, match="no reason to withdraw"):
        small_shop.act(key, "withdraw", "weather")
    with pytest.raises(GuijiError, match="no published record"):
        small_shop.act("0" * 64, "withdraw", "error")
    small_shop.act(key, "objection_on")
    with pytest.raises(RunConflictError, match="an open objection already"):
        small_shop.act(key, "objection_on")
    small_shop.act(key, "withdraw", "repaired")
    for kind, reason in (("withdraw", "error"), ("objection_on", None), ("objection_off", None)):
        with pytest.raises(RunConflictError, match="has been withdrawn since"):
            small_shop.act(key, kind, reason)
    with small_shop.context.ledger.read() as ledger:
        assert open_objections(ledger, CATEGORY) == {}, "a withdrawal ends an objection"
    assert [act.kind for act in small_shop.acts()] == ["objection_on", "withdraw"]


def test_two_people_withdraw_one_record_at_once(shop: Delivering) -> None:
    key = shop.key(1)
    start, endings = threading.Barrier(4), []

    def withdraw(by: str) -> None:
        decision = Decision("withdraw", today_in_shanghai(), by, "示例决定书", "revoked")
        start.wait()
        try:
            store_act(shop.context, CATEGORY, key, decision)
        except RunConflictError:
            endings.append("refused")
        else:
            endings.append("stored")

    people = [threading.Thread(target=withdraw, args=(f"信用办{number}",)) for number in range(4)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert sorted(endings) == ["refused", "refused", "refused", "stored"]
    assert len(shop.acts()) == 1
    assert [one.family for one in shop.owed(key)] == ["content", "withdrawal"]


def test_a_batch_that_was_judged_before_the_withdrawal_is_published_without_the_record(shop: Delivering) -> None:
    shop.installation.send(TUESDAY, [row(1, 处罚内容="给予警告，责令改正。"), row(2), row(3)])
    context = shop.context
    run = pulling.pull_batch(context, FEED, TUESDAY)
    judging.judge_batch(context, run)
    key = shop.key(1)
    shop.act(key, "withdraw", "revoked")
    publishing.publish_batch(context, run)
    changed = [one for one in shop.owed(key) if one.run == run]
    assert [(one.family, one.withheld_reason) for one in changed] == [("content", SET_ASIDE)]
    shop.deliver()
    assert key not in shop.shown()
    assert shop.held()[key]["contentHash"] == shop.owed(key)[0].content_hash
    shop.installation.publish(WEDNESDAY, rows([1, 2, 3]))
    assert shop.deliver().sent == 0


def test_a_withdrawal_waits_for_a_publication_and_sets_aside_what_that_has_queued(shop: Delivering) -> None:
    key = shop.key(1)
    with shop.context.ledger.write() as ledger:
        take_turn(ledger, CATEGORY, publishing=True)
        withdrawing = threading.Thread(target=shop.act, args=(key, "withdraw", "revoked"))
        withdrawing.start()
        (first,) = ledger.scalars(select(Outbox).where(Outbox.record_key == key))
        columns = {column.key: getattr(first, column.key) for column in inspect(Outbox).columns}
        fresh = {"version": 2, "idempotency_key": "2" * 64, "sent_at": None, "accepted_at": None, "package": None}
        ledger.add(Outbox(**{name: columns[name] for name in columns if name != "id"} | fresh))
        withdrawing.join(0.5)
        assert withdrawing.is_alive()
    withdrawing.join()
    queued = shop.owed(key)[1]
    assert (queued.version, queued.withheld_reason) == (2, SET_ASIDE)


def test_what_an_endpoint_does_not_take_is_told_beforehand_and_becomes_a_task(
    tmp_path: Path, published_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(published_folder, tmp_path, dirs_exist_ok=True)
    with delivering(tmp_path, monkeypatch, operations=["new", "update"]) as shop:
        key = shop.key(1)
        decision = Decision("withdraw", today_in_shanghai(), "信用办甲", "示例决定书", "revoked")
        (expected,) = expect(shop.context, CATEGORY, key, decision)
        assert (expected.shows, expected.takes_it) == ("shown", False)
        shop.act(key, "withdraw", "revoked")
        shop.deliver()
        assert key in shop.shown()
        (task,) = list_tasks(shop.context)
        assert (task.rule, task.owner, task.rows) == (f"{ENDPOINT}:MANUAL", "us", 1)
        endpoint = shop.context.catalogue.endpoints[ENDPOINT]
        taking = endpoint.model_copy(update={"operations": ("new", "update", "withdraw")})
        shop.context.catalogue.endpoints[ENDPOINT] = taking
        shop.deliver()
        assert key not in shop.shown()
        assert list_tasks(shop.context) == []


def test_a_withdrawal_left_to_a_person_is_not_made_up_for_once_the_record_is_back(
    small_shop: Delivering,
) -> None:
    shop, key = small_shop, small_shop.key(1)
    taking = shop.context.catalogue.endpoints[ENDPOINT]
    shop.context.catalogue.endpoints[ENDPOINT] = taking.model_copy(update={"operations": ("new", "update")})
    shop.act(key, "withdraw", "revoked")
    shop.deliver()
    shop.act(key, "reinstate")
    shop.deliver()
    shop.context.catalogue.endpoints[ENDPOINT] = taking
    shop.deliver()
    assert key in shop.shown()


def test_tombstones_say_why_and_since_when(small_shop: Delivering) -> None:
    small_shop.act(small_shop.key(3), "withdraw", "repaired")
    with small_shop.context.ledger.read() as ledger:
        (tombstone,) = ledger.scalars(select(Tombstone))
    assert (tombstone.record_key, tombstone.reason) == (small_shop.key(3), "repaired")
    assert tombstone.since == today_in_shanghai()


def test_the_commands_show_first_and_act_only_when_told(small_shop: Delivering) -> None:
    runner = CliRunner()
    said = ("--note", "示例决定书", "--by", "信用办甲")

    def run(*words: str) -> str:
        result = runner.invoke(cli.app, [*words, *said], env={"COLUMNS": "200"})
        assert result.exit_code == 0, result.output
        return " ".join(result.output.split())

    name, key = "示市监罚[2026]1号", small_shop.key(1)
    preview = run("withdraw", name, "--reason", "repaired")
    assert f"{ENDPOINT}: shown Nothing was stored" in preview
    assert "示市监罚〔2026〕1号" in preview
    assert "有限公司" in preview
    assert small_shop.acts() == []
    assert "Stored as act 1; queued for 1 endpoints" in run("objection", "on", key[:8], "--yes")
    assert "Stored as act 2" in run("withdraw", name, "--reason", "repaired", "--effective", "2026-11-20", "--yes")
    small_shop.deliver()
    shown = " ".join(runner.invoke(cli.app, ["trace", name], env={"COLUMNS": "200"}).output.split())
    assert f"{key}, withdrawn since 2026-11-20 (repaired)" in shown
    for words in ("act 1: objection_on", "act 2: withdraw (repaired), effective 2026-11-20, by 信用办甲", "示例决定书"):
        assert words in shown
    assert "Stored as act 3" in run("reinstate", name, "--yes")
    with pytest.raises(RunConflictError, match="no open objection"):
        runner.invoke(cli.app, ["objection", "off", name, *said], catch_exceptions=False)
    with pytest.raises(CatalogueError, match="has not come yet"):
        runner.invoke(cli.app, ["objection", "on", name, *said, "--effective", "2099-01-01"], catch_exceptions=False)
    with pytest.raises(CatalogueError, match="no published record is called"):
        runner.invoke(cli.app, ["reinstate", "示市监罚〔2026〕99号", *said], catch_exceptions=False)
