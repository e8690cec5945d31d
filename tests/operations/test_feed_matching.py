"""Which column is proposed for which field, and how sure the proposal is."""

from __future__ import annotations

import pytest

from pipelines.catalogue.catalogue import Catalogue, load_catalogue
from pipelines.operations.feed_content import describe
from pipelines.operations.feed_matching import (
    ALMOST_CERTAIN,
    CERTAIN,
    PROPOSED_FROM,
    Matching,
    SampleColumn,
    header_likeness,
    match_columns,
)
from pipelines.settings import Settings

CODES = ["91119900MA99010042", "91119900MA9901012W", "92119900MA9901020L", "91119900MA9901039L", "93119900MA99010479"]
NAMES = [f"示例市样本第{number}号商贸有限公司" for number in range(5)]
PERSONS = ["示例张一", "示例李二", "示例王三", "示例赵四", "示例孙五"]
PHONES = [f"1390000000{number}" for number in range(5)]
DATES = [f"2026-11-1{number}" for number in range(5)]
NUMBERS = [f"示市监罚〔2026〕{number}号" for number in range(5)]
OFFICES = ["示例市市场监督管理局"] * 5


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue(Settings())


def match(catalogue: Catalogue, edition: int = 2018, **columns: list[str]) -> Matching:
    given = [SampleColumn(header, tuple(cells), describe(cells)) for header, cells in columns.items()]
    return match_columns(given, catalogue.categories["administrative_penalty"], edition, catalogue.code_lists)


def proposed(matching: Matching) -> dict[str, str]:
    return {code: found.column.header for code, found in matching.proposed.items()}


def test_a_known_header_is_certain_whatever_its_cells_hold(catalogue: Catalogue) -> None:
    matching = match(catalogue, 当事人名称=PHONES)
    assert (matching.proposed["CF_XDR_MC"].score, matching.proposed["CF_XDR_MC"].how) == (CERTAIN, "known header")


@pytest.mark.parametrize(
    ("header", "cells", "field"),
    [
        ("案件当事人名称", NAMES, "CF_XDR_MC"),
        ("主要事实", ["未经批准擅自取水"] * 5, "CF_SY"),
        ("处罚类型", ["罚款", "警告", "罚款", "罚款", "警告"], "CF_CFLB"),
        ("罚款（元）", ["5000", "20000", "", "", "300"], "CF_NR_FK"),
        ("决定时间", DATES, "CF_JDRQ"),
        ("当事人类型", ["企业单位", "企业单位", "市民", "企业单位", "企业单位"], "CF_XDR_LB"),
    ],
)
def test_a_similar_header_is_proposed(catalogue: Catalogue, header: str, cells: list[str], field: str) -> None:
    found = match(catalogue, **{header: cells}).proposed[field]
    assert found.how in {"similar header", "content"}
    assert PROPOSED_FROM <= found.score <= ALMOST_CERTAIN


@pytest.mark.parametrize(
    ("cells", "field"),
    [(CODES, "CF_XDR_SHXYM"), (NUMBERS, "CF_WSH"), (NAMES, "CF_XDR_MC"), (OFFICES, "CF_CFJG")],
)
def test_cells_speak_where_the_header_does_not(catalogue: Catalogue, cells: list[str], field: str) -> None:
    found = match(catalogue, x17=cells).proposed
    assert {code: match.how for code, match in found.items()} == {field: "content"}


@pytest.mark.parametrize(
    "header", ["法定代表人联系电话", "处罚机关地址", "法定代表人邮箱", "承办人", "审批意见", "录入时间"]
)
def test_another_thing_is_not_proposed(catalogue: Catalogue, header: str) -> None:
    cells = {"法定代表人联系电话": PHONES, "录入时间": DATES}.get(header, ["样本路12号", "城南样本路3号", "", "", "x"])
    assert proposed(match(catalogue, **{header: cells})) == {}


def test_cells_that_contradict_the_header_take_a_proposal_back(catalogue: Catalogue) -> None:
    likely, unlikely = match(catalogue, 决定时间=DATES), match(catalogue, 决定时间=NAMES)
    assert "CF_JDRQ" in likely.proposed
    assert "CF_JDRQ" not in unlikely.proposed


def test_no_column_is_proposed_twice_and_no_field_filled_twice(catalogue: Catalogue) -> None:
    matching = match(
        catalogue,
        当事人=NAMES,
        当事人全称=NAMES,
        信用代码=CODES,
        社会信用代码号=CODES,
        办理机关=OFFICES,
        决定时间=DATES,
    )
    headers = [found.column.header for found in (*matching.proposed.values(), *matching.doubtful.values())]
    assert len(headers) == len(set(headers))
    assert matching.proposed.keys().isdisjoint(matching.doubtful)
    assert proposed(matching)["CF_XDR_MC"] == "当事人"
    assert proposed(matching)["CF_XDR_SHXYM"] == "信用代码"


def test_the_code_of_an_office_is_not_taken_for_a_subjects(catalogue: Catalogue) -> None:
    matching = match(catalogue, x1=[CODES[0]] * 5)
    assert "CF_XDR_SHXYM" not in matching.proposed


def test_numbered_codes_are_told_by_their_text_and_their_edition(catalogue: Catalogue) -> None:
    """2 and 3 are the other way round in the two editions; the text in brackets decides."""
    columns = {
        "行政相对人代码_2(组织机构代码)": ["MA9901004"] * 3,
        "行政相对人代码_3(工商登记码)": ["119900000013442"] * 3,
    }
    for edition in (2016, 2018):
        assert proposed(match(catalogue, edition, **columns)) == {
            "CF_XDR_ZZJG": "行政相对人代码_2(组织机构代码)",
            "CF_XDR_GSZC": "行政相对人代码_3(工商登记码)",
        }


def test_counters_are_no_columns(catalogue: Catalogue) -> None:
    matching = match(catalogue, 序号=["1", "2"], 经办科室=["一科", "二科"])
    assert [column.header for column in matching.unmapped] == ["经办科室"]


def test_likeness_looks_at_the_last_word(catalogue: Catalogue) -> None:
    authority = catalogue.categories["administrative_penalty"].field("CF_CFJG")
    assert header_likeness("作出处罚的机关", authority) > 70
    assert header_likeness("处罚机关地址", authority) < PROPOSED_FROM


def test_what_is_looked_at_is_not_kept() -> None:
    assert "示例张一" not in repr(describe(PERSONS))
