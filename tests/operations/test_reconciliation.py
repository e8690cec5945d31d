"""Reconciliation: both sides are compared both ways, what differs becomes a task, and is repaired after a look."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import select, update
from typer.testing import CliRunner

from pipelines import cli
from pipelines.delivery.exclusive import exclusive
from pipelines.delivery.rest import RestAdapter
from pipelines.errors import DeliveryError, RunConflictError
from pipelines.ledger.delivery_models import Difference, Reconciliation
from pipelines.ledger.models import Outbox, Package, Receipt
from pipelines.operations.holdings import KINDS
from pipelines.operations.reconciliation import open_differences, reconcile_endpoints
from pipelines.operations.repairing import ACCEPTED, plan_repair, repair
from pipelines.operations.task_views import list_tasks, view_task
from tests.operations.delivering import CATEGORY, ENDPOINT, Delivering, opened
from tests.operations.small_feed import TUESDAY, rows


def reconcile(shop: Delivering) -> Reconciliation:
    (outcome,) = reconcile_endpoints(shop.context, "信用办甲", category=CATEGORY)
    return outcome


def found(shop: Delivering) -> dict[str, str | None]:
    """Open differences: kind → record."""
    return {one.kind: one.record_key for one in open_differences(shop.context)}


def mend(shop: Delivering, *kinds: str) -> int:
    return repair(shop.context, plan_repair(shop.context, kinds=kinds), "信用办甲")


def lose(shop: Delivering, key: str) -> None:
    shop.tamper("DELETE FROM accepted_key WHERE record IN (SELECT id FROM record WHERE record_id = ?)", key)
    shop.tamper("DELETE FROM record WHERE record_id = ?", key)


def add_a_stranger(shop: Delivering) -> None:
    shop.tamper(
        "INSERT INTO record (category, record_id, content_hash, document_number, subject_name, data, updates,"
        " accepted_at, objection) VALUES (?, ?, ?, '外字1号', '外来公司', '{}', 0, '2026-11-16 00:00:00', 0)",
        CATEGORY,
        "f" * 64,
        "e" * 64,
    )


def test_both_sides_agree(shop: Delivering) -> None:
    shop.act(shop.key(3), "withdraw", "revoked")
    shop.act(shop.key(2), "objection_on")
    shop.deliver()
    outcome = reconcile(shop)
    assert (outcome.ours, outcome.theirs, outcome.agreed, outcome.differences) == (2, 2, 3, 0)
    assert outcome.finished_at is not None
    assert found(shop) == {}
    checked = [one for one in opened(shop.context, Outbox) if one.reconciled_at is not None]
    expected = {(shop.key(1), "content"), (shop.key(2), "content"), (shop.key(3), "withdrawal")}
    assert {(one.record_key, one.family) for one in checked} == expected


def test_what_was_lost_changed_marked_and_shown_again_is_found_repaired_and_gone(shop: Delivering) -> None:
    shop.installation.publish(TUESDAY, rows(range(1, 8)))
    assert shop.deliver().accepted == 4
    one, two, three, four, five = (shop.key(number) for number in range(1, 6))
    shop.act(three, "withdraw", "repaired")
    shop.act(five, "objection_on")
    shop.deliver()
    lose(shop, one)
    shop.tamper("UPDATE record SET content_hash = ? WHERE record_id = ?", "d" * 64, two)
    shop.tamper("UPDATE record SET withdrawn_at = NULL WHERE record_id = ?", three)
    shop.tamper("UPDATE record SET withdrawn_at = '2026-11-20 00:00:00' WHERE record_id = ?", four)
    shop.tamper("UPDATE record SET objection = 0 WHERE record_id = ?", five)
    add_a_stranger(shop)

    outcome = reconcile(shop)
    assert outcome.differences == len(KINDS)
    assert found(shop) == {
        "missing_there": one,
        "content_differs": two,
        "still_there": three,
        "withdrawn_there": four,
        "objection_differs": five,
        "unknown_here": "f" * 64,
    }
    tasks = {task.rule: (task.owner, task.rows) for task in list_tasks(shop.context)}
    assert tasks == {f"{ENDPOINT}:RECONCILE-{kind}": ("us", 1) for kind in KINDS if kind != "unknown_here"}
    (task,) = (task for task in list_tasks(shop.context) if task.rule.endswith("missing_there"))
    assert [one.row for one in view_task(shop.context, task.reference).examples] == [f"record {one[:12]}"]
    reconcile(shop)
    assert len(open_differences(shop.context)) == len(KINDS), "what is known is not found twice"

    planned = {one.difference.kind: one.action for one in plan_repair(shop.context)}
    assert planned["withdrawn_there"] is planned["unknown_here"] is None
    assert mend(shop) == 4
    assert mend(shop) == 0, "what was repaired waits for the next reconciliation"
    assert mend(shop, "withdrawn_there") == 1
    reconcile(shop)
    assert len(open_differences(shop.context)) == len(KINDS), "what is under way is neither found nor gone"
    assert shop.deliver().rejected == 0
    last = reconcile(shop)
    assert set(found(shop)) == {"unknown_here"}, "a stranger is listed and never touched"
    assert last.differences == 1
    held = shop.held()
    assert held["f" * 64]["data"] == {}
    assert {one, two, four, five} <= shop.shown()
    assert three not in shop.shown()
    assert held[five]["objection"] is True
    assert held[two]["contentHash"] == shop.owed(two)[0].content_hash
    assert list_tasks(shop.context) == []
    resolved = [one for one in opened(shop.context, Difference) if one.resolved_at is not None]
    assert len(resolved) == len(KINDS) - 1
    assert all(one.resolution.startswith("已重新报送") for one in resolved)


def test_what_it_holds_although_its_receipt_said_otherwise_is_noted_as_accepted(small_shop: Delivering) -> None:
    shop, key = small_shop, small_shop.key(1)
    with shop.context.ledger.write() as ledger:
        said_no = {"accepted_at": None, "rejected_at": Outbox.accepted_at, "upper_id": None}
        ledger.execute(update(Outbox).where(Outbox.record_key == key).values(said_no))
    assert reconcile(shop).differences == 1
    assert found(shop) == {"unknown_here": key}
    assert mend(shop) == 1
    (row,) = shop.owed(key)
    assert row.rejected_at is None
    assert row.accepted_at is not None
    assert row.upper_id == shop.held()[key]["upperId"]
    assert [one.message for one in opened(shop.context, Receipt)][-1] == ACCEPTED
    assert reconcile(shop).differences == 0
    assert found(shop) == {}


def test_what_was_decided_since_the_comparison_is_not_undone_by_a_repair(small_shop: Delivering) -> None:
    shop = small_shop
    lost, back = shop.key(1), shop.key(2)
    shop.act(back, "withdraw", "error")
    shop.deliver()
    lose(shop, lost)
    shop.tamper("UPDATE record SET withdrawn_at = NULL WHERE record_id = ?", back)
    reconcile(shop)
    assert found(shop) == {"missing_there": lost, "still_there": back}
    shop.act(lost, "withdraw", "revoked")
    shop.act(back, "reinstate")
    shop.deliver()
    before = len(opened(shop.context, Outbox))
    assert mend(shop) == 0
    assert len(opened(shop.context, Outbox)) == before
    assert lost not in shop.shown()


def test_an_id_that_was_never_told_is_filled_in(small_shop: Delivering) -> None:
    key = small_shop.key(1)
    with small_shop.context.ledger.write() as ledger:
        ledger.execute(update(Outbox).where(Outbox.record_key == key).values(upper_id=None))
    assert reconcile(small_shop).differences == 0
    assert small_shop.owed(key)[0].upper_id == small_shop.held()[key]["upperId"]


def test_what_is_under_way_is_no_difference(small_shop: Delivering) -> None:
    shop, key = small_shop, small_shop.key(1)
    with shop.context.ledger.write() as ledger:
        row = ledger.scalars(select(Outbox).where(Outbox.record_key == key)).one()
        row.accepted_at = None
        ledger.get_one(Package, row.package).settled_at = None
    assert reconcile(shop).differences == 0
    shop.deliver()
    assert reconcile(shop).agreed == 3


def test_records_are_recognised_by_id_or_by_number_and_name_where_no_key_is_told(
    small_shop: Delivering, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A protocol that gives back upper-level ids, or nothing but the document, can still be reconciled."""
    from dataclasses import replace

    told = RestAdapter.holdings

    def without_keys(self: RestAdapter, category: object) -> object:
        for number, holding in enumerate(told(self, category)):  # type: ignore[arg-type]
            nothing = {"record_key": None, "content_hash": None, "objection": None}
            yield replace(holding, **nothing, upper_id=holding.upper_id if number else None)

    monkeypatch.setattr(RestAdapter, "holdings", without_keys)
    assert reconcile(small_shop).agreed == 3
    small_shop.tamper("UPDATE record SET subject_name = '另一家公司'")
    small_shop.tamper("UPDATE record SET data = ?", json.dumps({}))
    outcome = reconcile(small_shop)
    assert outcome.differences == 2, "the one without an id is unknown here, and missing there"
    assert set(found(small_shop)) == {"unknown_here", "missing_there"}


def test_an_endpoint_that_cannot_be_asked_says_so(small_shop: Delivering, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RestAdapter, "holdings", lambda self, category: None)
    assert reconcile(small_shop).problem == "the endpoint cannot be asked what it holds"
    assert found(small_shop) == {}


def test_a_dead_endpoint_or_a_delivery_leaves_everything_as_it_was(small_shop: Delivering) -> None:
    small_shop.tamper("DELETE FROM accepted_key")
    small_shop.tamper("DELETE FROM record")
    reconcile(small_shop)
    before = len(open_differences(small_shop.context))
    with exclusive(small_shop.context.ledger.engine, ENDPOINT), pytest.raises(RunConflictError, match="delivering to"):
        reconcile(small_shop)
    small_shop.receiver.stop()
    with pytest.raises(DeliveryError, match="does not tell what it holds"):
        reconcile(small_shop)
    assert len(open_differences(small_shop.context)) == before == 3
    last = opened(small_shop.context, Reconciliation)[-1]
    assert "does not tell" in (last.problem or "")
    with pytest.raises(RunConflictError, match="at most 2"):
        repair(small_shop.context, plan_repair(small_shop.context), "信用办甲", most=2)


def test_a_withdrawal_seen_to_by_hand_is_noted_and_its_task_is_done(
    small_shop: Delivering,
) -> None:
    shop, key = small_shop, small_shop.key(1)
    endpoint = shop.context.catalogue.endpoints[ENDPOINT]
    shop.context.catalogue.endpoints[ENDPOINT] = endpoint.model_copy(update={"operations": ("new", "update")})
    shop.act(key, "withdraw", "revoked")
    shop.deliver()
    assert [task.rule for task in list_tasks(shop.context)] == [f"{ENDPOINT}:MANUAL"]
    assert reconcile(shop).differences == 1
    assert found(shop) == {"still_there": key}
    assert mend(shop) == 0
    shop.tamper("UPDATE record SET withdrawn_at = '2026-11-20 00:00:00' WHERE record_id = ?", key)
    assert reconcile(shop).differences == 0
    assert list_tasks(shop.context) == []
    content, withdrawal = shop.owed(key)
    assert content.withdrawn_at == withdrawal.accepted_at is not None


def test_the_commands_show_first_and_act_only_when_told(small_shop: Delivering) -> None:
    key = small_shop.key(1)
    lose(small_shop, key)
    runner = CliRunner()

    def run(*words: str) -> str:
        result = runner.invoke(cli.app, list(words), terminal_width=200, env={"COLUMNS": "200"})
        assert result.exit_code == 0, result.output
        return " ".join(result.output.split())

    assert f"{ENDPOINT} │ {CATEGORY} │ 3 │ 2 │ 2 │ 1" in run("reconcile", "--category", CATEGORY).replace("┃", "│")
    assert key[:12] in run("reconcile", "differences")
    assert "1 × send the record again" in run("reconcile", "repair", "--by", "信用办甲")
    assert "1 differences repaired" in run("reconcile", "repair", "--by", "信用办甲", "--yes")
    run("deliver")
    run("reconcile")
    assert run("reconcile", "differences") == "There are no differences."
    shown = run("trace", key)
    for words in ("missing_there", "act 1: resend", "withdrawn ", "reconciled ", "receipt"):
        assert words in shown
