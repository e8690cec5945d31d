"""The contract of the REST protocol: our adapter and the receiver, over real connections."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from delivery_shop import TOKEN
from pydantic import ValidationError
from rest_receiver import CATEGORY, adapter, endpoint, key, message, package, receiver

from pipelines.catalogue.endpoints import Operation
from pipelines.delivery import rest
from pipelines.delivery.adapter import Holding, Message
from pipelines.delivery.replies import Inquiry, PackageUnknownError, ReceiptReply, Trouble
from pipelines.delivery.rest import RestAdapter
from pipelines.delivery.signing import Signature
from pipelines.errors import DeliveryError
from pipelines.sandbox.certificates import make_certificates, tls_context
from pipelines.sandbox.misbehaviour import Kind, Misbehaviour, Ration

SYNCHRONOUS = {"submit_path": "/api/v1/{category}/packages?receipts=synchronous", "receipts": "synchronous"}
SIGNED = ({"authentication": "hmac_sha256", "key_id": "guiji"}, {"authentication": "hmac_sm3", "key_id": "guiji"})


@pytest.fixture
def misbehaviour() -> Misbehaviour:
    return Misbehaviour()


@pytest.fixture
def url(tmp_path: Path, misbehaviour: Misbehaviour) -> Iterator[str]:
    with receiver(tmp_path, misbehaviour) as running:
        yield running


@pytest.fixture
def to(url: str) -> Iterator[RestAdapter]:
    with adapter(url) as opened:
        yield opened


def send(to: RestAdapter, name: str, *messages: Message) -> list[ReceiptReply]:
    """Submit a package and fetch its receipts."""
    outgoing = package(name, *messages)
    assert to.submit(outgoing).received == len(messages)
    receipts = to.receipts(outgoing)
    assert receipts.complete
    return list(receipts.replies)


def say(to: RestAdapter, name: str, operation: Operation, version: int = 1, reason: str | None = None) -> ReceiptReply:
    """Say one thing about one record."""
    one = message(name, operation, version, reason)
    [reply] = send(to, one.idempotency_key, one)
    return reply


def held(to: RestAdapter) -> list[Holding]:
    holdings = to.holdings(CATEGORY)
    assert holdings is not None
    return list(holdings)


def state(to: RestAdapter) -> tuple[str, bool | None, str | None]:
    [holding] = held(to)
    return holding.state, holding.objection, holding.content_hash


# Operations


def test_a_new_record_is_held_as_it_was_sent(to: RestAdapter) -> None:
    reply = say(to, "a", "new")
    assert (reply.meaning, reply.record_id) == ("accepted", key("a"))
    assert held(to) == [
        Holding(
            upper_id=reply.upper_id,
            record_key=key("a"),
            content_hash=key("a 1"),
            document_number="测市监罚〔2026〕a号",
            subject_name="测试合成企业一有限公司",
            state="shown",
            objection=False,
        )
    ]


def test_an_update_replaces_the_content_under_the_same_upper_id(to: RestAdapter) -> None:
    first = say(to, "a", "new")
    second = say(to, "a", "update", version=2)
    assert (second.meaning, second.upper_id) == ("accepted", first.upper_id)
    assert state(to) == ("shown", False, key("a 2"))


@pytest.mark.parametrize("reason", ["revoked", "repaired", "expired", "error"])
def test_a_withdrawal_tells_its_reason_and_content_after_it_is_new(to: RestAdapter, url: str, reason: str) -> None:
    say(to, "a", "new")
    assert say(to, "a", "withdraw", reason=reason).meaning == "accepted"
    assert state(to)[0] == "withdrawn"
    [told] = httpx.get(
        f"{url}/api/v1/administrative_penalty/records", headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False
    ).json()["records"]
    assert told["reason"] == reason
    assert say(to, "a", "withdraw", reason=reason).meaning == "duplicate"
    assert say(to, "a", "update", version=2).meaning == "rejected"
    assert say(to, "a", "new", version=2).meaning == "accepted"
    assert state(to) == ("shown", False, key("a 2"))


def test_an_objection_is_marked_and_unmarked(to: RestAdapter) -> None:
    say(to, "a", "new")
    assert say(to, "a", "objection_on").meaning == "accepted"
    assert state(to)[1] is True
    assert say(to, "a", "objection_on").meaning == "duplicate"
    assert say(to, "a", "objection_off").meaning == "accepted"
    assert state(to)[1] is False


@pytest.mark.parametrize("operation", ["withdraw", "objection_on", "objection_off"])
def test_nothing_can_be_done_about_a_record_that_is_not_there(to: RestAdapter, operation: Operation) -> None:
    reply = say(to, "a", operation)
    assert (reply.meaning, reply.rule_code) == ("rejected", "1017")


def test_one_bad_record_does_not_spoil_the_others(to: RestAdapter) -> None:
    say(to, "b", "new")
    replies = send(to, "p", message("a"), message("b", version=2), message("c"))
    assert [reply.meaning for reply in replies] == ["accepted", "rejected", "accepted"]


# Receipts


def test_synchronous_receipts_come_with_the_answer(url: str) -> None:
    outgoing = package("p", message("a"), message("b"))
    with adapter(url, **SYNCHRONOUS) as to:
        answer = to.submit(outgoing)
        assert [reply.meaning for reply in answer.receipts or ()] == ["accepted", "accepted"]
        assert to.receipts(outgoing).replies == answer.receipts


def test_a_receiver_that_is_not_done_at_once_is_asked_later(url: str, misbehaviour: Misbehaviour) -> None:
    misbehaviour.set("processing", Ration(times=1))
    outgoing = package("p", message("a"))
    with adapter(url, **SYNCHRONOUS) as to:
        assert to.submit(outgoing).receipts is None
        assert to.receipts(outgoing).complete


def test_without_a_path_for_receipts_nothing_can_be_asked_later(url: str) -> None:
    outgoing = package("p", message("a"))
    with adapter(url, **SYNCHRONOUS, receipts_path=None) as to:
        assert len(to.submit(outgoing).receipts or ()) == 1
        assert to.inquire(outgoing) == Inquiry("unanswerable")
        receipts = to.receipts(outgoing)
        assert (receipts.replies, receipts.complete) == ([], True)
    with pytest.raises(ValidationError, match="receipts_path"):
        endpoint(receipts_path=None)


def test_a_receiver_that_forgets_the_receipts_of_its_answer_has_broken_the_protocol(url: str) -> None:
    with adapter(url, receipts="synchronous") as to, pytest.raises(Trouble, match="no receipts"):
        to.submit(package("p", message("a")))


def test_a_package_is_unknown_until_it_is_taken(to: RestAdapter) -> None:
    outgoing = package("p", message("a"))
    assert to.inquire(outgoing) == Inquiry("unknown")
    with pytest.raises(PackageUnknownError):
        to.receipts(outgoing)
    to.submit(outgoing)
    assert to.inquire(outgoing) == Inquiry("taken")
    assert to.submit(outgoing).received == 1
    assert len(held(to)) == 1


def test_the_pages_of_what_is_held_stay_right_while_records_are_added(
    to: RestAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest, "PAGE", 2)
    send(to, "p1", *(message(f"r{number}") for number in range(5)))
    holdings = to.holdings(CATEGORY)
    assert holdings is not None
    seen = [next(holdings) for _ in range(3)]
    send(to, "p2", message("late"))
    seen += list(holdings)
    assert [holding.record_key for holding in seen] == [key(name) for name in ("r0", "r1", "r2", "r3", "r4", "late")]


def test_a_receiver_that_cannot_be_asked_what_it_holds(url: str) -> None:
    with adapter(url, records_path=None) as to:
        assert to.holdings(CATEGORY) is None


# Who we are


@pytest.mark.parametrize("how", SIGNED, ids=["SHA-256", "SM3"])
def test_a_signature_opens_everything_that_a_token_opens(url: str, how: dict[str, object]) -> None:
    with adapter(url, **how, **SYNCHRONOUS) as to:
        say(to, "a", "new")
        assert len(held(to)) == 1


@pytest.mark.parametrize("how", SIGNED, ids=["SHA-256", "SM3"])
@pytest.mark.parametrize("wrong", [{"secret": "another"}, {"key_id": "another"}], ids=["key", "name of the key"])
def test_a_wrong_signature_opens_nothing(url: str, how: dict[str, object], wrong: dict[str, str]) -> None:
    with (
        adapter(url, **(how | wrong)) as to,
        pytest.raises(DeliveryError, match=r"does not accept our signature \(HTTP 401\).*GUIJI_PROVINCE_TOKEN"),
    ):
        to.submit(package("p", message("a")))


@pytest.mark.parametrize("seconds", [-400, 400])
def test_a_receiver_whose_clock_differs_refuses_signatures(
    url: str, misbehaviour: Misbehaviour, seconds: float
) -> None:
    misbehaviour.set("wrong_clock", Ration(times=1, seconds=seconds))
    with adapter(url, **SIGNED[1]) as to:
        with pytest.raises(DeliveryError, match="clock"):
            to.submit(package("p", message("a")))
        assert to.submit(package("p", message("a"))).received == 1


def test_a_signed_request_cannot_be_changed_or_repeated_by_others(url: str) -> None:
    signature = Signature("hmac_sm3", "guiji", TOKEN)
    path = f"{url}/api/v1/administrative_penalty/records"
    with httpx.Client(trust_env=False) as thief:
        signed = next(signature.auth_flow(thief.build_request("GET", f"{path}?limit=1")))
        assert thief.get(f"{path}?limit=2", headers=signed.headers).status_code == 401
        assert thief.get(path, headers=signed.headers).status_code == 401
        assert thief.request("GET", f"{path}?limit=1", headers=signed.headers, content=b"x").status_code == 401
        assert thief.send(signed).status_code == 200
        assert thief.send(signed).status_code == 401


@pytest.mark.parametrize("how", [{}, SIGNED[1]], ids=["token", "signature"])
def test_a_token_that_is_not_known_any_more_stops_us_with_clear_words(
    url: str, misbehaviour: Misbehaviour, how: dict[str, object]
) -> None:
    with adapter(url, **how) as to:
        say(to, "a", "new")
        misbehaviour.set("wrong_token", Ration(times=1))
        with pytest.raises(DeliveryError, match=r"HTTP 401.*stays queued.*GUIJI_PROVINCE_TOKEN") as caught:
            to.submit(package("p", message("b")))
        assert TOKEN not in str(caught.value)


# Certificates


def test_a_certificate_is_checked_by_the_authority_that_the_file_names(
    tmp_path: Path, misbehaviour: Misbehaviour
) -> None:
    authority = make_certificates(tmp_path / "tls")
    others = make_certificates(tmp_path / "others")
    with receiver(tmp_path, misbehaviour, tls_context(tmp_path / "tls", misbehaviour)) as url:
        assert url.startswith("https://")
        with adapter(url, ca_file=str(authority)) as to:
            assert say(to, "a", "new").meaning == "accepted"
        for ca_file in (None, str(others)):
            with (
                adapter(url, ca_file=ca_file) as to,
                pytest.raises(DeliveryError, match=r"certificate of province_sandbox at https.*not believed.*ca_file"),
            ):
                to.submit(package("p", message("b")))


def test_an_expired_certificate_is_named_and_not_tried_again(tmp_path: Path, misbehaviour: Misbehaviour) -> None:
    authority = make_certificates(tmp_path / "tls")
    with receiver(tmp_path, misbehaviour, tls_context(tmp_path / "tls", misbehaviour)) as url:
        misbehaviour.set("expired_certificate", Ration(times=1))
        with adapter(url, ca_file=str(authority)) as to:
            with pytest.raises(DeliveryError, match="certificate has expired"):
                to.submit(package("p", message("a")))
            assert to.submit(package("p", message("a"))).received == 1


def test_an_authority_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("")
    for ca_file in (tmp_path / "nowhere.pem", tmp_path / "empty.pem"):
        with pytest.raises(DeliveryError, match=rf"{ca_file.name}.*ca_file in schemas/endpoints/province_sandbox"):
            adapter("https://127.0.0.1:1", ca_file=str(ca_file))


# A receiver that misbehaves


@pytest.mark.parametrize(
    ("kind", "trouble", "status", "stored"),
    [
        ("busy", "busy", 429, False),
        ("fail_before", "broken", 500, False),
        ("fail_after", "broken", 500, True),
        ("cut", "ambiguous", None, True),
        ("lose_answer", "ambiguous", None, True),
        ("full_disk", "broken", 507, False),
    ],
)
def test_what_a_submission_is_told_and_what_became_of_it(
    url: str,
    to: RestAdapter,
    misbehaviour: Misbehaviour,
    kind: Kind,
    trouble: str,
    status: int | None,
    stored: bool,
) -> None:
    misbehaviour.set(kind, Ration(times=1, seconds=3.5))
    outgoing = package("p", message("a"), message("b"))
    with adapter(url, timeout_seconds=2.5) as impatient, pytest.raises(Trouble) as caught:
        impatient.submit(outgoing)
    assert (caught.value.kind, caught.value.status) == (trouble, status)
    assert to.inquire(outgoing) == Inquiry("taken" if stored else "unknown")
    assert caught.value.may_have_worked or not stored
    assert to.submit(outgoing).received == 2
    assert [reply.meaning for reply in to.receipts(outgoing).replies] == ["accepted", "accepted"]


def test_an_answer_is_cut_off_in_the_middle_of_its_body(url: str, misbehaviour: Misbehaviour) -> None:
    misbehaviour.set("cut", Ration(times=1))
    with pytest.raises(httpx.RemoteProtocolError, match=r"received [1-9]\d* bytes, expected [1-9]\d*"):
        httpx.get(
            f"{url}/api/v1/administrative_penalty/records",
            headers={"Authorization": f"Bearer {TOKEN}"},
            trust_env=False,
        )


def test_a_slow_receiver_is_waited_for_as_long_as_the_file_says(
    url: str, to: RestAdapter, misbehaviour: Misbehaviour
) -> None:
    misbehaviour.set("slow", Ration(times=2, seconds=0.6))
    assert to.submit(package("p", message("a"))).received == 1
    with adapter(url, timeout_seconds=0.3) as impatient, pytest.raises(Trouble, match="ReadTimeout"):
        impatient.submit(package("q", message("b")))


@pytest.mark.parametrize("kind", ["duplicate_receipt", "wrong_receipt", "lost_receipt", "shuffled_receipts"])
def test_spoiled_receipts_arrive_as_they_are_told(to: RestAdapter, misbehaviour: Misbehaviour, kind: Kind) -> None:
    outgoing = package("p", message("a"), message("b"))
    to.submit(outgoing)
    misbehaviour.set(kind, Ration(times=1))
    a, b = key("a"), key("b")
    told = {
        "duplicate_receipt": [a, b, a, b],
        "wrong_receipt": [a, "f" * 64],
        "lost_receipt": [b],
        "shuffled_receipts": [b, a],
    }
    assert [reply.record_id for reply in to.receipts(outgoing).replies] == told[kind]
    assert [reply.record_id for reply in to.receipts(outgoing).replies] == [a, b]


def test_a_receiver_at_work_and_one_that_refuses_a_part(to: RestAdapter, misbehaviour: Misbehaviour) -> None:
    misbehaviour.set("partial_rejection", Ration(times=1))
    misbehaviour.set("processing", Ration(times=1))
    outgoing = package("p", message("a"), message("b"))
    to.submit(outgoing)
    assert not to.receipts(outgoing).complete
    assert [reply.meaning for reply in to.receipts(outgoing).replies] == ["rejected", "accepted"]
