"""docs/real_input.md states what came out; it may not drift away from what comes out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipelines.settings import PROJECT_ROOT
from tests.real_input.conftest import Night
from tests.real_input.source_files import LISTS, TEMPLATES, RealFile

DOCUMENT = PROJECT_ROOT / "docs" / "real_input.md"
FOLDERS = ("registry", "penalties", "lists", "messy")
# A new repair may move a few rows; more than that is another result, and the document has to say so.
MOST_ROWS_MOVED = 3


def stated() -> dict[str, list[int]]:
    """File → rows, accepted, duplicate, quarantined, from the first table of the document."""
    table = r"^\| `([^`]*)` \| `\w+` \| ([0-9]+ \| [0-9]+ \| [0-9]+ \| [0-9]+) \|$"
    rows = re.findall(table, DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    return {path: [int(number) for number in re.findall("[0-9]+", numbers)] for path, numbers in rows}


@pytest.mark.parametrize("file", LISTS, ids=lambda file: file.name)
def test_the_document_states_what_came_out(file: RealFile, night: Night) -> None:
    rows, *outcomes = stated()[file.path]
    counts = night.counts(file)
    found = [counts["accepted"], counts["duplicate"], counts["quarantined"]]
    assert rows == night.extract(file).rows_decoded == sum(outcomes)
    assert all(abs(said - is_now) <= MOST_ROWS_MOVED for said, is_now in zip(outcomes, found, strict=True)), (
        f"{DOCUMENT.name} states {outcomes} for {file.path}, the run gave {found}: bring the document up to date"
    )


def test_the_document_covers_all_files(shared: Path) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    there = {f"{folder}/{path.name}" for folder in FOLDERS for path in (shared / "real" / folder).iterdir()}
    assert set(stated()) == {file.path for file in LISTS}
    assert there == {file.path for file in (*LISTS, *TEMPLATES)}
    assert all(f"`{file.path}`" in text and f"`{file.feed}`" in text for file in (*LISTS, *TEMPLATES))
