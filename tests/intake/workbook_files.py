"""Workbooks as bytes, down to the XML that no library would write."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, cast

import xlsxwriter
import xlwt
from xlsxwriter.worksheet import Worksheet

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.catalogue.formats import Format
from pipelines.intake.header_search import KnownHeaders, known_headers
from pipelines.intake.workbook_reader import SheetRows, read_workbook
from pipelines.settings import Settings
from tests.intake.conftest import Rows, rows_of

Fill = Callable[[xlsxwriter.Workbook, Worksheet], object]

HEADER = ["序号", "行政相对人名称", "行政处罚决定书文号", "处罚决定日期", "罚款金额 (万元)"]
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
STRICT = "http://purl.oclc.org/ooxml/spreadsheetml/main"
_NUMBERS = count()
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
_OPEN = "urn:oasis:names:tc:opendocument:xmlns:{}:1.0"


def written(path: Path, fill: Fill, **options: object) -> Path:
    """An .xlsx with one sheet 数据, filled by xlsxwriter."""
    with xlsxwriter.Workbook(str(path), options) as workbook:
        fill(workbook, workbook.add_worksheet("数据"))
    return path


def cell(place: str, text: str) -> str:
    """A cell of inline text."""
    return f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>'


def row(number: int, *texts: str) -> str:
    """A row of inline texts from column A."""
    cells = "".join(cell(f"{chr(65 + column)}{number}", text) for column, text in enumerate(texts))
    return f'<row r="{number}">{cells}</row>'


def header_row(number: int = 1) -> str:
    return row(number, *HEADER)


def worksheet(rows: str, *, before: str = "", after: str = "", namespace: str = MAIN) -> str:
    return f'<worksheet xmlns="{namespace}">{before}<sheetData>{rows}</sheetData>{after}</worksheet>'


def relations(*targets: tuple[str, str, str]) -> str:
    """(id, last word of the type, target) each."""
    inside = "".join(
        f'<Relationship Id="{name}" Type="{_OFFICE}/{kind}" Target="{target}"/>' for name, kind, target in targets
    )
    return f'<Relationships xmlns="{_PACKAGE}">{inside}</Relationships>'


def workbook_xml(*sheets: tuple[str, str], properties: str = "", namespace: str = MAIN) -> str:
    """(name, further attributes) of each sheet; sheet n has relation rIdn."""
    inside = "".join(
        f'<sheet name="{name}" sheetId="{number}" r:id="rId{number}"{more}/>'
        for number, (name, more) in enumerate(sheets, 1)
    )
    return f'<workbook xmlns="{namespace}" xmlns:r="{_OFFICE}">{properties}<sheets>{inside}</sheets></workbook>'


def raw_xlsx(path: Path, *sheets: str, parts: Mapping[str, str | bytes | None] | None = None) -> Path:
    """An .xlsx of these worksheet parts, named S1, S2…; ``parts`` replace, add or (None) leave out."""
    numbers = range(1, len(sheets) + 1)
    targets = [(f"rId{number}", "worksheet", f"worksheets/sheet{number}.xml") for number in numbers]
    content: dict[str, str | bytes | None] = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
        "_rels/.rels": relations(("rId1", "officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": workbook_xml(*((f"S{number}", "") for number in numbers)),
        "xl/_rels/workbook.xml.rels": relations(*targets, ("rId99", "sharedStrings", "sharedStrings.xml")),
        **{f"xl/worksheets/sheet{number}.xml": sheet for number, sheet in enumerate(sheets, 1)},
        **(parts or {}),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            if data is not None:
                archive.writestr(name, data)
    return path


def ods_cell(text: str = "", value: str = 'office:value-type="string"', more: str = "") -> str:
    paragraph = f"<text:p>{text}</text:p>" if text else ""
    return f"<table:table-cell {value} {more}>{paragraph}</table:table-cell>"


def ods_row(*cells: str, more: str = "") -> str:
    """Cells are XML, or plain text."""
    inside = "".join(given if given.startswith("<") else ods_cell(given) for given in cells)
    return f"<table:table-row {more}>{inside}</table:table-row>"


def ods_table(*rows: str, name: str = "数据", more: str = "") -> str:
    return f'<table:table table:name="{name}" {more}>{"".join(rows)}</table:table>'


def raw_ods(
    path: Path, *tables: str, styles: str = "", settings: str = "", manifest: str = "", start: str = ""
) -> Path:
    """An .ods of these tables."""
    spaces = " ".join(f'xmlns:{space}="{_OPEN.format(space)}"' for space in ("office", "table", "text", "style"))
    calc = "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("mimetype"), "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr(
            "META-INF/manifest.xml",
            f'<manifest:manifest xmlns:manifest="{_OPEN.format("manifest")}">{manifest}</manifest:manifest>',
        )
        archive.writestr(
            "content.xml",
            f'{start}<office:document-content {spaces} xmlns:calcext="{calc}">'
            f"<office:automatic-styles>{styles}</office:automatic-styles>"
            f"<office:body><office:spreadsheet>{settings}{''.join(tables)}</office:spreadsheet></office:body>"
            "</office:document-content>",
        )
    return path


def saved_xls(
    path: Path, rows: Sequence[Sequence[object]], change: Callable[[xlwt.Workbook], object] | None = None
) -> Path:
    """An .xls of Excel 97 with one sheet 数据."""
    book = xlwt.Workbook(encoding="utf-8")
    sheet = book.add_sheet("数据")
    for number, cells in enumerate(rows):
        for column, value in enumerate(cells):
            if value is not None:
                sheet.write(number, column, value)
    if change is not None:
        change(book)
    data = io.BytesIO()
    book.save(data)
    path.write_bytes(data.getvalue())
    return path


@dataclass(frozen=True)
class ReadBook:
    """What reading a workbook gave: its sheets, their rows and why others were left out."""

    sheets: list[SheetRows]
    left_out: dict[str, str]

    @property
    def manifest(self) -> dict[str, Any]:
        """Of the only sheet; also checks that each of its lines is accounted for."""
        (sheet,) = self.sheets
        found = sheet.manifest
        others = ("rows", "blank_lines", "serial_only_lines", "note_row_count", "hidden_rows_left_out")
        below = found["physical_lines"] - found["lines_before_header"] - found["header_rows"]
        assert sum(found[name] for name in others) == below, found
        return found

    @property
    def rows(self) -> Rows:
        (sheet,) = self.sheets
        return rows_of(sheet.path, None)

    @property
    def columns(self) -> tuple[str, ...]:
        (sheet,) = self.sheets
        return sheet.header.columns


@cache
def _known() -> KnownHeaders:
    return known_headers(load_catalogue(Settings()).categories["administrative_penalty"], None)


def read_book(path: Path, **layout: Any) -> ReadBook:
    """Read a workbook by its extension; keyword arguments are the feed's format."""
    kind = cast("Any", path.suffix[1:])
    sheets, left_out = read_workbook(
        path,
        path.name,
        _known(),
        Format(**layout),
        lambda: path.parent / f"{path.name}-{next(_NUMBERS)}.parquet",
        kind=kind,
    )
    return ReadBook(sheets, left_out)
