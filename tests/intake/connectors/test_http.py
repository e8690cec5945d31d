"""The HTTP connector against a real server that misbehaves on command."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import io
import json
import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hmac import HMAC
from pydantic import ValidationError

from pipelines.catalogue.feeds import Feed
from pipelines.errors import ExtractError, SourceError
from pipelines.intake.connectors import http
from pipelines.intake.connectors.contract import Declared, Pull, PullRequest
from pipelines.settings import Settings
from tests.intake.http_server import Asked, Interface, Reply, http_interface

DAY = date(2026, 11, 20)
SECRET = "geheim-0815"
NUMBERED: dict[str, Any] = {
    "rows_path": "data.list",
    "total_path": "data.total",
    "paging": {"style": "number", "parameter": "page", "size_parameter": "size", "size": 3},
}


class Shop:
    """One interface, and a connector that asks it."""

    def __init__(self, interface: Interface, home: Path) -> None:
        self.interface = interface
        self.home = home
        self.told: list[str] = []

    def feed(self, dump: str = "increment", **source: Any) -> Feed:
        given: dict[str, Any] = {
            "kind": "http",
            "url": f"{self.interface.address}/api/penalties",
            "retries": {"attempts": 3, "first_seconds": 0.01, "longest_seconds": 2},
            "timeout_seconds": 5,
            **NUMBERED,
            **source,
        }
        return Feed.model_validate(
            {
                "feed": "dept_penalty",
                "name_zh": "x",
                "category": "administrative_penalty",
                "edition": 2018,
                "dump": dump,
                "source": given,
            }
        )

    def pull(self, feed: Feed | None = None, **parts: Any) -> Pull:
        workspace = self.home / "workspace"
        workspace.mkdir(exist_ok=True)
        request = PullRequest(
            Settings(home=self.home), feed or self.feed(), DAY, workspace, progress=self.told.append, **parts
        )
        return http.pull(request)

    @property
    def landing_files(self) -> list[Path]:
        return [path for path in (self.home / "landing").rglob("*") if path.is_file()]


def pages(pulled: Pull) -> dict[str, bytes]:
    (extract,) = pulled.extracts
    with ZipFile(extract.path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def numbers(pulled: Pull) -> list[int]:
    return [row["id"] for body in pages(pulled).values() for row in json.loads(body)["data"]["list"]]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setenv("GUIJI_TEST_SECRET", SECRET)
    with http_interface() as interface:
        interface.rows = [
            {"id": number, "name": f"张{number}", "changed": f"2026-11-{number:02d}"} for number in range(8)
        ]
        yield Shop(interface, tmp_path)


def test_numbered_pages_are_landed_as_they_came_in_one_archive(shop: Shop) -> None:
    pulled = shop.pull()
    assert numbers(pulled) == list(range(8))
    assert list(pages(pulled)) == ["page-00001.json", "page-00002.json", "page-00003.json"]
    assert pages(pulled)["page-00003.json"] == shop.interface.numbered(shop.interface.asked[-1]).body
    with ZipFile(pulled.extracts[0].path) as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {ZIP_STORED}
    assert pulled.extracts[0].name == "dept_penalty-2026-11-20.pages.zip"
    assert pulled.declared == {"": Declared(f"{shop.interface.address}/api/penalties, data.total", rows=8)}
    assert pulled.facts["rows"] == 8 and pulled.facts["pages"] == 3 and pulled.facts["requests"] == 3
    assert http.settle(Settings(home=shop.home), shop.feed(), {}) == ()


def test_the_same_answers_are_the_same_bytes(shop: Shop) -> None:
    assert shop.pull().extracts == shop.pull().extracts


@pytest.mark.parametrize(
    ("answer", "paging", "requests"),
    [
        ("from_offset", {"style": "offset", "parameter": "start", "size_parameter": "size", "size": 5}, 4),
        ("with_cursor", {"style": "cursor", "parameter": "cursor", "cursor_path": "data.next"}, 3),
        ("with_link", {"style": "link", "link_path": "links.next"}, 3),
        ("with_link_header", {"style": "link"}, 3),
    ],
)
def test_every_style_of_paging_gives_every_row_once(
    shop: Shop, answer: str, paging: dict[str, Any], requests: int
) -> None:
    shop.interface.answer = getattr(shop.interface, answer)
    pulled = shop.pull(shop.feed(paging=paging, total_path=None))
    assert numbers(pulled) == list(range(8))
    assert pulled.facts["requests"] == requests
    assert pulled.declared == {}


def test_an_answer_without_pages_is_asked_for_once(shop: Shop) -> None:
    shop.interface.answer = lambda _asked: shop.interface.json(shop.interface.rows)
    pulled = shop.pull(shop.feed(paging={}, total_path=None, rows_path="."))
    assert json.loads(pages(pulled)["page-00001.json"]) == shop.interface.rows


def test_xml_pages_are_counted_and_kept_in_their_encoding(shop: Shop) -> None:
    shop.interface.answer = shop.interface.xml
    feed = shop.feed(
        format="xml", rows_path="ROWDATA/ROW", total_path="ROWDATA/@total", watermark_path="changed",
        since_parameter="since", paging={"style": "number", "parameter": "page"},
    )  # fmt: skip
    pulled = shop.pull(feed)
    assert [body.count(b"<ROW>") for body in pages(pulled).values()] == [3, 3, 2]
    assert "张0".encode("gb18030") in pages(pulled)["page-00001.xml"]
    assert (pulled.facts["rows"], pulled.watermark) == (8, "2026-11-07")


def test_a_short_page_ends_only_where_the_feed_says_so(shop: Shop) -> None:
    paging = {"style": "offset", "parameter": "start", "size_parameter": "size", "size": 3}
    shop.interface.answer = shop.interface.from_offset
    assert shop.pull(shop.feed(paging=paging, total_path=None)).facts["requests"] == 4
    assert shop.pull(shop.feed(paging={**paging, "end": "short"}, total_path=None)).facts["requests"] == 3


def test_an_answer_without_rows_is_an_empty_increment_but_no_full_dump(shop: Shop) -> None:
    shop.interface.rows = []
    pulled = shop.pull()
    assert pulled.extracts == () and pulled.declared[""].rows == 0
    assert shop.landing_files == []
    with pytest.raises(ExtractError, match="no rows"):
        shop.pull(shop.feed(dump="full"))
    shop.interface.replies = [shop.interface.json({"code": 0, "data": {"total": 0, "list": None}})]
    assert shop.pull().extracts == ()


def test_the_business_date_is_asked_for(shop: Shop) -> None:
    shop.pull(
        shop.feed(
            url=f"{shop.interface.address}/{{day}}/penalties?unit=a%26b",
            parameters={"kind": "处罚"},
            since_parameter="begin",
            until_parameter="end",
            date_format="%Y%m%d000000",
            until_format="%Y-%m-%d",
            until_days=1,
        )
    )
    asked = shop.interface.asked[0]
    assert asked.path == "/20261120/penalties"
    assert asked.query == {
        "unit": "a&b", "kind": "处罚", "begin": "20261120000000", "end": "2026-11-21", "page": "1", "size": "3"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("send", "kind"), [("form", "application/x-www-form-urlencoded"), ("json", "application/json")]
)
def test_parameters_may_be_posted(shop: Shop, send: str, kind: str) -> None:
    shop.interface.answer = lambda _asked: shop.interface.json({"data": {"list": shop.interface.rows}})
    shop.pull(shop.feed(send=send, parameters={"kind": "处罚"}, paging={}, total_path=None))
    asked = shop.interface.asked[0]
    assert (asked.method, asked.query, asked.headers["content-type"]) == ("POST", {}, kind)
    assert asked.body in {b"kind=%E5%A4%84%E7%BD%9A", '{"kind":"处罚"}'.encode()}


def test_the_largest_watermark_is_what_the_next_batch_asks_from(shop: Shop) -> None:
    feed = shop.feed(watermark_path="id", since_parameter="after")
    shop.interface.rows = [{"id": 9}, {"id": 100}, {"id": 20}]
    first = shop.pull(feed)
    assert "after" not in shop.interface.asked[0].query
    assert first.watermark == "100"
    shop.interface.rows = []
    second = shop.pull(feed, watermark=first.watermark)
    assert shop.interface.asked[-1].query["after"] == "100"
    assert second.watermark == "100"
    shop.pull(shop.feed(watermark_path="id", since_parameter="after", watermark_start="0"))
    assert shop.interface.asked[-1].query["after"] == "0"


def test_a_token_stands_in_a_header_or_a_parameter_and_nowhere_else(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    shop.pull(shop.feed(authentication={"style": "token", "secret_variable": "GUIJI_TEST_SECRET"}))
    assert shop.interface.asked[0].headers["authorization"] == f"Bearer {SECRET}"
    own = {"style": "token", "secret_variable": "GUIJI_TEST_SECRET", "header": "X-Token", "prefix": ""}
    shop.pull(shop.feed(authentication=own))
    assert shop.interface.asked[-1].headers["x-token"] == SECRET
    own = {"style": "token", "secret_variable": "GUIJI_TEST_SECRET", "parameter": "appKey"}
    pulled = shop.pull(shop.feed(authentication=own))
    assert shop.interface.asked[-1].query["appKey"] == SECRET
    assert SECRET not in str(pulled) and SECRET not in str(shop.told) and SECRET not in caplog.text


def sm3(key: bytes, data: bytes) -> bytes:
    signing = HMAC(key, hashes.SM3())
    signing.update(data)
    return signing.finalize()


@pytest.mark.parametrize(
    ("digest", "sign", "digest_of"),
    [
        ("sha256", lambda key, data: hmac.digest(key, data, "sha256"), lambda data: hashlib.sha256(data).hexdigest()),
        ("sm3", sm3, lambda data: hashlib.new("sm3", data).hexdigest()),
    ],
)
def test_each_request_carries_a_signature_of_its_own(
    shop: Shop, digest: str, sign: Callable[[bytes, bytes], bytes], digest_of: Callable[[bytes], str]
) -> None:
    described = {"style": "hmac", "secret_variable": "GUIJI_TEST_SECRET", "key": "credit-office", "digest": digest}
    shop.interface.replies = [Reply(status=503)]
    shop.pull(shop.feed(authentication=described))
    seen = set()
    for page, asked in zip((1, 1, 2, 3), shop.interface.asked, strict=True):
        headers = asked.headers
        lines = f"GET\n/api/penalties?size=3&page={page}\n{headers['x-timestamp']}\n{headers['x-nonce']}"
        assert headers["x-signature"] == sign(SECRET.encode(), lines.encode()).hex()
        assert headers["x-key"] == "credit-office"
        assert abs(int(headers["x-timestamp"]) - time.time()) < 60
        seen.add(headers["x-nonce"])
    assert len(seen) == 4
    own = {
        **described,
        "header": "Sign",
        "prefix": "v1 ",
        "encoding": "base64",
        "nonce_header": "N",
        "timestamp_header": "T",
    }
    shop.interface.answer = lambda _asked: shop.interface.json({"data": {"list": [{"id": 1}]}})
    shop.pull(shop.feed(authentication=own, send="json", paging={}, total_path=None, parameters={"a": "甲"}))
    asked = shop.interface.asked[-1]
    lines = f"POST\n/api/penalties\n{asked.headers['t']}\n{asked.headers['n']}\n{digest_of(asked.body)}"
    expected = base64.b64encode(sign(SECRET.encode(), lines.encode())).decode()
    assert asked.headers["sign"] == f"v1 {expected}"


@pytest.mark.parametrize("status", [401, 403, 404, 400, 304])
def test_what_will_not_pass_is_asked_once(shop: Shop, status: int) -> None:
    shop.interface.replies = [Reply(status=status, body="张三的错误".encode())]
    with pytest.raises(SourceError, match=f"HTTP {status}") as caught:
        shop.pull(shop.feed(authentication={"style": "token", "secret_variable": "GUIJI_TEST_SECRET"}))
    assert len(shop.interface.asked) == 1
    assert "张三" not in str(caught.value) and SECRET not in str(caught.value) and "?" not in str(caught.value.file)


@pytest.mark.parametrize("trouble", [Reply(status=500), Reply(status=502), Reply(status=429), Reply(status=408), None])
def test_what_may_pass_is_asked_again(shop: Shop, trouble: Reply | None) -> None:
    undisturbed = shop.pull()
    cut = Reply(body=b'{"data": {"list": [1, 2, 3]}}', cut=9)
    shop.interface.replies = [trouble or cut, None, trouble or cut, trouble or cut]
    assert shop.pull().extracts == undisturbed.extracts
    shop.interface.replies = [trouble or cut] * 3
    with pytest.raises(SourceError, match="tried 3 times"):
        shop.pull()


def test_a_pause_that_is_asked_for_is_kept(shop: Shop) -> None:
    shop.interface.replies = [Reply(status=429, headers={"Retry-After": "1"})]
    start = time.monotonic()
    shop.pull()
    assert time.monotonic() - start >= 1


@pytest.mark.parametrize("as_date", [False, True])
def test_a_pause_that_is_too_long_says_when_to_come_back(shop: Shop, as_date: bool) -> None:
    moment = datetime.now(UTC) + timedelta(hours=2)
    pause = format_datetime(moment, usegmt=True) if as_date else "7200"
    shop.interface.replies = [Reply(status=503, headers={"Retry-After": pause})]
    with pytest.raises(SourceError, match="left alone until") as caught:
        shop.pull()
    assert f"{moment + timedelta(hours=8):%Y-%m-%d %H:}" in str(caught.value)
    assert len(shop.interface.asked) == 1


@pytest.mark.parametrize("cut", [0, 1, 10, 60])
def test_a_server_that_dies_in_the_middle_leaves_nothing_behind(shop: Shop, cut: int) -> None:
    page = shop.interface.numbered(Asked("GET", "/", {"page": "2"}, {}, b"")).body
    shop.interface.replies = [None, *[Reply(body=page, cut=cut)] * 3]
    with pytest.raises(SourceError, match="exchange broke"):
        shop.pull()
    # Without a length, the end of the connection is the end of the answer: a part of the page is no JSON.
    shop.interface.replies = [None, *[Reply(body=page, cut=cut, headers={"Content-Length": str(cut)})] * 3]
    with pytest.raises(SourceError, match="no JSON, or not all of it"):
        shop.pull()
    assert shop.landing_files == []
    assert list((shop.home / "workspace").iterdir()) == []


def test_a_server_that_is_not_there_is_named(shop: Shop) -> None:
    with pytest.raises(SourceError, match=r"exchange broke \(ConnectError\)") as caught:
        shop.pull(shop.feed(url="http://127.0.0.1:1/api?token=geheim"))
    assert caught.value.file == "http://127.0.0.1:1/api"


@pytest.mark.parametrize("slow", [Reply(body=b"x" * 1000, drip=True), Reply(drip_headers=True)])
def test_a_server_that_drips_is_cut_off(shop: Shop, slow: Reply) -> None:
    shop.interface.replies = [slow]
    start = time.monotonic()
    with pytest.raises(SourceError, match=r"within 0\.5 seconds"):
        shop.pull(shop.feed(timeout_seconds=0.5, retries={"attempts": 1}))
    assert time.monotonic() - start < 3


def test_an_answer_is_counted_as_what_it_inflates_to(shop: Shop) -> None:
    shop.interface.answer = shop.interface.zipped
    assert numbers(shop.pull()) == list(range(8))
    bomb = gzip.compress(b" " * (64 << 20))
    shop.interface.replies = [Reply(body=bomb, headers={"Content-Encoding": "gzip"})]
    with pytest.raises(SourceError, match="more than 1,000,000 bytes"):
        shop.pull(shop.feed(max_page_bytes=1_000_000))
    whole = gzip.compress(shop.interface.numbered(Asked("GET", "/", {"page": "1"}, {}, b"")).body)
    for broken in (whole[:-9], b"no gzip"):
        shop.interface.replies = [Reply(body=broken, headers={"Content-Encoding": "gzip"})] * 3
        with pytest.raises(SourceError, match=r"middle of its compression|exchange broke"):
            shop.pull()
    shop.interface.replies = [Reply(body=bomb, headers={"Content-Encoding": "br"})] * 3
    with pytest.raises(SourceError, match="not asked for"):
        shop.pull()


def test_all_pages_together_have_a_limit(shop: Shop) -> None:
    with pytest.raises(SourceError, match="pages have more than 300 bytes"):
        shop.pull(shop.feed(max_bytes=300))
    assert shop.landing_files == []


def test_nobody_is_followed_to_another_host(shop: Shop) -> None:
    token = {"style": "token", "secret_variable": "GUIJI_TEST_SECRET"}
    with http_interface() as stranger:
        shop.interface.replies = [Reply(status=302, headers={"Location": f"{stranger.address}/x"})]
        with pytest.raises(SourceError, match=r"redirects .* to another address"):
            shop.pull(shop.feed(authentication=token))
        shop.interface.answer = lambda _asked: shop.interface.json(
            {"data": {"list": [{"id": 1}]}, "links": {"next": f"{stranger.address}/x"}}
        )
        with pytest.raises(SourceError, match="another scheme, host or port"):
            shop.pull(
                shop.feed(authentication=token, total_path=None, paging={"style": "link", "link_path": "links.next"})
            )
        assert stranger.asked == []


def test_a_redirect_on_the_same_host_is_followed_but_not_for_ever(shop: Shop) -> None:
    shop.interface.replies = [Reply(status=307, headers={"Location": "/moved?page=1&size=3"})]
    assert numbers(shop.pull()) == list(range(8))
    assert shop.interface.asked[1].path == "/moved"
    shop.interface.answer = lambda _asked: Reply(status=302, headers={"Location": "/round"})
    with pytest.raises(SourceError, match="in circles"):
        shop.pull()


@pytest.mark.parametrize(
    ("paging", "again", "message"),
    [
        ({"style": "number", "parameter": "page"}, {}, "same rows"),
        ({"style": "offset", "parameter": "start"}, {}, "same rows"),
        ({"style": "cursor", "parameter": "c", "cursor_path": "next"}, {"next": "abc"}, "same cursor"),
        ({"style": "link", "link_path": "next"}, {"next": "/api/penalties?p=2"}, "same link"),
    ],
)
def test_pages_that_go_in_circles_are_noticed(
    shop: Shop, paging: dict[str, Any], again: dict[str, str], message: str
) -> None:
    def answer(asked: Asked) -> Reply:
        # A time in the answer: only its rows are compared.
        rows = [{"id": len(shop.interface.asked)}] if again else [{"id": 1}]
        return shop.interface.json({"at": time.time(), "data": {"list": rows}, **again})

    shop.interface.answer = answer
    with pytest.raises(SourceError, match=message):
        shop.pull(shop.feed(total_path=None, paging=paging))
    assert len(shop.interface.asked) <= 3
    assert shop.landing_files == []


def test_pages_without_end_are_ended(shop: Shop) -> None:
    shop.interface.answer = lambda asked: shop.interface.json({"data": {"list": [{"id": asked.query["page"]}]}})
    with pytest.raises(SourceError, match="after 5 pages"):
        shop.pull(shop.feed(total_path=None, paging={"style": "number", "parameter": "page", "max_pages": 5}))


def test_a_total_that_changes_while_pages_are_read_starts_the_read_again(shop: Shop) -> None:
    def growing(asked: Asked) -> Reply:
        if len(shop.interface.asked) == 2:
            shop.interface.rows.insert(0, {"id": 99})
        return shop.interface.numbered(asked)

    shop.interface.answer = growing
    pulled = shop.pull()
    assert numbers(pulled) == [99, *range(8)]
    assert pulled.declared[""].rows == 9


def test_a_total_that_does_not_come_together_is_an_error(shop: Shop) -> None:
    shop.interface.answer = lambda asked: shop.interface.json(
        {"data": {"total": 9, "list": shop.interface.rows[:3] if asked.query["page"] == "1" else []}}
    )
    with pytest.raises(SourceError, match="declares 9 rows and gave 3"):
        shop.pull()
    shop.interface.answer = lambda _asked: shop.interface.json({"data": {"list": shop.interface.rows}})
    with pytest.raises(SourceError, match=r"no number of rows at data\.total"):
        shop.pull()
    assert shop.landing_files == []


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"code": 5001, "msg": "张三无权访问", "data": None}, "code 5001"),
        ({"code": "张三", "data": {}}, "another text"),
        ({"msg": "张三"}, "no code"),
    ],
)
def test_an_error_that_comes_as_an_answer_is_told_by_its_code_alone(shop: Shop, body: Any, told: str) -> None:
    shop.interface.replies = [shop.interface.json(body)]
    with pytest.raises(SourceError, match=told) as caught:
        shop.pull(shop.feed(ok_path="code"))
    assert "张三" not in str(caught.value)
    assert numbers(shop.pull(shop.feed(ok_path="code"))) == list(range(8))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"data": {"rows": []}}', "nothing at data.list"),
        (b'{"data": {"list": {"id": 1}}}', "no list at data.list"),
        (b"<html>login</html>", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"", "no JSON"),
    ],
)
def test_an_answer_that_is_something_else_is_refused(shop: Shop, body: bytes, message: str) -> None:
    shop.interface.replies = [Reply(body=body)] * 3
    with pytest.raises(SourceError, match=message):
        shop.pull(shop.feed(total_path=None))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'<!DOCTYPE a [<!ENTITY b "c">]><ROWDATA><ROW/></ROWDATA>', "document type"),
        (b"<OTHER><ROW/></OTHER>", "nothing at ROWDATA/ROW"),
        (b"<ROWDATA><ROW></ROWDATA>", "no XML"),
    ],
)
def test_xml_that_is_something_else_is_refused(shop: Shop, body: bytes, message: str) -> None:
    shop.interface.replies = [Reply(body=body)] * 3
    with pytest.raises(SourceError, match=message):
        shop.pull(shop.feed(format="xml", rows_path="ROWDATA/ROW", total_path=None))


def test_json_in_gb18030_is_understood(shop: Shop) -> None:
    text = json.dumps({"data": {"list": [{"id": 1, "name": "镕"}]}}, ensure_ascii=False)
    shop.interface.replies = [Reply(body=text.encode("gb18030"))]
    assert pages(shop.pull(shop.feed(total_path=None, paging={})))["page-00001.json"] == text.encode("gb18030")


def certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "interface")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def test_a_certificate_is_trusted_only_where_the_feed_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = certificate(tmp_path)
    monkeypatch.setenv("GUIJI_TEST_CERTIFICATES", str(path))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with http_interface(path) as interface:
        interface.rows = [{"id": 1}]
        shop = Shop(interface, tmp_path)
        with pytest.raises(SourceError, match="not trusted"):
            shop.pull()
        assert numbers(shop.pull(shop.feed(certificates_variable="GUIJI_TEST_CERTIFICATES"))) == [1]
        slow = shop.feed(certificates_variable="GUIJI_TEST_CERTIFICATES", timeout_seconds=0.5, retries={"attempts": 1})
        interface.replies = [Reply(body=b"x" * 1000, drip=True)]
        with pytest.raises(SourceError, match=r"within 0\.5 seconds"):
            shop.pull(slow)
    monkeypatch.setenv("GUIJI_TEST_CERTIFICATES", str(tmp_path / "absent.pem"))
    with pytest.raises(SourceError, match="cannot be read"):
        shop.pull(shop.feed(certificates_variable="GUIJI_TEST_CERTIFICATES"))


def test_a_proxy_is_used_only_where_the_feed_names_it(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    with http_interface() as proxy:
        proxy.rows = [{"id": 7}]
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.address)
        assert numbers(shop.pull()) == list(range(8))
        assert proxy.asked == []
        monkeypatch.setenv("GUIJI_TEST_PROXY", proxy.address)
        assert numbers(shop.pull(shop.feed(proxy_variable="GUIJI_TEST_PROXY"))) == [7]
        monkeypatch.setenv("GUIJI_TEST_PROXY", "")
        with pytest.raises(SourceError, match="proxy"):
            shop.pull(shop.feed(proxy_variable="GUIJI_TEST_PROXY"))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://127.0.0.1/x", "no http"),
        ("http://user:geheim@127.0.0.1/x", "holds a user or password"),
        ("http://[::1/x", "no URL"),
    ],
)
def test_an_address_that_is_of_no_use_is_explained(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, url: str, message: str
) -> None:
    monkeypatch.setenv("GUIJI_TEST_URL", url)
    with pytest.raises(SourceError, match=message) as caught:
        shop.pull(shop.feed(url_variable="GUIJI_TEST_URL"))
    assert "geheim" not in str(caught.value) and "GUIJI_TEST_URL" in caught.value.remedy


@pytest.mark.parametrize("secret", ["", "two\nlines", " blank", "geheim张"])
def test_a_secret_that_no_header_can_carry_is_not_sent(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv("GUIJI_TEST_SECRET", secret)
    with pytest.raises(SourceError, match="secret that opens") as caught:
        shop.pull(shop.feed(authentication={"style": "token", "secret_variable": "GUIJI_TEST_SECRET"}))
    assert "geheim" not in str(caught.value) and shop.interface.asked == []


@pytest.mark.parametrize(
    "source",
    [
        {"paging": {"style": "number"}},
        {"paging": {"style": "cursor", "parameter": "c"}},
        {"paging": {"style": "none", "parameter": "page"}},
        {"paging": {"style": "number", "parameter": "p", "end": "short"}},
        {"authentication": {"style": "hmac"}},
        {"authentication": {"style": "token", "secret_variable": "A", "key": "b"}},
        {"watermark_path": "id"},
    ],
)
def test_a_source_that_is_not_whole_is_refused(shop: Shop, source: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        shop.feed(**source)


def test_an_archive_of_pages_opens_anywhere(shop: Shop) -> None:
    data = shop.pull().extracts[0].path.read_bytes()
    with ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
