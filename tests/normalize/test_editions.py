"""Two editions of the standard on the same rows: 1 in the one is 0 in the other, and codes 2 and 3 change places."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.errors import BatchHeldError
from tests.normalize.conftest import Standardise, make_feed

LICENCE, PENALTY = "administrative_licence", "administrative_penalty"
ORGANISATION_CODE, REGISTRATION = "12345678X", "110108000000016"
USCC = "11119900MA9900028H"
RESIDENT = "11010519491231002X"

# Five licences as both editions may call their columns: only the declared edition says what they mean.
SHARED_LICENCES: dict[str, list[str | None]] = {
    "行政相对人名称": ["甲", "乙", "丙", "丁", "戊"],
    "行政相对人代码_2": [ORGANISATION_CODE] * 5,
    "行政相对人代码_3": [REGISTRATION] * 5,
    "许可决定书文号": [f"示许〔2016〕{number}号" for number in range(5)],
    "许可决定日期": ["2016-1-2"] * 5,
    "当前状态": ["0", "1", "1", "2", "3"],
}


def licences(*without: str, **changed: list[str | None]) -> dict[str, list[str | None]]:
    return {name: values for name, values in {**SHARED_LICENCES, **changed}.items() if name not in without}


def feed_of(category: str, edition: int, **said: Any) -> Any:
    return make_feed(category, edition=edition, **said)


def test_edition_2016_reads_status_and_codes_2_and_3_its_own_way(run: Standardise) -> None:
    outcome = run(SHARED_LICENCES, feed=feed_of(LICENCE, 2016))
    assert outcome.column("XK_ZT") == ["1", "撤销", "撤销", "异议", "其他"]
    assert outcome.column("excluded_reason") == [None, *["2016版状态1：行政决定已撤销，不再归集"] * 2, None, None]
    assert outcome.revoked == [1, 2]
    assert outcome.withheld == {3: "STATUS-001", 4: "STATUS-002"}
    assert outcome.column("XK_XDR_ZZJG") == [ORGANISATION_CODE] * 5
    assert outcome.column("XK_XDR_GSZC") == [REGISTRATION] * 5


def test_edition_2018_reads_the_same_rows_the_other_way_round(run: Standardise) -> None:
    valid = licences(当前状态=["1", "1", "2", "有效", "无效"])
    outcome = run(valid, feed=feed_of(LICENCE, 2018))
    assert outcome.column("XK_ZT") == ["1", "1", "2", "1", "2"]
    assert (outcome.revoked, outcome.withheld) == ([], {})
    assert outcome.column("excluded_reason") == [None] * 5
    assert outcome.column("XK_XDR_GSZC") == [ORGANISATION_CODE] * 5
    assert outcome.column("XK_XDR_ZZJG") == [REGISTRATION] * 5


def test_the_two_editions_never_agree_on_what_1_means(run: Standardise) -> None:
    """The worst that can happen is a revoked decision that is published as a valid one."""
    one = licences(当前状态=["1"] * 5)
    assert set(run(one, feed=feed_of(LICENCE, 2018)).column("XK_ZT")) == {"1"}
    older = run(one, feed=feed_of(LICENCE, 2016))
    assert "1" not in older.column("XK_ZT")
    assert older.revoked == [0, 1, 2, 3, 4]
    assert None not in older.column("excluded_reason")


@pytest.mark.parametrize(
    ("written", "standard"),
    [
        ("0", "1"),
        ("０", "1"),
        ("0.0", "1"),
        (" 0 ", "1"),
        ("正常", "1"),
        ("公示中", "1"),
        ("0正常", "1"),
        ("1", "撤销"),
        ("１", "撤销"),
        ("1.0", "撤销"),
        ("01撤销", "撤销"),
        ("取消公示", "撤销"),
        ("撤销", "撤销"),
        ("2", "异议"),
        ("异议", "异议"),
        ("3", "其他"),
        (None, None),
        ("无", None),
    ],
)
def test_every_spelling_of_a_state_of_edition_2016(run: Standardise, written: str | None, standard: str | None) -> None:
    outcome = run({"行政相对人名称": ["甲"], "当前状态": [written]}, feed=feed_of(LICENCE, 2016))
    assert outcome.column("XK_ZT") == [standard]
    assert outcome.revoked == ([0] if standard == "撤销" else [])


def test_a_trace_tells_how_a_state_was_read(run: Standardise) -> None:
    outcome = run(SHARED_LICENCES, feed=feed_of(LICENCE, 2016))
    steps = {row: [] for row in range(5)}
    for row, field, rule, old, new in outcome.repairs:
        if field == "XK_ZT":
            steps[row].append((rule, old, new))
    assert steps[0] == [("ENUM-001", "0", "正常"), ("ENUM-001", "正常", "1")]
    assert steps[1] == [("ENUM-001", "1", "撤销")]


def test_a_penalty_of_2016_is_judged_by_a_status_that_no_field_takes(run: Standardise) -> None:
    outcome = run(
        {"CF_XDR": list("甲乙丙丁戊"), "CF_ZT": ["0", "1", "2", "3", None], "CF_CFLB1": ["罚款"] * 5},
        feed=feed_of(PENALTY, 2016),
    )
    assert "CF_ZT" not in outcome.rows[0]
    assert outcome.column("excluded_reason")[1] == "2016版状态1：行政决定已撤销，不再归集"
    assert [reason is None for reason in outcome.column("excluded_reason")] == [True, False, True, True, True]
    assert outcome.revoked == [1]
    assert outcome.withheld == {2: "STATUS-001", 3: "STATUS-002", 4: "STATUS-003"}
    assert (0, "CF_ZT", "ENUM-001", "0", "正常") in outcome.repairs
    assert outcome.result.unmapped_columns == ()


TRANSPORT_ORDER = [
    "CF_WSH",
    "CF_CFMC",
    "CF_SY",
    "CF_CFLB1",
    "CF_YJ",
    "CF_XDR",
    "CF_XDR_SHXYM",
    "CF_XDR_ZDM",
    "CF_XDR_GSDJ",
    "CF_XDR_SWDJ",
    "CF_XDR_SFZ",
    "CF_FR",
    "CF_JG",
    "CF_JDRQ",
    "CF_JZQ",
    "CF_XZJG",
    "CF_ZT",
    "DFBM",
    "SJC",
    "BZ",
    "CF_BM",
    "CF_SYFW",
    "CF_SXYZCD",
    "CF_GSJZQ",
]
TRANSPORT_ROW = {
    "CF_WSH": "示交罚〔2016〕1号",
    "CF_CFMC": "超限运输",
    "CF_SY": "超限",
    "CF_CFLB1": "罚款",
    "CF_YJ": "公路法",
    "CF_XDR": "示例运输公司",
    "CF_XDR_SHXYM": USCC,
    "CF_XDR_ZDM": ORGANISATION_CODE,
    "CF_XDR_GSDJ": REGISTRATION,
    "CF_FR": "李四",
    "CF_JG": "罚款5000元",
    "CF_JDRQ": "2016-3-4",
    "CF_JZQ": "2017-3-4",
    "CF_XZJG": "示例交通局",
    "CF_ZT": "0",
    "DFBM": "119900",
    "SJC": "2016-03-05 10:00:00",
    "CF_GSJZQ": "2019-3-4",
}
EXPECTED = {
    "CF_WSH": "示交罚〔2016〕1号",
    "CF_SY": "超限",
    "CF_CFLB": "罚款",
    "CF_YJ": "公路法",
    "CF_XDR_MC": "示例运输公司",
    "CF_XDR_LB": "法人及非法人组织",
    "CF_XDR_SHXYM": USCC,
    "CF_XDR_ZZJG": ORGANISATION_CODE,
    "CF_XDR_GSZC": REGISTRATION,
    "CF_FRDB": "李四",
    "CF_NR": "罚款5000元",
    "CF_JDRQ": "2016/03/04",
    "CF_YXQ": "2017/03/04",
    "CF_GSJZQ": "2019/03/04",
    "CF_CFJG": "示例交通局",
}


@pytest.mark.parametrize("order", [TRANSPORT_ORDER, ["序号", *TRANSPORT_ORDER], TRANSPORT_ORDER[::-1]])
def test_columns_are_found_by_their_codes_wherever_they_stand(run: Standardise, order: list[str]) -> None:
    outcome = run({code: [TRANSPORT_ROW.get(code)] for code in order}, feed=feed_of(PENALTY, 2016))
    (row,) = outcome.rows
    assert {code: value for code, value in row.items() if code.startswith("CF_") and value} == EXPECTED
    assert row["source_timestamp"] == "2016-03-05 10:00:00.000000"
    assert set(outcome.result.unmapped_columns) == {"CF_SYFW", "CF_SXYZCD"}
    assert set(outcome.result.missing_fields) == {"CF_WFXW", "CF_CFJGDM", "CF_SJLY", "CF_SJLYDM"}


def test_classes_of_2016_are_joined(run: Standardise) -> None:
    columns = {
        "行政相对人名称": ["甲", "乙"],
        "处罚类别1": ["罚款", "警告"],
        "处罚类别2": ["警告", None],
        "状态": ["0", "0"],
    }
    assert run(columns, feed=feed_of(PENALTY, 2016)).column("CF_CFLB") == ["罚款;警告", "警告"]
    columns.pop("处罚类别2")
    assert run(columns, feed=feed_of(PENALTY, 2016)).column("CF_CFLB") == ["罚款", "警告"]


def test_licences_of_2016_begin_with_their_decision_and_say_so(run: Standardise) -> None:
    columns = {
        "行政相对人名称": ["甲", "乙"],
        "项目名称": ["食品经营许可", "占道许可"],
        "审批类别": ["普通", "普通"],
        "许可决定日期": ["2016年1月2日", "2016/03/04"],
        "许可截止期": ["长期", "2017-1-1"],
        "当前状态": ["0", "0"],
    }
    outcome = run(columns, feed=feed_of(LICENCE, 2016))
    assert outcome.column("XK_XKWS") == ["食品经营许可", "占道许可"]
    assert outcome.column("XK_XKLB") == ["普通", "普通"]
    assert outcome.column("XK_YXQZ") == ["2016/01/02", "2016/03/04"]
    assert outcome.column("XK_YXQZI") == ["2099/12/31", "2017/01/01"]
    assumed = [repair for repair in outcome.repairs if repair[1] == "XK_YXQZ"]
    assert sorted(assumed) == [
        (0, "XK_YXQZ", "DATE-010", None, "2016/01/02"),
        (1, "XK_YXQZ", "DATE-010", None, "2016/03/04"),
    ]
    assert "XK_YXQZ" not in outcome.result.missing_fields


def test_persons_of_2016_are_told_from_organisations_by_their_numbers(run: Standardise) -> None:
    columns = {
        "行政相对人名称": ["张三", "示例公司", "某厂"],
        "行政相对人代码_1(统一社会信用代码)": [None, USCC, None],
        "行政相对人代码_5(居民身份证号)": [RESIDENT, RESIDENT, None],
        "当前状态": ["0", "0", "0"],
    }
    outcome = run(columns, feed=feed_of(PENALTY, 2016))
    assert outcome.column("CF_XDR_LB") == ["自然人", "法人及非法人组织", None]
    assert outcome.column("CF_XDR_ZJLX") == ["身份证", "身份证", None]
    assert (0, "CF_XDR_LB", "ENUM-005", None, "自然人") in outcome.repairs


def test_the_text_in_brackets_says_which_code_it_is(run: Standardise) -> None:
    older = {
        "行政相对人名称": ["甲"],
        "行政相对人代码_2 (组织机构代码)": [ORGANISATION_CODE],
        "代码_3（工商登记码）": [REGISTRATION],
        "行政相对人代码_4（纳税人识别号）": ["110108123456789"],
        "状态": ["0"],
    }
    for category, prefix in ((PENALTY, "CF"), (LICENCE, "XK")):
        outcome = run(older, feed=feed_of(category, 2016))
        assert outcome.column(f"{prefix}_XDR_ZZJG") == [ORGANISATION_CODE]
        assert outcome.column(f"{prefix}_XDR_GSZC") == [REGISTRATION]
        assert outcome.column(f"{prefix}_XDR_SWDJ") == ["110108123456789"]


@pytest.mark.parametrize(
    ("category", "edition", "headers", "other"),
    [
        (PENALTY, 2016, "行政相对人代码_2(工商注册号)", 2018),
        (PENALTY, 2016, "行政相对人代码_3（组织机构代码）", 2018),
        (PENALTY, 2016, "CF_XDR_GSZC CF_NR_FK", 2018),
        (LICENCE, 2016, "行政相对人代码_2(工商注册号)", 2018),
        (LICENCE, 2018, "行政相对人代码_2(组织机构代码)", 2016),
        (LICENCE, 2018, "行政相对人代码_5(居民身份证号)", 2016),
        (LICENCE, 2018, "XK_XMMC XK_SPLB", 2016),
        (PENALTY, 2018, "CF_CFLB1 CF_XZJG", 2016),
        (PENALTY, 2018, "当前状态", 2016),
        (PENALTY, 2018, "CF_ZT", 2016),
    ],
)
def test_a_header_of_the_other_edition_holds_the_batch(
    run: Standardise, category: str, edition: int, headers: str, other: int
) -> None:
    state = "0" if edition == 2016 else "1"
    columns = {"行政相对人名称": ["甲"], "状态": [state], **{header: ["0"] for header in headers.split()}}
    with pytest.raises(BatchHeldError) as held:
        run(columns, feed=feed_of(category, edition), sheet="表一", first_line=5)
    assert ", ".join(headers.split()) in held.value.problem
    assert f"edition {other}" in held.value.problem
    assert f"edition: {other}" in held.value.remedy
    assert held.value.place == "rows.csv, sheet 表一, line 4"


def test_a_feed_that_names_such_a_column_itself_has_looked(run: Standardise) -> None:
    columns = {"行政相对人名称": ["甲"], "状态": ["0"], "行政相对人代码_2(工商注册号)": [REGISTRATION]}
    feed = feed_of(PENALTY, 2016, columns={"CF_XDR_GSZC": "行政相对人代码_2(工商注册号)"})
    assert run(columns, feed=feed).column("CF_XDR_GSZC") == [REGISTRATION]
    feed = feed_of(PENALTY, 2018, exclude=[{"column": "当前状态", "values": ["1", "撤销"], "reason_zh": "已撤销"}])
    assert run({"当事人": ["甲", "乙"], "当前状态": ["0", "1"]}, feed=feed).column("excluded_reason") == [
        None,
        "已撤销",
    ]


def test_one_column_of_the_other_edition_proves_nothing(run: Standardise) -> None:
    columns = {"行政相对人名称": ["甲"], "状态": ["1"], "XK_BM": ["0"]}
    assert run(columns, feed=feed_of(LICENCE, 2018)).result.unmapped_columns == ("XK_BM",)


def test_an_extract_may_be_of_another_edition_than_its_feed(run: Standardise) -> None:
    feed = feed_of(LICENCE, 2018, extracts=[{"match": "旧*", "edition": 2016}])
    columns = {"行政相对人名称": ["甲"], "当前状态": ["1"]}
    assert run(columns, feed=feed, extract_name="旧.csv").revoked == [0]
    assert run(columns, feed=feed, extract_name="新.csv").column("XK_ZT") == ["1"]


def test_an_older_edition_without_its_status_column_holds_the_batch(run: Standardise) -> None:
    for category, code in ((PENALTY, "CF_ZT"), (LICENCE, "XK_ZT")):
        with pytest.raises(BatchHeldError, match="status column"):
            run({"行政相对人名称": ["甲"]}, feed=feed_of(category, 2016))
        stands = feed_of(category, 2016, columns={code: {"constant": "正常"}})
        outcome = run({"行政相对人名称": ["甲"]}, feed=stands)
        assert (outcome.revoked, outcome.withheld) == ([], {})
        renamed = feed_of(category, 2016, columns={code: "办理结果"})
        assert run({"行政相对人名称": ["甲"], "办理结果": ["1"]}, feed=renamed).revoked == [0]
