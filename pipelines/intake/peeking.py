"""A first look at a file that no feed describes yet: what it is, where its tables stand and what is in them.

Reads the start of a file only. Nothing is landed, written or judged.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from pipelines.catalogue.formats import Format
from pipelines.catalogue.headers import normalise_header
from pipelines.errors import ExtractError
from pipelines.intake.archive import open_archive
from pipelines.intake.content_kind import Kind, content_kind
from pipelines.intake.csv_head import DELIMITERS
from pipelines.intake.decoding import Decoder, byte_order_mark, dominant_encoding
from pipelines.intake.header_search import SEARCH_ROWS, KnownHeaders, find_header
from pipelines.intake.structured import STRUCTURED, open_records
from pipelines.intake.utf16 import utf16_form
from pipelines.intake.workbook_reader import open_workbook

SAMPLE_ROWS = 200
# Entries of an archive that are looked into, and how large one may be unpacked.
_MOST_ENTRIES = 20
_MOST_ENTRY_BYTES = 256 << 20
_HEAD_BYTES = 256 << 10
_LONGEST_HEADER = 40
_MOST_HEADER_ROWS = 3
_UNNAMED = re.compile("第[0-9]+列")
_NUMBER_OR_DATE = re.compile(r"[-+]?[0-9][0-9,.\s/:年月日E+-]*%?")
# A row that names a company or holds a code is somebody's data, whatever stands beside it.
_DATA = re.compile(r"\x00|[0-9A-Za-z*]*[0-9*]{6,}|公司(?:[(（].*)?$|某某|^[\u4e00-\u9fff]\*+$")

Grid = list[list[str]]
Numbered = list[tuple[int, list[str]]]


@dataclass(frozen=True)
class SampleTable:
    """One table of a sample: a CSV, a sheet, the records of XML or JSON, an entry of an archive.

    ``header_line`` counts as a person does; 0 where a format has no header line. ``known`` says how many headers a
    category knows, ``rows`` are the first rows, each as wide as ``columns``.
    """

    sheet: str
    header_line: int
    header_rows: int
    known: int
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Sample:
    """What a file is and the tables found in it.

    ``kind`` is what the tables are in, also where the file is an archive of them. ``left_out`` says why other sheets
    and entries were not looked at.
    """

    name: str
    kind: Kind
    tables: tuple[SampleTable, ...]
    left_out: dict[str, str] = field(default_factory=dict)
    encoding: str | None = None
    delimiter: str | None = None
    row_path: str | None = None
    archive: bool = False


def peek(path: Path, known: frozenset[str]) -> Sample:
    """Look at a file. ``known`` are the headers, normalised, that any category knows.

    Raises :class:`ExtractError` when the file is none that can be read, or has no row that looks like a header.
    """
    if not path.is_file():
        raise ExtractError("there is no such file", file=path, remedy="check the name")
    sample = _look(path, path.name, KnownHeaders(known, 0, ()))
    if not sample.tables:
        raise ExtractError(
            "nothing in it looks like a header with rows below",
            remedy="check that this is the table itself; a form, a picture or a page of text has no rows to map",
            file=path.name,
        )
    return sample


def _look(path: Path, name: str, known: KnownHeaders) -> Sample:
    kind = content_kind(path, name)
    if kind == "zip":
        return _archive(path, name, known)
    if kind == "csv":
        return _text(path, name, known)
    if kind in STRUCTURED:
        return _records(path, name, kind, known)
    return _workbook(path, name, kind, known)


def _archive(path: Path, name: str, known: KnownHeaders) -> Sample:
    """The tables of the first entries, all of the kind that the first readable one has."""
    found: Sample | None = None
    tables: list[SampleTable] = []
    left_out: dict[str, str] = {}
    with open_archive(path, name) as archive, tempfile.TemporaryDirectory(prefix="guiji-peek-") as scratch:
        entries = [entry for entry in archive.entries if not entry.is_junk]
        for entry in entries[:_MOST_ENTRIES]:
            target = Path(scratch) / "entry"
            archive.unpack(entry, target, _MOST_ENTRY_BYTES)
            try:
                inside = _look(target, f"{name}/{entry.name}", known)
            except ExtractError as error:
                left_out[entry.name] = error.problem
                continue
            reason = _other(inside, found)
            if reason is not None:
                left_out[entry.name] = reason
                continue
            found = found or inside
            tables += [replace(table, sheet=f"{entry.name}/{table.sheet}".rstrip("/")) for table in inside.tables]
            left_out |= {f"{entry.name}/{sheet}": reason for sheet, reason in inside.left_out.items()}
    if len(entries) > _MOST_ENTRIES:
        left_out[f"{len(entries) - _MOST_ENTRIES} more entries"] = "not looked at"
    if found is None:
        return Sample(name, "zip", (), left_out, archive=True)
    return replace(found, name=name, tables=tuple(tables), left_out=left_out, archive=True)


def _other(inside: Sample, found: Sample | None) -> str | None:
    """Why an entry is not read together with the first one."""
    if inside.archive:
        return "an archive"
    return None if found is None or inside.kind == found.kind else f"{inside.kind}, the first entry is {found.kind}"


def _records(path: Path, name: str, kind: Kind, known: KnownHeaders) -> Sample:
    """The first records of XML or JSON: their columns are those that any of them has, in the order of appearance."""
    opened = open_records(path, name, kind, Format(), lambda _reject: None)
    records = [cells for _, cells in islice(opened.records, SAMPLE_ROWS)]
    columns = tuple(dict.fromkeys(column for cells in records for column in cells))
    rows = tuple(tuple(cells.get(column) or "" for column in columns) for cells in records)
    headers = sum(normalise_header(column) in known.names for column in columns)
    tables = (SampleTable("", 0, 0, headers, columns, rows),) if columns else ()
    return Sample(name, kind, tables, dict(opened.left_out), opened.encoding, row_path=opened.row_path)


def _text(path: Path, name: str, known: KnownHeaders) -> Sample:
    text, encoding = _decoded_head(path)
    best: tuple[tuple[int, float, int], str, SampleTable] | None = None
    for delimiter, character in DELIMITERS.items():
        numbered = _csv_rows(text, character)
        table = _table("", numbered, known, ())
        if table is None:
            continue
        widths = Counter(len(cells) for _, cells in numbered)
        width, agreeing = widths.most_common(1)[0]
        rank = (table.known, agreeing / len(numbered) if width > 1 else 0.0, width)
        if best is None or rank > best[0]:
            best = (rank, delimiter, table)
    if best is None:
        return Sample(name, "csv", (), encoding=encoding)
    return Sample(name, "csv", (best[2],), encoding=encoding, delimiter=best[1])


def _decoded_head(path: Path) -> tuple[str, str]:
    """The first lines as text and the encoding; a line that is in none becomes an empty one, so that lines count."""
    with path.open("rb") as reader:
        data = reader.read(_HEAD_BYTES)
        whole = not reader.read(1)
    form = utf16_form(data)
    if form is not None:
        return codecs.getincrementaldecoder(form.codec)("replace").decode(data[form.mark :]), "utf-16"
    encoding, mark = byte_order_mark(data)
    lines = data[mark:].splitlines()
    if not whole and len(lines) > 1:
        del lines[-1]
    decoder = Decoder(dominant_encoding(b"\n".join(lines)))
    decoded = [decoder.line(line) for line in lines]
    return "\n".join(found[0] if found else "" for found in decoded), encoding or decoder.dominant


def _csv_rows(text: str, delimiter: str) -> Numbered:
    """The first records, each with the line it starts on."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    numbered: Numbered = []
    line = 1
    try:
        for cells in reader:
            numbered.append((line, cells))
            line = reader.line_num + 1
            if len(numbered) > SEARCH_ROWS + SAMPLE_ROWS:
                break
    except csv.Error:
        # A quote that is never closed makes one cell of all that follows; what came before it is sample enough.
        return numbered
    return numbered


def _workbook(path: Path, name: str, kind: Kind, known: KnownHeaders) -> Sample:
    tables: list[SampleTable] = []
    left_out: dict[str, str] = {}
    with open_workbook(path, name, kind) as workbook:
        for sheet in workbook.sheets:
            if not sheet.is_worksheet or sheet.hidden:
                left_out[sheet.name] = "hidden" if sheet.hidden else "no worksheet"
                continue
            cells = workbook.cells(sheet.name)
            grid = cells.rows(0, SEARCH_ROWS + SAMPLE_ROWS)
            spans = _fill_merged(grid, cells.merged)
            table = _table(sheet.name, list(enumerate(grid, 1)), known, spans)
            if table is None:
                left_out[sheet.name] = "no header" if any(map(any, grid)) else "empty"
            else:
                tables.append(table)
    return Sample(name, kind, tuple(tables), left_out)


def _fill_merged(grid: Grid, merged: Sequence[tuple[tuple[int, int], tuple[int, int]]]) -> list[tuple[int, int]]:
    """Show the text of merged cells of the first rows in each of them; returns first and last rows of tall ones."""
    for (top, left), (bottom, right) in merged:
        for row in range(top, min(bottom + 1, SEARCH_ROWS, len(grid))):
            for column in range(left, min(right + 1, len(grid[row]))):
                grid[row][column] = grid[top][left]
    return [(top, bottom) for (top, _), (bottom, _) in merged if bottom > top]


def _table(sheet: str, numbered: Numbered, known: KnownHeaders, spans: Sequence[tuple[int, int]]) -> SampleTable | None:
    """The table below the row that carries the most known headers, or else below the first that looks like one."""
    rows = [cells for _, cells in numbered]
    header = find_header(rows, known, Format(), spans=spans)
    if header is None:
        likely = _likely_header(rows)
        if likely is None:
            return None
        crossing = [(top, bottom) for top, bottom in spans if top <= likely <= bottom < top + _MOST_HEADER_ROWS]
        first = min((top for top, _ in crossing), default=likely)
        last = max((bottom for _, bottom in crossing), default=likely)
        header = find_header(rows, known, Format(header_rows=last - first + 1), fixed=first)
        if header is None:
            return None
    below = [cells for cells in rows[header.last + 1 :] if any(cell.strip() for cell in cells)][:SAMPLE_ROWS]
    # A column without header and without cells is paper beside the table.
    kept = [
        (place, name)
        for place, name in enumerate(header.columns)
        if not _UNNAMED.fullmatch(name) or any(place < len(cells) and cells[place].strip() for cells in below)
    ]
    if len(kept) == 1 and header.known == 0:
        return None
    return SampleTable(
        sheet=sheet,
        header_line=numbered[header.first][0],
        header_rows=header.last - header.first + 1,
        known=header.known,
        columns=tuple(name for _, name in kept),
        rows=tuple(tuple(cells[place] if place < len(cells) else "" for place, _ in kept) for cells in below),
    )


def _likely_header(rows: Sequence[Sequence[str]]) -> int | None:
    """The first row whose cells are mostly filled, short, different from each other and no numbers or dates.

    Headers are shown and written to files: a row that may be data is not taken for one.
    """
    searched = rows[:SEARCH_ROWS]
    widest = max((sum(1 for cell in cells if cell.strip()) for cells in rows), default=0)
    for index, cells in enumerate(searched):
        filled = [cell.strip() for cell in cells if cell.strip()]
        if any(_DATA.search(cell) for cell in filled):
            continue
        telling = [cell for cell in filled if len(cell) <= _LONGEST_HEADER and not _NUMBER_OR_DATE.fullmatch(cell)]
        if len(telling) * 2 > widest and len(telling) * 5 >= len(filled) * 4 and len(set(filled)) * 2 > len(filled):
            return index
    return None
