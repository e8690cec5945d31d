"""The rule book as a page of Markdown, Chinese first: ``docs/rules.md``. The same rules give the same text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter

from pipelines.catalogue.repair_rules import RepairRule
from pipelines.catalogue.rule_words import Bilingual
from pipelines.quality.rule_book import RuleEntry
from pipelines.quality.rule_coverage import Coverage
from pipelines.quality.rules import FOREVER

HEAD = """# 规则手册 · The rule book

本页由 `guiji rules book` 生成，请勿手工修改；规则在 `expectations/` 和 `schemas/` 中。
This page is written by `guiji rules book`; the rules themselves are in `expectations/` and `schemas/`.

* 级别：**必须更正**的行退回，**请核实**和**提示**不影响入库。A row that breaks a rule marked 必须更正 goes back.
* 每条规则对每一行的回答是通过、不通过或不适用，三者分别计数。
  A rule is kept, broken or not applicable; all three are counted.
* 推导：由字段表和代码表推导出的规则，没有人手写。Derived rules follow from the tables of fields and code lists.
* 接收方：某一接收方才有的要求，不影响入库，只在向该接收方报送时暂不报送。
  Rules of one receiver make no record wrong; it is only withheld there.
* 依据：defect 和 condition 的编号见本页末尾；field study 是编写规则前对公开文件和各地平台的调研，[found] 为确有出处，
  [unverified] 为通行做法、未见原文。The numbers of defects and conditions are listed below; "field study" is what was
  read beforehand in public documents and platforms: [found] stands somewhere, [unverified] is common knowledge whose
  text was not seen.
"""


def rule_book_text(entries: Sequence[RuleEntry], repairs: Sequence[RepairRule], coverage: Sequence[Coverage]) -> str:
    """The whole page."""
    parts: list[str] = [HEAD, *_summary(entries)]
    for _, group in groupby(entries, key=attrgetter("family")):
        parts += _family(tuple(group))
    parts += _repairs(repairs)
    parts += _coverage(coverage)
    parts += _golden(entries)
    return "\n".join(parts) + "\n"


def _summary(entries: Sequence[RuleEntry]) -> Iterator[str]:
    yield f"共 {len(entries)} 条规则 · {len(entries)} rules\n"
    yield from _table(
        ("规则类 family", "条数", "必须更正", "请核实", "提示"),
        (
            (both(rules[0].family_name), len(rules), *(sum(rule.severity == s for rule in rules) for s in _SEVERITIES))
            for rules in (tuple(group) for _, group in groupby(entries, key=attrgetter("family")))
        ),
    )


_SEVERITIES = ("block", "warn", "info")


def _family(rules: Sequence[RuleEntry]) -> Iterator[str]:
    yield f"\n## {both(rules[0].family_name)}\n"
    yield from _table(
        (
            "代码",
            "问题与处理",
            "problem and remedy",
            "级别",
            "责任",
            "维度",
            "版本与生效",
            "缺陷与条件",
            "豁免",
            "依据",
        ),
        (
            (
                f"`{rule.code}`{_origin(rule)}",
                f"{rule.title.zh}。{rule.remedy.zh}",
                f"{rule.title.en}. {rule.remedy.en}",
                rule.severity_name.zh,
                rule.owner_name.zh,
                rule.dimension_name.zh,
                in_force(rule),
                "、".join((*map(str, rule.defects), *rule.conditions)),
                "可" if rule.waivable else "不可",
                rule.source,
            )
            for rule in rules
        ),
    )


def _repairs(repairs: Sequence[RepairRule]) -> Iterator[str]:
    yield "\n## 自动修正 · repairs\n"
    yield "只改写法，不改内容；逐条登记。They change how a value is written, never what it says; each is recorded.\n"
    yield from _table(
        ("代码", "内容", "what", "缺陷与条件"),
        (
            (
                f"`{repair.rule}`",
                repair.name_zh,
                repair.name_en,
                "、".join((*map(str, repair.defects), *repair.conditions)),
            )
            for repair in repairs
        ),
    )


def _coverage(coverage: Sequence[Coverage]) -> Iterator[str]:
    yield "\n## 缺陷与条件由哪些规则覆盖 · defects and conditions, and what covers them\n"
    yield from _table(
        ("编号", "缺陷或条件", "defect or condition", "规则", "修正", "其他途径 otherwise"),
        (
            (
                one.key,
                one.name.zh,
                one.name.en,
                collapsed(one.rules),
                "、".join(one.repairs),
                both(one.otherwise) if one.otherwise else "",
            )
            for one in coverage
        ),
    )


def _golden(entries: Sequence[RuleEntry]) -> Iterator[str]:
    yield "\n## 每条规则由哪个黄金用例触发 · which golden case breaks which rule\n"
    yield "用例在 `data_samples/`，由运行得出；需要比对历史的规则由测试触发。Found by running every case.\n"
    yield from _table(
        ("代码", "用例"),
        (
            (f"`{rule.code}`", "、".join(f"`{case}`" for case in rule.golden_cases))
            for rule in sorted(entries, key=_code)
        ),
    )


def _origin(rule: RuleEntry) -> str:
    if rule.profile is not None:
        return f" （接收方 {rule.profile}）"
    return " （推导）" if rule.derived else ""


def _code(rule: RuleEntry) -> str:
    return rule.code


def collapsed(rules: Iterable[RuleEntry]) -> str:
    """Codes; derived rules of one kind are one entry with their number."""
    written = [rule.code for rule in rules if not rule.derived]
    kinds: dict[str, int] = {}
    for rule in rules:
        if rule.derived:
            kind = rule.code.split("-", 1)[0]
            kinds[kind] = kinds.get(kind, 0) + 1
    return "、".join((*written, *(f"{kind}-…（{count}）" for kind, count in kinds.items())))


def in_force(rule: RuleEntry) -> str:
    """Version and days, as ``1`` or ``2，2019-07-01起``."""
    since = "" if rule.since == FOREVER else f"，{rule.since.isoformat()}起"
    until = "" if rule.until is None else f"，至{rule.until.isoformat()}（不含）"
    return f"{rule.version}{since}{until}"


def both(words: Bilingual) -> str:
    return f"{words.zh} · {words.en}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(_cell(cell) for cell in row)} |"


def _cell(value: object) -> str:
    """Markdown ends a cell at a bar and a page renders what looks like markup."""
    return str(value).replace("|", "\\|").replace("<", "&lt;")
