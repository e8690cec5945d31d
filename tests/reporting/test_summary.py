"""The summary table fits a plain terminal and says everything the night is judged by."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta

import pytest
from reporting_batch import CHANGE, DAY, Installation, make_run
from rich.cells import cell_len
from rich.console import Console

from pipelines.reporting.counts import Counts
from pipelines.reporting.metrics import FeedFigures
from pipelines.reporting.summary import summary_table

from test_metrics import figures  # isort: skip


def printed(batches: list[FeedFigures], width: int = 100) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(summary_table(batches))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(text, str)
    return text


def test_a_published_batch_shows_its_figures(installation: Installation) -> None:
    text = printed([figures(installation)], width=130)
    for expected in (
        "shichang_penalty",
        "2026-03-05",
        "✓ 解析 11 + 无法解析 2 = 入库 4 + 重复 1 + 问题 6 + 拦截 1 + 不报送 1",
        "合规率 36.36 % (4 ÷ 11)",
        "迟报率 33.33 % (1 ÷ 3)",
        "3  REQ-CF_WSH",
        "1 of 3",
        "rejected 1",
        "waiting 1",
        "due 2026-03-02 (1 overdue)",
    ):
        assert expected in text
    words = text.replace("│", " ").split()
    for name, rows in (("rows", "13"), ("accepted", "4"), ("quarantined", "6"), ("blocked", "1"), ("excluded", "1")):
        assert words[words.index(name) + 1] == rows


def test_silent_feeds_come_first_and_say_for_how_long(installation: Installation) -> None:
    installation.add_run(make_run("huanbao_penalty", DAY - timedelta(days=9), "published"), published=True)
    installation.add_run(make_run("huanbao_penalty", DAY, "failed", problem="x.csv: empty"), published=False)
    text = printed([figures(installation, feed) for feed in sorted(installation.catalogue.feeds)])
    assert text.index("NO DATA") < text.index("FAILED") < text.index("shichang_penalty")
    assert "last published 2026-02-24, 9 days ago" in text
    assert "x.csv: empty" in text
    assert "it was never published" in text


def test_a_held_batch_and_findings_about_files_are_shown(installation: Installation) -> None:
    manifest = {"changes": [CHANGE, CHANGE | {"rule": "SRC-001"}, CHANGE]}
    run = make_run("huanbao_penalty", DAY, "held", problem="a column is missing", manifest=manifest)
    installation.add_run(run, published=False)
    held = figures(installation, "huanbao_penalty")
    text = " ".join(printed([held], width=140).replace("│", " ").split())
    assert "HELD until somebody has looked, nothing of the batch was published" in text
    assert "a column is missing" in text
    published = replace(figures(installation), file_findings=held.file_findings)
    assert "files: SRC-001 × 1, SRC-002 × 2" in printed([published], width=140)


@pytest.mark.parametrize("width", [80, 100, 140])
def test_it_fits_the_terminal(installation: Installation, width: int) -> None:
    for line in printed([figures(installation)], width).splitlines():
        assert cell_len(line) <= width
        assert line[-1] in "┓┃┩│┤┘"


def test_a_settled_batch_is_not_called_in_time(installation: Installation) -> None:
    batch = figures(installation)
    settled = replace(
        batch, counts=Counts(rows_decoded=1, accepted=1, owed=1, confirmed=1), earliest_open_deadline=None
    )
    assert "nothing open" in printed([settled])
    assert "2026-03-12" not in printed([settled])
    assert "nothing owed" in printed([replace(settled, counts=Counts(rows_decoded=1, accepted=1))])
