"""Rules as the console shows them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict

from rich.table import Table
from rich.text import Text

from pipelines.catalogue.rule_words import Bilingual
from pipelines.operations.rule_book import RuleBook
from pipelines.quality.rule_book import RuleEntry
from pipelines.quality.rules import FOREVER

SEVERITY_STYLES = {"block": "red", "warn": "yellow", "info": "dim"}


def rules_table(rules: Iterable[RuleEntry]) -> Table:
    """One line per rule."""
    shown = list(rules)
    table = Table(title=f"{len(shown)} 条规则", title_justify="left")
    for heading in ("代码", "级别", "责任", "维度", "问题"):
        table.add_column(heading, no_wrap=heading == "代码")
    for rule in shown:
        severity = Text(rule.severity_name.zh, SEVERITY_STYLES[rule.severity])
        table.add_row(rule.code, severity, rule.owner_name.zh, rule.dimension_name.zh, rule.title.zh)
    return table


def rule_json(rule: RuleEntry) -> str:
    """A rule on one line; texts are objects with ``zh`` and ``en``."""
    data = {
        name: value._asdict() if isinstance(value := getattr(rule, name), Bilingual) else plain
        for name, plain in asdict(rule).items()
    }
    return json.dumps(data, ensure_ascii=False, default=str)


def explanation(book: RuleBook, code: str, *, english: bool = False) -> str:
    """Everything about one rule, a line for each thing; :class:`CatalogueError` for a code that does not exist."""
    rule = book.rule(code)
    lines = [f"{rule.code}  {_said(rule.title, english)}", ""]
    lines += [f"{name}: {value}" if english else f"{name}：{value}" for name, value in _facts(book, rule, english)]
    return "\n".join(lines)


def _facts(book: RuleBook, rule: RuleEntry, english: bool) -> Iterator[tuple[str, str]]:
    def name(zh: str, en: str) -> str:
        return en if english else zh

    yield name("处理办法", "what to do"), _said(rule.remedy, english)
    yield name("规则类", "family"), _said(rule.family_name, english)
    yield name("级别", "severity"), _said(rule.severity_name, english)
    yield name("责任方", "owner"), _said(rule.owner_name, english)
    yield name("质量维度", "dimension"), _said(rule.dimension_name, english)
    yield name("判定方式", "scope"), _said(rule.scope_name, english)
    if rule.field is not None:
        label = _said(rule.field_name, english) if rule.field_name else ""
        yield name("数据项", "field"), f"{rule.field} {label}".strip()
    yield name("适用类别", "categories"), ", ".join(rule.categories) or name("全部", "all")
    yield (
        name("来历", "origin"),
        name("由字段表推导", "implied by the schema") if rule.derived else name("人工编写", "written"),
    )
    if rule.holds:
        yield name("适用条件", "applies when"), rule.applies or name("每一行", "every row")
        yield name("通过条件", "is kept when"), rule.holds
    yield name("依据", "source"), rule.source
    since = name("自始", "always") if rule.since == FOREVER else rule.since.isoformat()
    until = name("至今", "now") if rule.until is None else rule.until.isoformat()
    yield name("版本", "version"), str(rule.version)
    yield name("生效", "in force"), f"{since} – {until}"
    yield name("可否豁免", "can be waived"), name("可", "yes") if rule.waivable else name("不可", "no")
    for one in book.coverage:
        if rule in one.rules:
            condition = one.key.startswith("C")
            yield (
                (name("条件", "condition") if condition else name("缺陷", "defect")),
                f"{one.key} {_said(one.name, english)}",
            )
    cases = name("、", ", ").join(rule.golden_cases) or name("无", "none")
    yield name("黄金用例", "golden cases"), cases


def _said(words: Bilingual, english: bool) -> str:
    return words.en if english else words.zh
