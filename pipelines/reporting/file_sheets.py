"""Sheets of the department workbook that are about files and whole records, not about rows."""

from __future__ import annotations

from collections.abc import Sequence

from xlsxwriter import Workbook

from pipelines.reporting.file_findings import FileFindingLine
from pipelines.reporting.sheets import Column, Formats, LineSheet
from pipelines.reporting.withdrawals import Withdrawal

FILES, WITHDRAWALS = "文件情况", "拟撤回记录"


def file_sheet(book: Workbook, formats: Formats, findings: Sequence[FileFindingLine]) -> None:
    """文件情况: what has changed since the last batch, and what is wrong with the files themselves."""
    columns = (
        Column("严重程度", 10),
        Column("情况", 40),
        Column("内容", 50),
        Column("处理办法", 50),
        Column("由谁处理", 12),
        Column("文件", 24),
        Column("工作表", 12),
        Column("行号", 8),
        Column("问题代码", 12),
    )
    sheet = LineSheet(book, formats, FILES, "与上一批相比的变化，以及文件本身的问题；不属于任何一行", columns)
    for finding in findings:
        row = sheet.next_row()
        sheet.text(row, 0, finding.severity_name)
        for column, text in enumerate((finding.message, finding.observed, finding.fix), start=1):
            sheet.text(row, column, text, "wrap")
        for column, text in enumerate((finding.owner, finding.extract_name, finding.sheet), start=4):
            sheet.text(row, column, text)
        sheet.number(row, 7, finding.line)
        sheet.text(row, 8, finding.code)
    sheet.close()


def withdrawal_sheet(book: Workbook, formats: Formats, withdrawals: Sequence[Withdrawal]) -> None:
    """拟撤回记录: records that should no longer exist; the department says whether that is so."""
    columns = (
        Column("文书号", 36),
        Column("状态", 16),
        Column("依据", 28),
        Column("首次发现", 14),
        Column("记录标识", 70),
    )
    title = "以下记录疑似已撤销，系统没有删除；确未撤销的，请在原系统中核对导出范围后重报"
    sheet = LineSheet(book, formats, WITHDRAWALS, title, columns)
    for one in withdrawals:
        row = sheet.next_row()
        for column, text in enumerate(
            (one.document_number, one.state_name, one.reason_name, one.first_seen.isoformat(), one.record_key)
        ):
            sheet.text(row, column, text)
    sheet.close()
