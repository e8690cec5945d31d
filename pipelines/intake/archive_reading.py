"""A zip archive to parts of rows: each entry that is a table is a sheet of the archive.

XML and JSON entries of one kind become one part, however many they are: a pull over HTTP lands every page as an entry.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.sources import HttpSource
from pipelines.errors import ExtractError
from pipelines.intake.archive import MAX_ENTRIES, Archive, Entry, open_archive
from pipelines.intake.content_kind import TABLE_EXTENSIONS, Kind, content_kind
from pipelines.intake.landing import LandedExtract
from pipelines.intake.structured import STRUCTURED
from pipelines.intake.table_reading import Batch, Found, Manifest, RecordGroup, Table, layout_of, read_table

MAX_ENTRY_BYTES = 1 << 30
# What lies beside tables and is none. Text files are not among them: they may be tables.
_TEXTS = frozenset({".pdf", ".doc", ".docx", ".wps", ".ofd", ".rtf", ".ppt", ".pptx", ".md", ".htm", ".html"})
_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff"})
_DESCRIPTIONS = frozenset({".xsd", ".dtd", ".sql", ".log"})
_DOCUMENTS = _TEXTS | _PICTURES | _DESCRIPTIONS
_ARCHIVES = frozenset({".zip", ".rar", ".7z", ".gz", ".tgz", ".tar", ".bz2", ".xz"})
# More manifests of single entries than this say less than their sum.
_MOST_MANIFESTS = 20


def read_archive(batch: Batch, landed: LandedExtract, feed: Feed | None) -> tuple[Found, dict[str, Any]]:
    """Add the rows of all tables in an archive to a batch; also returns what the manifest says about the archive.

    A feed that declares ``format.archive.entries`` has just these read. Otherwise documents and text files without a
    known header are left out by name, and an entry with a table's extension that cannot be read refuses the archive,
    as an archive in the archive does. Raises :class:`ExtractError` with the names of archive and entry.
    """
    source = None if feed is None else feed.source
    max_entries = max(MAX_ENTRIES, source.paging.max_pages) if isinstance(source, HttpSource) else MAX_ENTRIES
    scratch = batch.folder / "entry.unpacked"
    batch.folder.mkdir(parents=True, exist_ok=True)
    with open_archive(landed.path, landed.name, max_entries=max_entries) as archive, ExitStack() as stack:
        reading = _ArchiveReading(batch, archive, landed, feed, scratch, stack)
        try:
            for entry in archive.entries:
                reading.read(entry)
        finally:
            scratch.unlink(missing_ok=True)
    if reading.tables == 0:
        named = ", ".join([*reading.left_out, *reading.junk][:5])
        raise ExtractError(
            f"no table is among the entries of the archive ({named})",
            remedy="ask the department for its table, or mend format.archive.entries in the feed's YAML",
            file=landed.name,
        )
    facts = {
        "entries": len(archive.entries),
        "entries_read": reading.tables,
        "junk_left_out": reading.junk,
        "mojibake": reading.mojibake(),
    }
    return Found(tuple(reading.manifests()), reading.left_out), facts


class _ArchiveReading:
    def __init__(
        self,
        batch: Batch,
        archive: Archive,
        landed: LandedExtract,
        feed: Feed | None,
        scratch: Path,
        stack: ExitStack,
    ) -> None:
        self.left_out: dict[str, str] = {}
        self.junk: list[str] = []
        self.tables = 0
        self._batch = batch
        self._archive = archive
        self._landed = landed
        self._feed = feed
        self._scratch = scratch
        self._stack = stack
        self._groups: dict[Kind, RecordGroup] = {}
        self._sheets: list[Manifest] = []
        self._grouped: dict[Kind, list[Manifest]] = {}
        self._pattern = layout_of(feed).archive.entries

    def read(self, entry: Entry) -> None:
        """Read one entry, or say why not."""
        if entry.is_junk:
            self.junk.append(entry.name)
        elif not fnmatchcase(entry.name, self._pattern):
            self.left_out[entry.name] = "not declared"
        elif self._pattern != "*" or _suffix(entry) in TABLE_EXTENSIONS - {".txt"}:
            self._read(entry)
        elif _suffix(entry) in _DOCUMENTS:
            self.left_out[entry.name] = "a document"
        elif _suffix(entry) in _ARCHIVES:
            raise self._inner_archive(entry)
        else:
            self._read(entry, may_be_letter=True)

    def manifests(self) -> list[Manifest]:
        """One manifest per sheet, or one for many entries that were read as one part."""
        found = list(self._sheets)
        for kind, sheets in self._grouped.items():
            found += sheets if len(sheets) <= _MOST_MANIFESTS else [_summary(kind, sheets)]
        return found

    def mojibake(self) -> dict[str, int]:
        """Traces of wrong conversions in the entries that were read together."""
        found: Counter[str] = Counter()
        for group in self._groups.values():
            found.update(group.mojibake)
        return dict(found)

    def _read(self, entry: Entry, *, may_be_letter: bool = False) -> None:
        source = None if self._feed is None else self._feed.source
        max_bytes = MAX_ENTRY_BYTES if source is None else source.max_bytes
        name = f"{self._landed.name}/{entry.name}"
        size = self._archive.unpack(entry, self._scratch, max_bytes)
        feed = None if self._feed is None else self._feed.for_extract(name)
        rejects_before = self._batch.rejects.count
        kind: Kind | None = None
        try:
            kind = content_kind(self._scratch, name, feed)
            found = self._read_as(kind, feed, entry)
        except ExtractError as error:
            # A letter is text in which no header is found. Whatever else is wrong, rows may have been meant.
            is_letter = kind in {None, "csv"} and self._batch.rejects.count == rejects_before
            if not (may_be_letter and is_letter):
                raise
            unknown = error.problem.startswith("no header that anybody knows")
            self.left_out[entry.name] = "no known header" if unknown else error.problem
            return
        described = [{**sheet, "bytes": size} for sheet in found.sheets]
        if self._is_grouped(kind, feed):
            self._grouped.setdefault(kind, []).extend(described)
        else:
            self._sheets += described
        self.left_out.update(found.left_out)
        self.tables += 1

    def _read_as(self, kind: Kind, feed: Feed | None, entry: Entry) -> Found:
        if kind == "zip":
            raise self._inner_archive(entry)
        table = Table(self._landed, self._scratch, kind, feed, entry.name)
        return self._group(kind).add(table) if self._is_grouped(kind, feed) else read_table(self._batch, table)

    def _is_grouped(self, kind: Kind, feed: Feed | None) -> bool:
        """Entries with settings of their own have columns of their own too."""
        return kind in STRUCTURED and feed == self._feed

    def _group(self, kind: Kind) -> RecordGroup:
        if kind not in self._groups:
            self._groups[kind] = self._stack.enter_context(RecordGroup(self._batch, sheets=True))
        return self._groups[kind]

    def _inner_archive(self, entry: Entry) -> ExtractError:
        return ExtractError(
            "an archive inside the archive is not opened",
            remedy="ask the department to pack its files once, or leave this one out by format.archive.entries",
            file=f"{self._landed.name}/{entry.name}",
        )


def _suffix(entry: Entry) -> str:
    return PurePosixPath(entry.name).suffix.lower()


def _summary(kind: Kind, sheets: list[Manifest]) -> Manifest:
    """What many entries of one kind have in common."""
    columns = dict.fromkeys(column for sheet in sheets for column in sheet["columns"])
    return {
        "sheet": "",
        "kind": kind,
        "entries": len(sheets),
        "first_entry": sheets[0]["sheet"],
        "last_entry": sheets[-1]["sheet"],
        "rows": sum(sheet["rows"] for sheet in sheets),
        "lines_undecoded": sum(sheet["lines_undecoded"] for sheet in sheets),
        "bytes": sum(sheet["bytes"] for sheet in sheets),
        "columns": list(columns),
        "encodings": dict(Counter(sheet["encoding"] for sheet in sheets)),
        "row_paths": dict(Counter(str(sheet["row_path"]) for sheet in sheets)),
        "numbered_by": dict(Counter(sheet["numbered_by"] for sheet in sheets)),
    }
