"""What codes are called on the pages, in Chinese and English."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from pipelines.reporting.words import OUTCOMES, OWNERS, REPAIRS, SEVERITIES, RuleText

Pair = tuple[str, str]
_ENGLISH_REPAIRS = {
    "TXT-001": "words for an empty value removed",
    "TXT-002": "full-width letters and digits made half-width",
    "TXT-003": "invisible characters removed",
    "TXT-004": "markup removed",
    "TXT-005": "line breaks inside a cell joined",
    "TXT-006": "spreadsheet text marks removed",
    "TXT-007": "“.0” after a code removed",
    "TXT-008": "blanks at both ends removed",
    "TXT-009": "blanks inside numbers removed",
    "NAME-001": "brackets in names made full-width",
    "CODE-001": "codes made upper-case",
    "CODE-002": "blanks and hyphens in codes removed",
    "CODE-003": "label before a code removed",
    "CODE-004": "copy number after a code removed",
    "CODE-005": "15-digit resident id made 18 digits",
    "CODE-006": "punctuation after a code removed",
    "DATE-001": "date separators unified",
    "DATE-002": "eight-digit dates converted",
    "DATE-003": "dates with 年月日 converted",
    "DATE-004": "time after a date removed",
    "DATE-005": "spreadsheet serial dates converted",
    "DATE-006": "dates with offset converted",
    "DATE-007": "dates in Chinese numerals converted",
    "DATE-008": "“long-term” made 2099/12/31",
    "DATE-009": "placeholder dates removed",
    "DATE-010": "valid from taken from the decision date (edition 2016)",
    "AMT-001": "amounts made plain numbers in 万元",
    "AMT-002": "amounts in capital numerals converted",
    "AMT-003": "amounts in 元 converted to 万元",
    "ENUM-001": "coded values spelled as the standard does",
    "ENUM-002": "several coded values separated as the standard does",
    "ENUM-003": "explanation of “other” spelled as the standard does",
    "ENUM-004": "kind of subject taken from its code",
    "ENUM-005": "kinds taken from the resident id (edition 2016)",
    "MAP-001": "joined from several columns",
    "MAP-002": "taken from a part of a cell",
}
_ENGLISH = {
    "outcome": {
        "accepted": "accepted",
        "duplicate": "duplicate",
        "quarantined": "quarantined",
        "blocked": "blocked",
        "excluded": "excluded",
    },
    "severity": {"block": "must fix", "warn": "please check", "info": "for information"},
    "owner": {"department": "department", "us": "this platform", "upper": "upper platform"},
    "repair": _ENGLISH_REPAIRS,
}
_CHINESE = {"outcome": OUTCOMES, "severity": SEVERITIES, "owner": OWNERS, "repair": REPAIRS}
WORDS: Mapping[str, Mapping[str, Pair]] = {
    **{kind: {code: (zh, _ENGLISH[kind].get(code, code)) for code, zh in _CHINESE[kind].items()} for kind in _CHINESE},
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
    "dimension": {
        "completeness": ("完整性", "completeness"),
        "validity": ("规范性", "validity"),
        "consistency": ("一致性", "consistency"),
        "uniqueness": ("唯一性", "uniqueness"),
        "accuracy": ("准确性", "accuracy"),
        "timeliness": ("及时性", "timeliness"),
        "privacy": ("个人信息保护", "privacy"),
        "integrity": ("完好性", "integrity"),
    },
    "scope": {"row": ("逐行", "each row"), "set": ("多行之间", "rows together"), "batch": ("整批", "whole batch")},
    "family": {
        "required": ("必填", "required fields"),
        "format": ("格式", "formats"),
        "code_list": ("代码项", "code lists"),
        "organisation_code": ("机构代码", "organisation codes"),
        "person": ("自然人", "natural persons"),
        "name": ("名称", "names"),
        "document": ("文书", "documents"),
        "date": ("日期", "dates"),
        "amount": ("金额", "amounts"),
        "class": ("类别", "classes"),
        "status": ("状态", "status"),
        "duplicate": ("重复", "duplicates"),
        "file": ("文件", "files"),
        "source": ("数据来源", "sources"),
        "gate": ("批次闸门", "batch gates"),
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
    "figure": {},
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
class GoneRule:
    """Stands in for a rule that the suites no longer hold, so that an old batch can still be shown."""

    code: str
    field: str | None = None
    severity: str = "block"
    owner: str = "us"
    message_zh: str = "该规则已不在规则库中"
    fix_zh: str = "请联系归集平台数据专员确认"
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
