"""What codes are called in Chinese on the pages and in the workbooks, and what a rule must be able to tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from pipelines.catalogue import rule_words

OUTCOMES = {
    "accepted": "入库",
    "duplicate": "重复",
    "quarantined": "问题",
    "blocked": "拦截",
    "excluded": "不报送",
}
SEVERITIES = {code: name.zh for code, name in rule_words.SEVERITIES.items()}
OWNERS = {code: name.zh for code, name in rule_words.OWNERS.items()}


class RuleText(Protocol):
    """The part of a rule that a report shows."""

    @property
    def code(self) -> str: ...
    @property
    def field(self) -> str | None: ...
    @property
    def severity(self) -> str: ...
    @property
    def owner(self) -> str: ...
    @property
    def message_zh(self) -> str: ...
    @property
    def fix_zh(self) -> str: ...


RuleTexts = Mapping[str, RuleText]


@dataclass(frozen=True)
class UnknownRule:
    """Stands in for a rule that the suites no longer hold, so that an old batch can still be reported."""

    code: str
    field: str | None = None
    severity: str = "block"
    owner: str = "us"
    message_zh: str = "该规则已不在规则库中"
    fix_zh: str = "请联系归集平台数据专员确认"


def rule_text(texts: RuleTexts, code: str) -> RuleText:
    """The texts of a rule; a plain stand-in for a code that nobody knows any more."""
    return texts.get(code) or UnknownRule(code)


def chinese_date(day: date) -> str:
    """``2026-03-05`` → ``2026年3月5日``."""
    return f"{day.year}年{day.month}月{day.day}日"
