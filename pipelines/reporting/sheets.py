"""Sheets written top to bottom with xlsxwriter: text stays text, nothing becomes a formula."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from xml.sax.saxutils import escape

from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from pipelines.catalogue.correction_form import LONGEST_CELL

# Excel ends at row 1,048,576; a round number leaves room for title and header.
LINES_PER_SHEET = 1_000_000
CUT = "…（内容过长，其余见原文件）"
TITLE_ROW, HEADER_ROW, FIRST_LINE = 0, 1, 2

NAVY, GREY, GOLD = "#173A5E", "#6B7680", "#B8860B"
_DANGEROUS = frozenset("=+-@\t\r\n")


@dataclass(frozen=True)
class Column:
    """A column of a sheet: header, width in characters, colour of the header."""

    header: str
    width: float
    colour: str = NAVY
    hidden: bool = False


class Formats:
    """The cell formats of one workbook, each made once."""

    def __init__(self, book: Workbook) -> None:
        self._book = book
        self.get = cache(self._get)

    def _get(self, *features: str) -> Format:
        properties: dict[str, Any] = {
            "font_name": "宋体",
            "font_size": 10.5,
            "valign": "top",
            "border": 1,
            "border_color": "#D0CCC0",
        }
        for feature in features:
            properties |= _FEATURES[feature]
        return self._book.add_format(properties)

    def header(self, colour: str) -> Format:
        return self._book.add_format(
            {
                "font_name": "微软雅黑",
                "font_size": 10.5,
                "bold": True,
                "font_color": "#FFFFFF",
                "bg_color": colour,
                "border": 1,
                "border_color": "#FFFFFF",
                "valign": "vcenter",
                "text_wrap": True,
            }
        )

    def title(self) -> Format:
        return self._book.add_format(
            {"font_name": "微软雅黑", "font_size": 12, "bold": True, "font_color": NAVY, "valign": "vcenter"}
        )


_FEATURES: dict[str, dict[str, Any]] = {
    "text": {"num_format": "@"},
    "wrap": {"text_wrap": True},
    # Excel then treats the cell as if it had been typed after an apostrophe: it stays text when it is edited, too.
    "guarded": {"num_format": "@", "quote_prefix": True},
    "wrong": {"bg_color": "#F8D7D3", "bold": True},
    "band": {"bg_color": "#F6F5F1"},
    "fill_in": {"num_format": "@", "bg_color": "#FFF4C2", "locked": False, "text_wrap": True},
    "closed": {"bg_color": "#ECEAE4"},
    "quiet": {"font_color": "#8A949E"},
    "strong": {"bold": True},
    "link": {"font_color": "#1F5FA8", "underline": 1},
}


def cell_text(value: str) -> tuple[str, bool]:
    """What to hand to xlsxwriter for a source cell, and whether it needs guarding against being run as a formula.

    xlsxwriter writes text that looks like its own rich text as raw XML: such text is wrapped, so that it stays text.
    """
    if len(value) > LONGEST_CELL:
        value = value[:LONGEST_CELL] + CUT
    guarded = value[:1] in _DANGEROUS
    if value.startswith("<r>") and value.endswith("</r>"):
        value = f'<r><t xml:space="preserve">{escape(value)}</t></r>'
    return value, guarded


class LineSheet:
    """A table that may run over several sheets: title, header, filter, frozen panes, then lines in order."""

    def __init__(
        self,
        book: Workbook,
        formats: Formats,
        name: str,
        title: str,
        columns: Sequence[Column],
        *,
        frozen_columns: int = 0,
        lines_per_sheet: int = LINES_PER_SHEET,
        finish: Callable[[Worksheet, int], None] | None = None,
    ) -> None:
        """``finish`` is called for each sheet when it is full: with the sheet and its last row."""
        self.book = book
        self.formats = formats
        self.name = name
        self.title = title
        self.columns = columns
        self.frozen_columns = frozen_columns
        self.lines_per_sheet = lines_per_sheet
        self._finish = finish
        self.sheets = 0
        self.row = FIRST_LINE
        self.sheet: Worksheet = self._open()

    def next_row(self) -> int:
        """The row to write the next line to; opens a further sheet when this one is full."""
        if self.row - FIRST_LINE >= self.lines_per_sheet:
            self.close()
            self.sheet = self._open()
        row = self.row
        self.row += 1
        return row

    def text(self, row: int, column: int, value: str | None, *features: str) -> None:
        """Write text as text; dangerous starts are guarded. An empty cell keeps its format."""
        if not value:
            self.sheet.write_blank(row, column, None, self.formats.get(*features))
            return
        shown, guarded = cell_text(value)
        self.sheet.write_string(row, column, shown, self.formats.get(*features, "guarded" if guarded else "text"))

    def number(self, row: int, column: int, value: int | None, *features: str) -> None:
        if value is None:
            self.sheet.write_blank(row, column, None, self.formats.get(*features))
        else:
            self.sheet.write_number(row, column, value, self.formats.get(*features))

    def close(self) -> None:
        """Put the filter over what was written."""
        last = max(self.row - 1, HEADER_ROW)
        self.sheet.autofilter(HEADER_ROW, 0, last, len(self.columns) - 1)
        if self._finish is not None:
            self._finish(self.sheet, last)

    def _open(self) -> Worksheet:
        self.sheets += 1
        name = self.name if self.sheets == 1 else f"{self.name}{self.sheets}"
        sheet = self.book.add_worksheet(name)
        sheet.set_landscape()
        sheet.set_paper(9)
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(HEADER_ROW)
        sheet.ignore_errors({"number_stored_as_text": "A1:XFD1048576"})
        for index, column in enumerate(self.columns):
            sheet.set_column(index, index, column.width, None, {"hidden": column.hidden})
        sheet.freeze_panes(FIRST_LINE, self.frozen_columns)
        sheet.set_row(TITLE_ROW, 26)
        sheet.write_string(TITLE_ROW, 0, self.title, self.formats.title())
        sheet.set_row(HEADER_ROW, 30)
        headers: dict[str, Format] = {}
        for index, column in enumerate(self.columns):
            style = headers.setdefault(column.colour, self.formats.header(column.colour))
            sheet.write_string(HEADER_ROW, index, cell_text(column.header)[0], style)
        self.row = FIRST_LINE
        return sheet
