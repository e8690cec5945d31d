"""docs/real_input.md states what came out; it may not drift away from what comes out."""

from __future__ import annotations

import re

import pytest

from pipelines.settings import PROJECT_ROOT
from tests.real_input.conftest import Night
from tests.real_input.source_files import LISTS, TEMPLATES, RealFile

DOCUMENT = PROJECT_ROOT / "docs" / "real_input.md"
# A new repair may move a few rows; more than that is another result, and the document has to say so.
MOST_ROWS_MOVED = 3


def stated() -> dict[str, list[int]]:
    """Feed → rows, accepted, duplicate, quarantined, from the first table of the document."""
    table = r"^\| `(\w+)` \| `[^|]*` \| ([0-9]+ \| [0-9]+ \| [0-9]+ \| [0-9]+) \|$"
    rows = re.findall(table, DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    return {feed: [int(number) for number in re.findall("[0-9]+", numbers)] for feed, numbers in rows}


@pytest.mark.parametrize("file", LISTS, ids=lambda file: file.feed)
def test_the_document_states_what_came_out(file: RealFile, night: Night) -> None:
    rows, *outcomes = stated()[file.feed]
    run = night.run(file)
    found = [run.accepted, run.duplicate, run.quarantined]
    assert rows == run.rows_decoded == sum(outcomes)
    assert all(abs(said - is_now) <= MOST_ROWS_MOVED for said, is_now in zip(outcomes, found, strict=True)), (
        f"{DOCUMENT.name} states {outcomes} for {file.feed}, the run gave {found}: bring the document up to date"
    )


def test_the_document_covers_all_files() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert set(stated()) == {file.feed for file in LISTS}
    assert all(f"`{file.feed}`" in text for file in TEMPLATES)
