"""The tables ``standard`` and ``repairs``: SQL and look-ups together do what the slow chains say."""

from __future__ import annotations

import random
from typing import Any

import pytest

from pipelines.catalogue.catalogue import Catalogue
from pipelines.errors import BatchHeldError, ExtractError
from pipelines.normalize.treatments import treatment
from tests.normalize.conftest import Standardise, make_feed
from tests.normalize.nasty import nasty_values

USCC = "11119900MA9900028H"


def test_every_cell_and_repair_is_what_the_twin_says(catalogue: Catalogue, run: Standardise) -> None:
    category = catalogue.categories["administrative_penalty"]
    feed = make_feed(columns={"CF_NR_FK": {"column": "CF_NR_FK", "unit": "元"}}, values={"CF_SJLY": {"甲": "乙局"}})
    chooser = random.Random(4)
    pool = nasty_values(1500, seed=5)
    tidy = {field.code: "91119900MA9900028H" if field.type == "code" else "甲局" for field in category.fields}
    tidy |= {"CF_JDRQ": "2024/01/02", "CF_YXQ": "2024/01/02", "CF_GSJZQ": "2024/01/02", "CF_NR_WFFF": "0.5"}
    columns = {
        code: [chooser.choice(pool) if chooser.random() < 0.3 else value for _ in range(3000)]
        for code, value in tidy.items()
    }
    outcome = run(columns, feed=feed)
    expected = set()
    for field in category.fields:
        declared = feed.column(field.code)
        chain = treatment(
            field,
            catalogue.code_lists,
            own_values=feed.values.get(field.code),
            unit=declared.unit if declared else None,
        )
        for number, value in enumerate(columns[field.code]):
            found = chain.standardise(value)
            if field.code != "CF_XDR_LB" or found.value is not None:
                assert outcome.rows[number][field.code] == found.value, (field.code, value)
            expected |= {(number, field.code, change.rule, change.old, change.new) for change in found.changes}
    assert {repair for repair in outcome.repairs if repair[2] != "ENUM-004"} == expected


def test_standard_rows_stay_as_they_are(run: Standardise, catalogue: Catalogue) -> None:
    codes = catalogue.categories["administrative_penalty"].field_codes
    chooser = random.Random(6)
    pool = nasty_values(800, seed=7)
    once = run({code: [chooser.choice(pool) for _ in range(1500)] for code in codes})
    twice = run({code: once.column(code) for code in codes})
    assert [{code: row[code] for code in codes} for row in twice.rows] == [
        {code: row[code] for code in codes} for row in once.rows
    ]
    assert twice.repairs == []


def test_columns_of_the_standard_table(run: Standardise, catalogue: Catalogue) -> None:
    outcome = run({"行政相对人名称": ["甲"], "备注": [""]}, extract="a" * 64, sheet="表", first_line=5)
    codes = catalogue.categories["administrative_penalty"].field_codes
    assert tuple(outcome.rows[0]) == (
        "row_no",
        "extract",
        "sheet",
        "line",
        *codes,
        "excluded_reason",
        "source_timestamp",
    )
    assert [outcome.rows[0][name] for name in ("row_no", "extract", "sheet", "line", "BZ")] == [
        0,
        "a" * 64,
        "表",
        5,
        None,
    ]
    assert outcome.repairs == []


@pytest.mark.parametrize("category", ["administrative_penalty", "administrative_licence"])
def test_official_templates_map_completely(run: Standardise, catalogue: Catalogue, category: str) -> None:
    for template in catalogue.categories[category].templates:
        columns = {header: [f"值{number}"] for number, header in enumerate(template.columns)}
        # The values only tell the columns apart; as states they would hold the batch.
        feed = make_feed(category, undeclared_status="quarantine")
        outcome = run(columns, feed=feed, fixed_subject_kind=template.subject_kind)
        assert outcome.result.unmapped_columns == ()
        filled = {value for code, value in outcome.rows[0].items() if code not in {"extract", "sheet"} and value}
        assert {f"值{number}" for number in range(len(columns))} <= filled


def test_headers_are_matched_without_typing_habits(run: Standardise) -> None:
    outcome = run(
        {
            "序号": ["1"],
            "行政相对人代码＿1(统一社会信用代码)": [USCC],
            "处罚 决定,日期": ["2024-1-2"],
            "内部编号": ["9"],
        }
    )
    assert outcome.column("CF_XDR_SHXYM") == [USCC]
    assert outcome.column("CF_JDRQ") == ["2024/01/02"]
    assert outcome.result.unmapped_columns == ("内部编号",)


def test_code_columns_go_by_their_header_not_by_their_number(run: Standardise) -> None:
    swapped = {"行政相对人代码_2(组织机构代码)": ["12345678X"], "行政相对人代码_3(工商注册号)": ["110000012345678"]}
    outcome = run(swapped)
    assert outcome.column("CF_XDR_ZZJG") == ["12345678X"]
    assert outcome.column("CF_XDR_GSZC") == ["110000012345678"]


def test_the_feed_names_columns_constants_units_and_values(run: Standardise) -> None:
    feed = make_feed(
        columns={
            "CF_XDR_MC": "企业",
            "CF_NR_FK": {"column": "金额", "unit": "元"},
            "CF_CFJG": {"column": "机关", "constant": "示例局"},
            "CF_SJLY": {"column": "机关"},
            "CF_CFLB": {"constant": "1"},
        },
        values={"CF_XDR_LB": {"A类": "个体工商户"}, "CF_SJLY": {"工商局": "市场监管局"}},
    )
    outcome = run(
        {"企业": ["甲", "乙"], "金额": ["5000", "1万元"], "机关": ["工商局", "无"], "主体类别": ["A类", "企业"]},
        feed=feed,
    )
    assert outcome.column("CF_NR_FK") == ["0.5", "1"]
    assert outcome.column("CF_CFJG") == ["工商局", "示例局"]
    assert outcome.column("CF_SJLY") == ["市场监管局", None]
    assert outcome.column("CF_CFLB") == ["罚款", "罚款"]
    assert outcome.column("CF_XDR_LB") == ["个体工商户", "法人及非法人组织"]
    assert (0, "CF_SJLY", "ENUM-001", "工商局", "市场监管局") in outcome.repairs
    # A constant is what the feed declares, not a repair.
    assert not any(repair[1] == "CF_CFLB" for repair in outcome.repairs)


def test_a_missing_column_of_the_feed_stops_the_extract(run: Standardise) -> None:
    with pytest.raises(BatchHeldError) as stopped:
        run({"名称": ["甲"]}, feed=make_feed(columns={"CF_XDR_MC": "企业"}), sheet="表一", first_line=4)
    assert stopped.value.place == "rows.csv, sheet 表一, line 3"
    assert "企业" in stopped.value.problem
    assert "CF_XDR_MC" in stopped.value.problem


@pytest.mark.parametrize(
    "said",
    [
        {"exclude": [{"column": "案件程序", "values": ["简易"], "reason_zh": "简易程序"}]},
        {"source_timestamp": "更新时间", "conflict": "latest_timestamp"},
    ],
)
def test_columns_that_exclusions_and_time_stamps_need(run: Standardise, said: dict[str, Any]) -> None:
    with pytest.raises(BatchHeldError):
        run({"行政相对人名称": ["甲"]}, feed=make_feed(**said))


def test_a_sheet_without_any_known_column(run: Standardise) -> None:
    with pytest.raises(ExtractError, match="no column"):
        run({"甲": ["1"], "乙": ["2"]})


def test_required_fields_without_a_column_are_reported(run: Standardise) -> None:
    missing = run({"行政相对人名称": ["甲"], "统一社会信用代码": [USCC]}).result.missing_fields
    assert "CF_WSH" in missing
    assert "CF_XDR_LB" not in missing
    assert "BZ" not in missing


def test_rows_that_are_declared_not_reportable(run: Standardise) -> None:
    feed = make_feed(
        exclude=[
            {"column": "案件程序", "values": ["简易程序", "简易"], "reason_zh": "简易程序不归集"},
            {"column": "CF_XDR_MC", "values": ["测试数据"], "match": "contains", "reason_zh": "测试数据"},
        ]
    )
    outcome = run({"当事人": ["甲", "乙", "测试数据（一)"], "案件程序": [" 简易 ", "普通", "普通"]}, feed=feed)
    assert outcome.column("excluded_reason") == ["简易程序不归集", None, "测试数据"]
    assert outcome.result.unmapped_columns == ()


def test_the_time_of_last_change_sorts_as_text(run: Standardise) -> None:
    feed = make_feed(source_timestamp="更新时间", conflict="latest_timestamp")
    outcome = run({"当事人": list("甲乙丙丁"), "更新时间": ["2024-01-02 3:04:05", "2024/1/2", "昨天", None]}, feed=feed)
    assert outcome.column("source_timestamp") == [
        "2024-01-02 03:04:05.000000",
        "2024-01-02 00:00:00.000000",
        None,
        None,
    ]
    assert outcome.result.unreadable_timestamps == 1


def test_the_kind_of_a_subject(run: Standardise) -> None:
    sole_trader = "92119900MA99001P76"
    organisation = run({"当事人": ["甲", "乙", "丙"], "信用代码": [USCC.lower(), sole_trader, "12345"]})
    kinds = organisation.column("CF_XDR_LB")
    assert kinds[0] == "法人及非法人组织"
    assert kinds[2] is None
    assert (0, "CF_XDR_LB", "ENUM-004", None, "法人及非法人组织") in organisation.repairs
    person = run({"当事人": ["丁"], "证件号码": ["110105491231002"]}, fixed_subject_kind="自然人")
    assert person.column("CF_XDR_LB") == ["自然人"]
    assert not any(repair[2] == "ENUM-004" for repair in person.repairs)


def test_the_number_of_a_licence_stands_for_a_missing_document_number(run: Standardise) -> None:
    columns = {"许可文号": ["测许〔2024〕1号", "无", None], "许可编号": ["JY1", "JY2 ", None]}
    outcome = run(columns, feed=make_feed("administrative_licence"))
    assert outcome.column("XK_WSH") == ["测许〔2024〕1号", "JY2", None]
    steps = [repair[2:] for repair in outcome.repairs if repair[1] == "XK_WSH"]
    assert steps == [("TXT-001", "无", None), ("DOC-001", None, "JY2")]


def test_parts_gather_in_one_table(run: Standardise) -> None:
    outcome = run(parts=[{"当事人": ["甲 ", "乙"]}, {"企业名称": ["丙", "丁"], "备注": ["无", "一"]}, {"当事人": []}])
    assert outcome.column("CF_XDR_MC") == ["甲", "乙", "丙", "丁"]
    assert outcome.column("row_no") == [0, 1, 2, 3]
    assert {repair[:3] for repair in outcome.repairs} == {(0, "CF_XDR_MC", "TXT-008"), (2, "BZ", "TXT-001")}
    assert outcome.result.row_count == 4


@pytest.mark.parametrize("beside", [False, True])
def test_lines_of_rows_that_are_not_consecutive(run: Standardise, beside: bool) -> None:
    columns = {"当事人": ["甲", "乙"], "lines": ["1", "2"], "cells": ["3", "4"]}
    outcome = run(columns, first_line=None, lines=[3, 7], beside=beside)
    assert outcome.column("line") == [3, 7]
    assert outcome.column("row_no") == [0, 1]
    assert outcome.column("CF_XDR_MC") == ["甲", "乙"]


def test_two_headers_named_like_the_files_that_are_joined(run: Standardise) -> None:
    feed = make_feed(columns={"CF_XDR_MC": "cells", "BZ": "lines"})
    outcome = run({"cells": ["甲", "乙"], "lines": ["子", "丑"]}, feed=feed, first_line=None, lines=[3, 7], beside=True)
    assert [outcome.column("CF_XDR_MC"), outcome.column("BZ")] == [["甲", "乙"], ["子", "丑"]]


def test_headers_that_sql_would_misread(run: Standardise) -> None:
    odd = {"当事人": ["甲"], 'a"b': ["1"], "row_no": ["7"], "_suspect": ["x"], "value0": ["y"], "line": ["9"]}
    outcome = run(odd)
    assert (outcome.rows[0]["row_no"], outcome.rows[0]["line"]) == (0, 2)
    assert outcome.column("CF_XDR_MC") == ["甲"]
    assert set(outcome.result.unmapped_columns) == set(odd) - {"当事人"}
