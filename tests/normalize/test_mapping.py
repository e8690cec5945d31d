"""Fields that are joined, split, reused or constant: what stands in the row, and what a trace can tell of it."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.catalogue.mappings import Column
from pipelines.errors import BatchHeldError, ExtractError
from tests.normalize.conftest import Standardise, make_feed


def mapped(**columns: Any) -> Any:
    return make_feed(columns={"CF_XDR_MC": "当事人", **columns})


def test_a_joined_field_takes_what_is_filled_in_the_order_of_the_feed(run: Standardise) -> None:
    outcome = run(
        {
            "当事人": list("甲乙丙丁戊"),
            "类别一": ["罚款", "罚款", None, "无", "罚款"],
            "类别二": ["警告", "/", "警告 ", None, "罚款"],
        },
        feed=mapped(CF_CFLB={"join": ["类别二", "类别一"]}),
    )
    assert outcome.column("CF_CFLB") == ["警告;罚款", "罚款", "警告", None, "罚款"]
    assert outcome.result.unmapped_columns == ()
    joined = [
        (row, old, new) for row, field, rule, old, new in outcome.repairs if (field, rule) == ("CF_CFLB", "MAP-001")
    ]
    assert sorted(joined) == [
        (0, "警告 + 罚款", "警告;罚款"),
        (1, "/ + 罚款", "罚款"),
        (2, "警告 ", "警告"),
        (3, "无", None),
        (4, "罚款 + 罚款", "罚款;罚款"),
    ]
    assert (4, "CF_CFLB", "ENUM-002", "罚款;罚款", "罚款") in outcome.repairs


def test_the_separator_of_a_joined_field_is_the_feeds(run: Standardise) -> None:
    feed = mapped(BZ={"join": ["备注一", "备注二", "备注三"], "separator": " '‖' "})
    outcome = run({"当事人": ["甲"], "备注一": ["一"], "备注二": [None], "备注三": ["三"]}, feed=feed)
    assert outcome.column("BZ") == ["一 '‖' 三"]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (1, ["甲局", "乙局", None, "丁局"]),
        (2, ["一科", None, "三科", "二科"]),
        (3, [None, None, None, "三科"]),
        (-1, ["一科", "乙局", "三科", "三科"]),
        (-3, [None, None, None, "丁局"]),
    ],
)
def test_a_split_field_takes_one_part_and_is_empty_without_it(
    run: Standardise, part: int, expected: list[str | None]
) -> None:
    cells = ["甲局 / 一科", "乙局", "/ 三科", "丁局/二科/三科"]
    feed = mapped(CF_CFJG={"column": "机关", "split": {"by": "/", "part": part}})
    outcome = run({"当事人": list("甲乙丙丁"), "机关": cells}, feed=feed)
    assert outcome.column("CF_CFJG") == expected
    told = {row: (old, new) for row, _, rule, old, new in outcome.repairs if rule == "MAP-002"}
    assert told == {
        row: (cell, part) for row, (cell, part) in enumerate(zip(cells, expected, strict=True)) if cell != part
    }


def test_a_part_is_repaired_like_any_other_value(run: Standardise) -> None:
    feed = mapped(
        CF_JDRQ={"column": "期间", "split": {"by": "至", "part": 1}},
        CF_YXQ={"column": "期间", "split": {"by": "至", "part": 2}},
    )
    outcome = run({"当事人": ["甲", "乙"], "期间": ["2024年1月2日至长期", "2024-3-4"]}, feed=feed)
    assert outcome.column("CF_JDRQ") == ["2024/01/02", "2024/03/04"]
    assert outcome.column("CF_YXQ") == ["2099/12/31", None]
    steps = [repair[2:] for repair in outcome.repairs if repair[:2] == (0, "CF_JDRQ")]
    assert steps == [
        ("MAP-002", "2024年1月2日至长期", "2024年1月2日"),
        ("DATE-003", "2024年1月2日", "2024/01/02"),
    ]


def test_one_column_may_fill_several_fields(run: Standardise) -> None:
    feed = mapped(CF_CFLB="处罚结果", CF_NR="处罚结果", CF_SY={"column": "处罚结果", "constant": "未写明"})
    outcome = run({"当事人": ["甲", "乙"], "处罚结果": ["罚款", None]}, feed=feed)
    assert outcome.column("CF_CFLB") == ["罚款", None]
    assert outcome.column("CF_NR") == ["罚款", None]
    assert outcome.column("CF_SY") == ["罚款", "未写明"]


def test_values_of_made_cells_are_mapped(run: Standardise) -> None:
    feed = make_feed(
        columns={"CF_XDR_MC": "当事人", "CF_XDR_LB": {"column": "类型", "split": {"by": "-", "part": 1}}},
        values={"CF_XDR_LB": {"A": "个体工商户"}},
    )
    outcome = run({"当事人": ["甲", "乙"], "类型": ["A-餐饮", "自然人-"]}, feed=feed)
    assert outcome.column("CF_XDR_LB") == ["个体工商户", "自然人"]


def test_the_rest_of_a_shared_cell_is_covered_where_it_may_be_personal(run: Standardise) -> None:
    """A cell with name and identity number is cut for both: the repair of the name must not carry the number."""
    feed = make_feed(
        columns={
            "CF_XDR_MC": {"column": "当事人", "split": {"by": ",", "part": 2}},
            "CF_XDR_ZJHM": {"column": "当事人", "split": {"by": ",", "part": 1}},
        }
    )
    outcome = run({"当事人": ["11010519491231002X,张三"]}, feed=feed)
    assert (outcome.column("CF_XDR_MC"), outcome.column("CF_XDR_ZJHM")) == (["张三"], ["11010519491231002X"])
    olds = [old for _, _, rule, old, _ in outcome.repairs if rule == "MAP-002"]
    assert len(olds) == 2
    assert not any("1949" in old or "张三" in old for old in olds)


def test_a_mapping_cannot_leave_its_string(run: Standardise) -> None:
    evil = "'] || (SELECT 'x') --"
    feed = mapped(
        BZ={"join": ["a'b", 'c"d'], "separator": evil},
        CF_NR={"column": "a'b", "split": {"by": "'", "part": 1}, "constant": evil},
    )
    outcome = run({"当事人": ["甲"], "a'b": ["1'2"], 'c"d': ["3"]}, feed=feed)
    assert outcome.column("BZ") == [f"1'2{evil}3"]
    assert outcome.column("CF_NR") == ["1"]
    assert run({"当事人": ["甲"], "a'b": [None], 'c"d': ["3"]}, feed=feed).column("CF_NR") == [evil]


@pytest.mark.parametrize(
    "how", [{"join": ["备注一", "备注九"]}, {"column": "备注九", "split": {"by": "-", "part": 1}}, "备注九"]
)
def test_a_named_column_that_is_absent_holds_the_batch(run: Standardise, how: Any) -> None:
    with pytest.raises(BatchHeldError, match="备注九"):
        run({"当事人": ["甲"], "备注一": ["1"]}, feed=mapped(BZ=how))


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"join": ["备注一", "备注九"]}, "1"),
        ({"column": "备注九", "split": {"by": "-", "part": 1}}, None),
        ({"column": "备注九", "constant": "未填写"}, "未填写"),
        ("备注九", None),
    ],
)
def test_records_that_leave_out_names_have_an_empty_field(run: Standardise, how: Any, expected: str | None) -> None:
    outcome = run({"当事人": ["甲"], "备注一": ["1"]}, feed=mapped(BZ=how), names_left_out=True)
    assert outcome.column("BZ") == [expected]


def test_a_field_that_every_record_must_have_holds_the_batch_all_the_same(run: Standardise) -> None:
    with pytest.raises(BatchHeldError, match="名称"):
        run({"备注一": ["1"]}, feed=make_feed(columns={"CF_XDR_MC": "名称", "BZ": "备注一"}), names_left_out=True)


def test_settings_of_a_single_extract_hold_for_that_extract_only(run: Standardise) -> None:
    feed = make_feed(
        columns={"CF_XDR_MC": "当事人", "BZ": {"constant": "全部"}},
        values={"CF_XDR_LB": {"甲类": "自然人", "乙类": "自然人"}},
        extracts=[
            {
                "match": "*.csv",
                "columns": {"CF_XDR_MC": "名称", "BZ": {"constant": "本件"}},
                "values": {"CF_XDR_LB": {"乙类": "个体工商户"}},
            },
            {"match": "别的*", "columns": {"CF_XDR_MC": "没有"}},
        ],
    )
    own = run({"名称": ["子", "丑"], "主体类别": ["甲类", "乙类"]}, feed=feed, extract_name="本月.csv")
    assert own.column("CF_XDR_MC") == ["子", "丑"]
    assert own.column("CF_XDR_LB") == ["自然人", "个体工商户"]
    assert own.column("BZ") == ["本件", "本件"]
    other = run({"当事人": ["寅"], "主体类别": ["乙类"]}, feed=feed, extract_name="本月.xlsx")
    assert (other.column("CF_XDR_MC"), other.column("CF_XDR_LB"), other.column("BZ")) == (["寅"], ["自然人"], ["全部"])


@pytest.mark.parametrize(
    ("header", "said", "standard"),
    [
        ("罚款金额", None, "5000"),
        ("罚款金额（万元）", None, "5000"),
        ("罚款金额（元）", None, "0.5"),
        ("罚款金额(单位：元)", "罚款金额(单位：元)", "0.5"),
        ("罚没金额（元）", None, "0.5"),
        ("罚款金额（元）", {"column": "罚款金额（元）", "unit": "万元"}, "5000"),
        ("罚款金额（万元）", {"column": "罚款金额（万元）", "unit": "元"}, "0.5"),
        ("金额（千元）", {"column": "金额（千元）", "unit": "万元"}, "5000"),
    ],
)
def test_a_header_states_the_unit_unless_the_feed_does(run: Standardise, header: str, said: Any, standard: str) -> None:
    feed = mapped() if said is None else mapped(CF_NR_FK=said)
    assert run({"当事人": ["甲"], header: ["5000"]}, feed=feed).column("CF_NR_FK") == [standard]


@pytest.mark.parametrize("header", ["罚款金额（千元）", "罚款（美元）", "罚款 (单位：亿元)"])
def test_a_unit_that_nobody_can_convert_stops_the_extract(run: Standardise, header: str) -> None:
    with pytest.raises(ExtractError, match="unit"):
        run({"当事人": ["甲"], header: ["5"]}, feed=mapped(CF_NR_FK=header))


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (Column(column="甲"), "column 甲"),
        (Column(column="甲", constant="乙", unit="元"), 'column 甲, "乙" where it is empty, in 元'),
        (Column(constant="乙"), 'constant "乙"'),
        (Column(join=("甲", "乙")), "columns 甲, 乙 joined with ';'"),
        (Column.model_validate({"column": "甲", "split": {"by": "-", "part": -1}}), "part -1 of column 甲 cut at '-'"),
    ],
)
def test_a_mapping_in_words(how: Column, words: str) -> None:
    assert str(how) == words
