"""The report site: pages that parse, tell nothing about persons, need no network and come out the same."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from reporting_batch import (
    CHANGE,
    DAY,
    FEED,
    INSTANT,
    LONG_DIGITS,
    PERSON,
    PERSON_ID,
    PHONE,
    REPAIRED,
    ROWS,
    RULES,
    RUN,
    Installation,
    make_run,
    small_installation,
)

from pipelines.errors import StorageError
from pipelines.ledger.models import RuleCount
from pipelines.ledger.quality_models import GateDecision, GateResult, Task
from pipelines.reporting.site import ReportPaths, build
from pipelines.reporting.site_words import PageRules
from pipelines.reporting.withdrawals import Withdrawal

VOID = {"meta", "link", "br", "img", "input", "hr"}


def build_site(installation: Installation, day: date = DAY, rules: PageRules = RULES, **options: Any) -> ReportPaths:
    made = installation
    return build(made.session, made.settings, made.catalogue, made.ledger, rules, day, **options)


class Page(HTMLParser):
    """Elements with their attributes and text; complains when tags do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReportPaths]:
    """The site of the hand-written batch, for the tests that only look."""
    with small_installation(tmp_path_factory.mktemp("site")) as installation:
        yield build_site(installation)


def pages(site: ReportPaths) -> Iterable[tuple[Path, str]]:
    return [(path, path.read_text(encoding="utf-8")) for path in site.pages]


def batch_page(site: ReportPaths, language: str = "") -> str:
    return (site.index.parent / language / "batches" / DAY.isoformat() / f"{FEED}.html").read_text(encoding="utf-8")


def page(site: ReportPaths, path: str) -> str:
    return Page((site.index.parent / path).read_text(encoding="utf-8")).text


def test_every_feed_and_department_has_a_page_in_both_languages_and_every_link_leads_somewhere(
    site: ReportPaths,
) -> None:
    folder = site.index.parent
    written = {path.relative_to(folder).as_posix() for path in site.pages}
    day = DAY.isoformat()
    expected = {
        "index.html",
        "departments/shichang.html",
        "departments/huanbao.html",
        "feeds/shichang_penalty.html",
        "feeds/shichang_second.html",
        "feeds/huanbao_penalty.html",
        f"batches/{day}/index.html",
        f"batches/{day}/{FEED}.html",
        f"months/{day[:7]}.html",
        "months/index.html",
        "rules/index.html",
        *(f"rules/{code}.html" for code in RULES),
    }
    assert written == expected | {f"en/{path}" for path in expected}
    linked = set()
    for path, text in pages(site):
        parsed = Page(text)
        for link in parsed.attributes("a") + parsed.attributes("link") + parsed.attributes("script"):
            address = str(link.get("href") or link.get("src"))
            if address.startswith("#"):
                continue
            target = (path.parent / address).resolve()
            assert target.is_file(), (path, address)
            linked.add(target)
    assert {path.resolve() for path in (*site.pages, *site.workbooks.values())} <= linked


def test_each_page_links_to_itself_in_the_other_language(site: ReportPaths) -> None:
    folder = site.index.parent
    for path, text in pages(site):
        (switch,) = [link for link in Page(text).attributes("a") if "data-language" in link]
        name = path.relative_to(folder).as_posix()
        other = name.removeprefix("en/") if name.startswith("en/") else f"en/{name}"
        assert (path.parent / str(switch["href"])).resolve() == (folder / other).resolve()


def test_pages_open_offline(site: ReportPaths) -> None:
    for path, text in pages(site):
        assert not re.search(r"https?:|//[a-z]|@import|url\(|\sstyle=|<script>", text)
        parsed = Page(text)
        assert not parsed.attributes("img") + parsed.attributes("iframe")
        assert any(meta.get("charset") == "utf-8" for meta in parsed.attributes("meta"))
        is_english = path.is_relative_to(site.index.parent / "en")
        assert parsed.attributes("html")[0]["lang"] == ("en" if is_english else "zh-CN")


def test_pages_are_accessible(site: ReportPaths) -> None:
    for _, text in pages(site):
        parsed = Page(text)
        assert all(cell.get("scope") in {"row", "col"} for cell in parsed.attributes("th"))
        ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        for drawing in parsed.attributes("svg"):
            named = drawing.get("role") == "img" and (drawing.get("aria-label") or drawing["aria-labelledby"] in ids)
            assert named or drawing.get("aria-hidden") == "true"
        levels = [int(tag[1]) for tag, _ in parsed.elements if re.fullmatch("h[1-6]", tag)]
        assert levels[0] == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))


def test_chinese_pages_say_everything_in_chinese_and_english_ones_mark_what_is_not_english(site: ReportPaths) -> None:
    chinese, english = batch_page(site), batch_page(site, "en")
    assert "“行政处罚决定书文号”没有填写" in chinese
    assert "something is wrong" not in chinese
    assert "something is wrong" in english
    assert "没有填写" not in english
    outside = re.sub(
        r"<(\w+)[^>]*lang=\"zh-CN\"[^>]*>[^<]*</\1>|<title>.*?</title>|<head>.*?</head>", "", english, flags=re.S
    )
    # 元 and 万元 are units of the standard in either language.
    assert not re.findall(r"[\u4e00-\u9fff]{3,}", outside)


def test_no_value_of_any_row_stands_on_any_page(site: ReportPaths) -> None:
    values = {cell.strip() for row in ROWS for cell in row if cell and len(cell) > 4 and "罚" not in cell}
    planted = values | {PERSON, "欧阳 测试甲", PERSON_ID, PHONE, LONG_DIGITS, "张某", REPAIRED, "内容互相矛盾的"}
    planted -= {"内容互相矛盾", "与上次相同", "被接收方退回", "简易程序", "99999"}
    for path in [*site.index.parent.rglob("*.html"), *site.index.parent.rglob("*.json")]:
        text = path.read_text(encoding="utf-8")
        for value in planted:
            assert value not in text, path.name


def test_the_page_of_a_batch_shows_the_figures_and_escapes_what_it_shows(site: ReportPaths) -> None:
    text = batch_page(site)
    assert "解析 11 + 无法解析 2 = 入库 4 + 重复 1 + 问题 6 + 拦截 1 + 不报送 1" in text
    shown = Page(text).text
    for expected in (
        "36.36 %",
        "4 ÷ 11",
        "33.33 %",
        "1 ÷ 3",
        "“行政处罚决定书文号”没有填写",
        "请核实单位 <b>万元</b>",
        "简易程序 <不报送>",
        "a" * 64,
        "gb18030",
        "缺 2027 年放假安排",
        "只在第二张表",
        "以元为单位的列换算为万元",
        "名称中的括号统一为全角",
        "未查询到主体“＊＊＊”（证件 ＊＊＊，＊＊＊）＊＊＊",
    ):
        assert expected in shown
    assert "<b>万元" not in text


def contents(site: ReportPaths) -> dict[str, bytes]:
    """Every file of the site but the manifest."""
    folder = site.index.parent
    files = (path for path in folder.rglob("*") if path.is_file() and ".build" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def times(site: ReportPaths) -> dict[str, int]:
    return {name: (site.index.parent / name).stat().st_mtime_ns for name in contents(site)}


def test_the_same_batches_give_the_same_bytes_and_name_no_attempt(installation: Installation) -> None:
    site = build_site(installation)
    first, written = contents(site), times(site)
    assert contents(build_site(installation)) == first
    assert times(site) == written
    shutil.rmtree(installation.settings.reports)
    assert contents(build_site(installation)) == first
    for text in first.values():
        assert RUN.encode() not in text


def test_nights_one_after_the_other_give_what_one_build_of_all_gives(installation: Installation) -> None:
    def night(day: date) -> ReportPaths:
        return build_site(installation, day)

    days = [DAY + timedelta(days=number) for number in (1, 2, 40)]
    night(DAY)
    for day in days:
        installation.add_run(make_run("shichang_second", day, "published", accepted=9, rows_decoded=9), published=True)
        state = "failed" if day == days[1] else "held"
        installation.add_run(make_run("huanbao_penalty", day, state, problem="x.csv: empty"), published=False)
        site = night(day)
    step_by_step = contents(site)
    shutil.rmtree(installation.settings.reports)
    assert contents(night(days[-1])) == step_by_step


def test_a_late_batch_makes_the_days_after_it_days_that_were_missed(installation: Installation) -> None:
    before = build_site(installation, DAY + timedelta(days=3))
    installation.add_run(
        make_run(FEED, DAY - timedelta(days=3), "published", accepted=1, rows_decoded=1), published=True
    )
    late = contents(build_site(installation, DAY + timedelta(days=3)))
    shutil.rmtree(installation.settings.reports)
    assert contents(build_site(installation, DAY + timedelta(days=3))) == late
    assert f"batches/{(DAY - timedelta(days=3)).isoformat()}/index.html" in late
    assert len(times(before)) == len(late)


def test_only_the_pages_of_batches_that_have_changed_are_written_again(installation: Installation) -> None:
    day = DAY + timedelta(days=1)
    installation.add_run(make_run("shichang_second", day, "published", accepted=9, rows_decoded=9), published=True)
    site = build_site(installation, day)
    written = times(site)
    with installation.ledger.write() as ledger:
        ledger.connection().exec_driver_sql(
            "UPDATE outbox SET accepted_at = '2026-03-07 00:00:00' WHERE record_key = 'k4'"
        )
    changed = {name for name, time in times(build_site(installation, day)).items() if time != written.get(name)}
    own = {f"{folder}batches/{DAY.isoformat()}/{FEED}.html" for folder in ("", "en/")}
    assert own <= changed
    assert not any("shichang_second" in name and "batches/" in name for name in changed)


def test_a_rule_with_new_texts_rewrites_the_pages_that_name_it(installation: Installation) -> None:
    build_site(installation)
    changed = {**RULES, "REQ-CF_WSH": replace(RULES["REQ-CF_WSH"], fix_zh="请补填文号")}
    site = build_site(installation, rules=changed)
    assert "请补填文号" in batch_page(site)


def test_the_page_of_a_batch_whose_rows_were_cleared_stays_as_it_was(installation: Installation) -> None:
    kept = batch_page(build_site(installation))
    shutil.rmtree(installation.run_folder)
    with installation.ledger.write() as ledger:
        ledger.connection().exec_driver_sql(
            "UPDATE outbox SET accepted_at = '2026-03-07 00:00:00' WHERE record_key = 'k4'"
        )
    site = build_site(installation)
    assert batch_page(site) == kept
    assert site.workbooks[FEED].is_file()
    shutil.rmtree(installation.settings.reports)
    assert "逐行明细已按保存期限清理" in batch_page(build_site(installation))


def test_a_failed_feed_is_the_first_thing_on_the_overview_and_framed_in_chinese(installation: Installation) -> None:
    run = make_run(
        "huanbao_penalty", DAY, "failed", problem="x.csv: empty <file>", manifest={"failure": "ExtractError"}
    )
    installation.add_run(run, published=False)
    site = build_site(installation)
    text = page(site, "index.html")
    assert text.index("归集失败") < text.index("归集量")
    assert "报送文件有误：文件缺失、无法读取或与约定的格式不符" in text
    assert "请报送部门检查并重新提供" in text
    assert "x.csv: empty <file>" in text
    assert "从未成功归集" in text
    own = page(site, f"batches/{DAY.isoformat()}/huanbao_penalty.html")
    assert own.index("报送文件有误") < own.index("技术详情（英文原文）") < own.index("x.csv: empty <file>")
    assert "Extract: the file is missing" in page(site, "en/index.html")


def test_a_silent_feed_is_loud(installation: Installation) -> None:
    site = build_site(installation, DAY + timedelta(days=2))
    text = page(site, "index.html")
    assert text.index("没有数据") < text.index("归集量")
    assert "最近一次成功归集是 2026年3月5日，距本业务日期 2 天" in text
    calendar = page(site, f"feeds/{FEED}.html")
    assert "归集日历" in calendar
    cells = Page((site.index.parent / f"feeds/{FEED}.html").read_text(encoding="utf-8"))
    labels = [str(one["aria-label"]) for _, one in cells.elements if "aria-label" in one]
    assert "2026-03-06：没有数据" in labels
    assert "2026-03-05：不足 80 %，合规率 36.36 %，归集 13 行" in labels


def test_what_was_noticed_about_files_stands_on_the_page_of_a_held_batch(installation: Installation) -> None:
    changes = [CHANGE | {"rule": "SRC-001", "observed": "新列 <b>"}, CHANGE]
    run = make_run("huanbao_penalty", DAY, "held", problem="a column is missing", manifest={"changes": changes})
    installation.add_run(run, published=False)
    site = build_site(installation)
    text = page(site, f"batches/{DAY.isoformat()}/huanbao_penalty.html")
    assert text.index("已暂停，等待核实") < text.index("列不见了") < text.index("新列 <b>")
    assert "请恢复该列" in text
    assert "已暂停" in page(site, "index.html")


def test_withdrawals_are_listed_on_the_page_and_in_the_workbook(installation: Installation) -> None:
    known = Withdrawal(FEED, "administrative_penalty", "k" * 64, "市监罚〔2026〕1号", "absent", DAY, 2, 2, True)
    proposed = [known, replace(known, record_key="r" * 64, document_number=None, sightings=1, believed=False)]
    proposed += [replace(known, record_key=f"{number:064}", feed="huanbao_penalty") for number in range(3)]
    build_site(installation)
    site = build_site(installation, withdrawals=lambda _day: proposed)
    text = Page(batch_page(site)).text
    for expected in ("共 2 条，其中已确认可撤回 1 条", "市监罚〔2026〕1号", "待确认（1/2）", "k" * 12):
        assert expected in text
    sheet = openpyxl.load_workbook(site.workbooks[FEED])["拟撤回记录"]
    assert [line[-1].value for line in sheet.iter_rows(min_row=3)] == ["k" * 64, "r" * 64]


def test_gates_and_what_was_decided_stand_on_the_page(installation: Installation) -> None:
    with installation.ledger.write() as ledger:
        limits = {"usual": 100.0, "low": 90.0, "high": 110.0, "batches": 5}
        ledger.add(GateResult(run=RUN, gate="GATE-001", item="", outcome="fail", observed=13.0, **limits))
        ledger.add(GateResult(run=RUN, gate="GATE-002", item="CF_WSH", outcome="pass", observed=0.95, **limits))
        ledger.add(GateDecision(run=RUN, decision="release", by="示例专员", at=INSTANT, why="节后首日"))
    text = Page(batch_page(build_site(installation))).text
    for expected in ("GATE-001", "未通过", "1 项通过或不适用", "示例专员 决定，理由：节后首日"):
        assert expected in text


def test_open_tasks_stand_on_the_pages_of_department_feed_and_rule(installation: Installation) -> None:
    with installation.ledger.write() as ledger:
        for reference, state in (("T-0001", "open"), ("T-0002", "verified")):
            ledger.add(task(reference, state))
    site = build_site(installation, DAY + timedelta(days=4))
    for path in ("departments/shichang.html", f"feeds/{FEED}.html", "rules/REQ-CF_WSH.html"):
        text = page(site, path)
        assert "T-0001" in text
        assert "T-0002" not in text
    assert "T-0001" not in page(site, "departments/huanbao.html")


def task(reference: str, state: str) -> Task:
    return Task(
        reference=reference,
        department="shichang",
        feed=FEED,
        category="administrative_penalty",
        rule="REQ-CF_WSH",
        rule_version=1,
        field=reference,
        severity="block",
        owner="department",
        state=state,
        rows=3,
        rows_ever=3,
        first_seen=DAY,
        last_seen=DAY,
        run=RUN,
    )


def test_a_rule_page_counts_passed_failed_waived_and_not_applicable(installation: Installation) -> None:
    with installation.ledger.write() as ledger:
        ledger.add(RuleCount(run=RUN, rule="REQ-CF_WSH", severity="block", version=1, applied=8, failed=3, waived=1))
    site = build_site(installation)
    rows = re.findall(r"<tr[^>]*>.*?</tr>", (site.index.parent / "rules/REQ-CF_WSH.html").read_text(encoding="utf-8"))
    numbers = [re.sub(r"<[^>]+>", " ", row).split() for row in rows if "3 ÷ 8" in row]
    # 11 rows were decoded and one was excluded, so that the rule did not apply to 2 of 10.
    assert [row[-10:-5] for row in numbers] == [["8", "5", "3", "1", "2"]] * 3


def test_a_mended_batch_loses_its_workbook(installation: Installation) -> None:
    site = build_site(installation)
    workbook = site.workbooks[FEED]
    assert workbook.is_file()
    folder = installation.run_folder
    for name in ("findings", "rejects", "outcomes"):
        installation.session.execute(
            f"COPY (SELECT * FROM read_parquet('{folder}/{name}.parquet') WHERE false) TO '{folder}/{name}.parquet'"
        )
    with installation.ledger.write() as ledger:
        ledger.connection().exec_driver_sql("UPDATE run SET lines_undecoded = 0, quarantined = 0")
        ledger.connection().exec_driver_sql("DELETE FROM delivery_finding")
    assert build_site(installation).workbooks == {}
    assert not workbook.exists()
    assert f"{FEED}.xlsx" not in batch_page(site)


def test_progress_counts_every_step_once(installation: Installation) -> None:
    seen: list[tuple[int, int]] = []
    build_site(installation, progress=lambda done, total, _what: seen.append((done, total)))
    total = seen[0][1]
    assert seen == [(done, total) for done in range(total + 1)]


def test_a_disk_that_refuses_is_one_clear_error(installation: Installation) -> None:
    installation.settings.reports.write_text("not a folder")
    with pytest.raises(StorageError, match="free disk space or mend permissions"):
        build_site(installation)
