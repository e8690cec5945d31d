"""Workbooks (.xlsx, .xls, .ods) to rows: every wanted sheet whose header is known, values as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.catalogue.formats import Format
from pipelines.errors import ExtractError
from pipelines.intake.content_kind import Kind
from pipelines.intake.csv_head import unknown_header
from pipelines.intake.header_search import SEARCH_ROWS, Header, KnownHeaders, find_header, unnamed_column
from pipelines.intake.mojibake import Mojibake, mojibake
from pipelines.intake.rows_writer import RowsWriter
from pipelines.intake.workbook_guard import damaged
from pipelines.intake.workbook_lines import sort_lines
from pipelines.intake.workbook_ods import OdsWorkbook
from pipelines.intake.workbook_sheet import SheetCells, Workbook
from pipelines.intake.workbook_xls import XlsWorkbook
from pipelines.intake.workbook_xlsx import XlsxWorkbook

_READERS: Mapping[str, Callable[[Path, str], Workbook]] = {
    "xlsx": XlsxWorkbook,
    "xls": XlsWorkbook,
    "ods": OdsWorkbook,
}
_MOST_LISTED = 50

# Row → column → text for data cells merged downwards.
Fills = dict[int, dict[int, str]]


@dataclass(frozen=True)
class SheetRows:
    """The rows of one sheet in Parquet, with their row numbers as Excel shows them."""

    sheet: str
    path: Path
    header: Header
    row_count: int
    date_system_1904: bool
    manifest: dict[str, Any]


@contextmanager
def open_workbook(path: Path, name: str, kind: Kind) -> Iterator[Workbook]:
    """A workbook of this kind; :class:`ExtractError` when it is damaged, protected or dangerous.

    ``name`` is what the department called the file.
    """
    yield _READERS[kind](path, name)


def read_workbook(
    path: Path,
    name: str,
    known: KnownHeaders,
    layout: Format,
    next_path: Callable[[], Path],
    *,
    kind: Kind,
) -> tuple[list[SheetRows], dict[str, str]]:
    """The sheets that carry a known header, and why each other sheet was left out.

    ``next_path`` names the Parquet file of the next sheet. Raises :class:`ExtractError` for a damaged,
    protected or dangerous workbook, for a declared sheet that is not there, and when no header is known.
    """
    skipped: dict[str, str] = {}
    found: list[SheetRows] = []
    first_width = 0
    with open_workbook(path, name, kind) as workbook:
        for sheet in _chosen(workbook, layout, name, skipped):
            cells = workbook.cells(sheet)
            _refuse_overlaps(cells, name)
            first_width = first_width or len(cells.columns)
            header = _header(cells, known, layout)
            if header is None:
                skipped[sheet] = "empty" if not cells.columns else "no known header"
                continue
            found.append(_rows(sheet, cells, header, known, layout, next_path(), workbook.date_system_1904))
    if not found:
        raise unknown_header(name, first_width, b"", layout, sheet=layout.sheet)
    return found, skipped


def _chosen(workbook: Workbook, layout: Format, name: str, skipped: dict[str, str]) -> Iterator[str]:
    """The sheets to read; a sheet that the feed names itself is read also when it is hidden."""
    names = [sheet.name for sheet in workbook.sheets if sheet.is_worksheet]
    if layout.sheet is not None:
        if layout.sheet not in names:
            raise ExtractError(
                f"there is no sheet {layout.sheet}; the workbook has {', '.join(names)}",
                remedy="mend format.sheet in the feed's YAML, or ask the department for the right workbook",
                file=name,
            )
        skipped.update({sheet.name: "not declared" for sheet in workbook.sheets if sheet.name != layout.sheet})
        yield layout.sheet
        return
    for sheet in workbook.sheets:
        if not sheet.is_worksheet:
            skipped[sheet.name] = "no worksheet"
        elif not fnmatchcase(sheet.name, layout.sheets):
            skipped[sheet.name] = "not declared"
        elif sheet.hidden and layout.hidden_sheets == "skip":
            skipped[sheet.name] = "hidden"
        else:
            yield sheet.name


def _refuse_overlaps(cells: SheetCells, name: str) -> None:
    """Merged ranges do not overlap; a file in which they do could ask for any amount of work."""
    width = len(cells.columns)
    covered = sum(
        max(0, min(bottom + 1, cells.height) - top) * max(0, min(right + 1, width) - left)
        for (top, left), (bottom, right) in cells.merged
    )
    if covered > cells.height * width:
        raise damaged(name)


def _header(cells: SheetCells, known: KnownHeaders, layout: Format) -> Header | None:
    """The header, searched in rows where every cell of a merged range shows its text."""
    head = cells.rows(0, max(SEARCH_ROWS, (layout.header_row or 0) + layout.header_rows))
    for (top, left), (bottom, right) in cells.merged:
        for row in range(top, min(bottom + 1, len(head))):
            for column in range(left, min(right + 1, len(head[row]))):
                head[row][column] = head[top][left]
    spans = [(top, bottom) for (top, _), (bottom, _) in cells.merged if bottom > top]
    fixed = layout.header_row - 1 if layout.header_row is not None else None
    return find_header(head, known, layout, fixed=fixed, spans=spans)


def _rows(
    sheet: str,
    cells: SheetCells,
    header: Header,
    known: KnownHeaders,
    layout: Format,
    path: Path,
    date_system_1904: bool,
) -> SheetRows:
    """Write the rows below the header; say in the manifest what every other line is."""
    fills = _fills(cells, header.last)
    hidden = sorted(row for row in cells.hidden_rows if row > header.last and row < cells.height)
    lines = sort_lines(cells, header, known, fills, leave_out=set(hidden) if layout.hidden_rows == "skip" else ())
    columns = tuple(_filled(column, place, fills) for place, column in enumerate(cells.columns))
    table = _picked(replace(cells, columns=columns).table(header.columns), lines.rows)
    # A column without header and without cells is paper beside the table.
    kept = [
        name
        for position, name in enumerate(header.columns, 1)
        if name != unnamed_column(position) or table[name].null_count < len(table)
    ]
    header = replace(header, columns=tuple(kept))
    with RowsWriter(path, header.columns) as writer:
        start = 0
        for batch in table.select(kept).to_batches():
            writer.add_columns(batch.columns, [line + 1 for line in lines.rows[start : start + len(batch)]])
            start += len(batch)
        # The last rows are compressed in another thread meanwhile.
        traces = sum((mojibake(text) for column in table.select(kept).columns for text in _texts(column)), Mojibake())
    manifest = {
        "sheet": sheet,
        "header_line": header.first + 1,
        "header_rows": header.last - header.first + 1,
        "lines_before_header": header.first,
        "physical_lines": cells.height,
        **lines.manifest(),
        "hidden_rows": len(hidden),
        "hidden_lines": _ranges(hidden),
        "merged_cells_filled": sum(map(len, fills.values())),
        "error_cells": cells.error_cells,
        "formulas_without_value": cells.formulas_without_value,
        "mojibake": asdict(traces),
        "columns": list(header.columns),
        "known_columns": header.known,
        "date_system_1904": date_system_1904,
        "rows": writer.row_count,
    }
    return SheetRows(sheet, path, header, writer.row_count, date_system_1904, manifest)


def _picked(table: pa.Table, rows: list[int]) -> pa.Table:
    """Some rows of a table; most sheets are one block of rows, which costs nothing to cut out."""
    if rows and rows[-1] - rows[0] + 1 == len(rows):
        return table.slice(rows[0], len(rows))
    wanted = [False] * len(table)
    for row in rows:
        wanted[row] = True
    return table.filter(pa.array(wanted, pa.bool_()))


def _texts(column: pa.ChunkedArray[Any]) -> Iterator[bytes]:
    """All text of a column as UTF-8, without borders between cells."""
    for chunk in column.chunks:
        _, places, text = chunk.buffers()
        if len(chunk) and places is not None and text is not None:
            ends = memoryview(places).cast("i")
            yield text[ends[chunk.offset] : ends[chunk.offset + len(chunk)]].to_pybytes()


def _fills(cells: SheetCells, header_last: int) -> Fills:
    """For data cells merged downwards: the text holds for each of their rows.

    A cell merged sideways stands in its first column only: the columns beside it mean something else.
    """
    fills: Fills = {}
    for (top, left), (bottom, _) in cells.merged:
        if top <= header_last or bottom == top or top >= cells.height or left >= len(cells.columns):
            continue
        column = cells.columns[left].slice(top, bottom + 1 - top).to_pylist()
        if column[0] and column[0].strip():
            for row, text in enumerate(column[1:], top + 1):
                if not text:
                    fills.setdefault(row, {})[left] = column[0]
    return fills


def _filled(column: pa.ChunkedArray[Any], place: int, fills: Fills) -> pa.ChunkedArray[Any]:
    texts = {row: cells[place] for row, cells in fills.items() if place in cells}
    if not texts:
        return column
    values = column.to_pylist()
    for row, text in texts.items():
        values[row] = text
    return pa.chunked_array([pa.array(values, pa.string())])


def _ranges(rows: list[int]) -> list[str]:
    """Lines as a person says them: ``5``, ``8-12``; the first of many."""
    spoken: list[tuple[int, int]] = []
    for row in rows:
        if spoken and spoken[-1][1] == row:
            spoken[-1] = (spoken[-1][0], row + 1)
        else:
            spoken.append((row + 1, row + 1))
    return [f"{first}" if first == last else f"{first}-{last}" for first, last in spoken[:_MOST_LISTED]]
