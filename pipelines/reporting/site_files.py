"""Files of the report site: written whole or not at all, and only when they say something new."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from pipelines.errors import StorageError

TEMPLATES = Path(__file__).parent / "templates"
ASSETS = ("style.css", "site.js")
MANIFEST = "manifest.json"
# Raise it when the Python side of the pages says something else with the same templates.
PAGES_VERSION = 1


def write_if_new(path: Path, text: str) -> bool:
    """Write a file beside its place and rename it, unless it holds the same text already; whether it was written.

    Like everything below the home folder it is its owner's alone: who shows the pages to others copies them.

    Raises :class:`StorageError` when the disk refuses.
    """
    data = text.encode()
    beside: Path | None = None
    try:
        if path.is_file() and path.read_bytes() == data:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        beside = Path(temporary)
        with os.fdopen(descriptor, "wb") as page:
            page.write(data)
        beside.replace(path)
    except OSError as error:
        if beside is not None:
            beside.unlink(missing_ok=True)
        raise StorageError(
            f"the page cannot be written: {error.strerror}",
            file=path,
            remedy="free disk space or mend permissions, then make the report again",
        ) from error
    return True


@cache
def templates_hash() -> str:
    """Changes with the templates of the pages; style and script are files of their own and do not count."""
    digest = hashlib.sha256(str(PAGES_VERSION).encode())
    for path in sorted(TEMPLATES.glob("*.j2")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def fingerprint(*parts: object) -> str:
    """A short hash of what a page was made from."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


@dataclass
class BatchEntry:
    """What the page of a batch was made from, and what other pages need of it.

    ``run`` is the run that the page shows. ``inputs`` hashes the run and its deliveries, ``texts`` the texts of the
    ``rules`` that the page names, ``proposals`` the withdrawals on it. ``reasons`` are (code, severity, rows, sole);
    None when the run's rows had been cleared. ``lines`` is what the workbook holds, 0 when there is none. ``delivery``
    is how the deliveries stood.
    """

    run: str
    inputs: str
    texts: str
    templates: str
    proposals: str
    rules: list[str]
    reasons: list[tuple[str, str, int, int]] | None
    lines: int
    delivery: list[Any]


@dataclass
class Manifest:
    """What the site was built from the last time: entries by ``date/feed``, and what the whole site stood on."""

    batches: dict[str, BatchEntry] = field(default_factory=dict)
    settled_until: datetime | None = None
    templates: str = ""

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest of a site; an empty one for a site that was never built, or whose manifest cannot be read.

        Without it everything is built anew: nothing is lost by that but time.
        """
        path = folder / ".build" / MANIFEST
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            settled = data["settled_until"]
            return cls(
                {key: BatchEntry(*entry) for key, entry in data["batches"].items()},
                None if settled is None else datetime.fromisoformat(settled),
                data["templates"],
            )
        except (OSError, ValueError, KeyError, TypeError):
            return cls()

    def write(self, folder: Path) -> None:
        settled = None if self.settled_until is None else self.settled_until.isoformat()
        batches = {key: list(vars(entry).values()) for key, entry in sorted(self.batches.items())}
        data = {"templates": self.templates, "settled_until": settled, "batches": batches}
        write_if_new(folder / ".build" / MANIFEST, json.dumps(data, ensure_ascii=False, separators=(",", ":")))


class SiteFiles:
    """The folder of the site, and which files of it there are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pages: list[Path] = []
        self._present: dict[str, set[str]] = {}

    def page(self, path: str, text: str) -> Path:
        """Write one page; ``path`` is below the site's folder."""
        place = self.folder / path
        write_if_new(place, text)
        self.pages.append(place)
        return place

    def assets(self) -> None:
        for name in ASSETS:
            write_if_new(self.folder / "assets" / name, (TEMPLATES / name).read_text(encoding="utf-8"))

    def has(self, paths: Iterable[str]) -> bool:
        """Whether all these files are there; each folder is read once."""
        return all(self._is_there(path) for path in paths)

    def _is_there(self, path: str) -> bool:
        folder, _, name = path.rpartition("/")
        if folder not in self._present:
            place = self.folder / folder
            self._present[folder] = set(os.listdir(place)) if place.is_dir() else set()  # noqa: PTH208 - names only
        return name in self._present[folder]
