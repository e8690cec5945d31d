"""Workbooks (.xlsx, .xls) to rows: every visible sheet whose header is known, values as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import python_calamine as calamine

from pipelines.catalogue.formats import Format
from pipelines.errors import ExtractError
from pipelines.intake.csv_head import unknown_header
from pipelines.intake.header_search import SEARCH_ROWS, Header, KnownHeaders, find_header
from pipelines.intake.rows_writer import RowsWriter
from pipelines.intake.workbook_guard import ErrorCells, WorkbookFacts, inspect_workbook
from pipelines.intake.workbook_values import text_of

Grid = list[list[str]]
# Top left and bottom right of each merged range, (row, column) 0-based.
Merged = Sequence[tuple[tuple[int, int], tuple[int, int]]]
_BATCH = 2_000
# A note row (合计, 制表日期, 填表说明) fills one cell of a table that has at least this many columns.
_NOTES_FROM_COLUMNS = 3


@dataclass(frozen=True)
class SheetRows:
    """The rows of one sheet in Parquet, with their row numbers as Excel shows them."""

    sheet: str
    path: Path
    header: Header
    row_count: int
    date_system_1904: bool
    manifest: dict[str, Any]


def read_workbook(
    path: Path,
    name: str,
    known: KnownHeaders,
    layout: Format,
    next_path: Callable[[], Path],
    *,
    is_zip: bool,
) -> tuple[list[SheetRows], dict[str, str]]:
    """The sheets that carry a known header, and why each other sheet was left out.

    ``next_path`` names the Parquet file of the next sheet. Raises :class:`ExtractError` for a damaged,
    protected or dangerous workbook, for a declared sheet that is not there, and when no header is known.
    """
    facts = inspect_workbook(path, name) if is_zip else WorkbookFacts()
    skipped: dict[str, str] = {}
    found: list[SheetRows] = []
    first_width = 0
    with _opened(path, name) as workbook:
        for sheet in _chosen(workbook, layout.sheet, name, skipped):
            grid, merged = _grid(workbook, sheet, name, facts.errors_of(sheet))
            first_width = first_width or max((len(row) for row in grid[:1]), default=0)
            header = _header(grid, merged, known, layout)
            if header is None:
                skipped[sheet] = "empty" if not any(map(any, grid)) else "no known header"
                continue
            found.append(_rows(sheet, grid, merged, header, next_path(), facts.date_system_1904))
    if not found:
        raise unknown_header(name, first_width, b"", layout, sheet=layout.sheet)
    return found, skipped


def _opened(path: Path, name: str) -> calamine.CalamineWorkbook:
    try:
        with path.open("rb") as stream:
            return calamine.CalamineWorkbook.from_filelike(stream)
    except calamine.PasswordError as error:
        raise ExtractError(
            "the workbook is protected with a password",
            remedy="ask the department to remove the password and to send it again",
            file=name,
        ) from error
    except calamine.CalamineError as error:
        raise _damaged(name) from error


def _damaged(name: str) -> ExtractError:
    return ExtractError(
        "the workbook is damaged and cannot be read",
        remedy="ask the department to open it in Excel or WPS, save it again and send it again",
        file=name,
    )


def _chosen(
    workbook: calamine.CalamineWorkbook, declared: str | None, name: str, skipped: dict[str, str]
) -> Iterator[str]:
    sheets = [sheet for sheet in workbook.sheets_metadata if sheet.typ == calamine.SheetTypeEnum.WorkSheet]
    if declared is not None:
        if declared not in {sheet.name for sheet in sheets}:
            raise ExtractError(
                f"there is no sheet {declared}; the workbook has {', '.join(sheet.name for sheet in sheets)}",
                remedy="mend format.sheet in the feed's YAML, or ask the department for the right workbook",
                file=name,
            )
        yield declared
        return
    for sheet in sheets:
        if sheet.visible == calamine.SheetVisibleEnum.Visible:
            yield sheet.name
        else:
            skipped[sheet.name] = "hidden"


def _grid(workbook: calamine.CalamineWorkbook, sheet: str, name: str, errors: ErrorCells) -> tuple[Grid, Merged]:
    """All cells from A1 on as text, and the merged ranges; error cells show their error."""
    try:
        opened = workbook.get_sheet_by_name(sheet)
        grid = [[text_of(value) for value in row] for row in opened.to_python(skip_empty_area=False)]
    except calamine.CalamineError as error:
        raise _damaged(name) from error
    for (row, column), text in errors.items():
        while row >= len(grid):
            grid.append([])
        grid[row].extend([""] * (column + 1 - len(grid[row])))
        grid[row][column] = text
    width = max(map(len, grid), default=0)
    for cells in grid:
        cells.extend([""] * (width - len(cells)))
    return grid, opened.merged_cell_ranges or []


def _header(grid: Grid, merged: Merged, known: KnownHeaders, layout: Format) -> Header | None:
    """The header, searched in rows where every cell of a merged range shows its text."""
    head = [list(row) for row in grid[: max(SEARCH_ROWS, (layout.header_row or 0) + layout.header_rows)]]
    for (top, left), (bottom, right) in merged:
        for row in range(top, min(bottom + 1, len(head))):
            for column in range(left, min(right + 1, len(head[row]))):
                head[row][column] = head[top][left]
    spans = [(top, bottom) for (top, _), (bottom, _) in merged if bottom > top]
    fixed = layout.header_row - 1 if layout.header_row is not None else None
    return find_header(head, known, layout, fixed=fixed, spans=spans)


def _rows(
    sheet: str,
    grid: Grid,
    merged: Merged,
    header: Header,
    path: Path,
    date_system_1904: bool,
) -> SheetRows:
    """Rows after the header. Rows without any cell and rows of one note are counted, not kept as rows."""
    width = len(header.columns)
    fills = _fills(grid, merged, header.last)
    blank_lines: list[int] = []
    notes: list[dict[str, Any]] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    with RowsWriter(path, header.columns) as writer:
        for index in range(header.last + 1, len(grid)):
            cells = grid[index]
            filled = sum(1 for cell in cells if cell.strip())
            if filled == 0:
                blank_lines.append(index + 1)
                continue
            fill = fills.get(index, {})
            if filled == 1 and not fill and width >= _NOTES_FROM_COLUMNS:
                notes.append(_note(index, cells))
                continue
            rows.append([fill.get(column, cell) for column, cell in enumerate(cells)])
            lines.append(index + 1)
            if len(rows) >= _BATCH:
                writer.add(rows, lines)
                rows, lines = [], []
        writer.add(rows, lines)
    manifest = {
        "sheet": sheet,
        "header_line": header.first + 1,
        "header_rows": header.last - header.first + 1,
        "lines_before_header": header.first,
        "physical_lines": len(grid),
        "blank_lines": len(blank_lines),
        "note_rows": notes,
        "merged_cells_filled": sum(map(len, fills.values())),
        "columns": list(header.columns),
        "known_columns": header.known,
        "date_system_1904": date_system_1904,
        "rows": writer.row_count,
    }
    return SheetRows(sheet, path, header, writer.row_count, date_system_1904, manifest)


def _note(index: int, cells: list[str]) -> dict[str, Any]:
    column = next(column for column, cell in enumerate(cells) if cell.strip())
    return {"line": index + 1, "column": column + 1, "characters": len(cells[column].strip())}


def _fills(grid: Grid, merged: Merged, header_last: int) -> dict[int, dict[int, str]]:
    """Row → column → text for data cells merged downwards: the text holds for each of the rows.

    A cell merged sideways stands in its first column only: the columns beside it mean something else.
    """
    fills: dict[int, dict[int, str]] = {}
    for (top, left), (bottom, _) in merged:
        if top <= header_last or top >= len(grid) or left >= len(grid[top]) or not grid[top][left].strip():
            continue
        for row in range(top + 1, min(bottom + 1, len(grid))):
            if not grid[row][left]:
                fills.setdefault(row, {})[left] = grid[top][left]
    return fills
