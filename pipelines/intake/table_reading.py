"""One file to parts of rows, by what kind of file it is: a landed extract, or an entry of an archive."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pipelines.catalogue.categories import Category
from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.formats import Format
from pipelines.catalogue.sources import HttpSource
from pipelines.engine.duck import Session
from pipelines.engine.rows import RowsPart
from pipelines.errors import ExtractError
from pipelines.intake.content_kind import Kind
from pipelines.intake.csv_reader import read_csv
from pipelines.intake.header_search import Header, KnownHeaders, find_header, known_headers
from pipelines.intake.landing import LandedExtract
from pipelines.intake.parquet_reader import read_landed_parquet
from pipelines.intake.records_writer import RecordsWriter
from pipelines.intake.rejects import Reject, RejectLog
from pipelines.intake.structured import STRUCTURED, open_records
from pipelines.intake.workbook_reader import read_workbook

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Found:
    """What reading a file found out: a manifest for each sheet, and why other sheets were left out."""

    sheets: tuple[Manifest, ...]
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass
class Batch:
    """Where the rows of one batch go, and what of them is there."""

    session: Session
    category: Category
    folder: Path
    rejects: RejectLog
    parts: list[RowsPart] = field(default_factory=list)
    row_count: int = 0
    _files: int = 0

    def next_path(self) -> Path:
        """A Parquet file that no part has yet."""
        self._files += 1
        return self.folder / f"{self._files - 1:03d}.parquet"

    def add_part(
        self,
        table: Table,
        path: Path,
        header: Header,
        row_count: int,
        *,
        first_line: int | None = None,
        sheet: str | None = None,
        together: bool = False,
        date_system_1904: bool = False,
    ) -> None:
        """Append a part; its rows are numbered after those that are there.

        ``together``: ``table`` is only one of those that the rows come from, and each row has its own sheet.
        """
        self.parts.append(
            RowsPart(
                extract=table.extract.sha256,
                extract_name=table.extract.name if together else table.name,
                sheet="" if together else sheet or table.entry,
                path=path,
                columns=header.columns,
                row_offset=self.row_count,
                row_count=row_count,
                first_line=first_line,
                template=header.template,
                fixed_subject_kind=header.fixed_subject_kind,
                date_system_1904=date_system_1904,
                sheet_column=together,
                names_left_out=table.kind in {"xml", "json", "jsonl"},
            )
        )
        self.row_count += row_count


@dataclass(frozen=True)
class Table:
    """One file to read: its content lies at ``path``; ``entry`` is its name in the archive that ``extract`` is.

    ``feed`` is the feed as it holds for this file.
    """

    extract: LandedExtract
    path: Path
    kind: Kind
    feed: Feed | None
    entry: str = ""

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.extract.name}/{self.entry}" if self.entry else self.extract.name

    @property
    def layout(self) -> Format:
        return layout_of(self.feed)

    def known(self, category: Category) -> KnownHeaders:
        return known_headers(category, self.feed)


def layout_of(feed: Feed | None) -> Format:
    """How the files of a feed are to be read; in answers over HTTP the source says where the rows are."""
    if feed is None:
        return Format()
    if isinstance(feed.source, HttpSource):
        return feed.format.model_copy(update={"row_path": feed.source.rows_path})
    return feed.format


def read_table(batch: Batch, table: Table) -> Found:
    """Add the rows of one file to a batch.

    Raises :class:`ExtractError` when the file is not of the declared kind, is damaged, or has no header that is known.
    """
    declared = table.layout.kind
    if declared not in {"auto", table.kind} and table.kind != "parquet":
        raise ExtractError(
            f"the file is {table.kind}, the feed declares {declared}",
            remedy="ask the department for the declared format, or set format.kind in the feed's YAML",
            file=table.name,
        )
    if table.kind == "csv":
        return _read_csv(batch, table)
    if table.kind == "parquet":
        return _read_parquet(batch, table)
    if table.kind in STRUCTURED:
        with RecordGroup(batch, sheets=False) as group:
            found = group.add(table)
        found.sheets[0]["mojibake"] = group.mojibake
        return found
    return _read_workbook(batch, table)


class RecordGroup:
    """XML, JSON or JSON lines to one part: a single file, or with ``sheets`` entries of one archive in any number."""

    def __init__(self, batch: Batch, *, sheets: bool) -> None:
        self._batch = batch
        self._sheets = sheets
        self._writer = RecordsWriter(batch.next_path(), sheets=sheets)
        self._table: Table | None = None
        self._known: dict[tuple[str, ...], int] = {}

    def __enter__(self) -> RecordGroup:
        self._writer.__enter__()
        return self

    def __exit__(self, *failure: Any) -> None:
        self._writer.__exit__(*failure)
        if failure[0] is None and self._table is not None and self._writer.row_count:
            header = _header_of(self._writer.columns, self._table, self._batch)
            rows = self._writer.row_count
            self._batch.add_part(self._table, self._writer.target, header, rows, together=self._sheets)

    @property
    def mojibake(self) -> dict[str, int]:
        """Traces of wrong conversions in everything that was written, by kind."""
        return asdict(self._writer.traces)

    def add(self, table: Table) -> Found:
        """Read one file; raises :class:`ExtractError` when nobody knows any name in its records."""
        self._table = self._table or table
        rejects = _Rejects(self._batch, table)
        opened = open_records(table.path, table.name, table.kind, table.layout, rejects.keep)
        before = self._writer.record_count
        names, by_line = self._writer.add_sheet(opened.records, table.name, table.entry)
        rows = self._writer.record_count - before
        if rows == 0 and rejects.count > 0:
            raise ExtractError(
                "none of its lines is a record",
                remedy="ask the department to export it again, or set format.kind in the feed's YAML",
                file=table.name,
            )
        # Pages have the same fields one like the other.
        if names not in self._known:
            self._known[names] = _header_of(names, table, self._batch).known
        known = self._known[names]
        if rows and known == 0:
            raise ExtractError(
                f"no field that anybody knows is among the {len(names)} of its records",
                remedy="name the source's columns under columns: in the feed's YAML, or set format.row_path if the "
                "rows lie elsewhere",
                file=table.name,
            )
        manifest = {
            **opened.manifest(),
            "numbered_by": "line" if by_line else "record",
            "columns": list(names),
            "known_columns": known,
        }
        prefix = f"{table.entry}/" if table.entry else ""
        left_out = {f"{prefix}{other}": reason for other, reason in opened.left_out.items()}
        return Found((_sheet_manifest(table, rows, rejects.count, manifest),), left_out)


@dataclass
class _Rejects:
    """What is no row of one file, on its way to the rejects of the batch."""

    batch: Batch
    table: Table
    count: int = 0

    def keep(self, reject: Reject) -> None:
        self.count += 1
        self.batch.rejects.add(self.table.extract.sha256, self.table.name, self.table.entry, reject)


def _header_of(columns: tuple[str, ...], table: Table, batch: Batch) -> Header:
    """Columns that have names instead of a header row."""
    header = find_header([columns], table.known(batch.category), Format(), fixed=0)
    if header is None:
        raise LookupError("a row of names is always its own header")
    return header


def _sheet_manifest(table: Table, rows: int, rejects: int, facts: Manifest) -> Manifest:
    return {"sheet": table.entry, "kind": table.kind, "rows": rows, "lines_undecoded": rejects, **facts}


def _read_csv(batch: Batch, table: Table) -> Found:
    target = batch.next_path()
    rejects = _Rejects(batch, table)
    known = table.known(batch.category)
    found = read_csv(batch.session, table.path, table.name, known, table.layout, target, rejects.keep)
    batch.add_part(table, target, found.header, found.row_count, first_line=found.first_line)
    facts = {**found.manifest, "template": found.header.template}
    return Found((_sheet_manifest(table, found.row_count, found.reject_count, facts),))


def _read_parquet(batch: Batch, table: Table) -> Found:
    target = batch.next_path()
    columns, rows = read_landed_parquet(table.extract, target)
    header = _header_of(columns, table, batch)
    if header.known == 0:
        raise ExtractError(
            "no column of the table is known",
            remedy="name its columns under columns: in the feed's YAML",
            file=table.name,
        )
    batch.add_part(table, target, header, rows, first_line=1)
    return Found((_sheet_manifest(table, rows, 0, {"columns": list(columns), "known_columns": header.known}),))


def _read_workbook(batch: Batch, table: Table) -> Found:
    known = table.known(batch.category)
    prefix = f"{table.entry}/" if table.entry else ""
    sheets, left_out = read_workbook(table.path, table.name, known, table.layout, batch.next_path, kind=table.kind)
    manifests: list[Manifest] = []
    for found in sheets:
        sheet = f"{prefix}{found.sheet}"
        system = found.date_system_1904
        batch.add_part(table, found.path, found.header, found.row_count, sheet=sheet, date_system_1904=system)
        facts = {**found.manifest, "sheet": sheet, "template": found.header.template}
        manifests.append(_sheet_manifest(table, found.row_count, 0, facts))
    return Found(tuple(manifests), {f"{prefix}{sheet}": reason for sheet, reason in left_out.items()})
