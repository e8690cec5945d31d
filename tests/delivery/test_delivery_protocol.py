"""What the adapter makes of every kind of answer, told by a receiver that answers from a script."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from delivery_shop import NOW, TOKEN, Deliver, Shop, key

from pipelines.catalogue.catalogue import Catalogue, load_catalogue
from pipelines.catalogue.endpoints import Endpoint
from pipelines.delivery.adapter import Message, OutgoingPackage
from pipelines.delivery.address import endpoint_secret, endpoint_url
from pipelines.delivery.deliver import DeliveryResult, deliver
from pipelines.delivery.packages import package_id
from pipelines.delivery.replies import PackageRefusedError, PackageUnknownError, ReceiptReply, Receipts, Trouble
from pipelines.delivery.rest import RestAdapter, clock_difference, retry_after
from pipelines.errors import DeliveryError
from pipelines.ledger.models import DeliveryFinding, Outbox, Package
from pipelines.settings import Settings

MESSAGES = (
    Message(1, "r1", "new", None, "k1", "h1", None, {"CF_WSH": "1"}),
    Message(2, "r2", "update", None, "k2", "h2", "U2", {"CF_WSH": "2"}),
)
PACKAGE = OutgoingPackage(
    package_id="package-1",
    reference="package-1",
    category=load_catalogue(Settings()).categories["administrative_penalty"],
    family="content",
    shape="",
    created_at=NOW,
    offered=False,
    records=len(MESSAGES),
    messages=MESSAGES,
)
TAKEN = {"packageId": "package-1", "received": 2}


@dataclass
class Script:
    """The answers still to give, and the requests that came."""

    url: str = ""
    answers: list[tuple[int, Any, dict[str, str]]] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    def say(self, status: int, body: Any = None, **headers: str) -> None:
        self.answers.append((status, body, {name.replace("_", "-"): value for name, value in headers.items()}))


@pytest.fixture
def script() -> Iterator[Script]:
    told = Script()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            told.requests.append((self.command, self.path, dict(self.headers), body))
            status, answer, headers = told.answers.pop(0)
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(content))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield told
        server.shutdown()
        thread.join()


@pytest.fixture
def adapter(script: Script, endpoint: Endpoint) -> Iterator[RestAdapter]:
    with RestAdapter(endpoint, script.url, TOKEN) as opened:
        yield opened


def test_what_is_sent(script: Script, adapter: RestAdapter) -> None:
    script.say(202, TAKEN)
    assert adapter.submit(PACKAGE).received == 2
    [(method, path, headers, body)] = script.requests
    assert (method, path) == ("POST", "/api/v1/administrative_penalty/packages")
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers["Idempotency-Key"] == "package-1"
    assert json.loads(body) == {
        "packageId": "package-1",
        "sentAt": "2026-11-20T01:02:03+00:00",
        "records": [
            {
                "recordId": "r1",
                "operation": "NEW",
                "idempotencyKey": "k1",
                "contentHash": "h1",
                "data": {"CF_WSH": "1"},
            },
            {
                "recordId": "r2",
                "operation": "UPDATE",
                "idempotencyKey": "k2",
                "contentHash": "h2",
                "data": {"CF_WSH": "2"},
            },
        ],
    }


@pytest.mark.parametrize(
    ("status", "kind"), [(500, "broken"), (502, "broken"), (503, "busy"), (429, "busy"), (408, "busy")]
)
def test_what_may_be_tried_again(script: Script, adapter: RestAdapter, status: int, kind: str) -> None:
    script.say(status, {"detail": "a record in the answer"}, Retry_After="12")
    with pytest.raises(Trouble) as caught:
        adapter.submit(PACKAGE)
    assert (caught.value.kind, caught.value.status) == (kind, status)
    assert caught.value.retry_after == (timedelta(seconds=12) if kind == "busy" else None)
    assert "record" not in str(caught.value)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_package_refused_for_its_content(script: Script, adapter: RestAdapter, status: int) -> None:
    script.say(status, {"detail": "no"})
    with pytest.raises(PackageRefusedError) as caught:
        adapter.submit(PACKAGE)
    assert caught.value.status == status


@pytest.mark.parametrize("status", [401, 403])
def test_no_entry(script: Script, adapter: RestAdapter, status: int) -> None:
    script.say(status)
    with pytest.raises(DeliveryError, match=rf"province_sandbox at .*HTTP {status}.*GUIJI_PROVINCE_TOKEN") as caught:
        adapter.submit(PACKAGE)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("status", [404, 405, 301, 307])
def test_a_wrong_address(script: Script, adapter: RestAdapter, status: int) -> None:
    script.say(status, None, Location="http://127.0.0.1:1/elsewhere")
    with pytest.raises(DeliveryError, match=rf"HTTP {status}.*province_sandbox\.yaml"):
        adapter.submit(PACKAGE)
    assert len(script.requests) == 1


def test_a_conflict_means_that_the_package_is_there(script: Script, adapter: RestAdapter) -> None:
    script.say(409, {"detail": "taken"})
    assert adapter.submit(PACKAGE).status == 409


@pytest.mark.parametrize(
    "body", [b"<html>please log in</html>", b"", {"packageId": "package-1"}, TAKEN | {"received": 1}, [1]]
)
def test_an_answer_that_is_not_the_protocol(script: Script, adapter: RestAdapter, body: Any) -> None:
    script.say(200, body)
    with pytest.raises(Trouble) as caught:
        adapter.submit(PACKAGE)
    assert caught.value.kind in {"broken", "ambiguous"}
    assert caught.value.__cause__ is None


def test_receipts(script: Script, adapter: RestAdapter) -> None:
    lines = [
        {"recordId": "r1", "idempotencyKey": "k1", "result": "1", "upperId": "U1"},
        {"recordId": "r2", "idempotencyKey": "k2", "result": "2", "ruleCode": "1001", "field": "F", "message": "M"},
        {"recordId": "r3", "idempotencyKey": "k3", "result": "4", "upperId": "U3", "more": "than we know"},
        {"recordId": "r4", "idempotencyKey": "k4", "result": "3"},
    ]
    script.say(200, {"packageId": "package-1", "state": "processing", "receipts": []})
    script.say(200, {"packageId": "package-1", "state": "done", "receipts": lines})
    script.say(404)
    script.say(200, {"packageId": "package-2", "state": "done", "receipts": lines})
    assert adapter.receipts(PACKAGE) == Receipts([], complete=False)
    done = adapter.receipts(PACKAGE)
    replies = done.replies
    assert done.complete
    assert [reply.meaning for reply in replies] == ["accepted", "rejected", "duplicate", "other"]
    assert replies[1] == ReceiptReply("r2", "k2", "2", "rejected", "1001", "F", "M", None)
    assert script.requests[0][:2] == ("GET", "/api/v1/packages/package-1/receipts")
    with pytest.raises(PackageUnknownError):
        adapter.receipts(PACKAGE)
    with pytest.raises(Trouble, match="another package"):
        adapter.receipts(PACKAGE)


def test_nobody_there_and_nobody_answering(endpoint: Endpoint) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        impatient = endpoint.model_copy(update={"timeout_seconds": 0.1})
        with RestAdapter(impatient, f"http://127.0.0.1:{port}", TOKEN) as to, pytest.raises(Trouble) as caught:
            to.submit(PACKAGE)
        assert (caught.value.kind, caught.value.text) == ("ambiguous", "ReadTimeout")
    with RestAdapter(endpoint, f"http://127.0.0.1:{port}", TOKEN) as to, pytest.raises(Trouble) as caught:
        to.submit(PACKAGE)
    assert caught.value.kind == "unreachable"


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "密"])
def test_a_token_that_no_header_can_carry_is_not_repeated(endpoint: Endpoint, token: str) -> None:
    with pytest.raises(DeliveryError, match="GUIJI_PROVINCE_TOKEN") as caught:
        RestAdapter(endpoint, "http://127.0.0.1:1", token)
    assert not token or token not in str(caught.value)


def test_proxies_of_the_environment_are_not_used(
    script: Script, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    script.say(202, TAKEN)
    with RestAdapter(endpoint, script.url, TOKEN) as to:
        assert to.submit(PACKAGE).received == 2


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("Fri, 20 Nov 2026 01:02:33 GMT", 30),
        ("Fri, 20 Nov 2026 01:00:00 GMT", 0),
        ("soon", None),
        ("-5", None),
        ("", None),
        ("99999999999999999999", 10**9),
    ],
)
def test_retry_after(text: str, seconds: int | None) -> None:
    told = retry_after(httpx.Headers({"Retry-After": text}), NOW.replace(tzinfo=UTC))
    assert told == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("date", "told"),
    [
        ("Fri, 20 Nov 2026 01:02:33 GMT", ""),
        ("Fri, 20 Nov 2026 01:12:03 GMT", " (its clock and ours differ by 600 s)"),
        ("Thu, 19 Nov 2026 01:02:03 GMT", " (its clock and ours differ by 86400 s)"),
        ("today", ""),
        ("", ""),
    ],
)
def test_a_refused_signature_may_come_from_clocks_that_differ(date: str, told: str) -> None:
    assert clock_difference(httpx.Headers({"Date": date}), NOW.replace(tzinfo=UTC)) == told


def test_the_address_of_an_endpoint(endpoint: Endpoint) -> None:
    assert endpoint_url(endpoint, {}) == "http://127.0.0.1:8765"
    assert endpoint_url(endpoint, {"GUIJI_PROVINCE_URL": "https://x.gov.cn/api/"}) == "https://x.gov.cn/api"
    for url in ("ftp://x", "nowhere", "http://"):
        with pytest.raises(DeliveryError, match="GUIJI_PROVINCE_URL"):
            endpoint_url(endpoint, {"GUIJI_PROVINCE_URL": url})
    with pytest.raises(DeliveryError) as caught:
        endpoint_url(endpoint, {"GUIJI_PROVINCE_URL": "http://me:hidden@x"})
    assert "hidden" not in str(caught.value)
    assert endpoint_secret(endpoint, {"GUIJI_PROVINCE_TOKEN": "t"}) == "t"
    with pytest.raises(DeliveryError, match="GUIJI_PROVINCE_TOKEN"):
        endpoint_secret(endpoint, {})


def receipt(name: str, result: str, **more: str) -> dict[str, Any]:
    return {"recordId": key(name), "idempotencyKey": key(f"administrative_penalty {name} 1"), "result": result} | more


@pytest.fixture
def scripted(script: Script, small_shop: Shop, endpoint: Endpoint, catalogue: Catalogue) -> Deliver:
    """Deliver the one package that ``small_shop`` owes to the script, which answers with these receipts."""

    def run(*receipts: dict[str, Any], submit: bool = True) -> DeliveryResult:
        identity = package_id(row.idempotency_key for row in owed(small_shop))
        if submit:
            script.say(202, {"packageId": identity, "received": len(owed(small_shop))})
        script.say(200, {"packageId": identity, "state": "done", "receipts": receipts})
        return deliver(
            small_shop.ledger,
            endpoint,
            RestAdapter(endpoint, script.url, TOKEN),
            catalogue.categories,
            small_shop.load,
            lambda: NOW,
        )

    return run


def owed(shop: Shop) -> list[Outbox]:
    return [row for row in shop.rows() if row.accepted_at is row.rejected_at is None]


def test_a_duplicate_that_nobody_can_reconcile_is_a_finding(small_shop: Shop, scripted: Deliver) -> None:
    identity = small_shop.queue("a")
    result = scripted(receipt("a", "4"))
    assert (result.duplicate, result.rejected) == (0, 1)
    [finding] = small_shop.rows(DeliveryFinding)
    assert finding.outbox_id == identity
    assert "上级编号" in finding.message


def test_a_duplicate_without_an_id_is_accepted_when_the_ledger_knows_the_id(
    small_shop: Shop, scripted: Deliver
) -> None:
    small_shop.queue("a")
    assert scripted(receipt("a", "1", upperId="U1")).accepted == 1
    again = small_shop.queue("a", version=2)
    line = receipt("a", "4") | {"idempotencyKey": key("administrative_penalty a 2")}
    result = scripted(line)
    assert (result.duplicate, result.rejected) == (1, 0)
    assert small_shop.row(again).upper_id == "U1"


def test_a_duplicate_with_the_id_of_another_record_is_a_finding(small_shop: Shop, scripted: Deliver) -> None:
    small_shop.queue("a")
    small_shop.queue("b")
    first = scripted(receipt("a", "1", upperId="U1"), receipt("b", "2", message="不行"))
    assert (first.accepted, first.rejected) == (1, 1)
    with small_shop.ledger.write() as session:
        row = session.get_one(Outbox, 2)
        row.package = row.packaged_at = row.sent_at = row.rejected_at = None
    result = scripted(receipt("b", "4", upperId="U1"))
    assert (result.duplicate, result.rejected) == (0, 1)
    assert small_shop.row(2).upper_id is None


def test_a_record_without_a_receipt_is_sent_again_next_time(
    small_shop: Shop, scripted: Deliver, script: Script
) -> None:
    small_shop.queue("a")
    small_shop.queue("b")
    result = scripted(receipt("a", "1", upperId="U1"))
    assert (result.accepted, result.waiting) == (1, 1)
    assert [package.reason for package in result.failed_packages] == [
        "1 records have no receipt; they are sent again next time"
    ]
    assert small_shop.row(2).package is None
    assert scripted(receipt("b", "4", upperId="U2")).duplicate == 1
    assert len(json.loads(script.requests[-2][3])["records"]) == 1


def test_a_result_that_the_description_does_not_list_keeps_the_record_under_way(
    small_shop: Shop, scripted: Deliver
) -> None:
    small_shop.queue("a")
    for submit in (True, False):
        result = scripted(receipt("a", "3", message="疑问数据"), submit=submit)
        assert (result.accepted, result.rejected, result.waiting) == (0, 0, 1)
        assert "does not list" in result.failed_packages[0].reason
        assert small_shop.row(1).reply_text == "疑问数据"
    assert scripted(receipt("a", "1", upperId="U1"), submit=False).accepted == 1
    assert small_shop.rows(Package)[0].settled_at is not None
