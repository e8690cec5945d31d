"""Batches of mutated rows from a seed: every kind of value in every field, clean rows between them."""

from __future__ import annotations

import random

from .rows import Row, bases, cases, catalogue

_ODD = (
    None,
    "",
    " ",
    "无",
    "'",
    '";DROP TABLE standard;--',
    "%",
    "0",
    "-1",
    "1e3",
    "0.0000001",
    "999999999999.999999",
    "2026/02/29",
    "2024/02/29",
    "1949/10/01",
    "2099/12/31",
    "2026-03-05",
    "００００",
    "某",
    "张某某",
    "其他",
    "其他-",
    "其他-补办",
    "罚款;",
    ";罚款",
    "罚款；警告",
    "警告;其他-通报批评",
    "身份证",
    "护照号",
    "E12345678",
    "自然人",
    "个体工商户",
    "123456789012345678",
    "000000000000000000",
    "00000000000000000X",
    "362322198709086409",
    "91350203M0001QKT19",
    "电话13812345678",
    "a\nb",
    "\ufffd",
    "\ue123",
    "𠮷",
    "长" * 70,
    "长" * 4100,
)


def mutated_rows(category: str, count: int, seed: int) -> list[Row]:
    """``count`` rows: all bases and cases first, then random crossings of them with odd values."""
    chance = random.Random(seed)
    fields = catalogue().categories[category].field_codes
    sources = [*bases(category).values(), *(case.row for case in cases(category))]
    rows = [dict(source) for source in sources]
    while len(rows) < count:
        row = dict(chance.choice(sources))
        for field in chance.sample(fields, chance.choice((0, 1, 1, 2, 4))):
            row[field] = chance.choice((chance.choice(_ODD), chance.choice(sources).get(field)))
        if chance.random() < 0.02:
            row["excluded_reason"] = "声明不报送"
        rows.append(row)
    return rows
