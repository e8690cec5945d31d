"""What stands on each sheet of the department workbook."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xlsxwriter import Workbook

from pipelines.reporting.metrics import FeedFigures
from pipelines.reporting.problem_lines import ProblemLine
from pipelines.reporting.sheets import GOLD, GREY, Column, Formats, LineSheet
from pipelines.reporting.words import OWNERS, SEVERITIES, RuleTexts, chinese_date, rule_text

PROBLEMS, WARNINGS, REJECTS, SUMMARY, HELP = "问题清单", "提示", "无法解析的行", "汇总", "说明"
CORRECTION = "更正后的值"
OWN_COLUMNS = (
    Column("序号", 6),
    Column("文件", 20),
    Column("工作表", 9),
    Column("行号", 7),
    Column("字段", 18),
    Column("报送的值", 22),
    Column("问题", 34),
    Column("处理办法", 34),
    Column(CORRECTION, 26, GOLD),
    Column("问题代码", 16),
    Column("严重程度", 10),
    Column("行引用", 20),
)
FROZEN_COLUMNS = 4
SOURCE_WIDTH = 18
RETURNED = "退回"
RETURNED_FIX = "请按接收方的说明更正后重新报送；报送时限继续计算"
SHOWN_BYTES = 4_000


@dataclass(frozen=True)
class Layout:
    """What the sheets of one workbook share. ``positions``: field code → source column that fills it."""

    source_headers: Sequence[str]
    positions: Mapping[str, int]
    field_names: Mapping[str, str]
    rule_texts: RuleTexts
    endpoint_names: Mapping[str, str]
    lines_per_sheet: int


def problem_sheet(
    book: Workbook, formats: Formats, layout: Layout, lines: Iterable[ProblemLine], figures: FeedFigures
) -> None:
    """问题清单: what keeps rows out, one line per row and reason; opens first."""
    title = (
        f"{figures.department_name} · {figures.category_name} · {chinese_date(figures.business_date)}　"
        f"请逐行在黄色的“{CORRECTION}”中填写；右侧灰色表头为报送原文，红色单元格为有问题的内容"
    )
    sheet = _line_sheet(book, formats, layout, PROBLEMS, title)
    sheet.sheet.activate()
    _write_lines(sheet, layout, lines, "block")


def warning_sheet(book: Workbook, formats: Formats, layout: Layout, lines: Iterable[ProblemLine]) -> None:
    """提示: rows that are reported all the same, or were left out for good, and deserve a look."""
    title = f"以下内容不影响其他行入库，请核实；确有错误的，在黄色的“{CORRECTION}”中填写"
    _write_lines(_line_sheet(book, formats, layout, WARNINGS, title), layout, lines, "warn")


def _line_sheet(book: Workbook, formats: Formats, layout: Layout, name: str, title: str) -> LineSheet:
    columns = (*OWN_COLUMNS, *(Column(header, SOURCE_WIDTH, GREY) for header in layout.source_headers))
    return LineSheet(
        book,
        formats,
        name,
        title,
        columns,
        frozen_columns=FROZEN_COLUMNS,
        lines_per_sheet=layout.lines_per_sheet,
    )


def _write_lines(sheet: LineSheet, layout: Layout, lines: Iterable[ProblemLine], severity: str) -> None:
    previous: int | None = None
    banded = True
    for number, line in enumerate(lines, start=1):
        # All reasons of one row carry one shade.
        if line.row_no is None or line.row_no != previous:
            banded = not banded
        previous = line.row_no
        band = ("band",) if banded else ()
        row = sheet.next_row()
        position = layout.positions.get(line.field or "")
        problem, fix, code = _texts(layout, line)
        sheet.number(row, 0, number, *band)
        sheet.text(row, 1, line.extract_name, *band)
        sheet.text(row, 2, line.sheet, *band)
        sheet.number(row, 3, line.line, *band)
        sheet.text(row, 4, layout.field_names.get(line.field or "", line.field), "wrap", "strong", *band)
        sheet.text(row, 5, line.cells[position] if position is not None else None, "wrap", *band)
        sheet.text(row, 6, problem, "wrap", *band)
        sheet.text(row, 7, fix, "wrap", *band)
        sheet.text(row, 8, None, "fill_in")
        sheet.text(row, 9, code, *band)
        sheet.text(row, 10, SEVERITIES[severity], *band)
        sheet.text(row, 11, line.reference, "quiet", *band)
        for index, value in enumerate(line.cells):
            if index == position:
                sheet.text(row, len(OWN_COLUMNS) + index, value, "wrong")
            elif value:
                sheet.text(row, len(OWN_COLUMNS) + index, value, *band)
    sheet.close()


def _texts(layout: Layout, line: ProblemLine) -> tuple[str, str, str]:
    """Problem, what to do, code."""
    if line.endpoint is not None:
        receiver = layout.endpoint_names.get(line.endpoint, line.endpoint)
        return f"【{receiver}】{line.message}", RETURNED_FIX, line.code or RETURNED
    text = rule_text(layout.rule_texts, line.code or "")
    return text.message_zh, text.fix_zh, text.code


def reject_sheet(book: Workbook, formats: Formats, layout: Layout, rejects: Iterable[Mapping[str, Any]]) -> None:
    """无法解析的行: lines that are no rows. Their text is for looking at only: what cannot be read is replaced."""
    columns = (
        Column("序号", 6),
        Column("文件", 24),
        Column("工作表", 9),
        Column("行号", 8),
        Column("问题", 30),
        Column("处理办法", 34),
        Column("应有列数", 9),
        Column("实有列数", 9),
        Column("原文（仅供查看，无法识别的字显示为 �）", 90, GREY),
        Column("问题代码", 12),
    )
    title = "以下各行没有进入数据，请更正后随下一批重新报送"
    sheet = LineSheet(
        book, formats, REJECTS, title, columns, frozen_columns=FROZEN_COLUMNS, lines_per_sheet=layout.lines_per_sheet
    )
    for number, reject in enumerate(rejects, start=1):
        row = sheet.next_row()
        text = rule_text(layout.rule_texts, reject["rule"])
        sheet.number(row, 0, number)
        sheet.text(row, 1, reject["extract_name"])
        sheet.text(row, 2, reject["sheet"])
        sheet.number(row, 3, reject["line"])
        sheet.text(row, 4, text.message_zh, "wrap")
        sheet.text(row, 5, text.fix_zh, "wrap")
        sheet.number(row, 6, reject["expected_cells"])
        sheet.number(row, 7, reject["actual_cells"])
        sheet.text(row, 8, shown_bytes(reject["bytes"]), "wrap")
        sheet.text(row, 9, text.code)
    sheet.close()


def shown_bytes(data: bytes) -> str:
    """Bytes as text for the eye: the encoding that leaves fewer holes; control characters become ``�`` too."""
    kept = data[:SHOWN_BYTES]
    readings = [kept.decode(encoding, errors="replace") for encoding in ("utf-8", "gb18030")]
    best = min(readings, key=lambda reading: reading.count("�"))
    shown = "".join(letter if letter.isprintable() or letter in "\t\n" else "�" for letter in best.rstrip("\r\n"))
    return shown + ("…" if len(data) > SHOWN_BYTES else "")


def summary_sheet(book: Workbook, formats: Formats, layout: Layout, figures: FeedFigures) -> None:
    """汇总: the conservation line and how many rows each reason touches."""
    columns = (
        Column("严重程度", 12),
        Column("问题", 46),
        Column("处理办法", 46),
        Column("由谁处理", 12),
        Column("行数", 9),
        Column("仅此一项", 10),
        Column("问题代码", 18),
    )
    sheet = LineSheet(book, formats, SUMMARY, figures.conservation, columns)
    for reason in figures.reasons or ():
        row = sheet.next_row()
        text = rule_text(layout.rule_texts, reason.code)
        sheet.text(row, 0, SEVERITIES[reason.severity])
        sheet.text(row, 1, text.message_zh, "wrap")
        sheet.text(row, 2, text.fix_zh, "wrap")
        sheet.text(row, 3, OWNERS.get(text.owner, text.owner))
        sheet.number(row, 4, reason.rows)
        sheet.number(row, 5, reason.sole)
        sheet.text(row, 6, reason.code)
    if figures.counts.rejected:
        row = sheet.next_row()
        sheet.text(row, 0, SEVERITIES["block"])
        sheet.text(row, 1, "接收方退回", "wrap")
        sheet.text(row, 2, RETURNED_FIX, "wrap")
        sheet.text(row, 3, OWNERS["department"])
        sheet.number(row, 4, figures.counts.rejected)
        sheet.text(row, 5, None)
        sheet.text(row, 6, RETURNED)
    sheet.close()


def help_sheet(book: Workbook, formats: Formats, figures: FeedFigures, contact: str | None) -> None:
    """说明: how to fill in, and whom to ask."""
    title = f"{figures.department_name} {figures.feed_name}（{chinese_date(figures.business_date)}）填写说明"
    sheet = LineSheet(book, formats, HELP, title, (Column("项目", 18), Column("说明", 110)))
    for topic, text in (
        ("一行一个问题", f"“{PROBLEMS}”中每一行是一个问题；同一原始行有几个问题就列几行，底色相同。"),
        ("怎样填写", f"在黄色的“{CORRECTION}”中填写该字段正确的内容，只填本行“字段”一栏所指的字段。"),
        ("不必更正的", f"内容经核实无误的，“{CORRECTION}”留空，并在原系统中保留依据。"),
        ("请勿改动", "请不要改动“行引用”“问题代码”和表头，也不要删除或移动列；可以筛选和排序。"),
        ("代码和日期", "代码、文号、日期均按文本填写，首位的0不会丢失；日期写作 2026/03/05。"),
        ("同时更正原系统", "请在原业务系统中一并更正，否则下一次报送仍会出现同样的问题。"),
        (WARNINGS, "不影响入库，请核实；确有错误的同样填写。"),
        (REJECTS, "整行没有读出来。请按处理办法在原文件中更正，随下一批重新报送。"),
        ("时限", "自作出决定之日起7个工作日内须获接收方确认；退回更正期间时限不停止计算。"),
        ("保密", "本工作簿含报送原文，可能涉及个人信息，仅限本部门办理更正使用，请勿外传。"),
        ("收件", f"{figures.department_name}" + (f"（{contact}）" if contact else "")),
        ("联系", "公共信用信息归集平台数据专员；联系时请报“行引用”，不必转述当事人信息。"),
    ):
        row = sheet.next_row()
        sheet.text(row, 0, topic, "strong")
        sheet.text(row, 1, text, "wrap")
    sheet.close()
