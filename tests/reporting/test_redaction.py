"""A receiver's message may quote the record: what is quoted must go, what is said must stay."""

from __future__ import annotations

import pytest

from pipelines.reporting.redaction import MASK, redact


@pytest.mark.parametrize(
    ("message", "values", "shown"),
    [
        ("未查询到主体", ["张三"], "未查询到主体"),
        ("主体张三不存在", ["张三"], f"主体{MASK}不存在"),
        ("主体 张 三 不存在，张三", ["张三"], f"主体 {MASK} 不存在，{MASK}"),
        ("主体(测试)ＡＢＣ公司不匹配", ["（测试）abc公司"], f"主体{MASK}不匹配"),
        ("证件1101051949123100 2x无效", [None], f"证件{MASK}无效"),
        ("电话 138-0013-8000", [], f"电话 {MASK}"),
        ("代码91310000MA1FL00001不正确", [], f"代码{MASK}不正确"),
        ("验证规则代码:1001;错误描述:不匹配", ["1", "", None], "验证规则代码:1001;错误描述:不匹配"),
        ("甲乙甲乙甲", ["甲乙甲"], MASK),
        ("文号第12号", [], "文号第12号"),
        ("规则1001，金额10万元", ["10", "1001", "0.10"], "规则1001，金额10万元"),
        ("登记姓名为“李四”", ["张三"], f"登记姓名为“{MASK}”"),
        ("“行政相对人名称”不能为空", [], "“行政相对人名称”不能为空"),
        ("name 'Li Si' unknown", [], f"name '{MASK}' unknown"),
    ],
)
def test_values_and_long_codes_are_hidden(message: str, values: list[str | None], shown: str) -> None:
    assert redact(message, values, {"行政相对人名称"}) == shown
