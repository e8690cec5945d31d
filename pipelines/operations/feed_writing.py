"""A proposal as files: checked by loading them before they are written."""

from __future__ import annotations

from pathlib import Path

from pipelines.catalogue.catalogue import Catalogue
from pipelines.operations.feed_files import DEPARTMENT_FILE, installed_path, load_feed_text, write_new
from pipelines.operations.feed_proposal import Proposal
from pipelines.operations.feed_text import department_text, feed_text
from pipelines.settings import Settings


def write_proposal(
    proposal: Proposal, settings: Settings, catalogue: Catalogue, output: Path | None = None
) -> tuple[Path, ...]:
    """Write the feed, and beside it the department when there is none yet; returns what was written.

    ``output`` is the feed's file; without one it is installed below ``schemas/departments``. Raises
    :class:`CatalogueError` when a file is there already.
    """
    path = output or installed_path(settings, proposal.department, proposal.name)
    beside = path.parent / DEPARTMENT_FILE
    texts = {path: feed_text(proposal, catalogue)}
    if proposal.department not in catalogue.departments and not beside.exists():
        texts[beside] = department_text(proposal)
    shadow = {f"{proposal.name}.yaml": texts[path], DEPARTMENT_FILE: department_text(proposal)}
    if proposal.department in catalogue.departments:
        del shadow[DEPARTMENT_FILE]
    load_feed_text(settings, proposal.department, proposal.feed, shadow, path)
    write_new(texts)
    return tuple(texts)
