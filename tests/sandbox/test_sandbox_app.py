"""The receiver judges each record for itself, repeats its answers and never holds anything twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.sandbox.app import create_app
from pipelines.sandbox.misbehaviour import Misbehaviour, Ration
from pipelines.sandbox.rules import is_credit_code
from pipelines.settings import Settings

TOKEN = "letmein-letmein"
TODAY = date(2026, 11, 20)
CODE = "91350100M000100Y43"
PENALTY = {
    "CF_XDR_MC": "测试合成企业一有限公司",
    "CF_XDR_LB": "法人及非法人组织",
    "CF_XDR_SHXYM": CODE,
    "CF_FRDB": "张测试",
    "CF_WSH": "测市监罚〔2026〕1号",
    "CF_WFXW": "未按规定公示信息",
    "CF_SY": "未在期限内公示\n年度报告",
    "CF_YJ": "企业信息公示暂行条例第十七条",
    "CF_CFLB": "罚款",
    "CF_NR": "罚款2000元",
    "CF_NR_FK": "0.2",
    "CF_JDRQ": "2026/11/12",
    "CF_YXQ": "2099/12/31",
    "CF_CFJG": "测试市市场监督管理局",
    "CF_CFJGDM": "11350100M000100Y4X",
    "CF_SJLY": "测试市市场监督管理局",
    "CF_SJLYDM": "11350100M000100Y4X",
}


def key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def record(name: str, operation: str = "NEW", version: int = 1, **changes: str | None) -> dict[str, Any]:
    """A record called ``name`` with a document number of its own unless ``changes`` say otherwise."""
    data = PENALTY | {"CF_WSH": f"测市监罚〔2026〕{name}号"} | changes
    return {
        "recordId": key(name),
        "operation": operation,
        "idempotencyKey": key(f"{name} {version}"),
        "contentHash": key(repr(sorted(data.items(), key=str))),
        "data": data,
    }


class Sender:
    """Speaks the protocol by hand."""

    def __init__(self, client: TestClient) -> None:
        self.client = client

    def submit(self, name: str, *records: dict[str, Any], category: str = "administrative_penalty") -> Any:
        return self.client.post(
            f"/api/v1/{category}/packages",
            json={"packageId": key(name), "sentAt": "2026-11-20T01:02:03Z", "records": records},
            headers={"Idempotency-Key": key(name)},
        )

    def receipts(self, name: str) -> list[dict[str, Any]]:
        answer = self.client.get(f"/api/v1/packages/{key(name)}/receipts").json()
        assert answer["state"] == "done"
        receipts: list[dict[str, Any]] = answer["receipts"]
        return receipts

    def send(self, name: str, *records: dict[str, Any]) -> list[dict[str, Any]]:
        answer = self.submit(name, *records)
        assert answer.status_code == 202, answer.text
        assert answer.json() == {"packageId": key(name), "received": len(records)}
        return self.receipts(name)

    def held(self) -> list[dict[str, Any]]:
        answer = self.client.get("/api/v1/administrative_penalty/records").json()
        assert answer["total"] == len(answer["records"])
        records: list[dict[str, Any]] = answer["records"]
        return records


def open_sender(folder: Path, misbehaviour: Misbehaviour | None = None, subjects: Path | None = None) -> Sender:
    app = create_app(
        folder / "store.sqlite",
        load_catalogue(Settings()).categories,
        TOKEN,
        subjects=subjects,
        today=lambda: TODAY,
        misbehaviour=misbehaviour,
    )
    return Sender(TestClient(app, headers={"Authorization": f"Bearer {TOKEN}"}))


@pytest.fixture
def subjects(tmp_path: Path) -> Path:
    path = tmp_path / "subjects.csv"
    path.write_text(f"code,name\n{CODE},{PENALTY['CF_XDR_MC']}\n", encoding="utf-8")
    return path


@pytest.fixture
def sender(tmp_path: Path, subjects: Path) -> Iterator[Sender]:
    yield open_sender(tmp_path, subjects=subjects)


def test_a_clean_record_is_accepted_with_an_upper_id(sender: Sender) -> None:
    [receipt] = sender.send("p1", record("a"))
    assert receipt["result"] == "1"
    [held] = sender.held()
    assert held["upperId"] == receipt["upperId"]
    assert held["data"]["CF_SY"] == PENALTY["CF_SY"]


def test_the_same_package_twice_gives_the_same_answer_and_doubles_nothing(sender: Sender) -> None:
    first = sender.send("p1", record("a"), record("b"))
    assert sender.send("p1", record("a"), record("b")) == first
    assert len(sender.held()) == 2


def test_the_idempotency_key_of_a_package_cannot_carry_other_records(sender: Sender) -> None:
    sender.send("p1", record("a"))
    assert sender.submit("p1", record("b")).status_code == 409
    assert len(sender.held()) == 1


def test_a_record_repeated_in_another_package_is_a_duplicate_with_its_upper_id(sender: Sender) -> None:
    [first] = sender.send("p1", record("a"))
    second = sender.send("p2", record("a"), record("b"))
    assert [(line["result"], line["upperId"]) for line in second] == [
        ("4", first["upperId"]),
        ("1", second[1]["upperId"]),
    ]
    assert second[1]["upperId"] != first["upperId"]
    assert len(sender.held()) == 2


def test_a_refused_record_may_be_sent_again_under_the_same_key(tmp_path: Path, subjects: Path) -> None:
    subjects.write_text(f"code,name\n{CODE},改名前有限公司\n", encoding="utf-8")
    before = open_sender(tmp_path, subjects=subjects)
    assert before.send("p1", record("a"))[0]["result"] == "2"
    subjects.write_text(f"code,name\n{CODE},{PENALTY['CF_XDR_MC']}\n", encoding="utf-8")
    after = open_sender(tmp_path, subjects=subjects)
    assert after.send("p2", record("a"))[0]["result"] == "1"


def test_an_update_replaces_the_data_and_keeps_the_upper_id(sender: Sender) -> None:
    [first] = sender.send("p1", record("a"))
    [second] = sender.send("p2", record("a", "UPDATE", 2, CF_NR="罚款3000元"))
    assert (second["result"], second["upperId"]) == ("1", first["upperId"])
    [held] = sender.held()
    assert (held["data"]["CF_NR"], held["updates"]) == ("罚款3000元", 1)


def test_a_late_repeat_of_an_old_version_does_not_turn_the_data_back(sender: Sender) -> None:
    sender.send("p1", record("a"))
    sender.send("p2", record("a", "UPDATE", 2, CF_NR="罚款3000元"))
    assert sender.send("p3", record("a"))[0]["result"] == "4"
    assert sender.held()[0]["data"]["CF_NR"] == "罚款3000元"


def test_an_update_of_an_unknown_record_is_refused(sender: Sender) -> None:
    [receipt] = sender.send("p1", record("a", "UPDATE"))
    assert (receipt["result"], receipt["ruleCode"], receipt["upperId"]) == ("2", "1017", None)


def test_pushing_a_known_record_again_as_new_is_refused_unless_it_says_the_same(sender: Sender) -> None:
    [first] = sender.send("p1", record("a"))
    [same] = sender.send("p2", record("a", version=2))
    assert (same["result"], same["upperId"]) == ("4", first["upperId"])
    [other] = sender.send("p3", record("a", version=3, CF_NR="罚款3000元"))
    assert (other["result"], other["ruleCode"]) == ("2", "1016")


def test_one_bad_record_does_not_block_its_neighbours(sender: Sender) -> None:
    receipts = sender.send("p1", record("a"), record("b", CF_XDR_MC="别的有限公司"), record("c"))
    assert [line["result"] for line in receipts] == ["1", "2", "1"]
    assert len(sender.held()) == 2


def test_two_records_of_one_document_and_subject_in_one_package(sender: Sender) -> None:
    receipts = sender.send("p1", record("a", CF_WSH="同号"), record("b", CF_WSH="同号"))
    assert [(line["result"], line["ruleCode"], line["field"]) for line in receipts] == [
        ("1", None, None),
        ("2", "1015", "CF_WSH"),
    ]


def test_a_document_number_freed_by_an_update_may_be_used_again(sender: Sender) -> None:
    sender.send("p1", record("a", CF_WSH="旧号"))
    sender.send("p2", record("a", "UPDATE", 2, CF_WSH="新号"))
    assert sender.send("p3", record("b", CF_WSH="旧号"))[0]["result"] == "1"


PERSON = {
    "CF_XDR_LB": "自然人",
    "CF_XDR_SHXYM": None,
    "CF_FRDB": None,
    "CF_XDR_ZJLX": "护照号",
    "CF_XDR_ZJHM": "E00000000",
}
BROKEN = [
    ("name of nobody", {"CF_XDR_MC": "别的有限公司"}, "1001", "CF_XDR_MC"),
    ("wrong check character", {"CF_XDR_SHXYM": "91350100M000100Y4X"}, "1013", "CF_XDR_SHXYM"),
    ("valid code that the base does not hold", {"CF_XDR_SHXYM": "91110108551385082Q"}, "1001", "CF_XDR_MC"),
    ("no code", {"CF_XDR_SHXYM": None}, "1013", "CF_XDR_SHXYM"),
    ("trader's kind with an organisation's code", {"CF_XDR_LB": "个体工商户"}, "1013", "CF_XDR_SHXYM"),
    ("unknown kind", {"CF_XDR_LB": "企业"}, "1013", "CF_XDR_SHXYM"),
    ("person with a code", {"CF_XDR_LB": "自然人"}, "1013", "CF_XDR_SHXYM"),
    ("required field empty", {"CF_SY": " "}, "1014", "CF_SY"),
    ("control character", {"CF_SY": "违法\x07事实"}, "1016", "CF_SY"),
    ("replacement character", {"CF_SY": "违法\ufffd事实"}, "1016", "CF_SY"),
    ("future decision", {"CF_JDRQ": "2026/11/21"}, "1016", "CF_JDRQ"),
    ("date in another form", {"CF_JDRQ": "2026-11-12"}, "1016", "CF_JDRQ"),
    ("no such day", {"CF_YXQ": "2026/02/30"}, "1016", "CF_YXQ"),
    ("field of another category", {"XK_NR": "许可"}, "1016", None),
]


@pytest.mark.parametrize(("changes", "rule", "field"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_what_is_refused(sender: Sender, changes: dict[str, str | None], rule: str, field: str | None) -> None:
    [receipt] = sender.send("p1", record("a", **changes))
    assert (receipt["result"], receipt["ruleCode"], receipt["field"]) == ("2", rule, field)
    assert receipt["message"].startswith(f"验证规则代码:{rule};错误描述:")
    assert sender.held() == []


@pytest.mark.parametrize(
    "changes",
    [
        PERSON,
        {"CF_XDR_LB": "个体工商户", "CF_XDR_SHXYM": "0" * 17 + "X"},
        {"CF_JDRQ": "2026/11/20"},
        {"CF_XDR_MC": " 测试合成企业一 有限公司"},
    ],
    ids=["a natural person", "a trader without a code", "decided today", "a name typed with blanks"],
)
def test_what_is_not_refused(sender: Sender, changes: dict[str, str | None]) -> None:
    assert sender.send("p1", record("a", **changes))[0]["result"] == "1"


def test_without_a_subject_base_names_are_not_compared(tmp_path: Path) -> None:
    assert open_sender(tmp_path).send("p1", record("a", CF_XDR_MC="别的有限公司"))[0]["result"] == "1"


def test_the_messages_are_those_of_the_known_platforms(sender: Sender) -> None:
    receipts = sender.send("p1", record("a", CF_XDR_MC="别的有限公司"), record("b", CF_XDR_SHXYM="1"))
    assert [line["message"] for line in receipts] == [
        "验证规则代码:1001;错误描述:未查询到主体或查询到的主体信息不匹配",
        "验证规则代码:1013;错误描述:行政相对人代码_1(统一社会信用代码)不正确",
    ]


@pytest.mark.parametrize(
    ("code", "valid"),
    [
        ("91350100M000100Y43", True),
        ("92330206MA2EL62660", True),
        ("11420000MB15291767", True),
        ("91110108551385082R", False),
        ("9111010855138508IQ", False),
        ("91110108551385082", False),
        ("91350203M0001QKT19", False),
        ("0" * 18, False),
    ],
)
def test_the_credit_code(code: str, valid: bool) -> None:
    assert is_credit_code(code) is valid


def test_a_legally_issued_code_with_a_wrong_check_character_is_right_when_the_base_holds_it(
    tmp_path: Path, subjects: Path
) -> None:
    subjects.write_text("code,name\n91350203M0001QKT19,测试合成企业二有限公司\n", encoding="utf-8")
    sender = open_sender(tmp_path, subjects=subjects)
    issued = record("a", CF_XDR_SHXYM="91350203M0001QKT19", CF_XDR_MC="测试合成企业二有限公司")
    assert sender.send("p1", issued)[0]["result"] == "1"


def test_everything_survives_a_restart(tmp_path: Path, subjects: Path) -> None:
    first = open_sender(tmp_path, subjects=subjects).send("p1", record("a"), record("b", CF_SY=""))
    again = open_sender(tmp_path, subjects=subjects)
    assert again.receipts("p1") == first
    assert again.send("p1", record("a"), record("b", CF_SY="")) == first
    assert len(again.held()) == 1


@pytest.mark.parametrize("header", ["", "Bearer wrong", f"Basic {TOKEN}", TOKEN])
def test_a_wrong_token_opens_nothing(sender: Sender, header: str) -> None:
    sender.client.headers["Authorization"] = header
    assert sender.submit("p1", record("a")).status_code == 401
    assert sender.client.get(f"/api/v1/packages/{key('p1')}/receipts").status_code == 401
    assert sender.client.get("/api/v1/administrative_penalty/records").status_code == 401


def test_malformed_is_422_and_does_not_repeat_what_was_sent(sender: Sender) -> None:
    broken = record("a") | {"operation": "DELETE"}
    answer = sender.submit("p1", broken)
    assert answer.status_code == 422
    assert "DELETE" not in answer.text
    assert PENALTY["CF_XDR_MC"] not in answer.text
    assert sender.submit("p1").status_code == 422
    assert sender.submit("p1", record("a") | {"surprise": 1}).status_code == 422
    assert sender.submit("p1", record("a"), category="nothing").status_code == 404
    without_key = {"packageId": key("p1"), "sentAt": "2026-11-20T01:02:03Z", "records": [record("a")]}
    assert sender.client.post("/api/v1/administrative_penalty/packages", json=without_key).status_code == 422
    assert sender.held() == []


def test_an_unknown_package_has_no_receipts(sender: Sender) -> None:
    assert sender.client.get(f"/api/v1/packages/{key('p1')}/receipts").status_code == 404


def test_records_come_in_pages(sender: Sender) -> None:
    sender.send("p1", *(record(f"r{number}") for number in range(5)))
    page = sender.client.get("/api/v1/administrative_penalty/records?offset=3&limit=10").json()
    assert page["total"] == 5
    assert [line["recordId"] for line in page["records"]] == [key("r3"), key("r4")]


def test_the_page_shows_organisations_and_hides_persons(sender: Sender) -> None:
    person = PERSON | {"CF_XDR_MC": "赵测试甲"}
    sender.send("p1", record("a", CF_WSH="<script>"), record("b", **person), record("c", CF_SY=""))
    page = sender.client.get("/", headers={"Authorization": ""}).text
    assert PENALTY["CF_XDR_MC"] in page
    assert "行政处罚" in page
    assert "<script>" not in page
    assert "赵**" in page
    assert "赵测试甲" not in page
    assert "E00000000" not in page
    assert "张测试" not in page
    assert sender.client.get("/health").json() == {"status": "ok", "records": 2}


def test_misbehaviour_ends(tmp_path: Path) -> None:
    bad = Misbehaviour({"busy": Ration(times=1, seconds=7), "processing": Ration(times=1)})
    sender = open_sender(tmp_path, bad)
    refused = sender.submit("p1", record("a"))
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "7")
    assert sender.submit("p1", record("a")).status_code == 202
    waiting = sender.client.get(f"/api/v1/packages/{key('p1')}/receipts").json()
    assert (waiting["state"], waiting["receipts"]) == ("processing", [])
    assert sender.receipts("p1")[0]["result"] == "1"
