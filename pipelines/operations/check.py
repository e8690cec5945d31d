"""A department judges its own file before sending it: the same rules and comparisons, nothing stored."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipelines.errors import ExtractError
from pipelines.intake.changes import Change
from pipelines.intake.reading import IntakeResult, inspect_file
from pipelines.operations.context import Context
from pipelines.operations.judging import judge_rows, suite_of
from pipelines.operations.noticing import notice_files, notice_values
from pipelines.quality.findings import create_findings
from pipelines.quality.rules import Suite

MOST_LINES = 8


@dataclass(frozen=True)
class ReasonLine:
    """One rule that rows of the file break: how many rows, and the first of their lines."""

    rule: str
    severity: str
    rows: int
    lines: list[int]


@dataclass(frozen=True)
class CheckResult:
    """What would become of the rows of a file, and why."""

    file: Path
    intake: IntakeResult
    outcomes: dict[str, int]
    reasons: list[ReasonLine]
    repairs: int
    suite: Suite
    unmapped_columns: tuple[str, ...]
    missing_fields: tuple[str, ...]
    changes: tuple[Change, ...]

    @property
    def problems(self) -> int:
        """Rows and lines that would not be accepted."""
        return self.outcomes.get("quarantined", 0) + self.outcomes.get("blocked", 0)


def check_file(context: Context, feed_code: str, file: Path, received: date) -> CheckResult:
    """Judge ``file`` as an extract of the feed, received on a day; leaves nothing behind.

    Raises :class:`ExtractError` for a file that cannot be read at all.
    """
    feed = context.catalogue.feed(feed_code)
    category = context.catalogue.category_of(feed)
    if not file.is_file():
        raise ExtractError("there is no such file", file=file, remedy="check the name")
    scratch = Path(tempfile.mkdtemp(prefix="guiji-check-"))
    try:
        suite = suite_of(context, category).on(received)
        with context.session() as session:
            intake = inspect_file(session, file, category, scratch, feed=feed)
            noticed = notice_files(context, feed, category, received, intake.parts, intake.extracts)
            verdicts = judge_rows(context, session, feed, intake.parts, received, suite)
            noticed = notice_values(session, category, verdicts.counts, noticed)
            create_findings(session, suite, category, scratch / "rejects.parquet")
            outcomes = {
                str(name): int(count)
                for name, count in session.rows("SELECT outcome, count(*) FROM settled GROUP BY 1")
            }
            outcomes["quarantined"] = outcomes.get("quarantined", 0) + intake.lines_undecoded
            found = session.rows(
                "SELECT rule, any_value(severity), count(*), list(line ORDER BY line)[:$most] FROM findings "
                "GROUP BY rule "
                "ORDER BY list_position(['block', 'warn', 'info'], any_value(severity)), count(*) DESC, rule",
                {"most": MOST_LINES},
            )
            repairs = session.count("repairs")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    reasons = [ReasonLine(str(rule), str(severity), int(rows), list(lines)) for rule, severity, rows, lines in found]
    return CheckResult(
        file,
        intake,
        outcomes,
        reasons,
        repairs,
        suite,
        verdicts.standard.unmapped_columns,
        verdicts.standard.missing_fields,
        noticed.changes,
    )


def render_check(result: CheckResult, console: Console) -> None:
    """Print a check for a department: Chinese, rule by rule, with the lines to look at."""
    counts = result.outcomes
    console.print(
        f"{result.file.name}：解析 {result.intake.rows_decoded} 行，无法解析 {result.intake.lines_undecoded} 行；"
        f"可入库 {counts.get('accepted', 0)}，重复 {counts.get('duplicate', 0)}，问题 {counts.get('quarantined', 0)}，"
        f"拦截 {counts.get('blocked', 0)}，不报送 {counts.get('excluded', 0)}；自动修复 {result.repairs} 处",
        markup=False,
        highlight=False,
    )
    for title, names in (
        ("未识别的列（不会入库）", result.unmapped_columns),
        ("文件中没有的必填字段", result.missing_fields),
    ):
        if names:
            console.print(f"{title}：{'、'.join(names)}", markup=False, highlight=False)
    for change in result.changes:
        rule = result.suite.rule(change.rule)
        console.print(
            f"{change.rule} {rule.message_zh}：{change.observed}。{rule.fix_zh}", markup=False, highlight=False
        )
    if not result.reasons:
        return
    table = Table(title="问题与处理办法")
    for name in ("代码", "级别", "行数", "所在行", "问题", "处理办法"):
        table.add_column(name, overflow="fold")
    severities = {"block": "必须更正", "warn": "请核对", "info": "提示"}
    for reason in result.reasons:
        rule = result.suite.rule(reason.rule)
        lines = ", ".join(str(line) for line in reason.lines) + (" …" if reason.rows > len(reason.lines) else "")
        table.add_row(reason.rule, severities[reason.severity], str(reason.rows), lines, rule.message_zh, rule.fix_zh)
    console.print(table)
