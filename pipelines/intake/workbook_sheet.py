"""What every kind of workbook gives: sheets by name, and the cells of one as columns of text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import pyarrow as pa

from pipelines.intake.workbook_values import CellValue, texts_of

Cell = tuple[int, int]
# Rows are converted in batches of this many: few enough to stay in the processor's cache.
_BATCH = 4096


@dataclass(frozen=True)
class SheetName:
    """A sheet as the workbook lists it; chart and macro sheets are no worksheets."""

    name: str
    hidden: bool
    is_worksheet: bool = True


@dataclass(frozen=True)
class SheetCells:
    """All cells of a sheet from A1 on, as text; an empty cell is NULL. Rows and columns are counted from 0.

    ``merged``: top left and bottom right of each merged range. ``hidden_rows`` are hidden by hand or by a filter.
    ``formulas_without_value``: cells whose formula was never computed; they show the formula itself.
    """

    columns: tuple[pa.ChunkedArray[Any], ...]
    height: int
    merged: Sequence[tuple[Cell, Cell]] = ()
    hidden_rows: frozenset[int] = frozenset()
    error_cells: int = 0
    formulas_without_value: int = 0

    def table(self, names: Sequence[str] | None = None) -> pa.Table:
        """The columns under these names, or under their numbers."""
        return pa.Table.from_arrays(list(self.columns), names=list(names or map(str, range(len(self.columns)))))

    def rows(self, first: int, count: int) -> list[list[str]]:
        """Some rows as lists of text, empty cells as empty text."""
        columns = [column.slice(first, count).to_pylist() for column in self.columns]
        return [[text or "" for text in row] for row in zip(*columns, strict=True)]


class Workbook(Protocol):
    """A workbook that has been found safe to read."""

    sheets: Sequence[SheetName]
    date_system_1904: bool

    def cells(self, sheet: str) -> SheetCells:
        """The cells of one worksheet; :class:`ExtractError` when it is damaged or far too large."""
        ...

    def formulas(self, sheet: str) -> frozenset[Cell]:
        """The cells of one worksheet whose value is computed, as far as the format tells."""
        ...


class ColumnBuilder:
    """Makes text columns of rows of values, which may differ in length; ``marks`` are put in place of values."""

    def __init__(self, marks: Mapping[Cell, str] | None = None) -> None:
        self.height = 0
        self._columns: list[list[pa.Array[Any]]] = []
        self._waiting: list[Sequence[CellValue]] = []
        self._marked: dict[int, dict[int, str]] = {}
        for (row, column), text in (marks or {}).items():
            self._marked.setdefault(row, {})[column] = text

    def add(self, rows: Iterable[Sequence[CellValue]]) -> None:
        """Append rows, each from its first column on."""
        coming = iter(rows)
        while batch := list(islice(coming, _BATCH - len(self._waiting))):
            self._waiting += batch
            self.height += len(batch)
            if len(self._waiting) == _BATCH:
                self._convert()

    def build(self) -> tuple[pa.ChunkedArray[Any], ...]:
        """The columns; call it once, at the end. Marks below the last row add rows."""
        last_mark = max(self._marked, default=-1)
        self.add([()] * (last_mark + 1 - self.height))
        self._convert()
        return tuple(pa.chunked_array(chunks, pa.string()) for chunks in self._columns)

    def _convert(self) -> None:
        rows, self._waiting = self._waiting, []
        if not rows:
            return
        first = self.height - len(rows)
        for row in self._marked.keys() & range(first, self.height) if self._marked else ():
            rows[row - first] = _with_marks(rows[row - first], self._marked[row])
        width = max(map(len, rows))
        if min(map(len, rows)) != width:
            rows = [(*row, *[""] * (width - len(row))) for row in rows]
        columns = [texts_of(column) for column in zip(*rows, strict=True)]
        while len(self._columns) < len(columns):
            self._columns.append([pa.nulls(first, pa.string())])
        missing = pa.nulls(len(rows), pa.string())
        for position, chunks in enumerate(self._columns):
            chunks.append(columns[position] if position < len(columns) else missing)


def _with_marks(row: Sequence[CellValue], marks: Mapping[int, str]) -> Sequence[CellValue]:
    cells = [*row, *[""] * (max(marks) + 1 - len(row))]
    for column, text in marks.items():
        cells[column] = text
    return cells
