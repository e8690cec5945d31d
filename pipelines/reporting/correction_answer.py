"""The answer to a corrected workbook (更正回执): what was taken, what is still wrong, what was refused and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from xlsxwriter import Workbook

from pipelines.engine.duck import Session, file_literal
from pipelines.reporting.problem_sheets import OBSTACLES
from pipelines.reporting.sheets import Column, Formats, LineSheet
from pipelines.reporting.whole_workbook import new_workbook
from pipelines.reporting.words import RuleTexts, chinese_date, rule_text

APPLIED, REFUSED = "已采用", "未采用"
_SHORT = "请改后重新退回"
REASONS: Mapping[str, tuple[str, str]] = {
    "no_row": ("该行没有对应的报送行，不能在本表更正", "请在原系统中更正后重新报送"),
    "identity": (
        "本行的隐藏标识与发出时不一致（可能只排序了部分列，或粘贴时覆盖了隐藏列）",
        "请在原发出的工作簿中重新填写",
    ),
    "unknown": ("报送文件中没有这一行", "请在原发出的工作簿中重新填写"),
    "gone": ("数据已重新报送，其中没有与本行完全相同的行（或有多行）", "请在最新的工作簿中填写"),
    "content": ("该行的内容与发出工作簿时不同", "请在最新的工作簿中填写"),
    "changed_cell": ("此处是报送内容，不能直接修改", "请恢复原内容，把正确的内容填入黄色的“更正后的值”"),
    "changed_row": ("同一行的报送内容被改动，无法确认填写的是哪一行", "请恢复原内容后重新退回"),
    "formula": ("填写的是公式", "请填写内容本身，不要使用公式"),
    "error": ("单元格显示为错误值", "请填写内容本身"),
    "digits": ("数字超过15位，表格软件已丢失末尾数字", "请把单元格设为文本后重新填写"),
    "no_field": ("没有选择要更正的字段", "请在“字段”一栏的下拉列表中选择"),
    "conflict": ("同一行的同一字段有不同的填写", "请只保留正确的一处，或填写一致"),
    **{code: (text.partition("，")[0], text.partition("，")[2]) for code, text in OBSTACLES.items()},
}
_OUTCOMES = {
    "accepted": "已通过",
    "duplicate": "与其他行重复",
    "quarantined": "仍有问题",
    "blocked": "记录已撤回",
    "excluded": "不报送",
}
_CHANGES = {"new": "，新入库", "changed": "，已更新", "unchanged": "，与已入库内容相同", "outdated": "，已有更新的报送"}


# Sheet, row, field, whether the value is another one, outcome, change, reasons that still block.
AppliedLine = tuple[str, int, str, str, str, str | None, list[str]]


@dataclass(frozen=True)
class AnswerFigures:
    """Corrections of one workbook: ``applied`` ones, those whose row is ``still_wrong``, and ``refused`` cells."""

    applied: int
    still_wrong: int
    refused: int


def write_answer(
    session: Session,
    scratch: Path,
    run_folder: Path,
    workbook: str,
    names: tuple[str, str, str],
    business_date: date,
    field_names: Mapping[str, str],
    rule_texts: RuleTexts,
    path: Path,
) -> AnswerFigures:
    """Write the answer to the workbook with this SHA-256, from the files of the run that applied it.

    ``names``: department, feed, and what the workbook is called. No value of any record stands in it: cells are named
    by sheet and row of the workbook that the department has. Raises :class:`StorageError` when the disk refuses.
    """
    applied = _applied(session, run_folder, workbook)
    refused = session.rows(
        f"SELECT book_sheet, book_row, cell, field, reason FROM "
        f"read_parquet({file_literal(run_folder / 'corrections_refused.parquet')}) WHERE workbook = $workbook "
        "ORDER BY book_sheet, book_row, cell, reason",
        {"workbook": workbook},
    )
    figures = AnswerFigures(len(applied), sum(row[4] == "quarantined" for row in applied), len(refused))
    department, feed, called = names
    title = f"{department} · {feed} · {chinese_date(business_date)} 更正回执"
    with new_workbook(path, scratch, title, business_date) as book:
        formats = Formats(book)
        _summary(book, formats, title, called, figures)
        _applied_sheet(book, formats, applied, field_names, rule_texts)
        _refused_sheet(book, formats, refused, field_names)
    return figures


def _applied(session: Session, folder: Path, workbook: str) -> list[AppliedLine]:
    return session.rows(
        f"""
        WITH told AS (
            SELECT row_no, list(DISTINCT rule ORDER BY rule) AS rules
            FROM read_parquet({file_literal(folder / "findings.parquet")}) WHERE severity = 'block' AND NOT waived
            GROUP BY row_no
        )
        SELECT c.book_sheet, c.book_row, c.field,
               CASE WHEN c.old_value IS NOT DISTINCT FROM c.new_value THEN 'same' ELSE 'other' END,
               o.outcome, o.change,
               CASE WHEN o.outcome IN ('quarantined', 'blocked') THEN
                   list_distinct(coalesce(t.rules, []) || o.reasons[-1:]) ELSE [] END
        FROM read_parquet({file_literal(folder / "corrections.parquet")}) c
        JOIN read_parquet({file_literal(folder / "outcomes.parquet")}) o USING (row_no)
        LEFT JOIN told t USING (row_no)
        WHERE c.workbook = $workbook ORDER BY c.book_sheet, c.book_row, c.field
        """,
        {"workbook": workbook},
    )


def _summary(book: Workbook, formats: Formats, title: str, called: str, figures: AnswerFigures) -> None:
    sheet = LineSheet(book, formats, "概况", title, (Column("项目", 18), Column("内容", 90)))
    for topic, text in (
        ("退回的工作簿", called),
        (APPLIED, f"{figures.applied}处更正已采用并重新校验，其中{figures.still_wrong}处所在的行仍有问题"),
        (REFUSED, f"{figures.refused}处没有采用，原因和处理办法见“{REFUSED}”"),
        ("接下来", "仍有问题和没有采用的，请在下一份工作簿中更正；已通过的无需再处理，但请同时更正原系统"),
    ):
        row = sheet.next_row()
        sheet.text(row, 0, topic, "strong")
        sheet.text(row, 1, text, "wrap")
    sheet.close()


def _applied_sheet(
    book: Workbook,
    formats: Formats,
    applied: Sequence[AppliedLine],
    field_names: Mapping[str, str],
    rule_texts: RuleTexts,
) -> None:
    columns = (
        Column("工作表", 28),
        Column("行", 7),
        Column("字段", 30),
        Column("结果", 24),
        Column("仍存在的问题", 60),
        Column("处理办法", 60),
    )
    sheet = LineSheet(book, formats, APPLIED, "以下更正已采用，并按全部规则重新校验", columns)
    for book_sheet, book_row, field, same, outcome, change, rules in applied:
        row = sheet.next_row()
        texts = [rule_text(rule_texts, rule) for rule in rules]
        sheet.text(row, 0, book_sheet)
        sheet.number(row, 1, book_row)
        sheet.text(row, 2, field_names.get(field, field), "wrap")
        result = _OUTCOMES.get(outcome, outcome) + _CHANGES.get(change or "", "")
        sheet.text(row, 3, f"{result}（与原内容相同）" if same == "same" else result, "wrap")
        sheet.text(row, 4, "\n".join(text.message_zh for text in texts), "wrap")
        sheet.text(row, 5, "\n".join(text.fix_zh for text in texts), "wrap")
    sheet.close()


def _refused_sheet(
    book: Workbook,
    formats: Formats,
    refused: Sequence[tuple[str, int, str, str | None, str]],
    field_names: Mapping[str, str],
) -> None:
    columns = (
        Column("工作表", 28),
        Column("行", 7),
        Column("单元格", 9),
        Column("字段", 30),
        Column("没有采用的原因", 60),
        Column("处理办法", 60),
    )
    sheet = LineSheet(book, formats, REFUSED, "以下内容没有采用，其余更正不受影响", columns)
    for book_sheet, book_row, cell, field, reason in refused:
        row = sheet.next_row()
        why, remedy = REASONS[reason]
        sheet.text(row, 0, book_sheet)
        sheet.number(row, 1, book_row)
        sheet.text(row, 2, cell)
        sheet.text(row, 3, field_names.get(field or "", field), "wrap")
        sheet.text(row, 4, why, "wrap")
        sheet.text(row, 5, remedy or _SHORT, "wrap")
    sheet.close()
