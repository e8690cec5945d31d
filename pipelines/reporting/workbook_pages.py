"""What stands on each sheet of the department workbook."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from xlsxwriter import Workbook

from pipelines.catalogue.correction_form import CORRECTION, EMPTY_WORDS, FIELD
from pipelines.reporting.metrics import FeedFigures
from pipelines.reporting.problem_lines import RETURNED
from pipelines.reporting.problem_sheets import FROZEN_COLUMNS, RETURNED_FIX, WARNINGS, Layout
from pipelines.reporting.sheets import GREY, Column, Formats, LineSheet
from pipelines.reporting.words import OWNERS, SEVERITIES, chinese_date, rule_text

REJECTS, SUMMARY, HELP = "无法解析的行", "汇总", "说明"
SHOWN_BYTES = 4_000


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
        (
            "一表一类问题",
            "每个工作表是一类问题，同一原始行有几类问题就出现在几个工作表中；“同一行的其他问题”注明其余各处。",
        ),
        (
            "怎样填写",
            f"在黄色的“{CORRECTION}”中填写该字段正确的内容，写法和单位与报送列一致；没有指明字段的，先选“{FIELD}”。",
        ),
        ("不必更正的", f"内容经核实无误的，“{CORRECTION}”留空，并在原系统中保留依据。"),
        ("应为空的", f"核实后该字段应当为空的，填写“{EMPTY_WORDS[0]}”。"),
        (
            "请勿改动",
            "黄色以外的单元格已锁定，没有密码。需要排序的，先撤销工作表保护，并选中整个表格一起排序；行的次序不影响核对。",
        ),
        ("不接受的", "公式、错误值、超过15位的数字（请按文本填写）、改动过的报送内容不予采用，回执中逐格说明。"),
        ("代码和日期", "代码、文号、日期均按文本填写，首位的0不会丢失；日期写作 2026/03/05。"),
        ("同时更正原系统", "请在原业务系统中一并更正，否则下一次报送仍会出现同样的问题。"),
        (WARNINGS, "不影响入库，请核实；确有错误的同样填写。"),
        (REJECTS, "整行没有读出来。请按处理办法在原文件中更正，随下一批重新报送。"),
        ("时限", "自作出决定之日起7个工作日内须获接收方确认；退回更正期间时限不停止计算。"),
        (
            "回执",
            "退回的工作簿逐行核对、重新校验；回执列明已采用、仍有问题和未采用的各行及原因。重复退回同一工作簿不会重复处理。",
        ),
        ("保密", "本工作簿含报送原文，可能涉及个人信息，仅限本部门办理更正使用，请勿外传。"),
        ("收件", f"{figures.department_name}" + (f"（{contact}）" if contact else "")),
        ("联系", "公共信用信息归集平台数据专员；联系时请报“行引用”，不必转述当事人信息。"),
    ):
        row = sheet.next_row()
        sheet.text(row, 0, topic, "strong")
        sheet.text(row, 1, text, "wrap")
    sheet.close()
