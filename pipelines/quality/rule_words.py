"""What checks, results and gates are called in Chinese, where the pages of Great Expectations show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.quality.gate_figures import COUNTS

GATES_ZH = {
    "no_rows": "有无数据",
    "row_count": "行数",
    "fill_rate": "字段填报率",
    "outcome_share": "处理结果占比",
    "duplicate_share": "重复行占比",
    "value_share": "代码项取值占比",
    "value_distribution": "代码项取值分布（与常态的距离）",
    "rekeyed_share": "换号重报占比",
}
OUTCOMES_ZH = {"accepted": "入库", "quarantined": "退回", "blocked": "拦截", "excluded": "不归集"}
ANSWERS_ZH = {"pass": "通过", "fail": "未通过", "not_applicable": "不适用"}
REASONS_ZH = {"off": "已停用", "few_batches": "可比的正常批次不足", "nothing": "本批没有可比的数据"}
STATES_ZH = {
    "published": "已发布",
    "held": "等待处理",
    "failed": "失败",
    "running": "未完成",
    "abandoned": "未完成",
    "unchanged": "无变化",
}
OTHER_VALUES = "*"

_CHECKS_ZH = {
    "expect_column_values_to_not_be_null": "应当填写",
    "expect_column_values_to_be_in_set": "应为规定的取值之一",
    "expect_column_value_lengths_to_be_between": "不超过{max_value}个字符",
    "expect_column_bytes_to_be_at_most": "按{encoding}编码不超过{max_value}个字节",
    "expect_column_to_be_present_when": "符合条件的行应当填写",
    "expect_column_to_be_blank_when": "符合条件的行应当为空",
    "expect_column_to_follow_code_list": "应为代码项的取值",
    "expect_column_open_entry_to_be_explained": "选“{open_entry}”的应当写明具体内容",
    "expect_column_dates_to_be_readable": "应为存在的日期",
    "expect_column_amounts_to_be_readable": "应为金额",
    "expect_column_dates_to_be_not_after": "日期不晚于规定日期",
    "expect_column_dates_to_be_not_before": "日期不早于规定日期",
    "expect_column_dates_to_follow": "日期不早于{earlier}",
    "expect_column_code_verdict_to_be_accepted": "应为有效代码",
    "expect_figures_to_be_as_usual": "与近期正常批次相比在允许范围内",
}
_ANY_CHECK_ZH = "逐行核对内容"


class _Arguments(dict[str, Any]):
    """Arguments of an expectation; one that is not given is left open."""

    def __missing__(self, _name: str) -> str:
        return "…"


def check_zh(type_: str, kwargs: Mapping[str, Any]) -> str:
    """What an expectation checks, in a few words."""
    return _CHECKS_ZH.get(type_, _ANY_CHECK_ZH).format_map(_Arguments(kwargs))


def figure_zh(gate: str, item: str, fields: Mapping[str, str]) -> str:
    """A figure of a gate in words; ``fields`` are the Chinese names of the fields of its category."""
    name = GATES_ZH.get(gate, gate)
    if not item:
        return name
    if gate == "outcome_share":
        return f"{name}：{OUTCOMES_ZH.get(item, item)}"
    field, _, value = item.partition("=")
    shown = fields.get(field, field)
    if not value:
        return f"{name}：{shown}"
    return f"{name}：{shown}＝{'其他取值' if value == OTHER_VALUES else value}"


def amount(gate: str, value: float | None) -> str:
    """A figure or limit of a gate as people read it: rows, or percent."""
    if value is None:
        return "—"
    return f"{value:,.0f}" if gate in COUNTS else f"{100 * value:.1f} %"


def limits(gate: str, low: float | None, high: float | None) -> str:
    """Between what a figure of a gate passes."""
    if low is None and high is None:
        return "—"
    return f"{amount(gate, low)} ~ {amount(gate, high) if high is not None else ''}".strip()
