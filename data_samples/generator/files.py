"""How each department writes its file: headers, formats, line ends, cells."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import xlsxwriter
from xlsxwriter.worksheet import Worksheet

from data_samples.generator.rows import Cell, Row

Columns = Sequence[tuple[str, str]]
"""Header and the key of the cell below it, left to right."""

SUBJECT_BLOCK = (
    ("行政相对人名称", "XDR_MC"),
    ("行政相对人代码_1 (统一社会信用代码)", "XDR_SHXYM"),
    ("行政相对人代码_2 (工商注册号)", "XDR_GSZC"),
    ("行政相对人代码_3 (组织机构代码)", "XDR_ZZJG"),
    ("行政相对人代码_4 (税务登记号)", "XDR_SWDJ"),
    ("行政相对人代码_5 (事业单位证书号)", "XDR_SYDW"),
    ("行政相对人代码_6 (社会组织登记证号)", "XDR_SHZZ"),
    ("法定代表人", "FRDB"),
    ("法定代表人身份证号", "FR_ZJHM"),
)
MARKET_LICENCE: Columns = (
    *SUBJECT_BLOCK,
    ("行政许可决定文书名称", "XKWS"),
    ("行政许可决定文书号", "WSH"),
    ("许可类别", "XKLB"),
    ("许可证书名称", "XKZS"),
    ("许可编号", "XKBH"),
    ("许可内容", "NR"),
    ("许可决定日期", "JDRQ"),
    ("有效期自", "YXQZ"),
    ("有效期至", "YXQZI"),
    ("许可机关", "XKJG"),
    ("许可机关统一社会信用代码", "XKJGDM"),
    ("当前状态", "ZT"),
    ("数据来源单位", "LYDW"),
    ("数据来源单位统一社会信用代码", "LYDWDM"),
    ("备注", "BZ"),
)
MARKET_PENALTY: Columns = (
    ("决定书文号", "WSH"),
    ("案由", "WFXW"),
    ("当事人名称", "XDR_MC"),
    ("当事人类别", "XDR_LB"),
    ("统一社会信用代码", "XDR_SHXYM"),
    ("注册号", "XDR_GSZC"),
    ("组织机构代码", "XDR_ZZJG"),
    ("法定代表人（负责人）", "FRDB"),
    ("法定代表人证件类型", "FR_ZJLX"),
    ("法定代表人身份证号码", "FR_ZJHM"),
    ("自然人证件类型", "XDR_ZJLX"),
    ("自然人证件号码", "XDR_ZJHM"),
    ("主要违法事实", "SY"),
    ("法律依据", "YJ"),
    ("处罚种类", "CFLB"),
    ("处罚决定内容", "NR"),
    ("罚款金额（万元）", "NR_FK"),
    ("没收金额（万元）", "NR_WFFF"),
    ("暂扣或吊销证照名称及编号", "NR_ZKDX"),
    ("作出处罚决定日期", "JDRQ"),
    ("处罚有效期至", "YXQ"),
    ("公示截止日期", "GSJZQ"),
    ("作出处罚机关", "CFJG"),
    ("处罚机关代码", "CFJGDM"),
    ("案件程序", "案件程序"),
    ("经办科室", "经办科室"),
    ("更新时间", "更新时间"),
    ("备注", "BZ"),
)
HOUSING_LICENCE: Columns = (
    ("申请人", "XDR_MC"),
    ("申请人类型", "XDR_LB"),
    ("申请人统一社会信用代码", "XDR_SHXYM"),
    ("工商注册号", "XDR_GSZC"),
    ("组织机构代码", "XDR_ZZJG"),
    ("法定代表人", "FRDB"),
    ("法定代表人证件类型", "FR_ZJLX"),
    ("法定代表人证件号码", "FR_ZJHM"),
    ("证件类型", "XDR_ZJLX"),
    ("证件号码", "XDR_ZJHM"),
    ("事项名称", "XKWS"),
    ("批准文号", "WSH"),
    ("审批类别", "XKLB"),
    ("证书名称", "XKZS"),
    ("证书编号", "XKBH"),
    ("批准内容", "NR"),
    ("决定日期", "JDRQ"),
    ("有效期起", "YXQZ"),
    ("有效期止", "YXQZI"),
    ("证照状态", "ZT"),
    ("备注", "BZ"),
)
ECOLOGY_GROUPS: Sequence[tuple[str, Columns]] = (
    (
        "行政相对人信息",
        (
            ("行政相对人名称", "XDR_MC"),
            ("行政相对人类别", "XDR_LB"),
            ("统一社会信用代码", "XDR_SHXYM"),
            ("工商注册号", "XDR_GSZC"),
            ("组织机构代码", "XDR_ZZJG"),
            ("法定代表人", "FRDB"),
            ("法定代表人证件类型", "FR_ZJLX"),
            ("法定代表人证件号码", "FR_ZJHM"),
        ),
    ),
    (
        "处罚决定信息",
        (
            ("行政处罚决定书文号", "WSH"),
            ("违法行为类型", "WFXW"),
            ("违法事实", "SY"),
            ("处罚依据", "YJ"),
            ("处罚类别", "CFLB"),
            ("处罚内容", "NR"),
            ("罚款金额(元)", "NR_FK"),
            ("没收金额(元)", "NR_WFFF"),
            ("暂扣或吊销证照名称及编号", "NR_ZKDX"),
            ("处罚决定日期", "JDRQ"),
            ("处罚有效期", "YXQ"),
            ("公示截止期", "GSJZQ"),
        ),
    ),
    (
        "报送单位信息",
        (
            ("处罚机关", "CFJG"),
            ("处罚机关统一社会信用代码", "CFJGDM"),
            ("数据来源单位", "SJLY"),
            ("数据来源单位统一社会信用代码", "SJLYDM"),
        ),
    ),
)
ECOLOGY_PENALTY: Columns = (*(column for _, columns in ECOLOGY_GROUPS for column in columns), ("备注", "BZ"))
ECOLOGY_FIRST_LINE = 5
_CREATED = datetime(2026, 11, 20, 1, 0, 0)  # noqa: DTZ001 - a workbook knows no time zone


@dataclass(frozen=True)
class Delimited:
    """A text format. ``day`` is the strftime form of dates."""

    encoding: str
    delimiter: str
    line_end: str
    day: str


def write_delimited(path: Path, columns: Columns, rows: Sequence[Row], form: Delimited) -> list[int]:
    """Write the file; returns for each row the line it begins in."""
    lines: list[int] = []
    line = 1
    with path.open("wb") as file:
        if form.encoding == "utf-8-sig":
            file.write(b"\xef\xbb\xbf")
        encoding = form.encoding.removesuffix("-sig")
        for row in [None, *rows]:
            cells = (
                [header for header, _ in columns]
                if row is None
                else [_text(row.cells.get(key), form) for _, key in columns]
            )
            if row is not None:
                lines.append(line)
            data = _record(cells, row.damage if row else None, form, encoding)
            file.write(data)
            line += data.count(b"\n")
    return lines


def _record(cells: list[str], damage: str | None, form: Delimited, encoding: str) -> bytes:
    if damage == "short":
        cells = cells[:-3]
    elif damage == "long":
        cells = [*cells[:3], "未加引号的逗号", *cells[3:-1], "已移交"]
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=form.delimiter, lineterminator=form.line_end).writerow(cells)
    data = buffer.getvalue().encode("gb18030" if damage == "gb18030" else encoding)
    middle = len(data) // 2
    if damage == "undecodable":
        return data[:middle] + b"\xff\xff" + data[middle:]
    if damage == "binary":
        return data[:middle] + b"\x00\x00" + data[middle:]
    return data


def _text(cell: Cell, form: Delimited) -> str:
    if cell is None:
        return ""
    if isinstance(cell, date):
        return cell.strftime(form.day)
    if isinstance(cell, Decimal):
        return f"{cell.normalize():f}"
    return str(cell)


def write_workbook(path: Path, rows: Sequence[Row]) -> list[int]:
    """Write the ecology department's workbook; returns for each row its line in the sheet."""
    with xlsxwriter.Workbook(path) as book:
        book.set_properties({"title": "行政处罚信息报送表", "author": "示例市生态环境局", "created": _CREATED})
        sheet = book.add_worksheet("行政处罚")
        book.add_worksheet("填表说明").write("A1", "罚款金额、没收金额以元为单位；日期请使用日期格式。")
        title = book.add_format({"bold": True, "align": "center", "font_size": 16})
        head = book.add_format({"bold": True, "align": "center", "border": 1, "text_wrap": True})
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        last = len(ECOLOGY_PENALTY)
        sheet.merge_range(0, 0, 0, last, "示例市生态环境局行政处罚信息报送表", title)
        sheet.merge_range(1, 0, 1, last, "填报单位：示例市生态环境局法规科    填报日期：2026年11月19日")
        sheet.merge_range(2, 0, 3, 0, "序号", head)
        column = 1
        for group, columns in ECOLOGY_GROUPS:
            sheet.merge_range(2, column, 2, column + len(columns) - 1, group, head)
            for header, _ in columns:
                sheet.write_string(3, column, header, head)
                column += 1
        sheet.merge_range(2, column, 3, column, "备注", head)
        sheet.freeze_panes(4, 2)
        sheet.set_column(1, 1, 36)
        for number, row in enumerate(rows):
            sheet.write_number(4 + number, 0, number + 1)
            for place, (_, key) in enumerate(ECOLOGY_PENALTY, 1):
                _write_cell(sheet, 4 + number, place, row.cells.get(key), day)
    return [ECOLOGY_FIRST_LINE + number for number in range(len(rows))]


def _write_cell(sheet: Worksheet, row: int, column: int, cell: Cell, day: object) -> None:
    if isinstance(cell, date):
        sheet.write_datetime(row, column, datetime(cell.year, cell.month, cell.day), day)  # noqa: DTZ001 - as above
    elif isinstance(cell, (int, Decimal)):
        sheet.write_number(row, column, float(cell))
    elif cell is not None:
        sheet.write_string(row, column, cell)


MARKET_PENALTY_FORM = Delimited("gb18030", ",", "\r\n", "%Y-%m-%d")
MARKET_LICENCE_FORM = Delimited("utf-8-sig", ",", "\r\n", "%Y/%m/%d")
HOUSING_LICENCE_FORM = Delimited("utf-8", ";", "\n", "%Y年%m月%d日")
