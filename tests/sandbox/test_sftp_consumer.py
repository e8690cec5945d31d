"""What the receiver makes of files, without the network between."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from lxml import etree

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.catalogue.endpoints import Endpoint
from pipelines.catalogue.yaml_source import parse, read
from pipelines.sandbox.desk import Desk
from pipelines.sandbox.misbehaviour import Misbehaviour, Ration
from pipelines.sandbox.natural_key import content_hash, natural_record_id
from pipelines.sandbox.sftp_consumer import Consumer
from pipelines.settings import Settings

ENDPOINT = parse(read(Path(__file__).parents[1] / "delivery" / "endpoints" / "sftp_file.yaml"), Endpoint)
CATEGORIES = load_catalogue(Settings()).categories
PENALTIES = CATEGORIES["administrative_penalty"]
NAME = "SC0102_20261120_00001"
RECORD = (
    "<DATA><REC_ID>record-0001</REC_ID><OP>1</OP><CONTENT_HASH>contents-1</CONTENT_HASH><SEND_KEY>sending-1</SEND_KEY>"
    "<CF_XDR_MC>测试合成企业一有限公司</CF_XDR_MC><CF_XDR_LB>法人及非法人组织</CF_XDR_LB>"
    "<CF_XDR_SHXYM>91350100M000100Y43</CF_XDR_SHXYM><CF_WSH>测市监〔2026〕1号</CF_WSH><CF_WFXW>一</CF_WFXW>"
    "<CF_SY>一</CF_SY><CF_YJ>一</CF_YJ><CF_CFLB>警告</CF_CFLB><CF_NR>警告</CF_NR><CF_JDRQ>2026/11/12</CF_JDRQ>"
    "<CF_YXQ>2099/12/31</CF_YXQ><CF_CFJG>测试市局</CF_CFJG><CF_CFJGDM>11350100M000100Y4X</CF_CFJGDM>"
    "<CF_SJLY>测试市局</CF_SJLY><CF_SJLYDM>11350100M000100Y4X</CF_SJLYDM></DATA>"
)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "sandbox.sqlite", CATEGORIES, today=lambda: date(2026, 11, 20), misbehaviour=Misbehaviour())


def consumer(desk: Desk, root: Path, endpoint: Endpoint = ENDPOINT) -> Consumer:
    assert endpoint.sftp_file is not None
    return Consumer(desk, endpoint, endpoint.sftp_file, root)


def put(root: Path, content: str, name: str = f"{NAME}.xml") -> None:
    (root / "incoming" / name).write_text(content, encoding="utf-8")


def names(root: Path, folder: str) -> list[str]:
    return sorted(path.name for path in (root / folder).iterdir())


def test_a_file_is_moved_judged_and_answered(desk: Desk, tmp_path: Path) -> None:
    working = consumer(desk, tmp_path)
    put(tmp_path, f"<DATAS>{RECORD}</DATAS>")
    put(tmp_path, "half a file", f".{NAME}.xml.part")
    working.sweep()
    assert (names(tmp_path, "incoming"), names(tmp_path, "done")) == ([f".{NAME}.xml.part"], [f"{NAME}.xml"])
    [held] = desk.held(PENALTIES)
    assert (held.record_id, held.content_hash) == ("record-0001", "contents-1")
    [receipt] = etree.parse(tmp_path / "receipts" / f"{NAME}.receipt.xml").getroot()
    assert {str(child.tag): child.text for child in receipt} == {
        "LINE": "1",
        "RESULT": "1",
        "UPPER_ID": held.upper_id,
        "REC_ID": "record-0001",
    }


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("<DATAS><DATA>", f"{NAME}.xml"),
        ("<ROWS/>", f"{NAME}.xml"),
        ("<DATAS/>", f"{NAME}.xml"),
        (f"<DATAS>{RECORD}</DATAS>", "SC0199_20261120_00001.xml"),
        (f"<DATAS>{RECORD.replace('<OP>1', '<OP>9')}</DATAS>", f"{NAME}.xml"),
    ],
    ids=["half", "root", "empty", "table", "operation"],
)
def test_what_was_not_agreed_is_put_aside(desk: Desk, tmp_path: Path, content: str, name: str) -> None:
    working = consumer(desk, tmp_path)
    put(tmp_path, content, name)
    working.sweep()
    assert (names(tmp_path, "bad"), names(tmp_path, "done"), names(tmp_path, "receipts")) == ([name], [], [])
    assert desk.held(PENALTIES) == []


def test_what_is_no_workbook_is_put_aside(desk: Desk, tmp_path: Path) -> None:
    described = ENDPOINT.model_dump(mode="json") | {"operations": ["new", "update"]}
    described["sftp_file"] |= {"identity": None, "format": "xlsx"}
    working = consumer(desk, tmp_path, Endpoint.model_validate(described))
    put(tmp_path, "no workbook", f"{NAME}.xlsx")
    working.sweep()
    assert names(tmp_path, "bad") == [f"{NAME}.xlsx"]


def test_another_file_under_a_name_that_was_answered_is_put_aside(desk: Desk, tmp_path: Path) -> None:
    working = consumer(desk, tmp_path)
    put(tmp_path, f"<DATAS>{RECORD}</DATAS>")
    working.sweep()
    put(tmp_path, f"<DATAS>{RECORD.replace('警告', '罚款')}</DATAS>")
    working.sweep()
    assert names(tmp_path, "bad") == [f"{NAME}.xml"]
    assert len(desk.held(PENALTIES)) == 1


def test_what_was_taken_before_a_stop_is_answered_after_it(desk: Desk, tmp_path: Path) -> None:
    consumer(desk, tmp_path)
    (tmp_path / "done" / f"{NAME}.xml").write_text(f"<DATAS>{RECORD}</DATAS>", encoding="utf-8")
    consumer(desk, tmp_path).sweep()
    assert names(tmp_path, "receipts") == [f"{NAME}.receipt.xml"]


def test_a_full_store_keeps_a_file_waiting(desk: Desk, tmp_path: Path) -> None:
    working = consumer(desk, tmp_path)
    desk.misbehaviour.set("full_disk", Ration(times=1))
    put(tmp_path, f"<DATAS>{RECORD}</DATAS>")
    working.sweep()
    assert (names(tmp_path, "done"), names(tmp_path, "receipts")) == ([f"{NAME}.xml"], [])
    working.sweep()
    assert names(tmp_path, "receipts") == [f"{NAME}.receipt.xml"]


def test_an_update_without_a_key_of_its_own_counts_once(desk: Desk, tmp_path: Path) -> None:
    described = ENDPOINT.model_dump(mode="json")
    described["sftp_file"]["identity"] |= {"key": None}
    working = consumer(desk, tmp_path, Endpoint.model_validate(described))
    record = RECORD.replace("<SEND_KEY>sending-1</SEND_KEY>", "")
    changed = record.replace("<OP>1", "<OP>2").replace("contents-1", "contents-2")
    for number, content in enumerate((record, changed, changed), start=1):
        put(tmp_path, f"<DATAS>{content}</DATAS>", f"SC0102_20261120_{number:05d}.xml")
    working.sweep()
    assert [held.updates for held in desk.held(PENALTIES)] == [1]


def test_the_natural_key_is_that_of_the_decision() -> None:
    data = {"CF_WSH": "一号", "CF_XDR_MC": "测试 公司", "CF_SY": "事实"}
    assert natural_record_id(PENALTIES, data) == natural_record_id(
        PENALTIES, data | {"CF_SY": None, "CF_XDR_MC": "测试公司"}
    )
    assert natural_record_id(PENALTIES, data) != natural_record_id(PENALTIES, data | {"CF_WSH": "二号"})
    assert content_hash(data) == content_hash(data | {"BZ": ""}) != content_hash(data | {"BZ": "备注"})
