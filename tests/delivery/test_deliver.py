"""From the outbox to the receiver and back, over real HTTP and real databases."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from delivery_shop import TOKEN, Deliver, Receiver, Shop, key

from pipelines.catalogue.catalogue import Catalogue
from pipelines.catalogue.endpoints import Endpoint
from pipelines.delivery.deliver import deliver
from pipelines.delivery.exclusive import exclusive
from pipelines.delivery.packages import package_id
from pipelines.delivery.rest import RestAdapter
from pipelines.errors import DeliveryError, RunConflictError
from pipelines.ledger.models import Attempt, DeliveryFinding, Outbox, Package, Receipt
from pipelines.sandbox.misbehaviour import Ration


def outcomes(shop: Shop) -> list[str]:
    return [f"{attempt.action} {attempt.outcome} {attempt.status or ''}".strip() for attempt in shop.rows(Attempt)]


def test_everything_due_is_accepted_and_every_fact_has_its_instant(
    shop: Shop, receiver: Receiver, send: Deliver
) -> None:
    for number in range(10):
        shop.queue(f"p{number}")
    shop.queue("l0", category="administrative_licence")
    result = send(shop)
    assert (result.sent, result.accepted, result.duplicate, result.rejected) == (11, 11, 0, 0)
    assert (result.waiting, result.failed_packages) == (0, ())
    upper = {line["recordId"]: line["upperId"] for line in receiver.held()}
    upper |= {line["recordId"]: line["upperId"] for line in receiver.held("administrative_licence")}
    assert len(upper) == 11
    for row in shop.rows():
        assert row.queued_at < row.packaged_at < row.sent_at < row.accepted_at
        assert row.upper_id == upper[row.record_key]
        assert row.reply_code == "1"
        assert row.rejected_at is None
    packages = shop.rows(Package)
    assert sorted(package.records for package in packages) == [1, 2, 4, 4]
    assert all(package.settled_at is not None for package in packages)
    for package in packages:
        assert package.id == package_id(row.idempotency_key for row in shop.rows() if row.package == package.id)
    assert len(shop.rows(Receipt)) == 11


def test_the_record_store_is_asked_once_for_many_packages(small_shop: Shop, send: Deliver) -> None:
    for number in range(20):
        small_shop.queue(f"p{number}")
    assert send(small_shop).accepted == 20
    assert small_shop.loads == 1


def test_what_the_receiver_holds_is_what_was_stored(small_shop: Shop, receiver: Receiver, send: Deliver) -> None:
    small_shop.queue("a", CF_FR_ZJLX="护照号", CF_FR_ZJHM="E00000000", BZ=None)
    send(small_shop)
    [held] = receiver.held()
    assert held["data"]["CF_JDRQ"] == "2026/11/12"
    assert held["data"]["CF_NR_FK"] == "0.2"
    assert held["data"]["CF_FR_ZJHM"] == "E00000000"
    assert "BZ" not in held["data"]


def test_a_second_run_has_nothing_to_do(shop: Shop, send: Deliver) -> None:
    shop.queue("a")
    send(shop)
    before = [vars(row) for row in shop.rows()]
    calls = len(shop.rows(Attempt))
    assert send(shop).sent == 0
    assert len(shop.rows(Attempt)) == calls
    assert [row["accepted_at"] for row in before] == [row.accepted_at for row in shop.rows()]


def test_the_earliest_deadline_goes_first(small_shop: Shop, receiver: Receiver, send: Deliver) -> None:
    for number, day in enumerate([27, 23, 25, 24, 26, 22]):
        small_shop.queue(f"p{number}", deadline=date(2026, 11, day))
    send(small_shop, package_size=1)
    assert [line["recordId"] for line in receiver.held()] == [key(f"p{number}") for number in (5, 1, 3, 2, 4, 0)]


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"CF_XDR_MC": "改名后有限公司"}, "1001", "CF_XDR_MC"),
    ({"CF_XDR_SHXYM": "91350100M000100Y4X"}, "1013", "CF_XDR_SHXYM"),
    ({"CF_WSH": "测市监〔2026〕p0号"}, "1015", "CF_WSH"),
]


@pytest.mark.parametrize(("changes", "rule", "field"), REFUSED, ids=["C12", "C13", "C15"])
def test_a_rejection_becomes_a_finding_and_blocks_nobody(
    shop: Shop, receiver: Receiver, send: Deliver, changes: dict[str, Any], rule: str, field: str
) -> None:
    shop.queue("p0")
    bad = shop.queue("bad", **changes)
    shop.queue("p1")
    result = send(shop)
    assert (result.accepted, result.rejected, result.waiting) == (2, 1, 0)
    row = shop.row(bad)
    assert row.rejected_at is not None
    assert row.accepted_at is None
    assert row.upper_id is None
    assert row.reply_code == f"2:{rule}"
    [finding] = shop.rows(DeliveryFinding)
    assert (finding.outbox_id, finding.rule, finding.field) == (bad, rule, field)
    assert (finding.feed, finding.record_key, finding.endpoint) == (row.feed, key("bad"), "province_sandbox")
    assert finding.message.startswith(f"验证规则代码:{rule};错误描述:")
    assert len(receiver.held()) == 2
    assert send(shop).sent == 0


def test_a_change_is_one_update_with_the_same_upper_id(shop: Shop, receiver: Receiver, send: Deliver) -> None:
    first = shop.queue("a")
    send(shop)
    second = shop.queue("a", version=2, operation="update", CF_NR="罚款3000元")
    assert send(shop).accepted == 1
    [held] = receiver.held()
    assert (held["updates"], held["data"]["CF_NR"]) == (1, "罚款3000元")
    assert shop.row(first).upper_id == shop.row(second).upper_id == held["upperId"]


def test_two_versions_queued_together_arrive_in_order(shop: Shop, receiver: Receiver, send: Deliver) -> None:
    shop.queue("a", deadline=date(2026, 11, 27))
    shop.queue("a", version=2, operation="update", CF_NR="罚款3000元", deadline=date(2026, 11, 22))
    assert send(shop).accepted == 2
    [held] = receiver.held()
    assert (held["updates"], held["data"]["CF_NR"]) == (1, "罚款3000元")


def test_the_correction_of_a_rejected_record_is_sent_as_new(shop: Shop, receiver: Receiver, send: Deliver) -> None:
    shop.queue("a", CF_XDR_MC="写错的有限公司")
    corrected = shop.queue("a", version=2, operation="update")
    result = send(shop)
    assert (result.rejected, result.accepted) == (1, 1)
    assert shop.row(corrected).operation == "new"
    assert [line["updates"] for line in receiver.held()] == [0]


def test_a_duplicate_with_a_known_upper_id_counts_as_accepted(shop: Shop, receiver: Receiver, send: Deliver) -> None:
    identity = shop.queue("a")
    send(shop)
    upper = shop.row(identity).upper_id
    with shop.ledger.write() as session:
        # As after a ledger restored from a backup that does not know of the delivery.
        row = session.get_one(Outbox, identity)
        row.package = row.packaged_at = row.sent_at = row.accepted_at = row.upper_id = None
    shop.queue("b")
    result = send(shop)
    assert (result.accepted, result.duplicate) == (1, 1)
    assert shop.row(identity).upper_id == upper
    assert shop.row(identity).accepted_at is not None
    assert shop.rows(DeliveryFinding) == []
    assert len(receiver.held()) == 2


def test_a_receiver_that_is_down_loses_nothing(shop: Shop, receiver: Receiver, send: Deliver) -> None:
    for number in range(3):
        shop.queue(f"p{number}")
    receiver.stop()
    with pytest.raises(DeliveryError) as caught:
        send(shop)
    assert "province_sandbox" in str(caught.value)
    assert receiver.url in str(caught.value)
    assert "3 record versions stay queued" in str(caught.value)
    assert outcomes(shop) == ["submit unreachable"] * 3
    assert all(row.sent_at is None and row.accepted_at is None for row in shop.rows())
    receiver.start()
    assert send(shop).accepted == 3
    assert len(receiver.held()) == 3


def test_500_then_well(small_shop: Shop, receiver: Receiver, send: Deliver) -> None:
    small_shop.queue("a")
    receiver.misbehaviour.set("fail_before", Ration(times=2))
    assert send(small_shop).accepted == 1
    assert outcomes(small_shop) == [
        "submit broken 500",
        "inquire answered",
        "submit broken 500",
        "inquire answered",
        "submit answered 202",
        "receipts answered",
    ]


def test_500_for_one_package_lets_the_others_pass(small_shop: Shop, receiver: Receiver, send: Deliver) -> None:
    for number in range(4):
        small_shop.queue(f"p{number}")
    receiver.misbehaviour.set("fail_before", Ration(times=3))
    result = send(small_shop, package_size=2)
    assert (result.accepted, result.waiting) == (2, 2)
    assert [package.reason for package in result.failed_packages] == ["HTTP 500 after all attempts"]
    assert send(small_shop, package_size=2).accepted == 2


def test_500_for_ever_ends_in_a_clear_error(small_shop: Shop, receiver: Receiver, send: Deliver) -> None:
    for number in range(4):
        small_shop.queue(f"p{number}")
    receiver.misbehaviour.set("fail_before", Ration())
    with pytest.raises(DeliveryError, match=r"HTTP 500.*4 record versions stay queued"):
        send(small_shop, package_size=1)
    submissions = [outcome for outcome in outcomes(small_shop) if outcome.startswith("submit")]
    assert submissions == ["submit broken 500"] * 6


def test_429_is_waited_out_as_long_as_the_receiver_asks(
    small_shop: Shop, receiver: Receiver, endpoint: Endpoint, catalogue: Catalogue
) -> None:
    small_shop.queue("a")
    receiver.misbehaviour.set("busy", Ration(times=1, seconds=7))
    pauses: list[float] = []
    patient = endpoint.model_copy(update={"receipt_wait_seconds": 30.0})
    result = deliver(
        small_shop.ledger,
        patient,
        RestAdapter(patient, receiver.url, TOKEN),
        catalogue.categories,
        small_shop.load,
        sleep=pauses.append,
    )
    assert result.accepted == 1
    assert pauses == [7.0]


def test_429_for_longer_than_a_run_may_wait_ends_the_run_at_once(
    small_shop: Shop, receiver: Receiver, send: Deliver
) -> None:
    small_shop.queue("a")
    receiver.misbehaviour.set("busy", Ration(seconds=3600))
    with pytest.raises(DeliveryError, match="come back in 3600 s"):
        send(small_shop)
    assert outcomes(small_shop) == ["submit busy 429"]


def test_a_wrong_token_names_the_variable_and_never_the_token(
    small_shop: Shop, receiver: Receiver, send: Deliver
) -> None:
    small_shop.queue("a")
    with pytest.raises(DeliveryError) as caught:
        send(small_shop, token="wrong-secret")
    assert "province_sandbox" in str(caught.value)
    assert "GUIJI_PROVINCE_TOKEN" in str(caught.value)
    assert "wrong-secret" not in str(caught.value)
    assert outcomes(small_shop) == ["submit denied"]
    assert "wrong-secret" not in "".join(attempt.text for attempt in small_shop.rows(Attempt))
    assert send(small_shop).accepted == 1


def test_a_time_out_after_the_receiver_stored_the_package_doubles_nothing(
    shop: Shop, receiver: Receiver, send: Deliver
) -> None:
    for number in range(3):
        shop.queue(f"p{number}")
    receiver.misbehaviour.set("lose_answer", Ration(times=1, seconds=3.0))
    result = send(shop, timeout_seconds=2.0)
    assert (result.accepted, result.duplicate) == (3, 0)
    assert outcomes(shop)[:2] == ["submit ambiguous", "inquire answered"]
    assert [line["updates"] for line in receiver.held()] == [0, 0, 0]


def test_receipts_that_take_their_time_are_waited_for(small_shop: Shop, receiver: Receiver, send: Deliver) -> None:
    small_shop.queue("a")
    receiver.misbehaviour.set("processing", Ration(times=3))
    assert send(small_shop).accepted == 1


def test_receipts_that_do_not_come_leave_the_package_for_the_next_run(
    small_shop: Shop, receiver: Receiver, send: Deliver
) -> None:
    small_shop.queue("a")
    receiver.misbehaviour.set("processing", Ration())
    result = send(small_shop)
    assert (result.sent, result.accepted, result.waiting, result.failed_packages) == (1, 0, 1, ())
    receiver.misbehaviour.set("processing", None)
    result = send(small_shop)
    assert (result.sent, result.accepted, result.waiting) == (0, 1, 0)


def test_a_receiver_that_forgot_a_package_gets_it_again(small_shop: Shop, receiver: Receiver, send: Deliver) -> None:
    identity = small_shop.queue("a")
    receiver.misbehaviour.set("processing", Ration())
    send(small_shop)
    receiver.stop()
    receiver._store.unlink()
    receiver.start()
    assert send(small_shop).accepted == 1
    assert small_shop.row(identity).upper_id == receiver.held()[0]["upperId"]


def test_a_record_that_is_not_in_the_store_is_withheld_and_blocks_nobody(shop: Shop, send: Deliver) -> None:
    shop.queue("a")
    missing = shop.queue("b", stored=False)
    unfit = shop.queue("c", CF_JDRQ="2026/11/12")
    shop.queue("d")
    result = send(shop)
    assert (result.accepted, result.withheld, result.waiting) == (2, 2, 0)
    for identity in (missing, unfit):
        assert shop.row(identity).withheld_at is not None
        assert shop.row(identity).package is None
    assert [(finding.outbox_id, finding.field) for finding in shop.rows(DeliveryFinding)] == [
        (missing, None),
        (unfit, "CF_JDRQ"),
    ]


def test_a_record_withheld_before_its_package_left_does_not_travel(
    small_shop: Shop, receiver: Receiver, send: Deliver
) -> None:
    small_shop.queue("a")
    withdrawn = small_shop.queue("b")
    receiver.stop()
    with pytest.raises(DeliveryError):
        send(small_shop)
    with small_shop.ledger.write() as session:
        row = session.get_one(Outbox, withdrawn)
        assert row.package is not None
        row.withheld_at = row.packaged_at
        row.withheld_reason = "tombstone"
    receiver.start()
    assert send(small_shop).accepted == 1
    assert [line["recordId"] for line in receiver.held()] == [key("a")]


def test_one_record_that_spoils_its_package_is_found(shop: Shop, receiver: Receiver, send: Deliver) -> None:
    for number in range(6):
        shop.queue(f"p{number}")
    with shop.ledger.write() as session:
        spoilt = session.get_one(Outbox, 3)
        spoilt.content_hash = "not a hash!"
    result = send(shop, package_size=6)
    assert (result.accepted, result.rejected, result.waiting) == (5, 1, 0)
    [finding] = shop.rows(DeliveryFinding)
    assert (finding.outbox_id, finding.rule) == (3, "HTTP-422")
    assert len(receiver.held()) == 5


def test_a_receiver_that_takes_nothing_at_all_rejects_nothing(
    small_shop: Shop, receiver: Receiver, send: Deliver
) -> None:
    for number in range(30):
        small_shop.queue(f"p{number}")
    receiver.misbehaviour.set("fail_before", Ration(status=422))
    with pytest.raises(DeliveryError, match="refuses every package"):
        send(small_shop, package_size=30)
    assert all(row.rejected_at is None for row in small_shop.rows())
    assert small_shop.rows(DeliveryFinding) == []
    receiver.misbehaviour.behave()
    assert send(small_shop).accepted == 30


def test_a_wrong_path_is_told_and_loses_nothing(small_shop: Shop, send: Deliver, endpoint: Endpoint) -> None:
    small_shop.queue("a")
    assert endpoint.rest is not None
    mistaken = endpoint.rest.model_copy(update={"submit_path": "/nowhere/{category}"})
    with pytest.raises(DeliveryError, match=r"HTTP 404.*stays queued.*province_sandbox\.yaml"):
        send(small_shop, rest=mistaken)
    assert send(small_shop).accepted == 1


def test_two_deliveries_at_once_are_one(shop: Shop, receiver: Receiver, send: Deliver) -> None:
    shop.queue("a")
    with exclusive(shop.ledger.engine, "province_sandbox"):
        with pytest.raises(RunConflictError, match="province_sandbox"):
            send(shop)
        with exclusive(shop.ledger.engine, "another_endpoint"):
            assert receiver.held() == []
    assert send(shop).accepted == 1


def test_the_other_endpoints_rows_are_left_alone(small_shop: Shop, send: Deliver) -> None:
    small_shop.queue("a")
    other = small_shop.queue("b")
    with small_shop.ledger.write() as session:
        session.get_one(Outbox, other).endpoint = "another_endpoint"
    assert send(small_shop).sent == 1
    assert small_shop.row(other).packaged_at is None


def test_progress_ends_at_the_total(
    small_shop: Shop, receiver: Receiver, endpoint: Endpoint, catalogue: Catalogue
) -> None:
    for number in range(9):
        small_shop.queue(f"p{number}", stored=number != 4)
    told: list[tuple[int, int]] = []
    deliver(
        small_shop.ledger,
        endpoint,
        RestAdapter(endpoint, receiver.url, TOKEN),
        catalogue.categories,
        small_shop.load,
        progress=lambda settled, total: told.append((settled, total)),
    )
    assert told == sorted(told)
    assert told[-1] == (9, 9)
