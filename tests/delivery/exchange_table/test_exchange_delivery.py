"""From the outbox through a front-end database to the upper side and back."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import pytest
from conftest import DeliverTables
from delivery_shop import NAME, Clock, Shop, key
from front_end import FrontEnd, keys

from pipelines.delivery.deliver import deliver
from pipelines.ledger.models import Attempt, DeliveryFinding, Outbox, Package
from pipelines.sandbox.exchange_table import start_consumer
from pipelines.sandbox.misbehaviour import Kind, Ration
from pipelines.sandbox.store import HeldRecord

DAY = timedelta(days=1)


def held(front_end: FrontEnd) -> dict[str, HeldRecord]:
    category = front_end.catalogue.categories["administrative_penalty"]
    return {record.record_id: record for record in front_end.desk.held(category)}


def check_exactly_once(shop: Shop, front_end: FrontEnd) -> None:
    """The ledger, the desk and what the upper side shows tell the same story."""
    there = held(front_end)
    rows: list[Outbox] = shop.rows()
    assert {row.record_key for row in rows} == set(there)
    shown = {row["REC_ID"]: row for row in front_end.rows("QZK_XZCF_ZX")}
    for row in rows:
        assert row.accepted_at is not None
        assert row.upper_id == there[row.record_key].upper_id == shown[row.record_key]["UPPER_ID"]
        assert there[row.record_key].updates == 0
    assert all(package.settled_at is not None for package in shop.rows(Package))


def test_everything_due_is_accepted(shop: Shop, front_end: FrontEnd, send: DeliverTables) -> None:
    for number in range(6):
        shop.queue(f"p{number}")
    shop.queue("l0", category="administrative_licence")
    result = send(shop)
    assert (result.sent, result.accepted, result.waiting, result.failed_packages) == (7, 7, 0, ())
    assert {row.reply_code for row in shop.rows()} == {"1"}
    assert [len(front_end.rows(name)) for name in ("QZK_XZCF", "QZK_XZXK", "QZK_HZ")] == [6, 1, 7]
    assert {row["READ_FLAG"] for row in front_end.rows()} == {1}


def test_a_change_goes_out_as_an_update(small_shop: Shop, front_end: FrontEnd, send: DeliverTables) -> None:
    small_shop.queue("a")
    send(small_shop)
    small_shop.queue("a", version=2, CF_NR="罚款3000元")
    assert send(small_shop).accepted == 1
    assert sorted(row["OP"] for row in front_end.rows()) == ["I", "U"]
    [record] = held(front_end).values()
    assert (record.updates, record.data["CF_NR"]) == (1, "罚款3000元")
    assert {row.upper_id for row in small_shop.rows()} == {record.upper_id}


def test_what_was_read_is_withdrawn_by_a_row_of_its_own(
    small_shop: Shop, front_end: FrontEnd, send: DeliverTables
) -> None:
    small_shop.queue("a")
    small_shop.queue("b")
    send(small_shop)
    small_shop.queue("a", operation="withdraw", act=1, reason="repaired")
    small_shop.queue("b", operation="withdraw", act=2, reason="revoked")
    assert send(small_shop).accepted == 2
    assert sorted(row["OP"] for row in front_end.rows()) == ["D", "I", "I", "R"]
    assert {record.withdrawn_reason for record in held(front_end).values()} == {"repaired", None}
    assert all(record.withdrawn_at is not None for record in held(front_end).values())
    assert all(row.withdrawn_at is not None for row in small_shop.rows() if row.family == "content")


def test_what_nobody_has_read_is_taken_back(small_shop: Shop, front_end: FrontEnd, send: DeliverTables) -> None:
    small_shop.queue("a")
    small_shop.queue("b")
    assert send(small_shop, consuming=False).waiting == 2
    small_shop.withdraw("a")
    send(small_shop)
    assert set(held(front_end)) == keys("b")
    content, other, withdrawal = small_shop.rows()
    assert content.withdrawn_at is not None
    assert content.accepted_at is None
    assert other.accepted_at is not None
    # Nothing is owed for a record that was never seen.
    assert withdrawal.withheld_at is not None
    assert small_shop.rows(DeliveryFinding) == []
    assert [row["OP"] for row in front_end.rows()] == ["I"]


def test_what_may_have_been_read_before_is_not_taken_back(
    small_shop: Shop, front_end: FrontEnd, send: DeliverTables
) -> None:
    front_end.desk.misbehaviour.set("fail_after", Ration(times=1))
    small_shop.queue("a")
    send(small_shop, hours_pass=True)
    assert set(held(front_end)) == keys("a"), "the upper side has it, and its receipts are lost"
    send(small_shop, consuming=False)
    assert sorted(row["READ_FLAG"] for row in front_end.rows()) == [0, 1], "sent again, not yet read"
    small_shop.withdraw("a")
    send(small_shop)
    [record] = held(front_end).values()
    assert record.withdrawn_at is not None
    assert all(row.accepted_at is not None for row in small_shop.rows())


def test_objections_come_and_go(small_shop: Shop, front_end: FrontEnd, send: DeliverTables) -> None:
    small_shop.queue("a")
    send(small_shop)
    for act, operation, disputed in ((1, "objection_on", True), (2, "objection_off", False)):
        small_shop.queue("a", operation=operation, act=act)
        assert send(small_shop).accepted == 1
        assert held(front_end)[key("a")].objection is disputed
        assert [bool(row["YY_BZ"]) for row in front_end.rows("QZK_XZCF_ZX")] == [disputed]


def test_one_record_that_does_not_fit_is_found(small_shop: Shop, front_end: FrontEnd, send: DeliverTables) -> None:
    for number in range(3):
        small_shop.queue(f"p{number}")
    spoiled = small_shop.queue("long", CF_XDR_MC=NAME * 50)
    result = send(small_shop)
    assert (result.accepted, result.rejected) == (3, 1)
    [finding] = small_shop.rows(DeliveryFinding)
    assert finding.outbox_id == spoiled
    code = "22001" if front_end.upper.dialect.name == "postgresql" else "1406 CF_XDR_MC"
    assert small_shop.row(spoiled).reply_code == code
    assert NAME not in finding.message
    assert all(NAME not in (attempt.text or "") for attempt in small_shop.rows(Attempt))


def test_a_doubt_keeps_the_record_under_way(small_shop: Shop, front_end: FrontEnd, send: DeliverTables) -> None:
    small_shop.queue("a")
    send(small_shop, consuming=False)
    [package] = small_shop.rows(Package)
    front_end.answer("a", "3", batch=package.reference)
    result = send(small_shop, consuming=False)
    assert (result.accepted, result.rejected, result.waiting) == (0, 0, 1)
    front_end.answer("a", "1", "SJ1", batch=package.reference, at=datetime(2026, 11, 21))  # noqa: DTZ001 - Chinese time
    assert send(small_shop, consuming=False).accepted == 1


@pytest.mark.parametrize(
    "kind", ["slow", "processing", "duplicate_receipt", "shuffled_receipts", "full_disk", "wrong_clock"]
)
def test_a_receiver_that_takes_its_time_or_stammers(
    small_shop: Shop, front_end: FrontEnd, send: DeliverTables, kind: Kind
) -> None:
    front_end.desk.misbehaviour.set(kind, Ration(times=2, seconds=3600))
    for number in range(6):
        small_shop.queue(f"p{number}")
    assert send(small_shop).accepted == 6
    check_exactly_once(small_shop, front_end)
    assert front_end.desk.misbehaviour.shown()[kind] > 0


@pytest.mark.parametrize("kind", ["fail_before", "fail_after", "lost_receipt", "wrong_receipt"])
@pytest.mark.parametrize("consumed_rows", ["stay", "move"])
def test_receipts_that_never_come_are_missed_and_the_records_sent_again(
    small_shop: Shop, front_end: FrontEnd, send: DeliverTables, kind: Kind, consumed_rows: str
) -> None:
    front_end.desk.misbehaviour.set(kind, Ration(times=1))
    for number in range(3):
        small_shop.queue(f"p{number}")
    assert send(small_shop, consumed_rows=consumed_rows).waiting > 0
    # Patience is over: what is missing is due again, under another number.
    send(small_shop, consumed_rows=consumed_rows, hours_pass=True)
    result = send(small_shop, consumed_rows=consumed_rows)
    assert result.waiting == 0
    check_exactly_once(small_shop, front_end)
    batches = {row["BATCH_NO"] for row in front_end.rows("QZK_HZ")}
    assert all(package.reference[:50] == package.id[:50] for package in small_shop.rows(Package))
    assert len(batches) == (1 if kind in {"fail_before", "fail_after"} else 2)


def test_a_rejection_becomes_a_finding(small_shop: Shop, front_end: FrontEnd, send: DeliverTables) -> None:
    small_shop.queue("a", CF_XDR_MC="没有登记的企业")
    small_shop.queue("b")
    result = send(small_shop)
    assert (result.accepted, result.rejected) == (1, 1)
    [finding] = small_shop.rows(DeliveryFinding)
    assert finding.rule == "1001"


def test_a_consumer_in_a_thread_of_its_own(small_shop: Shop, front_end: FrontEnd) -> None:
    for number in range(6):
        small_shop.queue(f"p{number}")
    consumer = start_consumer(front_end.desk, front_end.endpoint, front_end.upper.url, pause_seconds=0.01)
    endpoint = front_end.endpoint.model_copy(update={"receipt_wait_seconds": 20.0})
    try:
        result = deliver(
            small_shop.ledger,
            endpoint,
            front_end.adapter(endpoint),
            front_end.catalogue.categories,
            small_shop.load,
            Clock(),
            sleep=time.sleep,
        )
    finally:
        consumer.stop()
    assert result.accepted == 6
    check_exactly_once(small_shop, front_end)
