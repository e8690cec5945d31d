"""What a receiver rejected by its own mistake is sent again: the transport is repeated, nothing is judged anew."""

from __future__ import annotations

from datetime import timedelta

from delivery_shop import NOW, Clock, Deliver, Receiver, Shop, key
from scripted_adapter import ScriptedAdapter, reply

from pipelines.catalogue.catalogue import Catalogue
from pipelines.catalogue.endpoints import Endpoint
from pipelines.delivery.deliver import deliver
from pipelines.delivery.outbox import reopen_marks
from pipelines.delivery.replies import Receipts
from pipelines.delivery.resending import Chosen, give_up_waiting, queue_again, rejected_rows, unanswered_rows
from pipelines.ledger.models import Attempt, DeliveryFinding, Package, Receipt
from pipelines.sandbox.misbehaviour import Ration

ENDPOINT = "province_sandbox"


def chosen(shop: Shop, **conditions: object) -> list[str]:
    with shop.ledger.read() as session:
        return [row.record_key for row in rejected_rows(session, Chosen(ENDPOINT, **conditions))]  # type: ignore[arg-type]


def again(shop: Shop, choice: Chosen) -> None:
    with shop.ledger.write() as session:
        queue_again(session, rejected_rows(session, choice), "示例王一", NOW)


def test_a_rejection_for_no_reason_is_accepted_the_second_time(shop: Shop, receiver: Receiver, send: Deliver) -> None:
    shop.queue("a")
    shop.queue("b")
    receiver.misbehaviour.set("partial_rejection", Ration(times=1))
    rejected = send(shop).rejected
    assert rejected > 0
    assert len(chosen(shop)) == rejected
    keys = [row.idempotency_key for row in shop.rows()]
    again(shop, Chosen(ENDPOINT, since=NOW))
    assert chosen(shop) == []
    result = send(shop)
    assert (result.accepted, result.rejected, result.waiting) == (rejected, 0, 0)
    assert [row.idempotency_key for row in shop.rows()] == keys
    assert [line["updates"] for line in receiver.held()] == [0, 0]
    # Both decisions of the receiver are kept, and who asked for the second one.
    assert len(shop.rows(Receipt)) == 2 + rejected
    assert [attempt.text for attempt in shop.rows(Attempt) if attempt.action == "resend"] == [
        f"{rejected} rejected records are sent again, asked for by 示例王一"
    ]


def test_the_same_package_gets_a_new_name(small_shop: Shop, receiver: Receiver, send: Deliver) -> None:
    small_shop.queue("a")
    receiver.misbehaviour.set("wrong_clock", Ration(times=1, seconds=400 * 86400))
    assert send(small_shop).rejected == 1
    before = small_shop.rows(Package)[0].reference
    again(small_shop, Chosen(ENDPOINT, reference=before))
    assert send(small_shop).accepted == 1
    [package] = small_shop.rows(Package)
    assert package.round == 1
    assert package.reference != before


def test_rows_are_chosen_by_package_instant_and_rule(shop: Shop, send: Deliver) -> None:
    shop.queue("name", CF_XDR_MC="改名后有限公司")
    shop.queue("code", CF_XDR_SHXYM="91350100M000100Y4X")
    send(shop, package_size=1)
    rules = {finding.record_key: finding.rule for finding in shop.rows(DeliveryFinding)}
    assert sorted(chosen(shop)) == sorted(rules)
    assert chosen(shop, rule=rules[key("name")]) == [key("name")]
    reference = next(package.reference for package in shop.rows(Package) if package.id == shop.rows()[1].package)
    assert chosen(shop, reference=reference) == [key("code")]
    assert chosen(shop, reference=reference, rule=rules[key("name")]) == []
    assert chosen(shop, since=NOW + timedelta(days=1)) == []


def test_what_was_corrected_meanwhile_is_not_sent_again(shop: Shop, send: Deliver) -> None:
    shop.queue("a", CF_XDR_MC="改名后有限公司")
    send(shop)
    shop.queue("a", version=2)
    assert chosen(shop) == []


def test_a_rejected_sending_explains_no_duplicate(shop: Shop, endpoint: Endpoint, catalogue: Catalogue) -> None:
    identity = shop.queue("a")
    adapter = ScriptedAdapter(
        on_receipts=lambda package: Receipts([reply(one, "duplicate") for one in package.messages], complete=True)
    )
    clock = Clock()
    for _ in range(2):
        result = deliver(shop.ledger, endpoint, adapter, catalogue.categories, shop.load, clock)
        assert (result.duplicate, result.rejected) == (0, 1)
        again(shop, Chosen(ENDPOINT, since=NOW))
        # Whoever withdraws the record now takes it out of the queue: the receiver has nothing of it.
        assert shop.row(identity).sent_at is None


def test_what_was_never_answered_is_sent_again_when_somebody_says_so(
    small_shop: Shop, endpoint: Endpoint, catalogue: Catalogue
) -> None:
    """A result that the endpoint's file does not list settles nothing; neither does asking for ever."""
    identity = small_shop.queue("a")
    unclear = ScriptedAdapter(
        on_receipts=lambda package: Receipts([reply(one, "other") for one in package.messages], True)
    )
    clock = Clock()
    for _ in range(2):
        result = deliver(small_shop.ledger, endpoint, unclear, catalogue.categories, small_shop.load, clock)
        assert (result.accepted, result.waiting, len(result.failed_packages)) == (0, 1, 1)
    [package] = small_shop.rows(Package)
    choice = Chosen(ENDPOINT, reference=package.reference)
    with small_shop.ledger.write() as session:
        assert unanswered_rows(session, choice, package.sent_at - timedelta(seconds=1)) == []
        assert unanswered_rows(session, Chosen(ENDPOINT, since=NOW), clock()) == []
        [row] = unanswered_rows(session, choice, clock())
        assert row.id == identity
        give_up_waiting(session, [row], "示例王一", clock())
    clear = ScriptedAdapter(
        on_receipts=lambda package: Receipts([reply(one, "duplicate") for one in package.messages], True)
    )
    result = deliver(small_shop.ledger, endpoint, clear, catalogue.categories, small_shop.load, clock)
    # It had been there all the time: that we sent it explains the duplicate, which came without an id.
    assert (result.duplicate, result.waiting) == (1, 0)
    assert small_shop.rows(Package)[0].round == 1


def test_an_objection_reaches_a_record_that_is_shown_only_later(shop: Shop, receiver: Receiver, send: Deliver) -> None:
    receiver.misbehaviour.set("partial_rejection", Ration(times=1))
    shop.queue("a")
    assert send(shop).rejected == 1
    mark = shop.queue("a", operation="objection_on", act=1)
    send(shop)
    assert shop.row(mark).withheld_reason is not None
    shop.queue("a", version=2)
    assert send(shop).accepted == 1
    with shop.ledger.write() as session:
        reopen_marks(session, ENDPOINT)
        reopen_marks(session, "another")
    assert send(shop).accepted == 1
    [held] = receiver.held()
    assert held["objection"]
