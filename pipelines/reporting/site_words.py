"""What codes are called on the pages, in Chinese and English."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from pipelines.catalogue.rule_words import DIMENSIONS, FAMILIES, OWNERS, SCOPES, SEVERITIES
from pipelines.reporting.words import OUTCOMES, RuleText, UnknownRule

Pair = tuple[str, str]
_ENGLISH_OUTCOMES = {
    "accepted": "accepted",
    "duplicate": "duplicate",
    "quarantined": "quarantined",
    "blocked": "blocked",
    "excluded": "excluded",
}
WORDS: Mapping[str, Mapping[str, Pair]] = {
    "severity": SEVERITIES,
    "owner": OWNERS,
    "dimension": DIMENSIONS,
    "family": FAMILIES,
    "scope": SCOPES,
    "outcome": {code: (zh, _ENGLISH_OUTCOMES[code]) for code, zh in OUTCOMES.items()},
    "state": {
        "published": ("已归集", "published"),
        "running": ("正在归集", "still running"),
        "held": ("已暂停，等待核实", "held for a steward"),
        "failed": ("归集失败", "failed"),
        "missing": ("没有数据", "no data"),
    },
    "day": {
        "full": ("合规率 99.5 % 及以上", "compliance 99.5 % or more"),
        "high": ("95 % 至 99.5 %", "95 % to 99.5 %"),
        "low": ("80 % 至 95 %", "80 % to 95 %"),
        "poor": ("不足 80 %", "below 80 %"),
        "held": ("已暂停，等待核实", "held"),
        "failed": ("归集失败", "failed"),
        "missing": ("没有数据", "missing"),
        "running": ("正在归集", "running"),
        "empty": ("已归集，没有应报送的行", "published, nothing reportable"),
        "none": ("无须报送", "nothing due"),
    },
    "task": {
        "open": ("待处理", "open"),
        "acknowledged": ("已受理", "acknowledged"),
        "fixed": ("已更正，待验证", "fixed, to be verified"),
        "reopened": ("重新出现", "reopened"),
        "verified": ("已验证", "verified"),
        "waived": ("已豁免", "waived"),
    },
    "gate": {
        "pass": ("通过", "passed"),
        "fail": ("未通过", "failed"),
        "not_applicable": ("不适用", "not applicable"),
        "released": ("放行", "released"),
        "refused": ("退回", "refused"),
        "release": ("放行", "released"),
        "refuse": ("退回", "refused"),
    },
    "withdrawal": {
        "absent": ("全量数据中已不见", "absent from full dumps"),
        "revoked": ("报送部门已标记撤销", "marked as revoked"),
    },
}


def word(language: str, kind: str, code: str) -> str:
    """What a code is called; the code itself when nobody named it."""
    zh, en = WORDS[kind].get(code, (code, code))
    return zh if language == "zh" else en


class PageRule(RuleText, Protocol):
    """What the pages show of a rule."""

    @property
    def message_en(self) -> str: ...
    @property
    def fix_en(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def family(self) -> str: ...
    @property
    def dimension(self) -> str: ...
    @property
    def scope(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def since(self) -> date: ...
    @property
    def until(self) -> date | None: ...
    @property
    def waivable(self) -> bool: ...


PageRules = Mapping[str, PageRule]


@dataclass(frozen=True)
class GoneRule(UnknownRule):
    """Stands in, with all that a page shows, for a rule that the suites no longer hold."""

    message_en: str = "this rule is no longer in the rule book"
    fix_en: str = "ask the platform's data steward"
    source: str = ""
    family: str = ""
    dimension: str = ""
    scope: str = "row"
    version: int = 1
    since: date = date.min
    until: date | None = None
    waivable: bool = False


def page_rule(rules: PageRules, code: str) -> PageRule:
    """The rule with a code; a stand-in for one that nobody knows any more."""
    return rules.get(code) or GoneRule(code)
