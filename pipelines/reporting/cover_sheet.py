"""The first sheet of the department workbook: what is wrong, how much, how to fill in, until when."""

from __future__ import annotations

from collections.abc import Sequence

from xlsxwriter import Workbook

from pipelines.catalogue.correction_form import CORRECTION, EMPTY_WORDS
from pipelines.reporting.metrics import FeedFigures
from pipelines.reporting.problem_lines import Kind
from pipelines.reporting.problem_sheets import Layout, put_text
from pipelines.reporting.sheets import NAVY, Formats, cell_text
from pipelines.reporting.words import OWNERS, SEVERITIES, chinese_date, rule_text

COVER = "填写说明"
_WIDTHS = (36, 46, 46, 12, 9, 12, 14, 24)
_HEADERS = ("工作表", "问题", "处理办法", "由谁处理", "行数", "严重程度", "任务编号", "问题代码")


def cover_sheet(
    book: Workbook,
    formats: Formats,
    layout: Layout,
    figures: FeedFigures,
    kinds: Sequence[Kind],
    contact: str | None,
    problem_rows: int,
) -> None:
    """填写说明: opens first."""
    sheet = book.add_worksheet(COVER)
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)
    for column, width in enumerate(_WIDTHS):
        sheet.set_column(column, column, width)
    sheet.set_row(0, 30)
    title = f"{figures.department_name} · {figures.category_name} · {chinese_date(figures.business_date)} 问题清单"
    sheet.write_string(0, 0, title, formats.title())
    strong, wrap = formats.get("strong"), formats.get("wrap", "text")
    row = 1
    for topic, text in _facts(figures, kinds, contact, problem_rows):
        row += 1
        sheet.write_string(row, 0, topic, strong)
        sheet.merge_range(row, 1, row, len(_WIDTHS) - 1, cell_text(text)[0], wrap)
    row += 2
    sheet.set_row(row, 30)
    header = formats.header(NAVY)
    for column, text in enumerate(_HEADERS):
        sheet.write_string(row, column, text, header)
    for kind in kinds:
        row += 1
        name = layout.names[kind.number]
        problem, fix, code = layout.texts(kind)
        owner = "department" if kind.endpoint else rule_text(layout.rule_texts, kind.code).owner
        sheet.write_url(row, 0, f"internal:'{name}'!A1", formats.get("link"), name)
        put_text(sheet, row, 1, problem, wrap)
        put_text(sheet, row, 2, fix, wrap)
        put_text(sheet, row, 3, OWNERS.get(owner, owner), wrap)
        sheet.write_number(row, 4, kind.lines, formats.get())
        put_text(sheet, row, 5, SEVERITIES[kind.severity], wrap)
        put_text(sheet, row, 6, layout.tasks.get((kind.code, kind.field or "")), wrap)
        put_text(sheet, row, 7, code, wrap)
    sheet.protect("", {"format_columns": True, "format_rows": True})
    sheet.activate()


def _facts(
    figures: FeedFigures, kinds: Sequence[Kind], contact: str | None, problem_rows: int
) -> tuple[tuple[str, str], ...]:
    blocking = sum(kind.lines for kind in kinds if kind.severity == "block")
    warnings = sum(kind.lines for kind in kinds if kind.severity == "warn")
    first = figures.earliest_open_deadline
    due = f"；本批最早的时限为{chinese_date(first)}" if first is not None else ""
    return (
        ("报送情况", figures.conservation),
        ("需要更正", f"{problem_rows}行、{blocking}个问题；另有{warnings}个提示请核实"),
        ("时限", f"自作出决定之日起7个工作日内须获接收方确认，更正期间不停止计算{due}"),
        (
            "怎样填写",
            f"每个工作表是一类问题。只在黄色的“{CORRECTION}”中填写正确的内容，写法和单位与报送文件一致；有下拉列表的从列表中选择",
        ),
        ("应为空的", f"核实后该字段应当为空的，填写“{EMPTY_WORDS[0]}”；不更正的留空"),
        ("同一字段", "同一行的同一字段出现在几个工作表中的，填一处即可；各处填写不一致的，一处也不采用"),
        (
            "请勿改动",
            "黄色以外的单元格已锁定（无密码），请不要改动、移动或删除列；可以筛选、调整列宽，不需要的工作表可以删除",
        ),
        ("保存和退回", "用 Excel、WPS 或 LibreOffice 保存为 .xlsx，退回归集平台；平台逐行核对后重新校验，并出具回执"),
        ("收件", figures.department_name + (f"（{contact}）" if contact else "")),
    )
