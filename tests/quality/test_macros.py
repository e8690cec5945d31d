"""The macros of the rules: the values that decide, and the filters that may not lose any of them."""

from __future__ import annotations

import random
from datetime import date

import pyarrow as pa
import pytest

from pipelines.engine.duck import session


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("rule_date('2024/02/29')", date(2024, 2, 29)),
        ("rule_date('2025/02/29')", None),
        ("rule_date('2025/1/2')", None),
        ("rule_date('2025/1/002')", None),
        ("rule_date('2025/1/2  ')", None),
        ("rule_date(' 025/01/02')", None),
        ("rule_date('2025-01-02')", None),
        ("rule_amount('0.5')", 0.5),
        ("rule_amount('-1')", -1),
        ("rule_amount('1.1234567')", None),
        ("rule_amount('1e3')", None),
        ("rule_amount('1,000')", None),
        ("document_year('示罚〔2024〕5号')", 2024),
        ("document_year('示罚[ 2024 ]5号')", 2024),
        ("document_year('示罚（2024年）5号')", 2024),
        ("document_year('示罚〔24〕5号')", None),
        ("document_year('示罚〔市〕【2023】5号')", 2023),
        ("is_garbled('\ue001')", True),
        ("is_garbled('锟斤拷')", True),
        ("is_garbled('𠮷')", False),
        ("has_special_characters('5<6且7>3')", False),
        ("has_special_characters('a</p>')", True),
        ("has_special_characters('A&B公司')", False),
        ("has_special_characters('A&amp;B')", True),
        ("has_special_characters('两\n行')", False),
        ("has_special_characters('a\u200bb')", True),
        ("is_masked_name('李某')", True),
        ("is_masked_name('XX公司')", True),
        ("is_masked_name('<masked>')", True),
        ("is_masked_name('EXXON公司')", False),
        ("is_masked_name('示例公司')", False),
        ("has_lost_characters('王?')", True),
        ("has_lost_characters('怎么样(?)公司')", False),
        ("is_masked_code('9199********XXXX')", True),
        ("is_masked_code('<MASKED>')", True),
        ("is_masked_code('9144030071526726XG')", False),
        ("is_scientific('9.13302E+17')", True),
        ("is_scientific('91330282E7196379D')", False),
        ("is_cut_number('913302821234567000')", True),
        ("is_cut_number('000000000000000000')", False),
        ("names_several('甲公司、乙店')", True),
        ("names_several('甲、乙、丙文化公司')", False),
        ("names_several('甲公司;乙公司')", True),
        ("is_test_name('测试123')", True),
        ("is_test_name('归集测试有限公司')", False),
        ("gbk_bytes('中a文')", 5),
        ("repeats_class('罚款;警告;罚款')", True),
        ("repeats_class('罚款')", False),
        ("has_personal_data('电话13812345678。')", True),
        ("has_personal_data('货值12345678901234元')", False),
    ],
)
def test_decisive_values(expression: str, expected: object) -> None:
    with session() as duck:
        (found,) = duck.one(f"SELECT {expression}")
    assert found == expected


def test_no_filter_loses_a_value_that_a_rule_looks_for() -> None:
    chance = random.Random(7)
    alphabet = "示例公司甲乙某X×*?？〓□<>/&;#0123456789x锟斤拷烫屯\ufffd\ue000\u200b\x01 \n(某)ab。\U000f0001"
    texts = ["".join(chance.choices(alphabet, k=chance.randint(1, 14))) for _ in range(40_000)]
    texts += [
        "电话13812345678",
        "&nbsp;",
        "<br>",
        "屯屯屯",
        "XX",
        "李某",
        "a𠮷",
        "<masked>",
        "脱敏",
        "關(guān)",
        "查（chá）",
    ]
    with session() as duck:
        duck.register("texts", pa.table({"t": texts}))
        lost, found = duck.one(
            "SELECT count(*) FILTER ((is_garbled(t) OR has_special_characters(t) OR has_personal_data(t) "
            "OR has_pinyin(t)) AND NOT is_suspect_text(t) "
            "OR (is_masked_name(t) OR has_lost_characters(t)) AND NOT is_suspect_name(t)), "
            "count(*) FILTER (is_garbled(t) OR has_special_characters(t) OR is_masked_name(t)) FROM texts"
        )
    assert lost == 0
    assert found > 1000
