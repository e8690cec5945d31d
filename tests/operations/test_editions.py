"""The same bytes under both editions of the standard, from the inbox to the published records."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from pipelines.errors import BatchHeldError
from pipelines.identity.synthetic import synthetic_uscc
from pipelines.ledger.models import Run
from pipelines.operations.context import Context, open_context
from pipelines.operations.night import BatchResult, run_night
from pipelines.settings import PROJECT_ROOT, Settings

DAY = date(2026, 11, 20)
OFFICE, OFFICE_CODE = "示例市交通局", synthetic_uscc("11", "119900", "MA990077")
ORGANISATION, REGISTRATION = "551385082", "110108000000016"
HEADERS = (
    "序号,行政相对人名称,行政相对人代码_1,行政相对人代码_2,行政相对人代码_3,法定代表人,许可决定书文号,项目名称,审批类别,"
    "许可内容,许可决定日期,许可截止期,许可机关,当前状态"
)
PENALTIES = "CF_WSH,CF_CFMC,CF_SY,CF_CFLB1,CF_CFLB2,CF_YJ,CF_XDR,CF_XDR_SHXYM,CF_FR,CF_JG,CF_JDRQ,CF_JZQ,CF_XZJG,CF_ZT"


def licences(states: str) -> bytes:
    lines = [HEADERS]
    for number, state in enumerate(states):
        code = synthetic_uscc("91", "119900", f"MA9{number:05d}")
        lines.append(
            f"{number},示例运输{number}号有限公司,{code},{ORGANISATION},{REGISTRATION},李四,示交许〔2026〕{number}号,"
            f"道路运输许可,普通,准予经营,2026-11-1{number},2027-11-19,{OFFICE},{state}"
        )
    return "\r\n".join([*lines, ""]).encode("gb18030")


def penalties(states: str) -> bytes:
    lines = [PENALTIES]
    for number, state in enumerate(states):
        code = synthetic_uscc("91", "119900", f"MA9{number:05d}")
        lines.append(
            f"示交罚〔2026〕{number}号,超限运输,车辆超限,警告,通报批评,公路法,示例运输{number}号有限公司,{code},李四,给予警告,"
            f"2026-11-1{number},2027-11-19,{OFFICE},{state}"
        )
    return "\r\n".join([*lines, ""]).encode("gb18030")


@dataclass(frozen=True)
class Published:
    """The night over five feeds of one department, and the files of each run."""

    context: Context
    results: dict[str, BatchResult]

    def outcomes(self, feed: str) -> list[tuple[str, list[str]]]:
        return [(row["outcome"], row["reasons"]) for row in self._rows(feed, "outcomes")]

    def repairs(self, feed: str) -> Counter[tuple[str, str]]:
        return Counter((row["field"], row["rule"]) for row in self._rows(feed, "repairs"))

    def records(self, feed: str) -> list[dict[str, Any]]:
        run = self._run(feed)
        with self.context.session() as session:
            self.context.stores[run.category].versions(session, "found", frozenset())
            return session.arrow("SELECT * FROM found WHERE run = $run ORDER BY line", {"run": run.id}).to_pylist()

    def _rows(self, feed: str, name: str) -> list[dict[str, Any]]:
        rows = pq.read_table(self.context.settings.runs / self._run(feed).id / f"{name}.parquet").to_pylist()
        return sorted(rows, key=lambda row: row["row_no"])

    def _run(self, feed: str) -> Run:
        result = self.results[f"roads_{feed}"]
        assert result.run is not None, result.problem
        with self.context.ledger.read() as session:
            return session.get_one(Run, result.run)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Published:
    installation = tmp_path_factory.mktemp("editions")
    root, inbox = installation / "root", installation / "inbox"
    for part in ("schemas", "expectations"):
        shutil.copytree(PROJECT_ROOT / part, root / part)
    departments = root / "schemas" / "departments"
    shutil.rmtree(departments)
    (departments / "roads").mkdir(parents=True)

    def write(name: str, said: dict[str, Any], extract: bytes | None = None) -> None:
        path = departments / "roads" / f"{name}.yaml"
        path.write_text(yaml.safe_dump(said, allow_unicode=True), encoding="utf-8")
        if extract is not None:
            target = inbox / "roads" / name / "extract.csv"
            target.parent.mkdir(parents=True)
            target.write_bytes(extract)

    office = {
        "XK_LYDW": OFFICE,
        "XK_LYDWDM": OFFICE_CODE,
        "XK_XKJGDM": OFFICE_CODE,
        "CF_SJLY": OFFICE,
        "CF_SJLYDM": OFFICE_CODE,
        "CF_CFJGDM": OFFICE_CODE,
    }
    layer = {"columns": {code: {"constant": value} for code, value in office.items()}, "edition": 2016}
    write("department", {"department": "roads", "name_zh": OFFICE, "uscc": OFFICE_CODE, "feeds": layer})

    def feed(name: str, category: str, extract: bytes, **said: Any) -> None:
        source = {"kind": "folder", "path": f"roads/{name}", "pattern": "*.csv"}
        about = {"feed": f"roads_{name}", "name_zh": name, "category": f"administrative_{category}"}
        write(name, {**about, "source": source, **said}, extract)

    classes = {"columns": {"CF_WFXW": "CF_CFMC"}, "values": {"CF_CFLB": {"通报批评": "其他-通报批评"}}}
    newer = {"edition": 2018, "columns": {"XK_YXQZ": "许可决定日期"}}
    feed("older", "licence", licences("0123"))
    feed("same_older", "licence", licences("12"))
    feed("same_newer", "licence", licences("12"), **newer)
    feed("wrong", "licence", licences("0123"), **newer)
    feed("penalty", "penalty", penalties("0123"), **classes)
    context = open_context(Settings(root=root, home=installation / "home", inbox=inbox))
    return Published(context, {result.feed: result for result in run_night(context, DAY)})


def test_rows_of_2016_are_published_excluded_or_sent_back_by_their_status(night: Published) -> None:
    assert night.outcomes("older") == [
        ("accepted", []),
        ("excluded", ["EXCL-001"]),
        ("quarantined", ["ENUM-XK_ZT", "STATUS-001"]),
        ("quarantined", ["ENUM-XK_ZT", "STATUS-002"]),
    ]
    (record,) = night.records("older")
    assert (record["XK_ZT"], record["XK_XDR_ZZJG"], record["XK_XDR_GSZC"]) == ("1", ORGANISATION, REGISTRATION)
    assert record["XK_YXQZ"] == record["XK_JDRQ"] == date(2026, 11, 10)
    assert (record["XK_LYDW"], record["XK_XKJGDM"]) == (OFFICE, OFFICE_CODE)


def test_the_same_bytes_say_opposite_things_in_the_two_editions(night: Published) -> None:
    assert [outcome for outcome, _ in night.outcomes("same_older")] == ["excluded", "quarantined"]
    assert night.records("same_older") == []
    newer = night.records("same_newer")
    assert [record["XK_ZT"] for record in newer] == ["1", "2"]
    assert {(record["XK_XDR_GSZC"], record["XK_XDR_ZZJG"]) for record in newer} == {(ORGANISATION, REGISTRATION)}
    # The wrong edition shows: no organisation code has fifteen digits.
    assert all("CODE-XK_XDR_ZZJG" in reasons for _, reasons in night.outcomes("same_newer"))


def test_an_extract_of_2016_in_a_feed_of_2018_is_held(night: Published) -> None:
    result = night.results["roads_wrong"]
    assert result.run is None
    assert isinstance(result.problem, BatchHeldError)
    assert "edition 2016" in result.problem.problem
    assert "李四" not in str(result.problem)


def test_penalties_of_2016_are_judged_by_their_status_too(night: Published) -> None:
    assert night.outcomes("penalty") == [
        ("accepted", []),
        ("excluded", ["EXCL-001"]),
        ("quarantined", ["STATUS-001"]),
        ("quarantined", ["STATUS-002"]),
    ]
    (record,) = night.records("penalty")
    assert (record["CF_CFLB"], record["CF_WFXW"], record["CF_NR"]) == ("警告;其他-通报批评", "超限运输", "给予警告")
    assert night.repairs("penalty")["CF_CFLB", "MAP-001"] == 4
