"""OpenDocument spreadsheets (.ods), parsed by lxml.

calamine reads them faster, but drops line breaks and errors, tells neither hidden rows nor merged cells, keeps the last
of two sheets of one name, and makes as many rows as a file claims to repeat.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lxml import etree

from pipelines.intake.workbook_guard import (
    MAX_TEXT_BYTES,
    Package,
    damaged,
    protected,
    refuse_entities,
    refuse_giant_grid,
    refuse_too_much_text,
)
from pipelines.intake.workbook_ods_values import open_name, shown_text, stored_value
from pipelines.intake.workbook_sheet import Cell, ColumnBuilder, SheetCells, SheetName
from pipelines.intake.workbook_values import CellValue

_CALC_TYPE = "{urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0}value-type"

_SPREADSHEET = open_name("office", "spreadsheet")
_TABLE, _ROW = open_name("table", "table"), open_name("table", "table-row")
_CELLS = (open_name("table", "table-cell"), open_name("table", "covered-table-cell"))
_STYLE, _PROPERTIES = open_name("style", "style"), open_name("style", "table-properties")
_NULL_DATE = open_name("table", "null-date")
_ROWS_REPEATED = open_name("table", "number-rows-repeated")
_COLUMNS_REPEATED = open_name("table", "number-columns-repeated")
_ROWS_SPANNED, _COLUMNS_SPANNED = (
    open_name("table", "number-rows-spanned"),
    open_name("table", "number-columns-spanned"),
)
_FORMULA, _VISIBILITY = open_name("table", "formula"), open_name("table", "visibility")
_VALUE_TYPE, _STRING = open_name("office", "value-type"), open_name("office", "string-value")
_ERROR = re.compile(r"#[A-Z0-9/]+[!?]?|Err:\d+")
_MOST_ROWS = 1 << 20


@dataclass
class _Table:
    """One sheet while it is read. Rows and cells that repeat nothing are kept as a number until something follows."""

    name: str
    hidden: bool
    builder: ColumnBuilder = field(default_factory=ColumnBuilder)
    merged: list[tuple[Cell, Cell]] = field(default_factory=list)
    hidden_rows: list[range] = field(default_factory=list)
    error_cells: int = 0
    formulas_without_value: int = 0
    formulas: set[Cell] = field(default_factory=set)
    row: int = 0
    width: int = 0
    repeated_text: int = 0
    cells: SheetCells | None = None


class OdsWorkbook:
    """A :class:`Workbook`, read whole when it is opened."""

    def __init__(self, path: Path, name: str) -> None:
        self._name = name
        self.date_system_1904 = False
        self._hidden_styles: set[str] = set()
        self._tables: dict[str, _Table] = {}
        with Package(path, name) as package:
            _refuse_protected(package)
            for part in package.parts:
                if part != "content.xml":
                    package.try_out(part)
            self._read(package)
        self.sheets: Sequence[SheetName] = [SheetName(table.name, table.hidden) for table in self._tables.values()]

    def cells(self, sheet: str) -> SheetCells:
        """All cells of a sheet."""
        table = self._tables[sheet]
        if table.cells is None:
            columns = table.builder.build()
            height = table.builder.height
            hidden = frozenset(row for rows in table.hidden_rows for row in range(rows.start, min(rows.stop, height)))
            table.cells = SheetCells(
                columns, height, table.merged, hidden, table.error_cells, table.formulas_without_value
            )
        return table.cells

    def formulas(self, sheet: str) -> frozenset[Cell]:
        """The computed cells of a sheet; of those that repeat, the first."""
        return frozenset(self._tables[sheet].formulas)

    def _read(self, package: Package) -> None:
        parser: Any = etree.XMLPullParser(
            ("start", "end"),
            tag=(_TABLE, _ROW, _STYLE, _NULL_DATE),
            resolve_entities=False,
            no_network=True,
            remove_comments=True,
            remove_pis=True,
        )
        open_table: _Table | None = None
        try:
            for piece in package.unpack("content.xml"):
                refuse_entities(piece, self._name)
                parser.feed(piece)
                for event, element in parser.read_events():
                    if element.tag == _TABLE and _is_sheet(element):
                        open_table = self._new_table(element) if event == "start" else None
                    elif event == "end" and element.tag == _ROW and open_table is not None:
                        self._add_row(open_table, element)
                        _forget(element)
                    elif event == "end":
                        self._note(element)
            parser.close()
        except (etree.XMLSyntaxError, ValueError, OverflowError) as error:
            raise damaged(self._name) from error

    def _note(self, element: etree._Element) -> None:
        """What stands outside of the tables and matters: styles of hidden sheets, the first day of the calendar."""
        if element.tag == _STYLE:
            properties = element.find(_PROPERTIES)
            if properties is not None and properties.get(open_name("table", "display")) == "false":
                self._hidden_styles.add(str(element.get(open_name("style", "name"))))
        elif element.tag == _NULL_DATE:
            self.date_system_1904 = str(element.get(open_name("table", "date-value"))).startswith("1904")

    def _new_table(self, element: etree._Element) -> _Table:
        table = _Table(
            str(element.get(open_name("table", "name"))),
            element.get(open_name("table", "style-name")) in self._hidden_styles,
        )
        if table.name in self._tables:
            raise damaged(self._name)
        self._tables[table.name] = table
        return table

    def _add_row(self, table: _Table, element: etree._Element) -> None:
        repeated = int(element.get(_ROWS_REPEATED, "1"))
        if repeated < 1 or table.row + repeated > _MOST_ROWS:
            raise damaged(self._name)
        if element.get(_VISIBILITY) in {"collapse", "filter"}:
            table.hidden_rows.append(range(table.row, table.row + repeated))
        cells = self._cells(table, element, repeated)
        if cells:
            table.width = max(table.width, len(cells))
            refuse_giant_grid(table.row + repeated, table.width, table.name, self._name)
            table.builder.add([()] * (table.row - table.builder.height))
            table.builder.add([cells] * repeated)
        table.row += repeated

    def _cells(self, table: _Table, row: etree._Element, repeated: int) -> list[CellValue]:
        """The cells up to the last that holds something."""
        cells: list[CellValue] = []
        column = 0
        for element in row.iterchildren(*_CELLS):
            times = int(element.get(_COLUMNS_REPEATED) or 1)
            if times < 1:
                raise damaged(self._name)
            value = self._value(table, element, times * repeated)
            if element.get(_FORMULA) is not None:
                table.formulas.add((table.row, column))
            if value != "":
                refuse_giant_grid(1, column + times, table.name, self._name)
                if times * repeated > 1 and isinstance(value, str):
                    table.repeated_text += len(value) * times * repeated
                    if table.repeated_text > MAX_TEXT_BYTES:
                        refuse_too_much_text(self._name)
                cells.extend([""] * (column - len(cells)))
                cells.extend([value] * times)
            below, beside = (int(element.get(spanned) or 1) for spanned in (_ROWS_SPANNED, _COLUMNS_SPANNED))
            if below > 1 or beside > 1:
                table.merged.append(((table.row, column), (table.row + below - 1, column + beside - 1)))
            column += times
        return cells

    def _value(self, table: _Table, cell: etree._Element, times: int) -> CellValue:
        kind, formula = cell.get(_VALUE_TYPE), cell.get(_FORMULA)
        text = shown_text(cell)
        if cell.get(_CALC_TYPE) == "error" or (formula is not None and _ERROR.fullmatch(text)):
            table.error_cells += times
            return text or "#ERROR!"
        if formula is not None and kind is None and not text:
            table.formulas_without_value += times
            return "=" + str(formula).partition("=")[2]
        value = stored_value(kind, cell)
        return text or str(cell.get(_STRING) or "") if value is None else value


def _is_sheet(table: etree._Element) -> bool:
    """Tables elsewhere are what links and changes remember."""
    parent = table.getparent()
    return parent is not None and parent.tag == _SPREADSHEET


def _forget(element: etree._Element) -> None:
    """Give back the memory of what was read."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


def _refuse_protected(package: Package) -> None:
    if "meta-inf/manifest.xml" in package.parts:
        manifest = package.tree("META-INF/manifest.xml")
        if next(manifest.iter("{*}encryption-data"), None) is not None:
            raise protected(package.name)
