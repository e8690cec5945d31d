"""Workbooks of Excel 97 to 2003 (.xls, .et), read by xlrd.

calamine reads them faster but reserves whatever memory a damaged file asks for, which kills the process, and tells
neither the date system nor hidden rows nor errors in cells. xlrd needs under four seconds for the largest sheet that
the format allows with 26 columns.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Literal

import xlrd
from xlrd.sheet import Sheet
from xlrd.xldate import xldate_as_datetime

from pipelines.errors import ExtractError
from pipelines.intake.workbook_guard import damaged, protected
from pipelines.intake.workbook_sheet import Cell, ColumnBuilder, SheetCells, SheetName
from pipelines.intake.workbook_values import CellValue

# Before Excel 97 text was in the code page of the system; a workbook that does not name it came from a Chinese one.
_BEFORE_UNICODE = 80
_GBK = 936
_DAY = timedelta(days=1)
_SPECIAL = (xlrd.XL_CELL_DATE, xlrd.XL_CELL_BOOLEAN, xlrd.XL_CELL_ERROR)


class XlsWorkbook:
    """A :class:`Workbook`, held in memory: the format has at most 65,536 rows and 256 columns in a sheet."""

    def __init__(self, path: Path, name: str) -> None:
        self._name = name
        content = path.read_bytes()
        self._book = _opened(content, name, None)
        if self._book.biff_version < _BEFORE_UNICODE and self._book.codepage in {None, _GBK}:
            self._book = _opened(content, name, "gb18030")
        self._lengths_of_time = self._formats_of_lengths()
        self.date_system_1904 = self._book.datemode == 1
        self.sheets: Sequence[SheetName] = [
            SheetName(sheet.name, sheet.visibility != 0) for sheet in self._book.sheets()
        ]

    def cells(self, sheet: str) -> SheetCells:
        """All cells of a worksheet."""
        opened = self._book.sheet_by_name(sheet)
        builder = ColumnBuilder()
        self._errors = 0
        try:
            builder.add(self._rows(opened))
            columns = builder.build()
        except UnicodeEncodeError as error:
            raise damaged(self._name) from error
        return SheetCells(
            columns,
            builder.height,
            [_corners(*merged) for merged in opened.merged_cells],
            frozenset(row for row, info in opened.rowinfo_map.items() if info.hidden),
            self._errors,
        )

    def formulas(self, sheet: str) -> frozenset[Cell]:
        """None: xlrd gives the values of formulas and does not tell that they are computed."""
        return frozenset()

    def _rows(self, sheet: Sheet) -> Iterator[list[CellValue]]:
        for row in range(sheet.nrows):
            kinds = sheet.row_types(row)
            values: list[CellValue] = list(sheet.row_values(row))
            if any(kind in kinds for kind in _SPECIAL):
                for column, kind in enumerate(kinds):
                    values[column] = self._value(sheet, row, column, kind, values[column])
            yield values

    def _value(self, sheet: Sheet, row: int, column: int, kind: int, value: CellValue) -> CellValue:
        if kind == xlrd.XL_CELL_BOOLEAN:
            return bool(value)
        if kind == xlrd.XL_CELL_ERROR:
            self._errors += 1
            return xlrd.error_text_from_code.get(int(str(value)), "#ERROR!")
        if kind == xlrd.XL_CELL_DATE and isinstance(value, float):
            if sheet.cell_xf_index(row, column) in self._lengths_of_time:
                return value * _DAY
            return _moment(value, 1 if self.date_system_1904 else 0)
        return value

    def _formats_of_lengths(self) -> frozenset[int]:
        """Cell formats that show hours beyond 24, ``[h]:mm``: what they hold is a length of time and no date."""
        formats = self._book.format_map
        return frozenset(
            index
            for index, cell_format in enumerate(self._book.xf_list)
            if cell_format.format_key in formats
            and formats[cell_format.format_key].format_str.lower().startswith(("[h", "[m", "[s"))
        )


def _opened(content: bytes, name: str, encoding: str | None) -> xlrd.Book:
    try:
        return xlrd.open_workbook(
            file_contents=content,
            logfile=io.StringIO(),
            formatting_info=True,
            ragged_rows=True,
            encoding_override=encoding,
        )
    except Exception as error:
        # A damaged file breaks xlrd anywhere: an index, a struct, an assertion, a character.
        raise (protected(name) if "encrypted" in str(error) else _damaged(content, name)) from error


def _damaged(content: bytes, name: str) -> ExtractError:
    if "WordDocument".encode("utf-16-le") in content:
        remedy = "ask for the table itself, saved as .xlsx or CSV"
        return ExtractError("the file is a text document", remedy=remedy, file=name)
    return damaged(name)


def _moment(serial: float, system: Literal[0, 1]) -> CellValue:
    """A date, a time or both; a number that is none of these stays a number."""
    if serial < 0:
        return serial
    try:
        moment: datetime = xldate_as_datetime(serial, system)
    except (OverflowError, ValueError):
        return serial
    if serial < 1:
        return moment.time()
    return date(moment.year, moment.month, moment.day) if moment.time() == time(0) else moment


def _corners(top: int, below: int, left: int, beside: int) -> tuple[Cell, Cell]:
    return (top, left), (below - 1, beside - 1)
