"""Data Docs of a night over real batches: published, held and released ones, without a word about a person."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from pipelines.operations.context import open_context
from pipelines.operations.data_docs import build_docs
from pipelines.operations.gate_decisions import refuse, release
from tests.operations.gate_history import USUAL, hold
from tests.operations.small_feed import FEED, MONDAY, TUESDAY, WEDNESDAY, Installation, row, rows

PERSON, PHONE, NAME, OWNER = "11990019900307273X", "13812345678", "示例欧阳六", "示例司马七"
PERSONS = {
    "行政相对人类别": "自然人",
    "当事人名称": NAME,
    "统一社会信用代码": PERSON,
    "法定代表人": OWNER,
    "处罚内容": f"联系电话{PHONE}，身份证{PERSON}。",
    "处罚类别": f"警告{PHONE}",
}


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


def pages(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_persons_in_a_batch_are_on_no_page(installation: Installation) -> None:
    run = installation.publish(MONDAY, [*rows(range(5)), row(6, **PERSONS), row(7, **PERSONS)])
    context = installation.context
    index = build_docs(context, MONDAY)
    assert index == context.settings.data_docs / MONDAY.isoformat() / "index.html"
    found = pages(context.settings.data_docs)
    assert set(found) == {
        "index.html",
        *(f"{MONDAY}/{name}" for name in ("index.html", f"{FEED}.html", "night.json")),
    }
    folder = context.settings.runs / run.id
    kept = {name: (folder / name).read_text(encoding="utf-8") for name in ("great_expectations.json", "gates.json")}
    for name, content in (found | kept).items():
        for value in (PERSON, PHONE, NAME, OWNER, PERSON[:14], "示例市样本"):
            assert value not in content, (name, value)
    page = found[f"{MONDAY}/{FEED}.html"]
    assert "已发布" in page
    assert "可比的正常批次不足" in page


def test_a_held_batch_has_its_page_and_says_what_was_decided(installation: Installation) -> None:
    held = hold(installation)
    context = installation.context

    def shown() -> str:
        return pages(build_docs(context, TUESDAY).parent)[f"{FEED}.html"]

    waiting = shown()
    for words in ("等待处理", "闸门未通过的项", "行数", "GATE-001", f">{USUAL}<", held.id):
        assert words in waiting, words
    release(context, held.id, "示例专员甲乙", "部门确认示例欧阳六属实")
    released = shown()
    assert "经专员放行" in released
    assert "甲乙" not in released
    assert "欧阳" not in released, "who decided and why is in the ledger, not on pages for everybody"


def test_a_refused_batch_has_its_page(installation: Installation) -> None:
    held = hold(installation)
    refuse(installation.context, held.id, "示例专员", "漏导")
    page = pages(build_docs(installation.context, TUESDAY).parent)[f"{FEED}.html"]
    assert "经专员拒绝" in page


def test_old_nights_go_as_the_installation_says(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    installation.publish(MONDAY, rows(range(2)))
    monkeypatch.setenv("GUIJI_DATA_DOCS_NIGHTS", "2")
    given = installation.context.settings
    context = open_context(type(given)(root=given.root, inbox=given.inbox, home=given.home))
    assert context.settings.data_docs_nights == 2
    for day in (MONDAY, TUESDAY, WEDNESDAY):
        build_docs(context, day)
    left = sorted(path.name for path in context.settings.data_docs.iterdir() if path.is_dir())
    assert left == [TUESDAY.isoformat(), WEDNESDAY.isoformat()]


def test_a_run_whose_files_are_gone_has_no_page(installation: Installation) -> None:
    run = installation.publish(MONDAY, rows(range(2)))
    shutil.rmtree(installation.context.settings.runs / run.id)
    found = pages(build_docs(installation.context, MONDAY).parent)
    assert set(found) == {"index.html", "night.json"}
    assert "没有已校验的批次" in found["index.html"]
    build_docs(installation.context, MONDAY - timedelta(days=1))
