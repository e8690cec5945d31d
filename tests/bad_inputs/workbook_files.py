"""Bad workbooks: damaged, dangerous, or merely kept by hand."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from datetime import date

import openpyxl
import xlsxwriter
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table, TableCell, TableRow
from odf.text import P

from tests.bad_inputs.bad_input import CELLS, HEADERS, BadInput, cut_off

NO_HEADER = "no header that anybody knows"
DAMAGED = "damaged"
OLE = bytes.fromhex("D0CF11E0A1B11AE1")
ENTITY = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'


def workbook(*rows: Sequence[object], sheet: str = "数据", **options: object) -> bytes:
    """An .xlsx with one sheet of these rows."""
    data = io.BytesIO()
    with xlsxwriter.Workbook(data, {"in_memory": True, **options}) as book:
        page = book.add_worksheet(sheet)
        dated = book.add_format({"num_format": "yyyy/mm/dd"})
        for number, row in enumerate(rows):
            for column, cell in enumerate(row):
                page.write(number, column, cell, dated) if isinstance(cell, date) else page.write(number, column, cell)
    return data.getvalue()


def open_document(*rows: Sequence[str], repeat: int = 1) -> bytes:
    """An .ods with one sheet of these rows; ``repeat`` says how often each stands there."""
    document = OpenDocumentSpreadsheet()
    table = Table(name="数据")
    for row in rows:
        line = TableRow(numberrowsrepeated=repeat) if repeat > 1 else TableRow()
        for text in row:
            cell = TableCell(valuetype="string")
            cell.addElement(P(text=text))
            line.addElement(cell)
        table.addElement(line)
    document.spreadsheet.addElement(table)
    data = io.BytesIO()
    document.save(data)
    return data.getvalue()


def edited(data: bytes, edit: Callable[[str, bytes], bytes | None]) -> bytes:
    """A zip with each part changed; None leaves the part out."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            content = edit(name, source.read(name))
            if content is not None:
                target.writestr(name, content)
    return result.getvalue()


def good() -> bytes:
    return workbook(HEADERS, *([CELLS] * 40))


def _without(part: str) -> bytes:
    return edited(good(), lambda name, content: None if name == part else content)


def _replaced(part: str, old: bytes, new: bytes) -> bytes:
    return edited(good(), lambda name, content: content.replace(old, new) if name == part else content)


def _bomb(part: str, *others: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for other in others:
            archive.writestr(
                other, "<workbook/>" if other != "mimetype" else "application/vnd.oasis.opendocument.spreadsheet"
            )
        archive.writestr(part, b" " * (32 << 20))
    return data.getvalue()


def _two_sheets(hidden: bool) -> bytes:
    book = openpyxl.Workbook()
    first = book.active
    first.title = "说明"
    first.append(["填表说明"])
    second = book.create_sheet("数据")
    second.append(HEADERS)
    second.append(CELLS)
    if hidden:
        second.sheet_state = "hidden"
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def _merged_header() -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["某市行政处罚信息表"])
    sheet.merge_cells("A1:C1")
    sheet.append(["行政相对人", None, "处罚内容"])
    sheet.append(["行政相对人名称", "行政处罚决定书文号", None])
    sheet.merge_cells("A2:B2")
    sheet.merge_cells("C2:C3")
    sheet.append(CELLS)
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def workbook_files() -> Iterator[BadInput]:
    """Everything a spreadsheet program, or somebody who means harm, can do to a table."""
    yield from _damaged()
    yield from _dangerous()
    yield from _kept_by_hand()
    yield from cut_off("book.xlsx", good, 5, 11)
    yield from cut_off("book.ods", lambda: open_document(HEADERS, *([CELLS] * 40)), 4, 12)


def _damaged() -> Iterator[BadInput]:
    yield BadInput("empty.xlsx", lambda: b"", "the file is empty")
    yield BadInput("cut_in_half.xlsx", lambda: good()[:2500], DAMAGED)
    yield BadInput("text_named.xls", lambda: OLE + b"\0" * 600, DAMAGED)
    yield BadInput("protected.xlsx", lambda: OLE + b"\0" * 600 + "EncryptedPackage".encode("utf-16-le"), "password")
    yield BadInput("no_sheet_part.xlsx", lambda: _without("xl/worksheets/sheet1.xml"), DAMAGED + "|" + NO_HEADER)
    yield BadInput("no_shared_strings.xlsx", lambda: _without("xl/sharedStrings.xml"), DAMAGED + "|" + NO_HEADER)
    yield BadInput("no_relations.xlsx", lambda: _without("xl/_rels/workbook.xml.rels"), DAMAGED + "|" + NO_HEADER)
    yield BadInput(
        "sheet_cut.xlsx",
        lambda: edited(
            good(), lambda name, content: content[: len(content) // 2] if name.endswith("sheet1.xml") else content
        ),
        DAMAGED,
    )
    yield BadInput(
        "sheet_not_closed.xlsx",
        lambda: _replaced("xl/worksheets/sheet1.xml", b"</row>", b"<row>"),
        DAMAGED + "|" + NO_HEADER,
    )
    yield BadInput(
        "open_document_without_content.ods",
        lambda: edited(open_document(HEADERS, CELLS), lambda name, content: None if name == "content.xml" else content),
        DAMAGED,
    )


def _dangerous() -> Iterator[BadInput]:
    yield BadInput("bomb.xlsx", lambda: _bomb("xl/worksheets/sheet1.xml", "xl/workbook.xml"), "unpacks to far more")
    yield BadInput("bomb.ods", lambda: _bomb("content.xml", "mimetype"), "unpacks to far more")
    yield BadInput("a_million_repeated_rows.ods", lambda: open_document(HEADERS, CELLS, repeat=1_048_576), either=True)
    yield BadInput("far_cell.xlsx", _far_cell, "far outside the table")
    yield BadInput(
        "entities.xlsx",
        lambda: edited(
            good(),
            lambda name, content: (
                content.replace(b"?>\n", b"?>\n" + ENTITY, 1) if name == "xl/sharedStrings.xml" else content
            ),
        ),
        either=True,
    )


def _far_cell() -> bytes:
    book = openpyxl.Workbook()
    book.active.append(HEADERS)
    book.active.append(CELLS)
    book.active["XFD1048576"] = "x"
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def _kept_by_hand() -> Iterator[BadInput]:
    yield BadInput("no_cells.xlsx", workbook, NO_HEADER)
    yield BadInput("header_only.xlsx", lambda: workbook(HEADERS), "a header and no rows")
    yield BadInput("header_only.ods", lambda: open_document(HEADERS), "a header and no rows")
    yield BadInput("unknown_header.xlsx", lambda: workbook(["p", "q", "r"], ["1"]), NO_HEADER)
    yield BadInput("unknown_header.ods", lambda: open_document(["p", "q", "r"], ["1", "2", "3"]), NO_HEADER)
    yield BadInput("explanation_first.xlsx", lambda: _two_sheets(hidden=False), None, rows=1)
    yield BadInput("data_hidden.xlsx", lambda: _two_sheets(hidden=True), NO_HEADER)
    yield BadInput("merged_header.xlsx", _merged_header, None, rows=1)
    yield BadInput("workbook_named.csv", good, None, rows=40)
    yield BadInput("open_document_named.xls", lambda: open_document(HEADERS, CELLS), None, rows=1)
    yield BadInput("code_as_number.xlsx", lambda: workbook(HEADERS, (9.13302e17, 410000.0, 0.1)), None, rows=1)
    yield BadInput(
        "serial_dates_of_1904.xlsx",
        lambda: workbook((*HEADERS, "处罚决定日期"), (*CELLS, date(2026, 1, 5)), date_1904=True),
        None,
        rows=1,
    )
    yield BadInput(
        "errors.xlsx",
        lambda: edited(
            workbook(HEADERS, ("甲", "=1/0", "警告")),
            lambda name, content: (
                content.replace(b'<c r="B2"><f>1/0</f><v>0</v></c>', b'<c r="B2" t="e"><f>1/0</f><v>#DIV/0!</v></c>')
                if name.endswith("sheet1.xml")
                else content
            ),
        ),
        None,
        rows=1,
    )
    yield BadInput("blank_rows_between.xlsx", lambda: workbook(HEADERS, CELLS, (), (), CELLS), None, rows=2)
    yield BadInput(
        "table_far_from_the_corner.xlsx", lambda: workbook((), (), ("", "", *HEADERS), ("", "", *CELLS)), None, rows=1
    )
    yield BadInput("serial_column.xlsx", lambda: workbook(("序号", *HEADERS), (1, *CELLS), (2, *CELLS)), None, rows=2)
