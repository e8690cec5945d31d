"""Workbooks: values as the sender saw them, headers wherever they are, and nothing dangerous opened."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time
from pathlib import Path

import pytest
import xlsxwriter
from xlsxwriter.worksheet import Worksheet

from pipelines.catalogue.categories import Category
from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.formats import Format
from pipelines.engine.duck import Session
from pipelines.errors import ExtractError
from pipelines.intake.reading import IntakeResult, inspect_file
from pipelines.intake.workbook_values import text_of
from tests.intake.conftest import Rows, part_rows

Fill = Callable[[xlsxwriter.Workbook, Worksheet], object]
HEADER = ["序号", "行政相对人名称", "行政处罚决定书文号", "处罚决定日期", "罚款金额 (万元)"]


@pytest.fixture
def book(tmp_path: Path) -> Callable[..., Path]:
    def write(fill: Fill, name: str = "a.xlsx", **options: object) -> Path:
        path = tmp_path / name
        with xlsxwriter.Workbook(str(path), options) as workbook:
            fill(workbook, workbook.add_worksheet("数据"))
        return path

    return write


@pytest.fixture
def read_book(duck: Session, category: Category, tmp_path: Path) -> Callable[..., IntakeResult]:
    def go(path: Path, feed: Feed | None = None) -> IntakeResult:
        return inspect_file(duck, path, category, tmp_path / "work", feed=feed)

    return go


def only(result: IntakeResult) -> Rows:
    assert len(result.parts) == 1
    return part_rows(result.parts[0])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (410000.0, "410000"),
        (0.0, "0"),
        (-5.0, "-5"),
        (0.23904899999999998, "0.239049"),
        (0.00001, "0.00001"),
        (123456789012345.0, "123456789012345"),
        (913302012345678901.0, "9.13302012345679E+17"),
        (True, "TRUE"),
        (datetime(2024, 1, 2), "2024/01/02"),  # noqa: DTZ001
        (datetime(2024, 1, 2, 3, 4, 5), "2024/01/02 03:04:05"),  # noqa: DTZ001
        (time(3, 4), "03:04:00"),
        (" 文 ", " 文 "),
    ],
)
def test_values_as_text(value: float | str, text: str) -> None:
    assert text_of(value) == text


def test_title_rows_serial_column_and_typed_cells(
    book: Callable[..., Path], read_book: Callable[..., IntakeResult]
) -> None:
    def fill(workbook: xlsxwriter.Workbook, sheet: Worksheet) -> None:
        day = workbook.add_format({"num_format": "yyyy/m/d"})
        sheet.merge_range("A1:E1", "行政处罚公示表")
        sheet.write("A2", "填表说明:必填")
        sheet.write_row(3, 0, HEADER)
        sheet.write_row(4, 0, [1, "甲公司", "〔2024〕1号"])
        sheet.write_datetime(4, 3, datetime(2024, 5, 6), day)  # noqa: DTZ001
        sheet.write_number(4, 4, 410000)
        sheet.write_row(6, 0, [2, "乙公司", "〔2024〕2号", 45000, "0.5万元"])
        sheet.write_formula("B8", "=1/0", value="#DIV/0!")
        sheet.write_formula("C8", "=A5", value=1)
        sheet.write("A9", "合计")
        sheet.write("A11", "制表人:某某")

    result = read_book(book(fill))
    assert only(result) == [
        (5, ("1", "甲公司", "〔2024〕1号", "2024/05/06", "410000")),
        (7, ("2", "乙公司", "〔2024〕2号", "45000", "0.5万元")),
        (8, (None, "#DIV/0!", "1", None, None)),
    ]
    sheet = result.extracts[0]["sheets"][0]
    assert (sheet["header_line"], sheet["blank_lines"]) == (4, 2)
    assert [note["line"] for note in sheet["note_rows"]] == [9, 11]
    assert sheet["rows"] + sheet["blank_lines"] + len(sheet["note_rows"]) + 4 == sheet["physical_lines"] == 11
    assert "某某" not in str(result.extracts)


def test_two_row_header_with_merges_and_data_merged_downwards(
    book: Callable[..., Path], read_book: Callable[..., IntakeResult]
) -> None:
    def fill(workbook: xlsxwriter.Workbook, sheet: Worksheet) -> None:
        sheet.merge_range("A1:E1", "标题")
        sheet.merge_range("A2:A3", "行政相对人名称")
        sheet.merge_range("B2:C2", "行政相对人代码")
        sheet.write_row("B3", ["_1", "_2(工商注册号)"])
        sheet.merge_range("D2:D3", "处罚决定日期")
        sheet.merge_range("E2:F2", "附注")
        sheet.write_row("E3", ["甲", "乙"])
        sheet.merge_range("A4:A5", "甲公司")
        sheet.write_row("B4", ["c1", "g1", "2024/1/2", "x", "y"])
        sheet.write_row("B5", ["c2"])
        sheet.merge_range("B6:C6", "横")
        sheet.write("A6", "乙公司")

    result = read_book(book(fill))
    assert result.parts[0].columns == (
        "行政相对人名称",
        "行政相对人代码_1",
        "行政相对人代码_2(工商注册号)",
        "处罚决定日期",
        "附注_甲",
        "附注_乙",
    )
    assert only(result) == [
        (4, ("甲公司", "c1", "g1", "2024/1/2", "x", "y")),
        (5, ("甲公司", "c2", None, None, None, None)),
        (6, ("乙公司", "横", None, None, None, None)),
    ]
    assert result.extracts[0]["sheets"][0]["merged_cells_filled"] == 1


def test_the_1904_flag_travels_and_dates_are_right(
    book: Callable[..., Path], read_book: Callable[..., IntakeResult]
) -> None:
    def fill(workbook: xlsxwriter.Workbook, sheet: Worksheet) -> None:
        sheet.write_row(0, 0, HEADER)
        sheet.write_row(1, 0, [1, "甲", "x"])
        sheet.write_datetime(1, 3, datetime(2024, 5, 6), workbook.add_format({"num_format": "yyyy/m/d"}))  # noqa: DTZ001

    result = read_book(book(fill, date_1904=True))
    assert result.parts[0].date_system_1904
    assert only(result)[0][1][3] == "2024/05/06"
    assert not read_book(book(fill, name="b.xlsx")).parts[0].date_system_1904


def test_every_visible_sheet_with_a_known_header_is_read(
    book: Callable[..., Path], read_book: Callable[..., IntakeResult], feed: Callable[..., Feed]
) -> None:
    def fill(workbook: xlsxwriter.Workbook, sheet: Worksheet) -> None:
        sheet.write_row(0, 0, HEADER)
        sheet.write_row(1, 0, [1, "甲", "x"])
        second = workbook.add_worksheet("二")
        second.write_row(0, 0, HEADER[1:])
        second.write_row(1, 0, ["乙", "y"])
        workbook.add_worksheet("说明").write_row(0, 0, ["这", "是", "说", "明"])
        hidden = workbook.add_worksheet("藏")
        hidden.write_row(0, 0, HEADER)
        hidden.write_row(1, 0, [1, "丙", "z"])
        hidden.hide()

    path = book(fill)
    result = read_book(path)
    assert [(part.sheet, part.row_offset, part.row_count) for part in result.parts] == [("数据", 0, 1), ("二", 1, 1)]
    assert result.extracts[0]["sheets_left_out"] == {"说明": "no known header", "藏": "hidden"}
    chosen = read_book(path, feed(format=Format(sheet="藏")))
    assert only(chosen)[0][1][1] == "丙"
    with pytest.raises(ExtractError, match="no sheet 缺; the workbook has 数据, 二, 说明, 藏"):
        read_book(path, feed(format=Format(sheet="缺")))


def test_error_cells_are_found_on_their_own_sheet(
    book: Callable[..., Path], read_book: Callable[..., IntakeResult]
) -> None:
    def fill(workbook: xlsxwriter.Workbook, sheet: Worksheet) -> None:
        second = workbook.add_worksheet("R&D <二>")
        for target, error in ((sheet, "#REF!"), (second, "#N/A")):
            target.write_row(0, 0, HEADER)
            target.write_row(1, 0, [1, "甲", "x"])
            target.write_formula(1, 4, "=A1", value=error)

    result = read_book(book(fill))
    assert [part_rows(part)[0][1][4] for part in result.parts] == ["#REF!", "#N/A"]


def test_a_workbook_is_known_by_its_content_not_by_its_name(
    book: Callable[..., Path], read_book: Callable[..., IntakeResult], feed: Callable[..., Feed]
) -> None:
    def fill(workbook: xlsxwriter.Workbook, sheet: Worksheet) -> None:
        sheet.write_row(0, 0, HEADER)
        sheet.write_row(1, 0, [1, "甲", "x"])

    path = book(fill, name="a.csv")
    result = read_book(path)
    assert (result.extracts[0]["kind"], result.extracts[0]["extension_fits"]) == ("xlsx", False)
    with pytest.raises(ExtractError, match="the file is xlsx, the feed declares csv"):
        read_book(path, feed(format=Format(kind="csv")))


def test_real_xls_and_templates(
    shared: Path, read_book: Callable[..., IntakeResult], feed: Callable[..., Feed]
) -> None:
    """Real workbooks nobody here wrote: title rows, blank lines, two sheets, notes below the table."""
    columns = {"CF_XDR_MC": "企业、单位名称", "CF_XDR_SWDJ": "纳税人识别号", "CF_NR_FK": "欠税余额"}
    path = shared / "real/messy/tax_arrears_nanhai_2015Q2_masked.xls"
    result = read_book(path, feed(columns=columns))
    assert [part.sheet for part in result.parts] == ["一、企业低于200万", "二、个体低于10万"]
    for sheet in result.extracts[0]["sheets"]:
        accounted = sheet["rows"] + sheet["blank_lines"] + len(sheet["note_rows"])
        assert accounted + sheet["header_line"] == sheet["physical_lines"]
    line, cells = part_rows(result.parts[0])[0]
    assert (line, cells[1], cells[6]) == (6, "440604577900388", "0.23301")
