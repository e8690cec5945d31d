"""What a receiver may answer besides the expected: part of a package, contradictions, nothing for days."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from delivery_shop import NOW, Clock, Shop, key
from scripted_adapter import ScriptedAdapter, accept_all, reply

from pipelines.catalogue.catalogue import Catalogue
from pipelines.catalogue.endpoints import Endpoint
from pipelines.delivery.adapter import OutgoingPackage
from pipelines.delivery.deliver import DeliveryResult, deliver
from pipelines.delivery.outbox import NOT_SHOWN
from pipelines.delivery.packages import RETRACTED
from pipelines.delivery.replies import (
    Inquiry,
    PackageRefusedError,
    PackageUnknownError,
    Receipts,
    SubmitReply,
    Trouble,
)
from pipelines.errors import DeliveryError
from pipelines.ledger.models import Attempt, Package, Receipt

DeliverTo = Callable[..., DeliveryResult]


@pytest.fixture
def deliver_to(endpoint: Endpoint, catalogue: Catalogue) -> DeliverTo:
    """Deliver what a shop owes to a scripted endpoint; ``changes`` go to the endpoint's description."""

    def run(shop: Shop, adapter: ScriptedAdapter, now: object = None, **changes: object) -> DeliveryResult:
        described = endpoint.model_copy(update=changes)
        return deliver(shop.ledger, described, adapter, catalogue.categories, shop.load, now or Clock(), force=True)

    return run


def no_receipts(_package: OutgoingPackage) -> Receipts:
    return Receipts([], complete=False)


def test_of_a_package_that_arrived_in_part_only_the_rest_is_sent(shop: Shop, deliver_to: DeliverTo) -> None:
    for name in "abcd":
        shop.queue(name)
    adapter = ScriptedAdapter()

    def submit(package: OutgoingPackage) -> SubmitReply:
        if len(adapter.said("submit")) == 1:
            raise Trouble("ambiguous", "ReadTimeout")
        return SubmitReply(len(package.messages))

    def inquire(package: OutgoingPackage) -> Inquiry:
        return Inquiry("partly", [reply(message) for message in package.messages[:1]])

    adapter.on_submit, adapter.on_inquire = submit, inquire
    result = deliver_to(shop, adapter)
    assert (result.sent, result.accepted, result.waiting, result.failed_packages) == (4, 4, 0, ())
    assert [len(package.messages) for package in adapter.said("submit")] == [4, 3]
    assert adapter.said("submit")[1].reference != adapter.said("submit")[0].reference
    assert not adapter.said("submit")[1].offered
    assert all(package.settled_at is not None for package in shop.rows(Package))


def test_a_receiver_that_never_says_which_part_it_has_does_not_keep_us_busy_for_ever(
    small_shop: Shop, deliver_to: DeliverTo
) -> None:
    small_shop.queue("a")

    def submit(_package: OutgoingPackage) -> SubmitReply:
        raise Trouble("ambiguous", "ReadTimeout")

    def inquire(package: OutgoingPackage) -> Inquiry:
        stranger = reply(package.messages[0])
        return Inquiry("partly", [type(stranger)(**(vars(stranger) | {"idempotency_key": "other"}))])

    result = deliver_to(small_shop, ScriptedAdapter(on_submit=submit, on_inquire=inquire))
    assert [package.reason for package in result.failed_packages] == [
        "the receiver has parts of the package and does not say which"
    ]
    assert result.waiting == 1


def test_a_failure_of_the_receiver_is_followed_by_a_question(small_shop: Shop, deliver_to: DeliverTo) -> None:
    small_shop.queue("a")
    adapter = ScriptedAdapter(on_inquire=lambda _package: Inquiry("taken"))

    def submit(_package: OutgoingPackage) -> SubmitReply:
        raise Trouble("broken", "HTTP 500", status=500)

    adapter.on_submit = submit
    assert deliver_to(small_shop, adapter).accepted == 1
    assert [name for name, _ in adapter.calls] == ["submit", "inquire", "receipts"]


def test_what_was_never_sent_is_not_asked_about(small_shop: Shop, deliver_to: DeliverTo) -> None:
    small_shop.queue("a")

    def unreachable(_package: OutgoingPackage) -> SubmitReply:
        raise Trouble("unreachable", "ConnectError")

    adapter = ScriptedAdapter(on_submit=unreachable)
    with pytest.raises(DeliveryError):
        deliver_to(small_shop, adapter)
    assert {name for name, _ in adapter.calls} == {"submit"}


def test_receipts_that_come_with_the_answer_need_not_be_asked_for(shop: Shop, deliver_to: DeliverTo) -> None:
    for name in "ab":
        shop.queue(name)
    adapter = ScriptedAdapter(
        on_submit=lambda package: SubmitReply(len(package.messages), receipts=accept_all(package).replies)
    )
    assert deliver_to(shop, adapter).accepted == 2
    assert adapter.said("receipts") == []


def test_receipts_in_any_order_given_twice_or_about_strangers_settle_the_right_rows(
    shop: Shop, deliver_to: DeliverTo
) -> None:
    for name in "abc":
        shop.queue(name)

    def receipts(package: OutgoingPackage) -> Receipts:
        first, second, third = (reply(message) for message in package.messages)
        stranger = type(first)(**(vars(first) | {"idempotency_key": key("nobody's")}))
        wrong_record = type(second)(**(vars(second) | {"record_id": key("somebody else"), "meaning": "rejected"}))
        return Receipts([third, second, stranger, third, first, wrong_record], complete=True)

    result = deliver_to(shop, ScriptedAdapter(on_receipts=receipts))
    assert (result.accepted, result.rejected) == (3, 0)
    assert [row.upper_id for row in shop.rows()] == [f"U-{key(name)[:8]}" for name in "abc"]
    assert len(shop.rows(Receipt)) == 3
    strange = [attempt.text for attempt in shop.rows(Attempt) if attempt.outcome == "strange"]
    assert strange == ["2 receipts are about records that are not in the package"]


def test_receipts_that_contradict_each_other_settle_nothing(shop: Shop, deliver_to: DeliverTo) -> None:
    for name in "ab":
        shop.queue(name)

    def contradict(package: OutgoingPackage) -> Receipts:
        first, second = package.messages
        return Receipts([reply(first), reply(first, "rejected"), reply(second)], complete=True)

    adapter = ScriptedAdapter(on_receipts=contradict)
    for _ in range(2):
        result = deliver_to(shop, adapter)
        assert (result.rejected, result.waiting) == (0, 1)
        assert "contradict each other" in result.failed_packages[0].reason
    assert shop.rows()[0].reply_code == "contradictory"
    assert len(adapter.said("submit")) == 1
    assert [line.result for line in shop.rows(Receipt)] == ["other", "accepted"]
    adapter.on_receipts = accept_all
    assert deliver_to(shop, adapter).accepted == 1


def test_an_id_that_belongs_to_another_record_is_not_believed(shop: Shop, deliver_to: DeliverTo) -> None:
    shop.queue("a")
    deliver_to(shop, ScriptedAdapter())
    shop.queue("b")
    shop.queue("c")
    shop.queue("d")

    def receipts(package: OutgoingPackage) -> Receipts:
        ids = [f"U-{key('a')[:8]}", "U-shared", "U-shared"]
        told = [reply(message, upper_id=upper_id) for message, upper_id in zip(package.messages, ids, strict=True)]
        return Receipts(told, complete=True)

    result = deliver_to(shop, ScriptedAdapter(on_receipts=receipts))
    assert (result.accepted, result.waiting) == (0, 3)
    assert deliver_to(shop, ScriptedAdapter()).accepted == 3


def test_receipts_that_never_come_are_asked_about_when_patience_ends(shop: Shop, deliver_to: DeliverTo) -> None:
    shop.queue("a")
    adapter = ScriptedAdapter(on_receipts=no_receipts, on_inquire=lambda _package: Inquiry("taken"))
    result = deliver_to(shop, adapter, lambda: NOW)
    assert (result.waiting, result.failed_packages) == (1, ())
    assert adapter.said("inquire") == []

    a_day_later = NOW + timedelta(hours=24)
    result = deliver_to(shop, adapter, lambda: a_day_later)
    [failed] = result.failed_packages
    assert "taken at 2026-11-20 09:02 Beijing time" in failed.reason
    assert len(adapter.said("submit")) == 1
    assert adapter.said("inquire")[0].messages[0].data != {}

    adapter.on_inquire = lambda _package: Inquiry("unknown")
    adapter.on_submit = lambda package: SubmitReply(1, receipts=accept_all(package).replies)
    assert deliver_to(shop, adapter, lambda: a_day_later).accepted == 1
    assert len(adapter.said("submit")) == 2


def test_a_receiver_that_knows_on_inquiry_what_it_decided_settles_the_package(
    small_shop: Shop, deliver_to: DeliverTo
) -> None:
    small_shop.queue("a")
    adapter = ScriptedAdapter(
        on_receipts=no_receipts, on_inquire=lambda package: Inquiry("taken", accept_all(package).replies)
    )
    deliver_to(small_shop, adapter, lambda: NOW)
    assert deliver_to(small_shop, adapter, lambda: NOW + timedelta(days=2)).accepted == 1


def test_a_record_that_is_withdrawn_before_it_was_read_is_taken_back(shop: Shop, deliver_to: DeliverTo) -> None:
    unread, withdrawal, other = shop.queue("a"), shop.withdraw("a"), shop.queue("b")
    adapter = ScriptedAdapter(on_receipts=no_receipts)
    assert deliver_to(shop, adapter).waiting == 3

    adapter.on_retract = lambda _package, keys: frozenset(keys)
    result = deliver_to(shop, adapter)
    assert result.waiting == 1
    assert shop.row(unread).withdrawn_at is not None
    assert shop.row(unread).withheld_reason == "接收方读取之前已撤回"
    assert shop.row(withdrawal).withheld_reason == "接收方没有公示该记录，无需办理"
    assert [package.settled_at for package in shop.rows(Package)] == [None]

    adapter.on_receipts = lambda package: Receipts([reply(package.messages[1])], complete=True)
    assert deliver_to(shop, adapter).accepted == 1
    assert shop.row(other).accepted_at is not None
    assert [message.line for message in adapter.said("receipts")[-1].messages] == [1, 2]
    assert all(package.settled_at is not None for package in shop.rows(Package))


def test_a_package_with_nothing_left_in_it_is_settled(small_shop: Shop, deliver_to: DeliverTo) -> None:
    small_shop.queue("a")
    small_shop.withdraw("a")
    adapter = ScriptedAdapter(on_receipts=no_receipts, on_retract=lambda _package, keys: frozenset(keys))
    result = deliver_to(small_shop, adapter)
    assert (result.accepted, result.waiting) == (0, 0)
    assert [package.settled_at is not None for package in small_shop.rows(Package)] == [True]


def test_what_was_taken_back_stays_so_although_the_call_after_it_fails(small_shop: Shop, deliver_to: DeliverTo) -> None:
    first = small_shop.queue("a")
    small_shop.withdraw("a")
    small_shop.queue("b")
    adapter = ScriptedAdapter(on_receipts=no_receipts)
    deliver_to(small_shop, adapter)

    def broken(_package: OutgoingPackage) -> Receipts:
        raise Trouble("broken", "HTTP 500", status=500)

    adapter.on_retract, adapter.on_receipts = lambda _package, keys: frozenset(keys), broken
    with pytest.raises(DeliveryError):
        deliver_to(small_shop, adapter)
    assert small_shop.row(first).withdrawn_at is not None


def test_lines_stay_when_records_leave_their_package(shop: Shop, deliver_to: DeliverTo) -> None:
    for name in "abc":
        shop.queue(name)
    adapter = ScriptedAdapter(
        # The first has no receipt, the second an unknown result.
        on_receipts=lambda package: Receipts([reply(message, "other") for message in package.messages[1:]], True)
    )
    result = deliver_to(shop, adapter)
    assert result.waiting == 3
    assert [(row.package is None, row.line) for row in shop.rows()] == [(True, None), (False, 2), (False, 3)]
    adapter.on_receipts = accept_all
    assert deliver_to(shop, adapter).accepted == 3
    assert {row.upper_id for row in shop.rows()} == {f"U-{key(name)[:8]}" for name in "abc"}


def test_a_package_of_which_a_part_is_settled_is_not_sent_as_a_whole_again(shop: Shop, deliver_to: DeliverTo) -> None:
    for name in "ab":
        shop.queue(name)
    adapter = ScriptedAdapter(on_receipts=lambda package: Receipts([reply(package.messages[0])], complete=False))
    deliver_to(shop, adapter)

    def forgotten(_package: OutgoingPackage) -> Receipts:
        adapter.on_receipts = accept_all
        raise PackageUnknownError

    adapter.on_receipts = forgotten
    assert deliver_to(shop, adapter).accepted == 1
    assert [len(package.messages) for package in adapter.said("submit")] == [2, 1]


def test_a_kind_of_package_that_is_always_refused_starves_no_other(shop: Shop, deliver_to: DeliverTo) -> None:
    for number in range(40):
        shop.queue(f"person {number}", CF_XDR_LB="自然人")
    for number in range(6):
        shop.queue(f"organisation {number}")
    shop.queue("licence", category="administrative_licence")

    def submit(package: OutgoingPackage) -> SubmitReply:
        if package.shape == "自然人":
            raise PackageRefusedError(422)
        return SubmitReply(len(package.messages))

    adapter = ScriptedAdapter(on_submit=submit, on_shape=lambda data: data.get("CF_XDR_LB", ""))
    result = deliver_to(shop, adapter)
    assert (result.accepted, result.rejected, result.waiting) == (7, 0, 40)
    assert {package.reason for package in result.failed_packages} == {
        "administrative_penalty (content): every package is refused (HTTP 422)"
    }


def test_packages_at_which_the_receiver_breaks_keep_no_other_waiting(shop: Shop, deliver_to: DeliverTo) -> None:
    for name in ("poison 1", "poison 2", "good"):
        shop.queue(name)
    poison = {key("poison 1"), key("poison 2")}

    def submit(package: OutgoingPackage) -> SubmitReply:
        if package.messages[0].record_key in poison:
            raise Trouble("broken", "HTTP 500", status=500)
        return SubmitReply(len(package.messages))

    adapter = ScriptedAdapter(on_submit=submit)
    for _ in range(3):
        with pytest.raises(DeliveryError):
            deliver_to(shop, adapter, package_size=1)
    result = deliver_to(shop, adapter, package_size=1)
    assert result.accepted == 1
    assert [package.reason for package in result.failed_packages] == ["HTTP 500 after all attempts"] * 2


def duplicates(package: OutgoingPackage) -> Receipts:
    return Receipts([reply(message, "duplicate") for message in package.messages], complete=True)


def test_a_refused_package_explains_no_duplicates_of_its_halves(small_shop: Shop, deliver_to: DeliverTo) -> None:
    for name in "ab":
        small_shop.queue(name)

    def submit(package: OutgoingPackage) -> SubmitReply:
        if len(package.messages) > 1:
            raise PackageRefusedError(422)
        return SubmitReply(len(package.messages))

    result = deliver_to(small_shop, ScriptedAdapter(on_submit=submit, on_receipts=duplicates))
    assert (result.duplicate, result.rejected) == (0, 2)


@pytest.mark.parametrize("newer", ["another text", "shown again"])
def test_an_earlier_acceptance_explains_no_duplicate_of_something_else(
    small_shop: Shop, deliver_to: DeliverTo, newer: str
) -> None:
    small_shop.queue("a")
    deliver_to(small_shop, ScriptedAdapter())
    if newer == "another text":
        later = small_shop.queue("a", version=2, CF_NR="罚款3000元")
    else:
        small_shop.withdraw("a")
        deliver_to(small_shop, ScriptedAdapter())
        later = small_shop.queue("a", act=2)
    result = deliver_to(small_shop, ScriptedAdapter(on_receipts=duplicates))
    assert (result.duplicate, result.rejected) == (0, 1)
    assert small_shop.row(later).accepted_at is None


def test_what_is_withdrawn_before_its_package_left_is_never_sent(shop: Shop, deliver_to: DeliverTo) -> None:
    first, second, third = (shop.queue(name) for name in "abc")

    def submit(_package: OutgoingPackage) -> SubmitReply:
        raise Trouble("unreachable", "ConnectError")

    with pytest.raises(DeliveryError):
        deliver_to(shop, ScriptedAdapter(on_submit=submit), package_size=1)
    assert [shop.row(row).packaged_at is not None for row in (first, second, third)] == [True] * 3
    withdrawal = shop.withdraw("b")
    adapter = ScriptedAdapter()
    assert deliver_to(shop, adapter, package_size=1).accepted == 2
    sent = [message.record_key for package in adapter.said("submit") for message in package.messages]
    assert sorted(sent) == sorted([key("a"), key("c")])
    assert shop.row(second).withheld_reason == RETRACTED
    assert shop.row(withdrawal).withheld_reason == NOT_SHOWN
