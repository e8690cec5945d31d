"""The receiver as a SOAP service: it takes a call as a whole or not at all and names the first row it does not take."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest
from fastapi.testclient import TestClient
from lxml import etree
from test_sandbox_app import CODE, PENALTY, TODAY, TOKEN

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.sandbox.app import create_app
from pipelines.sandbox.misbehaviour import Misbehaviour, Ration
from pipelines.settings import Settings

SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"
WSDL = "{http://schemas.xmlsoap.org/wsdl/}"
PATH = "/service/PenaltyWebService"
Row = dict[str, str]


class Caller:
    """Speaks the protocol by hand."""

    def __init__(self, client: TestClient, misbehaviour: Misbehaviour) -> None:
        self.client = client
        self.misbehaviour = misbehaviour

    def post(self, operation: str, text: str, token: str = TOKEN) -> tuple[int, etree._Element]:
        body = (
            '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
            f'<n:{operation} xmlns:n="http://service.sandbox.guiji/"><token>{token}</token><xml>{escape(text)}</xml>'
            f"</n:{operation}></s:Body></s:Envelope>"
        )
        return self.send(body.encode())

    def send(self, body: bytes) -> tuple[int, etree._Element]:
        answer = self.client.post(PATH, content=body, headers={"Content-Type": "text/xml; charset=utf-8"})
        return answer.status_code, etree.fromstring(answer.content)

    def call(self, operation: str, *rows: Row, text: str | None = None) -> etree._Element:
        """The ``row`` of an answer."""
        status, answer = self.post(operation, rowdata(*rows) if text is None else text)
        assert status == 200
        returned = answer.findtext(f"{SOAP}Body/*/return")
        assert returned is not None
        row = etree.fromstring(returned.encode()).find("row")
        assert row is not None
        return row

    def submit(self, *rows: Row) -> tuple[str | None, str | None, list[str | None]]:
        """Code, line and ids of an import."""
        row = self.call("importPenalyXml", *rows)
        return row.findtext("code"), row.findtext("line"), [identity.text for identity in row.iterfind("ids/id")]

    def held(self) -> list[dict[str, Any]]:
        row = self.call("queryPenalyXml", text='<ROWDATA offset="0" limit="100"/>')
        return [{str(cell.tag): cell.text for cell in held} for held in row.iterfind("rows/ROW")]


def rowdata(*rows: Row) -> str:
    cells = ("".join(f"<{name}>{escape(text)}</{name}>" for name, text in row.items()) for row in rows)
    return (
        '<?xml version="1.0" encoding="UTF-8"?><ROWDATA>' + "".join(f"<ROW>{row}</ROW>" for row in cells) + "</ROWDATA>"
    )


def penalty(number: int, **changes: str) -> Row:
    return PENALTY | {"CF_WSH": f"测市监罚〔2026〕{number}号"} | changes


@pytest.fixture
def caller(tmp_path: Path) -> Iterator[Caller]:
    subjects = tmp_path / "subjects.csv"
    subjects.write_text(f"code,name\n{CODE},{PENALTY['CF_XDR_MC']}\n", encoding="utf-8")
    misbehaviour = Misbehaviour()
    app = create_app(
        tmp_path / "store.sqlite",
        load_catalogue(Settings()).categories,
        TOKEN,
        subjects=subjects,
        today=lambda: TODAY,
        misbehaviour=misbehaviour,
    )
    yield Caller(TestClient(app), misbehaviour)


def test_ids_come_back_in_the_order_of_the_rows(caller: Caller) -> None:
    assert caller.submit(penalty(1), penalty(2)) == ("00", None, ["SJ000000000001", "SJ000000000002"])
    assert [row["CF_WSH"] for row in caller.held()] == ["测市监罚〔2026〕1号", "测市监罚〔2026〕2号"]


def test_the_first_bad_row_is_named_and_nothing_is_stored(caller: Caller) -> None:
    bad = penalty(3, CF_XDR_MC="无此企业有限公司")
    assert caller.submit(penalty(1), penalty(2), bad, penalty(4, CF_NR="")) == ("1001", "3", [])
    assert caller.held() == []
    assert caller.submit(penalty(1), penalty(2)) == ("00", None, ["SJ000000000001", "SJ000000000002"])


def test_what_is_held_in_the_same_words_is_named_as_a_duplicate(caller: Caller) -> None:
    caller.submit(penalty(1))
    assert caller.submit(penalty(2), penalty(1)) == ("04", "2", [])
    assert caller.submit(penalty(3), penalty(3)) == ("04", "2", [])
    assert len(caller.held()) == 1


def test_another_content_under_the_same_name_changes_the_record(caller: Caller) -> None:
    [first] = caller.submit(penalty(1))[2]
    for content in ("罚款3000元", "罚款2000元"):
        assert caller.submit(penalty(1, CF_NR=content)) == ("00", None, [first])
        assert [row["CF_NR"] for row in caller.held()] == [content]


def test_removed_by_id_or_by_number_and_name(caller: Caller) -> None:
    [first, second] = caller.submit(penalty(1), penalty(2))[2]
    named = {"CF_WSH": "测市监罚〔2026〕2号", "CF_XDR_MC": PENALTY["CF_XDR_MC"]}
    unknown = {"ID": "SJ000000000099"}
    assert caller.call("removePenalyXml", {"ID": first or ""}, named, unknown).findtext("line") == "3"
    assert [row["FLAG"] for row in caller.held()] == ["1", "1"]
    assert caller.call("removePenalyXml", {"ID": first or ""}, named).findtext("code") == "00"
    assert [row["FLAG"] for row in caller.held()] == ["2", "2"]
    again = caller.call("removePenalyXml", named)
    assert (again.findtext("code"), again.findtext("line")) == ("04", "1")
    assert caller.submit(penalty(2)) == ("00", None, [second])
    assert [row["FLAG"] for row in caller.held()] == ["2", "1"]


def test_a_query_tells_what_is_held_under_a_name(caller: Caller) -> None:
    caller.submit(penalty(1), penalty(2, CF_SY="<a>&b"))
    asked = caller.call(
        "queryPenalyXml",
        {"CF_WSH": "测市监罚〔2026〕2号", "CF_XDR_MC": PENALTY["CF_XDR_MC"]},
        {"CF_WSH": "测市监罚〔2026〕3号", "CF_XDR_MC": PENALTY["CF_XDR_MC"]},
    )
    [row] = asked.iterfind("rows/ROW")
    assert {str(cell.tag): cell.text for cell in row} == penalty(2, CF_SY="<a>&b") | {
        "ID": "SJ000000000002",
        "FLAG": "1",
    }
    page = caller.call("queryPenalyXml", text='<ROWDATA offset="1" limit="5"/>')
    assert [held.findtext("ID") for held in page.iterfind("rows/ROW")] == ["SJ000000000002"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<ROWDATA><ROW><CF_SY>a < b</CF_SY></ROW></ROWDATA>",
        "<ROWDATA/>",
        "<DATA><ROW/></DATA>",
        "<ROWDATA><ROW><A>1</A><A>2</A></ROW></ROWDATA>",
        "<ROWDATA><ROW><A><B/></A></ROW></ROWDATA>",
        '<!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/hostname">]><ROWDATA><ROW><A>&e;</A></ROW></ROWDATA>',
    ],
)
def test_a_text_that_cannot_be_read_is_line_0(caller: Caller, text: str) -> None:
    row = caller.call("importPenalyXml", text=text)
    assert (row.findtext("code"), row.findtext("line")) == ("99", "0")


def test_a_call_that_is_none_is_a_fault(caller: Caller) -> None:
    for body in (b"", b"not xml", b"<Envelope/>"):
        status, answer = caller.send(body)
        assert (status, answer.findtext(".//faultcode")) == (500, "soap:Client")
    status, answer = caller.post("importPenaltyXml", "<ROWDATA/>")
    assert (status, answer.findtext(".//faultstring")) == (500, "unknown operation")


def test_a_wrong_token_is_a_fault(caller: Caller) -> None:
    status, answer = caller.post("importPenalyXml", rowdata(penalty(1)), token="something else")
    assert (status, answer.findtext(".//faultstring")) == (500, "the token is not known")
    assert caller.held() == []


def test_it_misbehaves_on_command(caller: Caller) -> None:
    caller.misbehaviour.set("wrong_receipt", Ration(times=2))
    assert caller.submit(penalty(1), penalty(2)) == ("00", None, ["SJ000000000001"])
    assert caller.submit(penalty(1), penalty(3)) == ("04", "3", [])
    caller.misbehaviour.set("partial_rejection", Ration(times=1))
    assert caller.submit(penalty(3)) == ("1099", "1", [])
    caller.misbehaviour.set("full_disk", Ration(times=1))
    assert caller.post("importPenalyXml", rowdata(penalty(4)))[0] == 500
    caller.misbehaviour.set("wrong_clock", Ration(times=1, seconds=86400 * 30))
    assert caller.submit(penalty(5)) == ("1016", "1", [])
    assert len(caller.held()) == 2


def test_it_describes_itself(caller: Caller) -> None:
    answer = caller.client.get(f"{PATH}?wsdl")
    assert answer.headers["content-type"].startswith("text/xml")
    description = etree.fromstring(answer.content)
    operations = description.iterfind(f"{WSDL}portType/{WSDL}operation")
    assert [operation.get("name") for operation in operations] == [
        "importPenalyXml",
        "removePenalyXml",
        "queryPenalyXml",
    ]
    address = description.find(f"{WSDL}service/{WSDL}port/*")
    assert address is not None
    assert address.get("location") == f"http://testserver{PATH}"
    assert caller.client.get("/service/PermissionWebService?wsdl").status_code == 200
    assert caller.client.get("/service/NoWebService?wsdl").status_code == 404
