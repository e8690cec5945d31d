"""What the adapter of the national web service sends, and what it makes of every kind of answer."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from delivery_shop import NOW, TOKEN
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from soap_script import Rows, Said, Service, accepted, fault, held, named, returned, scripted_service

from pipelines.catalogue.catalogue import Catalogue
from pipelines.catalogue.categories import Category
from pipelines.catalogue.endpoints import Endpoint
from pipelines.catalogue.yaml_source import parse, read
from pipelines.delivery.adapter import Message, OutgoingPackage
from pipelines.delivery.adapters import open_adapter
from pipelines.delivery.replies import PackageRefusedError, PackageUnknownError, ReceiptReply, SubmitReply, Trouble
from pipelines.delivery.rowdata import rows_text
from pipelines.delivery.soap import sendable
from pipelines.delivery.xml_service import XmlServiceAdapter
from pipelines.errors import CatalogueError, DeliveryError
from pipelines.sandbox.soap_envelopes import read_rows

DESCRIPTION = Path(__file__).with_name("endpoints") / "xml_service.yaml"


@pytest.fixture(scope="module")
def endpoint() -> Endpoint:
    return parse(read(DESCRIPTION), Endpoint)


@pytest.fixture
def category(catalogue: Catalogue) -> Category:
    return catalogue.categories["administrative_penalty"]


@pytest.fixture
def service() -> Iterator[Service]:
    with scripted_service() as running:
        yield running


@pytest.fixture
def adapter(service: Service, endpoint: Endpoint) -> Iterator[XmlServiceAdapter]:
    with XmlServiceAdapter(endpoint, service.url, TOKEN) as opened:
        yield opened


def message(line: int, **more: Any) -> Message:
    data = {"CF_WSH": f"〔2026〕{line}号", "CF_XDR_MC": "测试公司", "CF_NR": "罚款"}
    described = Message(line, f"r{line}", "new", None, f"k{line}", f"h{line}", None, data)
    return replace(described, **more)


def package(category: Category, *messages: Message, family: Any = "content") -> OutgoingPackage:
    return OutgoingPackage("p1", "p1", category, family, "", NOW, False, len(messages), messages)


def receipts_of(reply: SubmitReply) -> dict[str, ReceiptReply]:
    assert reply.receipts is not None
    return {receipt.idempotency_key: receipt for receipt in reply.receipts}


def numbers(rows: Rows) -> list[str]:
    return [row["CF_WSH"] for row in rows]


# What is sent


def test_a_call(service: Service, adapter: XmlServiceAdapter, category: Category) -> None:
    service.say(accepted("U1", "U2"))
    reply = adapter.submit(package(category, message(1), message(2)))
    assert service.bodies[0].startswith(b"<?xml version='1.0' encoding='UTF-8'?>")
    call = etree.fromstring(service.bodies[0])[0][0]
    assert call.tag == "{http://service.sandbox.guiji/}importPenalyXml"
    assert [(parameter.tag, parameter.text) for parameter in call] == [
        ("token", TOKEN),
        (
            "xml",
            '<?xml version="1.0" encoding="UTF-8"?><ROWDATA>'
            "<ROW><CF_WSH>〔2026〕1号</CF_WSH><CF_XDR_MC>测试公司</CF_XDR_MC><CF_NR>罚款</CF_NR></ROW>"
            "<ROW><CF_WSH>〔2026〕2号</CF_WSH><CF_XDR_MC>测试公司</CF_XDR_MC><CF_NR>罚款</CF_NR></ROW></ROWDATA>",
        ),
    ]
    receipts = receipts_of(reply)
    assert {key: (receipt.meaning, receipt.upper_id) for key, receipt in receipts.items()} == {
        "k1": ("accepted", "U1"),
        "k2": ("accepted", "U2"),
    }


def test_the_receivers_own_names(service: Service, endpoint: Endpoint, category: Category) -> None:
    section = endpoint.xml_service
    assert section is not None
    renaming = endpoint.model_copy(
        update={
            "fields": {"administrative_penalty": {"CF_WSH": "文书号"}},
            "xml_service": section.model_copy(update={"parameters": ("arg0", "arg1")}),
        }
    )
    service.say(accepted("U1"))
    with XmlServiceAdapter(renaming, service.url, TOKEN) as to:
        to.submit(package(category, message(1)))
    assert service.calls[0][1][0]["文书号"] == "〔2026〕1号"
    assert [parameter.tag for parameter in etree.fromstring(service.bodies[0])[0][0]] == ["arg0", "arg1"]


def test_text_that_would_break_the_xml(service: Service, adapter: XmlServiceAdapter, category: Category) -> None:
    text = "注册资本<100万&负债>1亿]]></CF_NR><!-- <![CDATA[ &amp; \t\r\n 末尾 "
    service.say(accepted("U1"))
    adapter.submit(package(category, message(1, data={"CF_NR": text})))
    assert service.calls[0][1] == [{"CF_NR": text}]


def test_only_what_no_xml_can_carry_is_left_out(
    service: Service, adapter: XmlServiceAdapter, category: Category
) -> None:
    service.say(accepted("U1"))
    adapter.submit(package(category, message(1, data={"CF_NR": "\x00罚\x0b款\x1f\ufffe\ud800\x7f\x85\u2028𠀀"})))
    assert service.calls[0][1] == [{"CF_NR": "罚款\x7f\x85\u2028𠀀"}]


@given(st.dictionaries(st.sampled_from(["CF_WSH", "CF_NR", "CF_SY"]), st.text(st.characters())))
def test_any_text_survives_but_for_what_xml_cannot_carry(data: dict[str, str]) -> None:
    sent = {name: sendable(text) for name, text in data.items()}
    assert read_rows(rows_text([sent])).rows == [sent]
    for name, text in data.items():
        kept = [character for character in text if _is_legal(ord(character))]
        assert sent[name] == "".join(kept)


def _is_legal(code: int) -> bool:
    """https://www.w3.org/TR/xml/#NT-Char"""
    return code in {9, 10, 13} or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or code >= 0x10000


# All or nothing


def test_the_line_that_is_named_comes_out_and_the_others_go_again(
    service: Service, adapter: XmlServiceAdapter, category: Category
) -> None:
    service.say(named(2), named(3, "1014"), accepted("U1", "U3"))
    reply = adapter.submit(package(category, *(message(line) for line in range(1, 5))))
    receipts = receipts_of(reply)
    assert [numbers(rows) for _, rows in service.calls] == [
        ["〔2026〕1号", "〔2026〕2号", "〔2026〕3号", "〔2026〕4号"],
        ["〔2026〕1号", "〔2026〕3号", "〔2026〕4号"],
        ["〔2026〕1号", "〔2026〕3号"],
    ]
    assert receipts["k2"] == ReceiptReply(
        "r2", "k2", "1001", "rejected", "1001", None, "接收方拒收数据包中的第2行（代码1001），未说明原因", None
    )
    # The third line of what was sent then is the fourth of the package.
    assert (receipts["k4"].rule_code, receipts["k4"].meaning) == ("1014", "rejected")
    assert (receipts["k1"].upper_id, receipts["k3"].upper_id) == ("U1", "U3")


def test_a_duplicate_comes_out_as_a_duplicate(service: Service, adapter: XmlServiceAdapter, category: Category) -> None:
    service.say(named(1, "04"), accepted("U2"))
    receipts = receipts_of(adapter.submit(package(category, message(1), message(2))))
    assert (receipts["k1"].meaning, receipts["k1"].upper_id, receipts["k1"].message) == ("duplicate", None, None)
    assert receipts["k2"].upper_id == "U2"


def test_a_receiver_that_always_names_the_first_line_is_called_once_per_row(
    service: Service, adapter: XmlServiceAdapter, category: Category
) -> None:
    service.answer = lambda _rows: named(1)
    receipts = receipts_of(adapter.submit(package(category, *(message(line) for line in range(1, 21)))))
    assert len(service.calls) == 20
    assert {receipt.meaning for receipt in receipts.values()} == {"rejected"}
    assert len(receipts) == 20


def test_a_receiver_that_changes_its_mind_is_called_no_more_than_once_per_row(
    service: Service, adapter: XmlServiceAdapter, category: Category
) -> None:
    service.answer = lambda rows: named(len(rows) if len(service.calls) % 2 else 1)
    receipts = receipts_of(adapter.submit(package(category, *(message(line) for line in range(1, 21)))))
    assert len(service.calls) == len(receipts) == 20


@pytest.mark.parametrize("line", [3, 999999999, -1])
def test_a_line_that_was_not_sent_is_trouble(
    service: Service, adapter: XmlServiceAdapter, category: Category, line: int
) -> None:
    service.answer = lambda _rows: named(line)
    with pytest.raises(Trouble, match=f"line {line} of 2") as caught:
        adapter.submit(package(category, message(1), message(2)))
    assert caught.value.kind == "broken"
    assert len(service.calls) == 1


def test_a_line_that_was_taken_out_already_is_trouble(
    service: Service, adapter: XmlServiceAdapter, category: Category
) -> None:
    service.answer = lambda _rows: named(2)
    with pytest.raises(Trouble, match="line 2 of 1"):
        adapter.submit(package(category, message(1), message(2)))
    assert len(service.calls) == 2


def test_a_text_that_the_receiver_cannot_read_is_refused_as_a_package(
    service: Service, adapter: XmlServiceAdapter, category: Category
) -> None:
    service.answer = lambda _rows: named(0, "99")
    with pytest.raises(PackageRefusedError, match="code 99 line 0"):
        adapter.submit(package(category, message(1), message(2)))
    assert len(service.calls) == 1


@pytest.mark.parametrize("ids", [(), ("U1",), ("U1", "U2", "U3"), ("U1", "U1"), ("U1", "")])
def test_ids_that_do_not_fit_the_rows_say_nothing_about_any(
    service: Service, adapter: XmlServiceAdapter, category: Category, ids: tuple[str, ...]
) -> None:
    service.say(accepted(*ids))
    with pytest.raises(Trouble) as caught:
        adapter.submit(package(category, message(1), message(2)))
    assert caught.value.kind == "ambiguous"


def test_a_code_without_a_line(service: Service, endpoint: Endpoint, category: Category) -> None:
    told = returned("<row><code>77</code></row>")
    results = endpoint.results.model_copy(update={"rejected": ("77",)})
    with XmlServiceAdapter(endpoint, service.url, TOKEN) as to, pytest.raises(Trouble, match="code 77") as caught:
        service.say(told)
        to.submit(package(category, message(1)))
    assert caught.value.kind == "broken"
    listed = endpoint.model_copy(update={"results": results})
    with XmlServiceAdapter(listed, service.url, TOKEN) as to, pytest.raises(PackageRefusedError, match="code 77"):
        service.say(told)
        to.submit(package(category, message(1)))


# Withdrawals


def test_a_withdrawal_names_the_id_or_else_number_and_name(
    service: Service, adapter: XmlServiceAdapter, category: Category
) -> None:
    service.say(returned("<row><code>00</code></row>"))
    withdrawn = [message(1, operation="withdraw", upper_id="U1"), message(2, operation="withdraw")]
    receipts = receipts_of(adapter.submit(package(category, *withdrawn, family="withdrawal")))
    assert service.calls == [("removePenalyXml", [{"ID": "U1"}, {"CF_WSH": "〔2026〕2号", "CF_XDR_MC": "测试公司"}])]
    assert {key: (receipt.meaning, receipt.upper_id) for key, receipt in receipts.items()} == {
        "k1": ("accepted", "U1"),
        "k2": ("accepted", None),
    }


def test_a_description_that_cannot_work_is_refused(endpoint: Endpoint) -> None:
    description = endpoint.model_dump()
    with pytest.raises(ValueError, match="no XML element"):
        Endpoint.model_validate(description | {"fields": {"administrative_penalty": {"CF_WSH": "文书 号"}}})
    for operations in (("new", "objection_on"), ("new", "objection_off")):
        with pytest.raises(ValueError, match="objections"):
            Endpoint.model_validate(description | {"operations": operations})
    for calls in description["xml_service"]["calls"].values():
        calls["remove"] = None
    with pytest.raises(ValueError, match="remove in the calls for administrative_licence"):
        Endpoint.model_validate(description)
    del description["xml_service"]["calls"]["administrative_penalty"]
    with pytest.raises(ValueError, match="lacks calls for administrative_penalty"):
        Endpoint.model_validate(description | {"operations": ("new", "update")})


def test_the_file_says_where_a_call_is_missing(tmp_path: Path) -> None:
    copy = tmp_path / "national_xml_sandbox.yaml"
    text = DESCRIPTION.read_text(encoding="utf-8")
    copy.write_text(text.replace("      remove: removePenalyXml\n", ""), encoding="utf-8")
    with pytest.raises(CatalogueError, match="remove in the calls for administrative_penalty"):
        parse(read(copy), Endpoint)


# Failures


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (Said("later", 429, {"Retry-After": "12"}), "busy"),
        (Said("later", 503, {"Retry-After": "12"}), "busy"),
        (Said("<html><body>Internal Server Error</body></html>", 500), "broken"),
        (Said("<html><br><p>Bad Gateway", 502), "broken"),
        (Said("<html><body>please log in</body></html>"), "broken"),
        (Said("<html><br><p>请登录"), "broken"),
        (Said(""), "broken"),
        (fault("Server", "something broke"), "broken"),
        (replace(accepted("U1"), cut=True), "ambiguous"),
        (replace(accepted("U1"), headers={"Content-Encoding": "gzip"}), "ambiguous"),
        (returned(""), "broken"),
        (returned("<row><code>00</code>"), "broken"),
        (returned("<row><line>1</line></row>"), "broken"),
        (returned("<row><code>张三的记录有误</code><line>1</line></row>"), "broken"),
        (named("first"), "broken"),
        (named("9" * 5000), "broken"),
        (returned('<!DOCTYPE row [<!ENTITY e "00">]><row><code>&e;</code></row>'), "broken"),
        (Said('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>' + accepted("U1").body), "broken"),
        (accepted("U" * 101), "broken"),
    ],
)
def test_what_may_be_tried_again(
    service: Service, adapter: XmlServiceAdapter, category: Category, said: Said, kind: str
) -> None:
    service.say(said)
    with pytest.raises(Trouble) as caught:
        adapter.submit(package(category, message(1)))
    assert caught.value.kind == kind
    assert caught.value.retry_after == (timedelta(seconds=12) if kind == "busy" else None)
    assert "张三" not in str(caught.value)
    assert caught.value.__cause__ is None or kind == "ambiguous"


@pytest.mark.parametrize("said", [Said("", 400), Said("", 413), Said("", 422), fault("Client", "unexpected element")])
def test_a_package_refused_for_its_form(
    service: Service, adapter: XmlServiceAdapter, category: Category, said: Said
) -> None:
    service.say(said)
    with pytest.raises(PackageRefusedError):
        adapter.submit(package(category, message(1)))


@pytest.mark.parametrize(
    "said",
    [
        Said("", 401),
        Said("", 403),
        fault("Server", "invalid Token"),
        fault("Client", "令牌已过期"),
        returned("<row><code>token</code></row>"),
    ],
)
def test_a_token_that_is_refused_names_its_variable(
    service: Service, adapter: XmlServiceAdapter, category: Category, said: Said
) -> None:
    service.say(said)
    with pytest.raises(DeliveryError, match=r"national_xml_sandbox at .*GUIJI_NATIONAL_TOKEN") as caught:
        adapter.submit(package(category, message(1)))
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("status", [404, 405, 301, 307])
def test_a_wrong_address(service: Service, adapter: XmlServiceAdapter, category: Category, status: int) -> None:
    service.say(Said("", status, {"Location": "http://127.0.0.1:1/elsewhere"}))
    with pytest.raises(DeliveryError, match=rf"HTTP {status}.*national_xml_sandbox\.yaml"):
        adapter.submit(package(category, message(1)))
    assert len(service.calls) == 1


def test_nobody_there_and_nobody_answering(endpoint: Endpoint, category: Category) -> None:
    impatient = endpoint.model_copy(update={"timeout_seconds": 0.1})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with XmlServiceAdapter(impatient, url, TOKEN) as to, pytest.raises(Trouble) as caught:
            to.submit(package(category, message(1)))
        assert (caught.value.kind, caught.value.text) == ("ambiguous", "ReadTimeout")
    with XmlServiceAdapter(endpoint, url, TOKEN) as to, pytest.raises(Trouble) as caught:
        to.submit(package(category, message(1)))
    assert caught.value.kind == "unreachable"


@pytest.mark.parametrize("token", ["", "line\nbreak", "\x00", "\ufffe"])
def test_a_token_that_no_xml_can_carry_is_not_repeated(endpoint: Endpoint, token: str) -> None:
    with pytest.raises(DeliveryError, match="GUIJI_NATIONAL_TOKEN") as caught:
        XmlServiceAdapter(endpoint, "http://127.0.0.1:1", token)
    assert not token or token not in str(caught.value)


def test_certificates_that_are_not_there(endpoint: Endpoint, tmp_path: Path) -> None:
    section = endpoint.xml_service
    assert section is not None
    missing = endpoint.model_copy(
        update={"xml_service": section.model_copy(update={"ca_file": str(tmp_path / "none.pem")})}
    )
    with pytest.raises(DeliveryError, match=r"none\.pem"):
        XmlServiceAdapter(missing, "https://127.0.0.1:1", TOKEN)


def test_it_is_opened_by_its_description(endpoint: Endpoint) -> None:
    with open_adapter(endpoint, {"GUIJI_NATIONAL_TOKEN": TOKEN}) as opened:
        assert isinstance(opened, XmlServiceAdapter)
        assert opened.place == "http://127.0.0.1:8765"


# Inquiries


def shown(line: int, content: str = "罚款", flag: str = "1") -> dict[str, str]:
    return {"ID": f"U{line}", "FLAG": flag, **message(line).data, "CF_NR": content, "CF_SY": ""}


def test_what_is_held_with_the_same_content_was_taken(
    service: Service, adapter: XmlServiceAdapter, category: Category
) -> None:
    asked = package(category, message(1), message(2, operation="update"))
    service.say(held([shown(2), shown(1)]))
    known = adapter.inquire(asked)
    assert service.calls == [
        ("queryPenalyXml", [{"CF_WSH": f"〔2026〕{line}号", "CF_XDR_MC": "测试公司"} for line in (1, 2)])
    ]
    assert known.state == "taken"
    assert known.receipts is not None
    assert [(reply.idempotency_key, reply.meaning, reply.upper_id) for reply in known.receipts] == [
        ("k1", "accepted", "U1"),
        ("k2", "accepted", "U2"),
    ]


def test_what_is_held_in_another_version_was_not_taken(
    service: Service, adapter: XmlServiceAdapter, category: Category
) -> None:
    asked = package(category, message(1), message(2, operation="update"), message(3), message(4))
    service.say(held([shown(1), shown(2, "警告"), shown(3, flag="2")]))
    known = adapter.inquire(asked)
    assert known.state == "partly"
    assert known.receipts is not None
    assert [reply.record_id for reply in known.receipts] == ["r1"]
    service.say(held([]))
    assert adapter.inquire(asked).state == "unknown"


def test_a_receiver_that_does_not_tell_the_content_proves_new_records_only(
    service: Service, adapter: XmlServiceAdapter, category: Category
) -> None:
    names = ("ID", "CF_WSH", "CF_XDR_MC")
    service.say(held([{name: shown(line)[name] for name in names} for line in (1, 2)]))
    known = adapter.inquire(package(category, message(1), message(2, operation="update")))
    assert known.state == "partly"
    assert known.receipts is not None
    assert [reply.record_id for reply in known.receipts] == ["r1"]


def test_a_withdrawal_was_taken_when_nothing_of_that_name_is_shown(
    service: Service, adapter: XmlServiceAdapter, category: Category
) -> None:
    withdrawn = [message(line, operation="withdraw", upper_id=f"U{line}") for line in (1, 2)]
    withdrawn.append(message(3, operation="withdraw"))
    service.say(held([shown(1, flag="2"), shown(2), shown(3, flag="2"), shown(3)]))
    known = adapter.inquire(package(category, *withdrawn, family="withdrawal"))
    assert service.calls[0][1][0] == {"ID": "U1"}
    assert known.receipts is not None
    assert [reply.record_id for reply in known.receipts] == ["r1"]


@pytest.mark.parametrize("said", [Said("", 400), fault("Client", "unknown operation"), named(0, "99")])
def test_a_query_that_is_refused_says_nothing_about_the_records(
    service: Service, adapter: XmlServiceAdapter, category: Category, said: Said
) -> None:
    service.say(said)
    with pytest.raises(Trouble):
        adapter.inquire(package(category, message(1)))


def test_without_a_query_nobody_can_be_asked(service: Service, endpoint: Endpoint, category: Category) -> None:
    description = endpoint.model_dump()
    for calls in description["xml_service"]["calls"].values():
        calls["query"] = None
    with XmlServiceAdapter(Endpoint.model_validate(description), service.url, TOKEN) as to:
        assert to.inquire(package(category, message(1))).state == "unanswerable"
        assert to.holdings(category) is None
        with pytest.raises(PackageUnknownError):
            to.receipts(package(category, message(1)))
    assert service.calls == []


def test_what_the_receiver_holds(service: Service, adapter: XmlServiceAdapter, category: Category) -> None:
    service.say(held([shown(1), shown(2, flag="2")]), held([shown(3)]), held([]))
    holdings = adapter.holdings(category)
    assert holdings is not None
    assert [(told.upper_id, told.document_number, told.subject_name, told.state) for told in holdings] == [
        ("U1", "〔2026〕1号", "测试公司", "shown"),
        ("U2", "〔2026〕2号", "测试公司", "withdrawn"),
        ("U3", "〔2026〕3号", "测试公司", "shown"),
    ]
    assert [
        b'offset="%d"' % offset in body.replace(b"&quot;", b'"')
        for offset, body in zip((0, 2, 3), service.bodies, strict=True)
    ] == [True] * 3


def test_a_receiver_that_gives_the_same_page_for_ever_is_not_asked_for_ever(
    service: Service, adapter: XmlServiceAdapter, category: Category
) -> None:
    service.answer = lambda _rows: held([shown(1)])
    holdings = adapter.holdings(category)
    assert holdings is not None
    with pytest.raises(Trouble, match="same page"):
        list(holdings)
    assert len(service.calls) == 2
