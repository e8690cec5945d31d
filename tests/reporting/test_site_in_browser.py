"""The report site in a real browser: every kind of page, both languages, wide, narrow and on paper."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from reporting_batch import DAY, FEED, INSTANT, RULES, RUN, Installation, make_run, small_installation

from pipelines.ledger.models import RuleCount
from pipelines.ledger.quality_models import GateDecision, GateResult, Task
from pipelines.reporting.site import ReportPaths, build
from pipelines.reporting.withdrawals import Withdrawal

CHROMIUM = Path("/usr/bin/chromium")
LAST = DAY + timedelta(days=4)
PAGES = (
    "index.html",
    "departments/shichang.html",
    "departments/huanbao.html",
    f"feeds/{FEED}.html",
    "feeds/huanbao_penalty.html",
    f"batches/{DAY.isoformat()}/index.html",
    f"batches/{DAY.isoformat()}/{FEED}.html",
    f"batches/{LAST.isoformat()}/huanbao_penalty.html",
    "months/index.html",
    f"months/{DAY:%Y-%m}.html",
    "rules/index.html",
    "rules/REQ-CF_WSH.html",
)
BLANK = 120
# Boxes that hold text and lie over each other although neither holds the other: something is illegible there.
OVERLAPS = """() => {
    const shown = [...document.querySelectorAll("h1, h2, h3, p, table, svg, dl, li, figcaption, summary, nav, .button")]
        .filter(one => one.checkVisibility() && one.getBoundingClientRect().width > 1);
    const found = [];
    for (let i = 0; i < shown.length; i++) for (let j = i + 1; j < shown.length; j++) {
        const [one, other] = [shown[i], shown[j]];
        if (one.contains(other) || other.contains(one)) continue;
        if (one.closest(".scroll") !== other.closest(".scroll")) continue;
        const [a, b] = [one.getBoundingClientRect(), other.getBoundingClientRect()];
        const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (width > 2 && height > 2) found.push(`${one.tagName} ${one.textContent.trim().slice(0, 20)} / `
            + `${other.tagName} ${other.textContent.trim().slice(0, 20)}`);
    }
    return found;
}"""
UNREADABLE = """() => {
    const parts = colour => colour.match(/[\\d.]+/g).map(Number);
    const light = colour => {
        const linear = v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
        const [r, g, b] = parts(colour).slice(0, 3).map(v => linear(v / 255));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = one => {
        for (; one; one = one.parentElement) {
            const colour = getComputedStyle(one).backgroundColor;
            if (parts(colour)[3] !== 0) return colour;
        }
        return "rgb(255, 255, 255)";
    };
    return [...document.querySelectorAll("body *")].filter(one => !one.closest("svg") && one.checkVisibility()
        && [...one.childNodes].some(node => node.nodeType === 3 && node.textContent.trim())).map(one => {
        const [a, b] = [light(getComputedStyle(one).color), light(ground(one))].sort((x, y) => y - x);
        return [(a + 0.05) / (b + 0.05), one.textContent.trim().slice(0, 20)];
    }).filter(([contrast]) => contrast < 4.5).map(([contrast, text]) => `${contrast.toFixed(1)} ${text}`);
}"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    if not CHROMIUM.is_file():
        pytest.skip(f"there is no {CHROMIUM}")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReportPaths]:
    """Everything a page can show: good, held, failed and missing days, gates, tasks, withdrawals, long texts."""
    with small_installation(tmp_path_factory.mktemp("site")) as made:
        fill(made)
        withdrawal = Withdrawal(
            FEED, "administrative_penalty", "k" * 64, "市监罚〔2026〕1号", "absent", DAY, 1, 2, False
        )
        yield build(
            made.session,
            made.settings,
            made.catalogue,
            made.ledger,
            RULES,
            LAST,
            withdrawals=lambda _day: [withdrawal],
        )


def fill(made: Installation) -> None:
    for back in range(1, 60):
        accepted = 890 + 37 * back % 390
        rows = {"rows_decoded": accepted + 10 + back % 40, "accepted": accepted, "quarantined": 10 + back % 40}
        made.add_run(
            make_run("shichang_second", DAY - timedelta(days=back), "published", new=accepted, **rows), published=True
        )
    problem = (
        "extract 行政处罚_20260309_最终版（修改）.xlsx, sheet Sheet1: " + "column_" * 30 + " — send the file again"
    )
    for day, state, failure in ((DAY, "held", "BatchHeldError"), (LAST, "failed", "ExtractError")):
        run = make_run("huanbao_penalty", day, state, problem=problem, manifest={"failure": failure})
        made.add_run(run, published=False)
    with made.ledger.write() as ledger:
        limits = {"observed": 0.2, "usual": 0.9, "low": 0.8, "high": 1.0, "batches": 10}
        ledger.add(GateResult(run=RUN, gate="GATE-FILL", item="CF_WSH", outcome="fail", **limits))
        ledger.add(GateResult(run=RUN, gate="GATE-ROWS", item="", outcome="pass", **limits))
        ledger.add(GateDecision(run=RUN, decision="release", by="示例专员", at=INSTANT, why="节后首日，情况属实"))
        for code in RULES:
            ledger.add(RuleCount(run=RUN, rule=code, severity="block", version=1, applied=8, failed=3, waived=1))
        for number in range(3):
            ledger.add(
                Task(
                    reference=f"T-2026-{number:04d}",
                    department="shichang",
                    feed=FEED,
                    category="administrative_penalty",
                    rule="REQ-CF_WSH",
                    rule_version=1,
                    field=str(number),
                    severity="block",
                    owner="department",
                    state="open",
                    rows=3 - number,
                    rows_ever=3,
                    first_seen=DAY,
                    last_seen=DAY,
                    run=RUN,
                )
            )


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize(("width", "medium"), [(1280, "screen"), (390, "screen"), (1123, "print")])
def test_every_kind_of_page_is_whole_legible_and_complains_of_nothing(
    chromium: Any, site: ReportPaths, width: int, medium: str, language: str
) -> None:
    page = chromium.new_page(viewport={"width": width, "height": 900})
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(f"no answer: {request.url}"))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.emulate_media(media=medium)
    for name in PAGES:
        path = site.index.parent / ("en" if language == "en" else "") / name
        page.goto(path.as_uri())
        assert len(page.inner_text("body")) > BLANK, name
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, f"{name} is too wide"
        assert page.evaluate(OVERLAPS) == [], name
        assert page.evaluate(UNREADABLE) == [], name
        # The style was found: without it everything is black on white in one column.
        assert page.evaluate("getComputedStyle(document.querySelector('.top')).borderTopColor") == "rgb(11, 85, 114)"
    assert complaints == []
    assert all(address.startswith("file://") for address in asked)
    page.close()


def test_the_switch_leads_to_the_same_page_and_is_remembered_by_the_first_page(
    chromium: Any, site: ReportPaths
) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto((site.index.parent / f"feeds/{FEED}.html").as_uri())
    page.click("text=English")
    assert page.url.endswith(f"/en/feeds/{FEED}.html")
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.evaluate("localStorage.getItem('guiji-language')") == "en"
    later = context.new_page()
    later.goto(site.index.as_uri())
    later.wait_for_url("**/en/index.html")
    later.click("text=中文")
    assert later.locator("html").get_attribute("lang") == "zh-CN"
    context.close()


def test_without_script_both_languages_work(chromium: Any, site: ReportPaths) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site.index.as_uri())
    page.click("text=English")
    assert page.locator("h1").inner_text() == "Data quality overview"
    page.click("text=中文")
    assert page.locator("h1").inner_text() == "数据质量总览"
    context.close()


def test_the_calendar_is_walked_with_the_keyboard(chromium: Any, site: ReportPaths) -> None:
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.goto((site.index.parent / "feeds/shichang_second.html").as_uri())
    day = page.locator("table.calendar a.d").first
    day.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/batches/**/shichang_second.html")
    page.close()


def test_a_page_prints_on_paper(chromium: Any, site: ReportPaths, tmp_path: Path) -> None:
    page = chromium.new_page()
    page.goto((site.index.parent / f"batches/{DAY.isoformat()}/{FEED}.html").as_uri())
    page.pdf(path=str(tmp_path / "page.pdf"), prefer_css_page_size=True)
    assert (tmp_path / "page.pdf").stat().st_size > 10_000
    page.close()
