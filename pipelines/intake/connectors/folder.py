"""The folder connector: which files are the extracts of one batch."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.sources import FolderSource
from pipelines.errors import ExtractError
from pipelines.intake.connectors.contract import Pull, PullRequest
from pipelines.intake.landing import land
from pipelines.settings import Settings

# What editors, file managers and unfinished uploads leave beside the real files.
_NEVER_EXTRACTS = ("~$", ".", "Thumbs.db")
_UNFINISHED = (".tmp", ".part", ".crdownload", ".filepart")


def pull(request: PullRequest) -> Pull:
    """Land the files that ``feed.source`` describes for the business date."""
    source = request.feed.source
    if not isinstance(source, FolderSource):
        raise TypeError(f"{request.feed.feed} is no folder feed")
    found = find_extracts(request.settings, request.feed, source, request.business_date)
    landed = tuple(land(path, request.settings.landing) for path in found)
    return Pull(landed, facts={"source": "folder", "folder": source.path, "files": len(landed)})


def settle(settings: Settings, feed: Feed, receipt: Mapping[str, Any]) -> None:
    """Nothing is owed to a folder that is left as it is."""


def find_extracts(settings: Settings, feed: Feed, source: FolderSource, business_date: date) -> list[Path]:
    """The files that ``feed.source`` describes for one business date, sorted by name.

    Raises :class:`ExtractError` when there is none, when one leaves the inbox through a symbolic link and
    when one is larger than ``source.max_bytes``.
    """
    inbox = settings.inbox.resolve()
    folder = inbox / _dated(source.path, business_date)
    pattern = _dated(source.pattern, business_date)
    if not folder.is_dir():
        raise ExtractError(
            f"feed {feed.feed}: there is no such folder for {business_date.isoformat()}",
            remedy="ask the department for its file and put it there, or mend source.path in the feed's YAML",
            file=folder,
        )
    found = sorted(path for path in folder.glob(pattern) if path.is_file() and not _is_leftover(path))
    if not found:
        raise ExtractError(
            f"feed {feed.feed}: no file matches {pattern} for {business_date.isoformat()}",
            remedy="ask the department for its file and put it there, or mend source.pattern in the feed's YAML",
            file=folder,
        )
    for path in found:
        _check(path, inbox, source.max_bytes)
    return found


def _check(path: Path, inbox: Path, max_bytes: int) -> None:
    if not path.resolve().is_relative_to(inbox):
        raise ExtractError(
            "the file leads out of the inbox through a symbolic link",
            remedy="put the file itself into the inbox",
            file=path,
        )
    size = path.stat().st_size
    if size > max_bytes:
        raise ExtractError(
            f"the file has {size:,} bytes, the feed allows {max_bytes:,}",
            remedy="split the file, or raise source.max_bytes in the feed's YAML if this size is right",
            file=path,
        )


def _dated(text: str, business_date: date) -> str:
    return text.replace("{date}", business_date.isoformat()).replace("{day}", f"{business_date:%Y%m%d}")


def _is_leftover(path: Path) -> bool:
    return path.name.startswith(_NEVER_EXTRACTS) or path.name.endswith(_UNFINISHED)
