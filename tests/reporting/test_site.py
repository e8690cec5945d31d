"""The report site: pages that parse, tell nothing about persons, need no network and come out the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import openpyxl
import pytest
from reporting_batch import (
    CHANGE,
    DAY,
    FEED,
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
from pipelines.reporting.site import ReportPaths, build
from pipelines.reporting.withdrawals import Withdrawal

VOID = {"meta", "link", "br", "img", "input", "hr"}


def build_site(installation: Installation) -> ReportPaths:
    return build(installation.session, installation.settings, installation.catalogue, installation.ledger, RULES, DAY)


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


def feed_page(site: ReportPaths) -> str:
    return (site.index.parent / "shichang" / f"{FEED}.html").read_text(encoding="utf-8")


def test_every_feed_and_department_has_a_page_and_every_link_leads_somewhere(site: ReportPaths) -> None:
    assert {str(path.relative_to(site.index.parent)) for path in site.pages} == {
        "index.html",
        "shichang/index.html",
        "shichang/shichang_penalty.html",
        "shichang/shichang_second.html",
        "huanbao/index.html",
        "huanbao/huanbao_penalty.html",
    }
    linked = set()
    for path, text in pages(site):
        for link in Page(text).attributes("a"):
            target = (path.parent / str(link["href"])).resolve()
            assert target.is_file()
            linked.add(target)
    assert {path.resolve() for path in (*site.pages, *site.workbooks.values())} <= linked


def test_pages_open_offline_without_script(site: ReportPaths) -> None:
    for _, text in pages(site):
        assert not re.search(r"https?:|//[a-z]|@import|url\(|\ssrc=", text)
        page = Page(text)
        assert not page.attributes("script") + page.attributes("link") + page.attributes("img")
        assert any(meta.get("charset") == "utf-8" for meta in page.attributes("meta"))
        assert page.attributes("html")[0]["lang"] == "zh-CN"


def test_pages_are_accessible(site: ReportPaths) -> None:
    for _, text in pages(site):
        page = Page(text)
        assert all(cell.get("scope") in {"row", "col"} for cell in page.attributes("th"))
        ids = {attributes.get("id") for _, attributes in page.elements}
        for drawing in page.attributes("svg"):
            assert drawing["role"] == "img"
            assert drawing["aria-labelledby"] in ids


def test_no_value_of_any_row_stands_on_any_page(site: ReportPaths) -> None:
    values = {cell.strip() for row in ROWS for cell in row if cell and len(cell) > 4 and "罚" not in cell}
    planted = values | {PERSON, "欧阳 测试甲", PERSON_ID, PHONE, LONG_DIGITS, "张某", REPAIRED, "内容互相矛盾的"}
    planted -= {"内容互相矛盾", "与上次相同", "被接收方退回", "简易程序", "99999"}
    for path, text in pages(site):
        for value in planted:
            assert value not in text, path.name


def test_the_feed_page_shows_the_figures_and_escapes_what_it_shows(site: ReportPaths) -> None:
    text = feed_page(site)
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
        "以元计的金额换算为万元",
        "名称中的括号统一为全角",
        "未查询到主体“＊＊＊”（证件 ＊＊＊，＊＊＊）＊＊＊",
    ):
        assert expected in shown
    assert "<b>万元" not in text


def test_the_same_batch_gives_the_same_bytes_and_names_no_attempt(installation: Installation) -> None:
    site = build_site(installation)
    first = {path: path.read_bytes() for path in (*site.pages, *site.workbooks.values())}
    assert len(first) == 7
    again = build_site(installation)
    assert {path: path.read_bytes() for path in (*again.pages, *again.workbooks.values())} == first
    for text in first.values():
        assert RUN.encode() not in text


def test_a_failed_feed_is_the_first_thing_on_the_index(installation: Installation) -> None:
    installation.add_run(make_run("huanbao_penalty", DAY, "failed", problem="x.csv: empty <file>"), published=False)
    site = build_site(installation)
    text = Page(site.index.read_text(encoding="utf-8")).text
    assert text.index("归集失败") < text.index("归集量")
    assert "x.csv: empty <file>" in text
    assert "从未成功归集" in text


def test_what_was_noticed_about_files_stands_on_the_page_of_a_held_batch(installation: Installation) -> None:
    changes = [CHANGE | {"rule": "SRC-001", "observed": "新列 <b>"}, CHANGE]
    run = make_run("huanbao_penalty", DAY, "held", problem="a column is missing", manifest={"changes": changes})
    installation.add_run(run, published=False)
    site = build_site(installation)
    text = Page((site.index.parent / "huanbao" / "huanbao_penalty.html").read_text(encoding="utf-8")).text
    assert text.index("已暂停，等待核实") < text.index("列不见了") < text.index("新列 <b>")
    assert "请恢复该列" in text
    assert "已暂停" in Page(site.index.read_text(encoding="utf-8")).text


def test_withdrawals_are_listed_on_the_page_and_in_the_workbook(installation: Installation) -> None:
    known = Withdrawal(FEED, "administrative_penalty", "k" * 64, "市监罚〔2026〕1号", "absent", DAY, 2, 2, True)
    proposed = [known, replace(known, record_key="r" * 64, document_number=None, sightings=1, believed=False)]
    proposed += [replace(known, record_key=f"{number:064}", feed="huanbao_penalty") for number in range(3)]
    site = build(
        installation.session,
        installation.settings,
        installation.catalogue,
        installation.ledger,
        RULES,
        DAY,
        withdrawals=proposed,
    )
    text = Page(feed_page(site)).text
    for expected in ("共 2 条，其中已确认可撤回 1 条", "市监罚〔2026〕1号", "待确认（1/2）", "k" * 12):
        assert expected in text
    sheet = openpyxl.load_workbook(site.workbooks[FEED])["拟撤回记录"]
    assert [line[-1].value for line in sheet.iter_rows(min_row=3)] == ["k" * 64, "r" * 64]


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
    assert f"{FEED}.xlsx" not in feed_page(site)


def test_progress_counts_every_step_once(installation: Installation) -> None:
    seen: list[tuple[int, int]] = []
    build(
        installation.session,
        installation.settings,
        installation.catalogue,
        installation.ledger,
        RULES,
        DAY,
        lambda done, total, _what: seen.append((done, total)),
    )
    assert seen == [(done, 7) for done in range(8)]


def test_a_disk_that_refuses_is_one_clear_error(installation: Installation) -> None:
    installation.settings.reports.write_text("not a folder")
    with pytest.raises(StorageError, match="free disk space or mend permissions"):
        build_site(installation)
