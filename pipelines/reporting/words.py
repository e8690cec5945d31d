"""What codes are called in Chinese on the pages and in the workbooks, and what a rule must be able to tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Protocol

OUTCOMES = {
    "accepted": "入库",
    "duplicate": "重复",
    "quarantined": "问题",
    "blocked": "拦截",
    "excluded": "不报送",
}
SEVERITIES = {"block": "必须更正", "warn": "请核实", "info": "提示"}
OWNERS = {"department": "报送部门", "us": "归集平台", "upper": "上级平台"}
# Repairs have codes and no texts of their own: nobody has to act on them (domain reference 8, defects marked A).
REPAIRS = {
    "TXT-001": "“无”“/”“-”“null”等空值写法清除",
    "TXT-002": "全角字母、数字改半角",
    "TXT-003": "不可见字符清除",
    "TXT-004": "网页标记清除",
    "TXT-005": "单元格内换行合并",
    "TXT-006": '表格软件的文本记号（前置撇号、="…"）清除',
    "TXT-007": "编码末尾多余的“.0”清除",
    "TXT-008": "首尾空白清除",
    "TXT-009": "数字中的空白清除",
    "NAME-001": "名称中的括号统一为全角",
    "CODE-001": "代码小写改大写",
    "CODE-002": "代码中的空白和连字符清除",
    "CODE-003": "代码前的标签清除",
    "CODE-004": "代码后的副本编号清除",
    "CODE-005": "15位公民身份号码转为18位",
    "CODE-006": "代码后的标点清除",
    "DATE-001": "日期分隔符统一",
    "DATE-002": "八位数字日期转换",
    "DATE-003": "汉字年月日日期转换",
    "DATE-004": "日期后的时间清除",
    "DATE-005": "表格软件日期序号转换",
    "DATE-006": "国际格式日期转换",
    "DATE-007": "汉字数字日期转换",
    "DATE-008": "“长期”等转为 2099/12/31",
    "DATE-009": "占位日期清除",
    "DATE-010": "有效期自按许可决定日期推定（2016版）",
    "AMT-001": "金额单位和千分位统一为万元数字",
    "AMT-002": "大写金额转换",
    "AMT-003": "以元计的金额换算为万元",
    "ENUM-001": "代码项改为标准写法",
    "ENUM-002": "多个代码项统一分隔和写法",
    "ENUM-003": "“其他”项的说明统一写法",
    "ENUM-004": "相对人类别由代码推定",
    "ENUM-005": "证件类型和相对人类别按身份证号推定（2016版）",
    "MAP-001": "由多列合并",
    "MAP-002": "取自单元格的一部分",
}


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
