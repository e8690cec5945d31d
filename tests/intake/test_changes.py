"""What is noticed when the files of a batch are not like those of the batch before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.catalogue.feeds import Volume
from pipelines.engine.rows import RowsPart
from pipelines.intake import changes
from pipelines.intake.changes import Change, compare_tables, extract_faults, lost_columns, volume_change
from pipelines.intake.shapes import (
    Shape,
    Table,
    Uses,
    remembered,
    tables_of,
    value_hash,
    with_unknown,
    without_digits,
)

HEADER = ("处罚文号", "当事人", "处罚内容", "处罚机关", "经办科室")
USES = {"处罚文号": ("CF_WSH",), "当事人": ("CF_XDR_MC",), "处罚内容": ("CF_NR",), "处罚机关": ("CF_CFJG",)}


def table(columns: tuple[str, ...] = HEADER, uses: Uses | None = None, **facts: Any) -> Table:
    """A table as the department sends it every day; what is read for a field stands in ``uses``."""
    given = {"name": "penalty_#", "sheet_name": "", "template": None, "kind": "csv", "encoding": "utf-8", **facts}
    read = {column: purposes for column, purposes in (uses or USES).items() if column in columns}
    return Table(columns=columns, uses=read, extract="a" * 64, extract_name="penalty_1120.csv", line=1, **given)


def noticed(before: Table, now: Table) -> list[tuple[str, str]]:
    return [(change.rule, change.observed) for change in compare_tables(Shape((before,), 1), [now])]


def replaced(old: str, new: str) -> tuple[str, ...]:
    return tuple(new if column == old else column for column in HEADER)


def always(_table: Table, _purpose: str) -> bool:
    return True


def test_the_same_header_in_another_typing_is_no_change() -> None:
    assert noticed(table(), table(("处罚文号 ", "当事人", "处罚内容：", "处罚机关", "＊经办科室"))) == []


def test_a_new_column_is_named_and_loses_nothing() -> None:
    now = table((*HEADER, "联系电话"))
    assert noticed(table(), now) == [(changes.NEW_COLUMN, "联系电话")]
    assert lost_columns(Shape((table(),), 1), [now], always) == []


def test_a_column_that_filled_a_field_and_one_that_filled_none_go_under_different_codes() -> None:
    now = table(("处罚文号", "当事人", "处罚内容"))
    assert noticed(table(), now) == [
        (changes.MISSING_COLUMN, "处罚机关"),
        ("SRC-011", "经办科室"),
    ]
    (loss,) = lost_columns(Shape((table(),), 1), [now], always)
    assert (loss.column, loss.purposes, loss.nearest) == ("处罚机关", ("CF_CFJG",), ())


def test_a_similar_new_header_is_taken_for_the_old_one() -> None:
    now = table(replaced("处罚文号", "处罚决定书文号"))
    ((rule, observed),) = noticed(table(), now)
    assert rule == changes.RENAMED_COLUMN
    assert observed == "处罚文号 → 处罚决定书文号（相似度 73 %）"
    (loss,) = lost_columns(Shape((table(),), 1), [now], always)
    assert loss.nearest == (("处罚决定书文号", 73),)


def test_another_header_in_the_same_place_is_taken_for_the_old_one() -> None:
    at_its_number = table(replaced("当事人", "被罚主体"))
    assert noticed(table(), at_its_number) == [(changes.RENAMED_COLUMN, "当事人 → 被罚主体（位置相同）")]
    shifted = table(("流水", "处罚文号", "被罚主体", "处罚内容", "处罚机关", "经办科室"))
    assert (changes.RENAMED_COLUMN, "当事人 → 被罚主体（位置相同）") in noticed(table(), shifted)
    elsewhere = table(("处罚文号", "处罚内容", "处罚机关", "经办科室", "被罚主体", "流水"))
    assert (changes.MISSING_COLUMN, "当事人") in noticed(table(), elsewhere)


def test_a_renamed_column_that_fills_the_same_field_is_noticed_and_not_lost() -> None:
    now = table(replaced("处罚文号", "文书号"), {**USES, "文书号": ("CF_WSH",)})
    assert [rule for rule, _ in noticed(table(), now)] == [changes.RENAMED_COLUMN]
    assert lost_columns(Shape((table(),), 1), [now], always) == []


def test_a_column_that_the_feed_no_longer_wants_is_not_lost() -> None:
    now = table(HEADER[:3])
    assert lost_columns(Shape((table(),), 1), [now], lambda _table, purpose: purpose != "CF_CFJG") == []


def test_columns_in_another_order_are_one_finding() -> None:
    now = table(("处罚机关", "处罚文号", "当事人", "处罚内容", "经办科室"))
    assert noticed(table(), now) == [(changes.REORDERED_COLUMNS, "1 列换了位置：处罚机关")]
    assert noticed(table(), table(tuple(reversed(HEADER))))[0][1].startswith("4 列换了位置")


def test_columns_without_a_header_come_and_go_unnoticed() -> None:
    assert noticed(table(), table((*HEADER, "第6列", "第7列#2"))) == []
    assert noticed(table((*HEADER, "第6列")), table()) == []


def test_another_kind_and_another_encoding_are_noticed() -> None:
    assert noticed(table(), table(encoding="gb18030")) == [(changes.OTHER_FORMAT, "utf-8 → gb18030")]
    workbook = table(kind="xlsx", encoding=None, sheet_name="Sheet#")
    assert noticed(table(), workbook) == [(changes.OTHER_FORMAT, "csv → xlsx")]


def test_tables_are_compared_with_their_own_kind() -> None:
    licences = table(("许可文号", "被许可人", "许可内容"), {"许可文号": ("XK_WSH",)}, name="licence_#")
    before = Shape((table(), licences), 2)
    assert compare_tables(before, [licences, table()]) == []
    assert [change.observed for change in compare_tables(before, [table((*HEADER, "新列"))])] == ["新列"]


def test_a_file_under_a_new_name_is_known_by_its_columns() -> None:
    before = Shape((table(name="a"), table(("x", "y"), name="b")), 2)
    (change,) = compare_tables(before, [table((*HEADER, "新列"), name="报送")])
    assert change.rule == changes.NEW_COLUMN
    assert compare_tables(before, [table(("p", "q"), name="报送")]) == []


def test_two_official_templates_are_two_kinds_of_table() -> None:
    organisations, persons = table(template="legal"), table(("证件号码", "处罚文号"), template="person")
    assert compare_tables(Shape((organisations,), 1), [persons]) == []
    assert lost_columns(Shape((organisations,), 1), [persons], always) == []
    no_longer = table(replaced("处罚文号", "文书编码"))
    assert [loss.column for loss in lost_columns(Shape((organisations,), 1), [no_longer], always)] == ["处罚文号"]


def test_records_may_leave_out_a_name_on_a_day_unless_every_record_must_have_it() -> None:
    """XML and JSON name only what has a value; nobody can tell an empty column from one that is gone."""
    records = table(kind="json", optional=("处罚内容", "处罚机关", "经办科室"))
    fewer = table(("当事人", "处罚文号"), kind="json")
    assert noticed(records, fewer) == []
    assert lost_columns(Shape((records,), 1), [fewer], always) == []
    (loss,) = lost_columns(Shape((records,), 1), [table(HEADER[1:], kind="json")], always)
    assert loss.column == "处罚文号"
    again = remembered([fewer], Shape((records,), 1))
    assert again.tables[0].columns == ("当事人", "处罚文号", "处罚内容", "处罚机关", "经办科室")
    assert compare_tables(again, [records]) == []


def test_the_tables_of_a_batch_know_the_facts_of_their_own_sheet(tmp_path: Path) -> None:
    sheets = [
        {"sheet": "甲.csv", "kind": "csv", "encoding": "utf-8 with mark", "header_line": 3},
        {"sheet": "乙.json", "kind": "json", "encoding": "utf-8"},
    ]
    manifest = {"sha256": "c" * 64, "name": "x1.zip", "kind": "zip", "encoding": "gb18030", "sheets": sheets}
    parts = [
        RowsPart("c" * 64, "x1.zip/甲.csv", "甲.csv", tmp_path, HEADER, 0, 5, 4),
        RowsPart("c" * 64, "x1.zip/乙.json", "乙.json", tmp_path, HEADER, 5, 5, None),
        RowsPart("c" * 64, "x2.zip/乙.json", "乙.json", tmp_path, HEADER, 10, 5, None),
    ]
    found = tables_of(parts, [manifest, {**manifest, "same_bytes_as": "x1.zip"}], [USES] * 3, frozenset({"CF_WSH"}))
    assert [(one.name, one.kind, one.encoding, one.line, one.optional) for one in found] == [
        ("x#.zip/甲", "csv", "utf-8", 3, ()),
        ("x#.zip/乙", "json", "utf-8", None, ("当事人", "处罚内容", "处罚机关", "经办科室")),
    ]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"mojibake": {"kun_jin_kao": 2, "replacement": 0}}, [("", "“锟斤拷” 2 处")]),
        ({"sheets": [{"sheet": "表一", "mojibake": {"private_use": 1}}]}, [("表一", "自造字 1 处")]),
        (
            {"mojibake": {"replacement": 1}, "sheets": [{"sheet": "a", "mojibake": {"replacement": 1}}]},
            [("", "替换符“�” 1 处")],
        ),
        ({"mojibake": {}}, []),
    ],
)
def test_traces_of_a_wrong_conversion_are_one_finding_a_table(facts: dict[str, Any], expected: list[Any]) -> None:
    found = extract_faults([{"sha256": "d" * 64, "name": "x.csv", **facts}])
    assert [(change.sheet, change.observed) for change in found] == expected
    assert {change.rule for change in found} <= {"SRC-009"}


def test_a_finding_says_where_the_header_stands() -> None:
    (change,) = compare_tables(Shape((table(),), 1), [table(HEADER[:3] + HEADER[4:])])
    assert change == Change(changes.MISSING_COLUMN, "处罚机关", "a" * 64, "penalty_1120.csv", "", 1, "CF_CFJG")


@pytest.mark.parametrize(
    ("rows", "earlier", "is_noticed"),
    [
        (100, [], False),
        (100, [300, 300, 300], False),
        (99, [300, 300, 300], True),
        (901, [300, 310, 290], True),
        (900, [300, 310, 290], False),
        (49, [10, 12], False),
        (50, [10, 12], True),
        (0, [300], True),
        (0, [40, 12], False),
        (300, [0, 0, 300], False),
        (300, [100, 100, 100, 5000, 5000, 5000, 5000], False),
        (301, [100, 100, 100, 5000, 5000, 5000, 5000], True),
    ],
)
def test_volume_is_compared_with_the_median_of_the_last_batches(
    rows: int, earlier: list[int], is_noticed: bool
) -> None:
    change = volume_change(rows, earlier, Volume(factor=3, batches=3, ignore_below=50))
    assert (change is not None) == is_noticed


def test_what_is_wrong_with_a_file_itself_is_noticed_without_a_batch_before() -> None:
    manifest = {
        "sha256": "b" * 64,
        "name": "x.csv",
        "kind": "xlsx",
        "extension_fits": False,
        "sheets_left_out": {"表二": "no known header", "表三": "empty"},
    }
    same = {"sha256": "b" * 64, "name": "y.csv", "same_bytes_as": "x.csv"}
    found = extract_faults([manifest, same])
    assert [(change.rule, change.observed) for change in found] == [
        (changes.UNREAD, "扩展名与内容不符，实为 xlsx"),
        (changes.UNREAD, "未读取：表二（没有可识别的表头）"),
    ]


def test_a_shape_survives_the_ledger() -> None:
    shape = with_unknown(remembered([table(sheet_name="表#")], None), {"CF_CFLB": ["通报批评"]})
    assert Shape.from_json(json.loads(json.dumps(shape.as_json()))) == shape


def test_a_shape_remembers_tables_that_a_batch_did_not_have_but_never_without_end() -> None:
    first = remembered([table(name="a"), table(name="b")], None)
    second = remembered([table((*HEADER, "新列"), name="a")], first)
    assert [(one.name, len(one.columns)) for one in second.tables] == [("a", 6), ("b", 5)]
    assert (second.present, remembered([], second).tables) == (1, second.tables)
    for number in range(30):
        second = remembered([table(name=f"x{'y' * number}")], second)
    assert len(second.tables) == 20


def test_unknown_values_are_kept_as_hashes_only() -> None:
    shape = with_unknown(with_unknown(Shape(), {"CF_CFLB": ["张三", "通报批评"]}), {"CF_CFLB": ["张三"]})
    assert shape.unknown == {"CF_CFLB": (value_hash("张三"), value_hash("通报批评"))}
    assert "张三" not in json.dumps(shape.as_json(), ensure_ascii=False)


def test_names_are_compared_without_their_dates() -> None:
    assert without_digits("处罚_20261120_2") == without_digits("处罚_20261121_13") == "处罚_#_#"
