"""Data Docs read like the rule book, fetch nothing and hold no value of a record; old nights go."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.catalogue.gate_settings import Gates
from pipelines.engine.duck import session
from pipelines.errors import GuijiError
from pipelines.quality.compile import judge
from pipelines.quality.data_docs import INDEX, BatchDocs, GateFigure, build_data_docs
from pipelines.quality.gates import compare, judge_gates
from pipelines.quality.great_expectations_bridge import validate_with_great_expectations

from .rows import BUSINESS_DATE, cases, catalogue, standard_table, suite
from .test_gates import SUITE, counts, history

PENALTY = "administrative_penalty"
PLANTED = {
    "CF_XDR_ZJHM": "11990019900307273X",
    "CF_FR_ZJHM": "119900199003072756",
    "CF_XDR_MC": "示例张三丰",
    "CF_FRDB": "示例李四光",
    "CF_NR": "请致电13812345678，身份证11990019900307273X",
}
HELD = GateFigure("row_count", "行数", "8", "60", "21 ~ 99", "fail", "")
FEW = GateFigure("fill_rate", "字段填报率：备注", "12.5 %", "—", "—", "not_applicable", "few_batches")


@pytest.fixture(scope="module")
def result_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the library says about rows that break every rule, with persons planted in them."""
    category = catalogue().categories[PENALTY]
    file = tmp_path_factory.mktemp("run") / "result.json"
    with session() as duck:
        standard_table(
            duck, category, [case.row | PLANTED for case in cases(PENALTY)] + [c.row for c in cases(PENALTY)]
        )
        judge(duck, suite(PENALTY), category, BUSINESS_DATE)
        validate_with_great_expectations(duck, suite(PENALTY), category, BUSINESS_DATE, result_file=file)
    return file


@pytest.fixture(scope="module")
def gates_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the checkpoint says about a batch that has collapsed."""
    file = tmp_path_factory.mktemp("run") / "gates.json"
    compared = compare(SUITE, Gates(), counts(80), history([counts(1000)] * 10), {})
    with session() as duck:
        judge_gates(duck, SUITE, "r", compared, file)
    return file


def batch(result_file: Path, **more: Any) -> BatchDocs:
    fields = {field.code: field.name_zh for field in catalogue().categories[PENALTY].fields}
    given = {"state": "held", "figures": (HELD, FEW), "fields": fields, "rules": result_file}
    return BatchDocs("market_penalty", "示例局行政处罚", "market_penalty-20261120-001", **given | more)


def text_of(page: Path) -> str:
    return html.unescape(re.sub(r"<[^>]+>", " ", page.read_text(encoding="utf-8")))


def test_a_page_says_of_every_rule_what_it_asks_how_bad_it_is_and_what_to_do(
    tmp_path: Path, result_file: Path, gates_file: Path
) -> None:
    index = build_data_docs([batch(result_file, gates=gates_file)], BUSINESS_DATE, tmp_path, 30)
    page = tmp_path / BUSINESS_DATE.isoformat() / "market_penalty.html"
    shown = text_of(page)
    for rule in (*suite(PENALTY).rules, *SUITE.rules):
        for words in (rule.code, rule.message_zh):
            assert words in shown, rule.code
        if rule.code not in {one.code for one in SUITE.rules[1:]}:
            assert rule.fix_zh in shown, rule.code
    for words in (
        "必须更正",
        "警告",
        "报送部门",
        "完整性",
        "适用",
        "不符",
        "不适用",
        "检查：应当填写",
        "等待处理",
        "21 ~ 99",
    ):
        assert words in shown, words
    assert "可比的正常批次不足" in shown
    assert "示例局行政处罚" in text_of(index)
    assert str(BUSINESS_DATE) in text_of(tmp_path / INDEX)


def test_every_expectation_of_a_suite_speaks_chinese(result_file: Path) -> None:
    from pipelines.quality.great_expectations_engine import rendered

    for one in rendered(json.loads(result_file.read_text(encoding="utf-8"))):
        assert re.search(r"[\u4e00-\u9fff]", one.checked), one.meta["code"]
        assert re.fullmatch(r"适用[\d,]+，不符[\d,]+，不适用[\d,]+", one.observed), one.observed
        assert bool(one.remedy) is bool(one.failed)
        assert "Expectation" not in one.checked


def test_no_value_of_a_record_and_no_address_is_on_any_page(tmp_path: Path, result_file: Path) -> None:
    build_data_docs([batch(result_file)], BUSINESS_DATE, tmp_path, 30)
    pages = sorted(tmp_path.rglob("*.html"))
    assert len(pages) == 3
    for file in (*pages, result_file):
        content = file.read_text(encoding="utf-8")
        for planted in (*PLANTED.values(), "13812345678", "示例张"):
            assert planted not in content, file.name
    for page in pages:
        content = page.read_text(encoding="utf-8")
        assert not re.search(r"https?://|<script|<img|@import|//cdn", content)


def test_nights_are_kept_for_as_long_as_it_is_set(tmp_path: Path, result_file: Path) -> None:
    days = [date(2026, 11, 1) + timedelta(days=number) for number in range(6)]
    (tmp_path / "notes").mkdir(parents=True)
    for day in days[1:]:
        build_data_docs([batch(result_file)], day, tmp_path, 3)
    assert nights(tmp_path) == [day.isoformat() for day in days[-3:]]
    listed = text_of(tmp_path / INDEX)
    assert [day.isoformat() in listed for day in days] == [False, False, False, True, True, True]
    build_data_docs([batch(result_file)], days[0], tmp_path, 3)
    assert days[0].isoformat() in nights(tmp_path), "what was just asked for is not thrown away"
    assert (tmp_path / "notes").is_dir(), "only nights are removed"


def nights(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name != "notes")


def test_a_night_built_again_replaces_its_pages(tmp_path: Path, result_file: Path, gates_file: Path) -> None:
    build_data_docs([batch(result_file, gates=gates_file)], BUSINESS_DATE, tmp_path, 3)
    assert "批次闸门" in text_of(tmp_path / BUSINESS_DATE.isoformat() / "market_penalty.html")
    build_data_docs([batch(result_file, figures=(), state="published")], BUSINESS_DATE, tmp_path, 3)
    assert "批次闸门" not in text_of(tmp_path / BUSINESS_DATE.isoformat() / "market_penalty.html")
    empty = build_data_docs([], BUSINESS_DATE, tmp_path, 3)
    assert "没有已校验的批次" in text_of(empty)
    assert not (empty.parent / "market_penalty.html").exists()


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "result.json"
    broken.write_text("{", encoding="utf-8")
    with pytest.raises(GuijiError, match=r"result\.json: no validation result"):
        build_data_docs([batch(broken)], BUSINESS_DATE, tmp_path / "docs", 3)


@contextmanager
def browser() -> Iterator[Any]:
    """A real Chromium; skips the test where there is none."""
    playwright = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


def test_a_browser_shows_the_pages_without_errors_or_requests(
    tmp_path: Path, result_file: Path, gates_file: Path
) -> None:
    build_data_docs([batch(result_file, gates=gates_file)], BUSINESS_DATE, tmp_path, 30)
    problems: list[str] = []
    requests: list[str] = []
    with browser() as opened:
        page = opened.new_page(viewport={"width": 1280, "height": 900})
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto((tmp_path / INDEX).as_uri())
        page.click("text=2026-11-20")
        page.click("text=示例局行政处罚")
        assert page.inner_text("h1").startswith("示例局行政处罚")
        assert page.locator("tbody tr:visible").count() >= len(suite(PENALTY).rules)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        page.screenshot(path=tmp_path / "batch.png", full_page=True)
    assert problems == []
    assert all(url.startswith(("file:", "data:")) for url in requests), requests
