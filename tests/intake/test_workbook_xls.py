"""Workbooks of Excel 97 to 2003: dates in both systems, errors, hidden rows, and nothing that kills the process."""

from __future__ import annotations

import random
import struct
from datetime import date, datetime, time
from pathlib import Path

import pytest
import xlwt

from pipelines.errors import ExtractError
from pipelines.intake.workbook_xls import XlsWorkbook
from tests.intake.workbook_files import HEADER, read_book, saved_xls

ROWS = [HEADER, [1, "甲公司", "〔2024〕1号"], [2, "乙公司", "〔2024〕2号"], [3, "丙公司", "〔2024〕3号"]]


def styled(number_format: str) -> xlwt.XFStyle:
    return xlwt.easyxf(num_format_str=number_format)


def test_values_are_what_the_sender_saw(tmp_path: Path) -> None:
    def change(book: xlwt.Workbook) -> None:
        sheet = book.get_sheet(0)
        sheet.write(4, 1, date(2024, 5, 6), styled("yyyy/m/d"))
        sheet.write(4, 2, datetime(2024, 5, 6, 7, 8, 9), styled("yyyy-mm-dd hh:mm:ss"))  # noqa: DTZ001
        sheet.write(4, 3, time(3, 4), styled("hh:mm"))
        sheet.write(4, 4, 1.5, styled("[h]:mm:ss"))
        sheet.row(5).set_cell_error(1, "#REF!")
        sheet.row(5).set_cell_error(2, 42)
        sheet.write(5, 3, True)
        sheet.write(5, 4, 0.155, styled("0.0%"))
        sheet.write(6, 1, 913302012345678901)
        sheet.write(6, 2, "913302012345678901")
        sheet.write(6, 3, 410000.0)
        sheet.write(6, 4, 0.1 + 0.2)
        sheet.write(7, 1, " 前后有空格 \n第二行")
        sheet.write(7, 2, "事" * 8000)
        sheet.write(7, 3, -5, styled("yyyy/m/d"))

    found = read_book(saved_xls(tmp_path / "a.xls", ROWS, change))
    assert [cells for line, cells in found.rows if line > 4] == [
        (None, "2024/05/06", "2024/05/06 07:08:09", "03:04:00", "36:00:00"),
        (None, "#REF!", "#N/A", "TRUE", "0.155"),
        (None, "9.13302012345679E+17", "913302012345678901", "410000", "0.3"),
        (None, " 前后有空格 \n第二行", "事" * 8000, "-5", None),
    ]
    assert (found.manifest["error_cells"], found.manifest["date_system_1904"]) == (2, False)


def test_the_1904_flag_is_read_and_dates_are_right(tmp_path: Path) -> None:
    def change(book: xlwt.Workbook) -> None:
        book.dates_1904 = True
        book.get_sheet(0).write(4, 1, "丁公司")
        book.get_sheet(0).write(4, 2, 43_956, styled("yyyy/m/d"))
        book.get_sheet(0).write(4, 3, 43_956)

    found = read_book(saved_xls(tmp_path / "a.xls", ROWS, change))
    assert found.sheets[0].date_system_1904
    assert found.manifest["date_system_1904"]
    assert found.rows[-1] == (5, (None, "丁公司", "2024/05/06", "43956", None))


def test_hidden_rows_and_sheets_follow_the_feed(tmp_path: Path) -> None:
    def change(book: xlwt.Workbook) -> None:
        book.get_sheet(0).row(2).hidden = True
        other = book.add_sheet("藏")
        other.visibility = 1
        for column, text in enumerate(HEADER):
            other.write(0, column, text)
        other.write(1, 1, "丁公司")
        other.write(1, 2, "x")

    path = saved_xls(tmp_path / "a.xls", ROWS, change)
    found = read_book(path, hidden_rows="skip")
    assert [line for line, _ in found.rows] == [2, 4]
    assert (found.manifest["hidden_rows"], found.manifest["hidden_rows_left_out"]) == (1, 1)
    assert found.left_out == {"藏": "hidden"}
    both = read_book(path, hidden_sheets="read", hidden_rows="read")
    assert [sheet.row_count for sheet in both.sheets] == [3, 1]


def test_merged_headers_and_cells(tmp_path: Path) -> None:
    def change(book: xlwt.Workbook) -> None:
        sheet = book.get_sheet(0)
        sheet.write_merge(0, 0, 0, 4, "公示表")
        sheet.write_merge(1, 2, 0, 0, "序号")
        sheet.write_merge(1, 1, 1, 2, "行政相对人")
        sheet.write(2, 1, "名称")
        sheet.write(2, 2, "类别")
        sheet.write_merge(1, 2, 3, 3, "行政处罚决定书文号")
        sheet.write_merge(3, 4, 1, 1, "甲公司")
        sheet.write(3, 3, "x")
        sheet.write(4, 3, "y")

    found = read_book(saved_xls(tmp_path / "a.xls", [], change))
    assert found.columns == ("序号", "行政相对人名称", "行政相对人类别", "行政处罚决定书文号")
    assert found.rows == [(4, (None, "甲公司", None, "x")), (5, (None, "甲公司", None, "y"))]
    assert found.manifest["merged_cells_filled"] == 1


def test_text_before_unicode_is_gb18030(tmp_path: Path) -> None:
    """A stream of Excel 95 records without a code page, with a character that GBK does not have."""

    def record(kind: int, data: bytes) -> bytes:
        return struct.pack("<HH", kind, len(data)) + data

    def label(row: int, column: int, text: str) -> bytes:
        encoded = text.encode("gb18030")
        return record(0x0204, struct.pack("<HHHH", row, column, 0, len(encoded)) + encoded)

    name = "表".encode("gb18030")
    start, end = record(0x0809, struct.pack("<HHHH", 0x0500, 5, 0, 0)), record(0x000A, b"")
    sheet = record(0x0809, struct.pack("<HHHH", 0x0500, 0x10, 0, 0)) + label(0, 0, "名称") + label(1, 0, "㐂公司") + end
    listed = 4 + 6 + 1 + len(name)
    globals_ = start + record(0x0085, struct.pack("<IHB", len(start) + listed + len(end), 0, len(name)) + name) + end
    path = tmp_path / "a.xls"
    path.write_bytes(globals_ + sheet)
    book = XlsWorkbook(path, "a.xls")
    assert book.cells("表").rows(0, 2) == [["名称"], ["㐂公司"]]


def test_a_protected_workbook_says_so(tmp_path: Path) -> None:
    path = saved_xls(tmp_path / "a.xls", ROWS)
    data = bytearray(path.read_bytes())
    # The record after the first becomes the one that announces encryption.
    place = 512 + 4 + struct.unpack_from("<H", data, 514)[0]
    struct.pack_into("<H", data, place, 0x002F)
    path.write_bytes(bytes(data))
    with pytest.raises(ExtractError, match="protected with a password"):
        read_book(path)


def test_a_text_document_is_named(tmp_path: Path) -> None:
    path = saved_xls(tmp_path / "a.xls", ROWS)
    data = path.read_bytes()
    renamed = "WordDocument".encode("utf-16-le")
    old = "Workbook".encode("utf-16-le")
    assert data.count(old) == 1
    path.write_bytes(data.replace(old + b"\0" * 8, renamed))
    with pytest.raises(ExtractError, match="the file is a text document"):
        read_book(path)


@pytest.mark.parametrize("way", ["cut", "flipped"])
def test_damage_anywhere_is_refused_or_read(tmp_path: Path, way: str) -> None:
    path = saved_xls(tmp_path / "a.xls", [HEADER, *([n, f"公司{n}", f"〔2024〕{n}号", n * 1.5] for n in range(80))])
    data = path.read_bytes()
    dice = random.Random(7)
    refused = 0
    for _ in range(40):
        changed = bytearray(data)
        if way == "cut":
            del changed[dice.randrange(len(data)) :]
        else:
            for _ in range(4):
                changed[dice.randrange(512, len(data))] = dice.randrange(256)
        path.write_bytes(bytes(changed))
        try:
            read_book(path)
        except ExtractError:
            refused += 1
    assert refused > 10
