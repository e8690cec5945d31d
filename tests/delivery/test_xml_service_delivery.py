"""Deliveries to the national web service: every record is held there once, whatever happens on the way."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from delivery_shop import NAME, TOKEN, Clock, Receiver, Shop
from soap_script import Rows, Said, accepted, held, named, scripted_service

from pipelines.catalogue.catalogue import Catalogue
from pipelines.catalogue.endpoints import Endpoint
from pipelines.catalogue.yaml_source import parse, read
from pipelines.delivery.deliver import DeliveryResult, deliver
from pipelines.delivery.xml_service import XmlServiceAdapter
from pipelines.errors import DeliveryError
from pipelines.ledger.models import Attempt, DeliveryFinding
from pipelines.sandbox.misbehaviour import Kind, Ration

DESCRIPTION = Path(__file__).with_name("endpoints") / "xml_service.yaml"
SCRIPT = Path(__file__).with_name("deliver_and_die.py")
UNKNOWN = "无此企业有限公司"
Send = Callable[..., DeliveryResult]


@pytest.fixture(scope="module")
def national() -> Endpoint:
    """As described, with little patience; the shop owes everything to the endpoint of this name."""
    described = parse(read(DESCRIPTION), Endpoint)
    retry = described.retry.model_copy(update={"attempts": 3, "first_seconds": 0.01, "longest_seconds": 0.05})
    return described.model_copy(update={"endpoint": "province_sandbox", "retry": retry, "timeout_seconds": 30.0})


@pytest.fixture(scope="module")
def silent(national: Endpoint) -> Endpoint:
    """The same, but it cannot be asked what it holds."""
    description = national.model_dump()
    for calls in description["xml_service"]["calls"].values():
        calls["query"] = None
    return Endpoint.model_validate(description)


@pytest.fixture
def send(national: Endpoint, catalogue: Catalogue, receiver: Receiver) -> Send:
    def run(shop: Shop, endpoint: Endpoint = national, *, token: str = TOKEN, **changes: object) -> DeliveryResult:
        changed = endpoint.model_copy(update=changes)
        adapter = XmlServiceAdapter(changed, receiver.url, token)
        return deliver(shop.ledger, changed, adapter, catalogue.categories, shop.load, Clock())

    return run


@pytest.fixture
def submissions(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The bodies of all calls to import or remove."""
    bodies: list[bytes] = []
    posted = httpx.Client.post

    def post(self: httpx.Client, url: str, *, content: bytes) -> httpx.Response:
        if b"query" not in content[:400]:
            bodies.append(content)
        return posted(self, url, content=content)

    monkeypatch.setattr(httpx.Client, "post", post)
    return bodies


def check_exactly_once(shop: Shop, receiver: Receiver) -> None:
    """Every row is accepted, the receiver shows each record once, and nothing was imported over itself."""
    held = {line["upperId"]: line for line in receiver.held()}
    rows = shop.rows()
    assert len(held) == len(rows)
    numbers = {line["data"]["CF_WSH"]: line for line in held.values()}
    for row in rows:
        stored = shop.records[row.feed, row.record_key, row.version]
        line = numbers[str(stored["CF_WSH"])]
        assert (line["state"], line["updates"]) == ("shown", 0)
        assert row.accepted_at is not None
        assert row.rejected_at is row.withheld_at is None
        assert row.upper_id in {line["upperId"], None}


def test_five_bad_records_among_fifty_are_rejected_and_the_others_are_held(
    small_shop: Shop, receiver: Receiver, send: Send, submissions: list[bytes]
) -> None:
    bad = {7, 8, 20, 33, 50}
    for number in range(1, 51):
        small_shop.queue(f"n{number}", CF_XDR_MC=UNKNOWN if number in bad else NAME)
    result = send(small_shop)
    assert (result.accepted, result.rejected, result.waiting) == (45, 5, 0)
    assert len(submissions) == 6
    rows = small_shop.rows()
    assert {row.id for row in rows if row.rejected_at is not None} == bad
    findings = {finding.outbox_id: finding for finding in small_shop.rows(DeliveryFinding)}
    assert findings.keys() == bad
    assert (findings[8].rule, findings[8].message) == ("1001", "接收方拒收数据包中的第8行（代码1001），未说明原因")
    held = {line["upperId"]: line for line in receiver.held()}
    assert len(held) == 45
    for row in rows:
        if row.id not in bad:
            assert held[row.upper_id]["data"]["CF_WSH"] == f"测市监〔2026〕n{row.id}号"
            assert held[row.upper_id]["updates"] == 0


def test_nothing_is_stored_of_a_call_with_a_bad_row(small_shop: Shop, receiver: Receiver, send: Send) -> None:
    small_shop.queue("good")
    small_shop.queue("bad", CF_XDR_MC=UNKNOWN)
    receiver.misbehaviour.set("fail_before", Ration(times=3))
    with pytest.raises(DeliveryError, match="HTTP 500"):
        send(small_shop)
    assert receiver.held() == []
    assert send(small_shop).rejected == 1
    check = [line["data"]["CF_WSH"] for line in receiver.held()]
    assert check == ["测市监〔2026〕good号"]


def test_text_arrives_as_it_is(small_shop: Shop, receiver: Receiver, send: Send) -> None:
    fact = "注册资本<100万元&负债>1亿元]]>，\t见\n<附件>"
    small_shop.queue("a", CF_SY=fact + "\x0b\x00", category="administrative_penalty")
    small_shop.queue("b", category="administrative_licence", XK_NR="<许可>&amp;")
    assert send(small_shop).accepted == 2
    assert receiver.held()[0]["data"]["CF_SY"] == fact
    assert receiver.held("administrative_licence")[0]["data"]["XK_NR"] == "<许可>&amp;"


def test_changed_withdrawn_and_shown_again(small_shop: Shop, receiver: Receiver, send: Send) -> None:
    small_shop.queue("a")
    assert send(small_shop).accepted == 1
    small_shop.queue("a", version=2, CF_NR="罚款3000元")
    assert send(small_shop).accepted == 1
    small_shop.queue("a", version=3)
    assert send(small_shop).accepted == 1
    [line] = receiver.held()
    assert (line["updates"], line["data"]["CF_NR"], line["state"]) == (2, "罚款2000元", "shown")
    small_shop.withdraw("a")
    assert send(small_shop).accepted == 1
    assert receiver.held()[0]["state"] == "withdrawn"
    small_shop.queue("a", version=4)
    assert send(small_shop).accepted == 1
    [line] = receiver.held()
    assert line["state"] == "shown"
    assert {row.upper_id for row in small_shop.rows()} == {line["upperId"]}


def test_a_record_whose_id_is_not_known_is_withdrawn_by_number_and_name(
    small_shop: Shop, receiver: Receiver, send: Send, silent: Endpoint
) -> None:
    small_shop.queue("a")
    receiver.misbehaviour.set("fail_after", Ration(times=1))
    assert send(small_shop, silent).duplicate == 1
    assert small_shop.row(1).upper_id is None
    small_shop.withdraw("a")
    assert send(small_shop, silent).accepted == 1
    assert [line["state"] for line in receiver.held()] == ["withdrawn"]


LOSSES: list[tuple[Kind, Ration]] = [
    ("slow", Ration(times=1, seconds=0.05)),
    ("busy", Ration(times=2, seconds=0)),
    ("fail_before", Ration(times=2)),
    ("fail_after", Ration(times=2)),
    ("fail_after", Ration(times=1, status=502)),
    ("cut", Ration(times=2)),
    ("lose_answer", Ration(times=1, seconds=2.6)),
    ("wrong_receipt", Ration(times=1)),
    ("duplicate_receipt", Ration(times=1)),
    ("lost_receipt", Ration(times=1)),
    ("full_disk", Ration(times=1)),
]


@pytest.mark.parametrize(("kind", "ration"), LOSSES, ids=[kind for kind, _ in LOSSES])
@pytest.mark.parametrize("asked", [True, False], ids=["with a query", "without a query"])
def test_whatever_happens_to_a_call_every_record_is_held_once(
    small_shop: Shop,
    receiver: Receiver,
    send: Send,
    national: Endpoint,
    silent: Endpoint,
    kind: Kind,
    ration: Ration,
    asked: bool,
) -> None:
    for number in range(6):
        small_shop.queue(f"n{number}")
    receiver.misbehaviour.set(kind, Ration(ration.times, ration.chance, ration.seconds, ration.status))
    patience = 2.0 if kind == "lose_answer" else 30.0
    result = send(small_shop, national if asked else silent, package_size=3, timeout_seconds=patience)
    assert receiver.misbehaviour.shown()[kind] == ration.times
    assert (result.rejected, result.waiting, result.failed_packages) == (0, 0, ())
    check_exactly_once(small_shop, receiver)
    if asked:
        assert result.accepted == 6
        assert all(row.upper_id is not None for row in small_shop.rows())


def test_an_answer_that_was_lost_is_asked_for_and_nothing_is_sent_again(
    small_shop: Shop, receiver: Receiver, send: Send, submissions: list[bytes]
) -> None:
    small_shop.queue("a")
    receiver.misbehaviour.set("lose_answer", Ration(times=1, seconds=2.6))
    assert send(small_shop, timeout_seconds=2.0).accepted == 1
    assert len(submissions) == 1
    told = [(attempt.action, attempt.outcome) for attempt in small_shop.rows(Attempt)]
    assert (told[0], told[-1]) == (("submit", "ambiguous"), ("inquire", "answered"))


def test_an_update_that_was_lost_before_it_was_stored_is_not_taken_for_its_older_version(
    small_shop: Shop, receiver: Receiver, send: Send
) -> None:
    small_shop.queue("a")
    send(small_shop)
    small_shop.queue("a", version=2, CF_NR="罚款3000元")
    receiver.misbehaviour.set("fail_before", Ration(times=1))
    assert send(small_shop).accepted == 1
    assert receiver.held()[0]["data"]["CF_NR"] == "罚款3000元"


def test_a_row_that_the_query_cannot_prove_counts_when_it_comes_back_as_a_duplicate(
    small_shop: Shop, national: Endpoint, catalogue: Catalogue
) -> None:
    small_shop.queue("a")
    small_shop.queue("b")

    def answer(rows: Rows) -> Said:
        [(operation, _), *_] = service.calls[::-1]
        if operation.startswith("query"):
            names = ("CF_WSH", "CF_XDR_MC")
            told = [{name: row[name] for name in names} | {"ID": f"U{line}"} for line, row in enumerate(rows)]
            told[0] = service.calls[0][1][0] | {"ID": "U1"}
            # What it tells of the other one is not what it was sent.
            told[1] |= {"CF_NR": "罚款 2000 元"}
            return held(told)
        return named(1, "04") if len(rows) == 1 else replace(accepted("U1", "U2"), cut=True)

    with scripted_service() as service:
        service.answer = answer
        adapter = XmlServiceAdapter(national, service.url, TOKEN)
        result = deliver(small_shop.ledger, national, adapter, catalogue.categories, small_shop.load, Clock())
    assert (result.accepted, result.duplicate, result.rejected) == (1, 1, 0)
    assert [operation for operation, _ in service.calls] == ["importPenalyXml", "queryPenalyXml", "importPenalyXml"]
    assert [row.upper_id for row in small_shop.rows()] == ["U1", None]


def test_a_row_that_is_refused_for_no_reason_does_not_keep_the_others(
    small_shop: Shop, receiver: Receiver, send: Send
) -> None:
    for number in range(3):
        small_shop.queue(f"n{number}")
    receiver.misbehaviour.set("partial_rejection", Ration(times=1))
    result = send(small_shop)
    assert (result.accepted, result.rejected) == (2, 1)
    assert len(receiver.held()) == 2


def test_a_receiver_with_a_wrong_clock_rejects_what_it_takes_for_the_future(
    small_shop: Shop, receiver: Receiver, send: Send
) -> None:
    small_shop.queue("a")
    receiver.misbehaviour.set("wrong_clock", Ration(seconds=30 * 86400))
    assert send(small_shop).rejected == 1
    assert receiver.held() == []


def test_a_token_that_is_not_known_keeps_everything_queued(small_shop: Shop, receiver: Receiver, send: Send) -> None:
    small_shop.queue("a")
    with pytest.raises(DeliveryError, match="GUIJI_NATIONAL_TOKEN"):
        send(small_shop, token="something else")
    receiver.misbehaviour.set("wrong_token", Ration(times=1))
    with pytest.raises(DeliveryError, match="GUIJI_NATIONAL_TOKEN"):
        send(small_shop)
    assert receiver.held() == []
    assert send(small_shop).accepted == 1


def test_what_is_held_can_be_compared_with_the_ledger(
    small_shop: Shop, receiver: Receiver, send: Send, national: Endpoint, catalogue: Catalogue
) -> None:
    for number in range(3):
        small_shop.queue(f"n{number}")
    send(small_shop)
    small_shop.withdraw("n1")
    send(small_shop)
    with XmlServiceAdapter(national, receiver.url, TOKEN) as adapter:
        holdings = adapter.holdings(catalogue.categories["administrative_penalty"])
        assert holdings is not None
        told = {holding.upper_id: (holding.document_number, holding.state) for holding in holdings}
    content = [row for row in small_shop.rows() if row.family == "content"]
    assert told == {
        row.upper_id: (f"测市监〔2026〕n{number}号", "withdrawn" if number == 1 else "shown")
        for number, row in enumerate(content)
    }


@pytest.fixture(scope="module")
def forker() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.communicate()


def deliver_until(process: subprocess.Popen[str], kill_at: int, command: dict[str, Any]) -> str:
    """Deliver in a process that is killed at this event; how it ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(command | {"kill_at": [kill_at]}) + "\n")
    process.stdin.flush()
    [ending] = json.loads(process.stdout.readline())
    return str(ending)


@pytest.mark.parametrize("asked", [True, False], ids=["with a query", "without a query"])
def test_killed_at_every_moment_and_run_again(
    small_shop: Shop,
    receiver: Receiver,
    send: Send,
    national: Endpoint,
    silent: Endpoint,
    forker: subprocess.Popen[str],
    tmp_path: Path,
    asked: bool,
) -> None:
    endpoint = national if asked else silent
    records = tmp_path / "records.pickle"
    command = {
        "ledger": small_shop.ledger.engine.url.render_as_string(hide_password=False),
        "url": receiver.url,
        "endpoint": endpoint.model_dump_json(),
        "records": str(records),
    }
    kill_at = 0
    ending = ""
    while ending != "done":
        kill_at += 1
        small_shop.queue(f"{kill_at}.good")
        small_shop.queue(f"{kill_at}.bad", CF_XDR_MC=UNKNOWN)
        small_shop.queue(f"{kill_at}.fine")
        records.write_bytes(pickle.dumps(small_shop.records))
        ending = deliver_until(forker, kill_at, command)
        assert ending in {"killed", "done"}
        send(small_shop, endpoint)
    assert kill_at > 8
    held = [line["data"]["CF_WSH"] for line in receiver.held()]
    assert sorted(held) == sorted(
        f"测市监〔2026〕{number}.{name}号" for number in range(1, kill_at + 1) for name in ("good", "fine")
    )
    assert all(line["updates"] == 0 for line in receiver.held())
    for row in small_shop.rows():
        bad = str(small_shop.records[row.feed, row.record_key, row.version]["CF_WSH"]).endswith("bad号")
        assert (row.rejected_at is not None, row.accepted_at is not None) == (bad, not bad)
