"""A trial for the terminal: facts of the file, origins of the fields, first rows, repairs, problems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipelines.operations.feed_trial import FieldOrigin, Trial

SEVERITIES = {"block": "必须更正", "warn": "请核对", "info": "提示"}
OUTCOMES = {
    "accepted": "可入库",
    "duplicate": "重复",
    "quarantined": "问题",
    "blocked": "拦截",
    "excluded": "不报送",
}
_LONGEST_CELL = 60


def render_trial(trial: Trial, console: Console) -> None:
    """Print a trial; everything of the file is printed as plain text."""
    for line in (*_facts(trial), _counts(trial)):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if trial.held is not None:
        console.print(f"held: {trial.held}", style="red", markup=False, highlight=False, soft_wrap=True)
    if trial.totals is not None:
        style = None if trial.totals_agree else "red"
        console.print(f"control totals {trial.totals}", style=style, markup=False, highlight=False, soft_wrap=True)
    console.print(_origins(trial))
    if trial.unmapped:
        console.print(f"未使用的列：{'、'.join(trial.unmapped)}", markup=False, highlight=False, soft_wrap=True)
    if trial.rows:
        console.print(_rows(trial))
    if trial.repairs:
        console.print(_repairs(trial))
    if trial.problems:
        console.print(_problems(trial))


def _facts(trial: Trial) -> Iterator[str]:
    for extract in trial.extracts:
        facts = [str(extract.get(key)) for key in ("kind", "encoding", "delimiter") if extract.get(key)]
        if not extract.get("extension_fits", True):
            facts.append("its name says something else")
        yield f"{trial.file}: {', '.join(facts)}"
        for table in extract.get("sheets") or [extract]:
            yield f"  {_table(table)}"
        for sheet, reason in (extract.get("sheets_left_out") or {}).items():
            yield f"  not read: {sheet} ({reason})"


def _table(table: Mapping[str, Any]) -> str:
    parts = [f"sheet {table['sheet']}"] if table.get("sheet") else []
    if table.get("header_line"):
        rows = table.get("header_rows") or 1
        parts.append(f"header on line {table['header_line']}" + (f" ({rows} rows)" if rows > 1 else ""))
    if table.get("template"):
        parts.append(f"official template {table['template']}")
    count = table.get("rows", table.get("rows_decoded"))
    return ", ".join([*parts, f"{count} rows"])


def _counts(trial: Trial) -> str:
    outcomes = "，".join(f"{name} {trial.outcomes.get(code, 0)}" for code, name in OUTCOMES.items())
    return f"解析 {trial.rows_decoded} 行，无法解析 {trial.lines_undecoded} 行；{outcomes}"


def _origins(trial: Trial) -> Table:
    table = _new_table("字段来源", ("字段", "名称", "来源", "非空行"))
    for origin in trial.origins:
        style = "red" if origin.origin == "missing" and origin.required == "always" else None
        table.add_row(*_texts(origin.field, origin.name_zh, _origin(origin), str(origin.filled)), style=style)
    return table


def _origin(origin: FieldOrigin) -> str:
    columns = " + ".join(origin.columns)
    constant = f"“{origin.constant}”" if origin.constant is not None else ""
    if origin.origin == "columns":
        return f"{columns}，空值取{constant}" if constant else columns
    if origin.origin == "constant":
        return f"常量{constant}"
    if origin.origin == "derived":
        return "推导"
    return "缺失（必填）" if origin.required == "always" else "—"


def _rows(trial: Trial) -> Table:
    """The first rows side by side, one line per field that any of them fills."""
    heads = [f"{row.sheet} {row.line} 行".strip() for row in trial.rows]
    table = _new_table("标准形式（涉及个人的内容已遮盖）", ("字段", *heads))
    table.add_row("", *_texts(*(OUTCOMES.get(row.outcome, row.outcome) for row in trial.rows)))
    for field in trial.category.fields:
        cells = [row.fields.get(field.code, "") for row in trial.rows]
        if any(cells):
            table.add_row(*_texts(field.code, *(_cut(cell) for cell in cells)))
    table.add_row("", *_texts(*(", ".join(row.reasons) for row in trial.rows)))
    return table


def _repairs(trial: Trial) -> Table:
    table = _new_table("自动修复", ("字段", "规则", "内容", "次数", "修复前", "修复后"))
    for line in trial.repairs:
        before, after = _cut(line.before or ""), _cut(line.after or "")
        table.add_row(*_texts(line.field, line.rule, line.name_zh, str(line.count), before, after))
    return table


def _problems(trial: Trial) -> Table:
    table = _new_table("问题与处理办法", ("代码", "级别", "行数", "所在行", "问题", "处理办法"))
    for line in trial.problems:
        places = ", ".join(line.lines) + (" …" if line.count > len(line.lines) else "")
        severity = SEVERITIES.get(line.severity, line.severity)
        table.add_row(*_texts(line.rule, severity, str(line.count), places, line.message_zh, line.fix_zh))
    return table


def _new_table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in columns:
        table.add_column(Text(name), overflow="fold")
    return table


def _texts(*cells: str) -> list[Text]:
    return [Text(cell) for cell in cells]


def _cut(cell: str) -> str:
    cell = cell.replace("\n", "⏎")
    return cell if len(cell) <= _LONGEST_CELL else f"{cell[:_LONGEST_CELL]}…"
