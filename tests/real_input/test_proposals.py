"""How much of each feed `guiji feeds new` had found, and how much a person had to correct or to add."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.headers import normalise_header
from pipelines.errors import CatalogueError
from pipelines.operations.feed_proposal import Proposal, propose
from pipelines.settings import PROJECT_ROOT
from tests.real_input.conftest import FEEDS, Night
from tests.real_input.source_files import LISTS, TEMPLATES, RealFile

DOCUMENT = PROJECT_ROOT / "docs" / "real_input.md"
# The file that each feed was proposed from.
SAMPLES = tuple({file.feed: file for file in reversed((*LISTS, *TEMPLATES))}.values())[::-1]


@dataclass(frozen=True)
class Share:
    """Fields filled from columns: proposed and kept, proposed and changed, found by the person."""

    kept: int
    changed: int
    found: int


def proposal_of(file: RealFile, night: Night, shared: Path) -> Proposal:
    return propose(night.context.catalogue, shared / "real" / file.path, category=file.category)


def share_of(feed: Feed, proposal: Proposal) -> Share:
    proposed = {code: normalise_header(match.column.header) for code, match in proposal.matching.proposed.items()}
    columns = {code: column for code in feed.columns if (column := feed.column(code)) is not None and column.sources}
    used = {code: [normalise_header(source) for source in column.sources] for code, column in columns.items()}
    kept = {code for code, header in proposed.items() if used.get(code) == [header]}
    return Share(len(kept), len(proposed.keys() - kept), len(used.keys() - kept))


def stated() -> dict[str, Share]:
    """Feed → share, from the table of proposals in the document."""
    rows = re.findall(
        r"^\| `(\w+)` \| [^|]* \| (\d+) \| (\d+) \| (\d+) \|$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE
    )
    return {feed: Share(*map(int, numbers)) for feed, *numbers in rows}


@pytest.mark.parametrize("file", SAMPLES, ids=lambda file: file.feed)
def test_the_document_states_what_was_proposed(file: RealFile, night: Night, shared: Path) -> None:
    feed = night.context.catalogue.feed(file.feed)
    assert share_of(feed, proposal_of(file, night, shared)) == stated()[file.feed]


def test_every_feed_says_from_what_it_was_proposed() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in FEEDS.glob("departments/*/*.yaml")}
    feeds = {path: text for path, text in texts.items() if path.name != "department.yaml"}
    assert len(feeds) == len(SAMPLES) == len(stated())
    for file in SAMPLES:
        (text,) = (text for text in feeds.values() if f"\nfeed: {file.feed}\n" in text)
        assert text.startswith("# Proposed by `guiji feeds new` from ")
        assert f"of {file.name}, then corrected by hand." in text.splitlines()[0]


@pytest.mark.parametrize("file", [file for file in SAMPLES if file.category], ids=lambda file: file.feed)
def test_lists_that_are_no_decisions_convince_no_category(file: RealFile, night: Night, shared: Path) -> None:
    with pytest.raises(CatalogueError, match="no category convinces"):
        propose(night.context.catalogue, shared / "real" / file.path)
