"""Finding the header and recognising the official templates."""

from __future__ import annotations

from collections.abc import Callable

from pipelines.catalogue.categories import Category
from pipelines.catalogue.feeds import Exclusion, Feed
from pipelines.catalogue.formats import Format
from pipelines.catalogue.mappings import Column
from pipelines.intake.header_search import KnownHeaders, find_header, known_headers, unique_names

KNOWN = KnownHeaders(frozenset({"名称", "代码一", "代码二", "处罚决定日期", "许可决定日期"}), 0, ())


def test_each_official_template_is_recognised_with_and_without_a_serial_column(category: Category) -> None:
    known = known_headers(category, None)
    for template in category.templates:
        for columns in (template.columns, ("序号", *template.columns)):
            typed = [column.replace("（", "(").replace(" ", "") for column in columns]
            header = find_header([["填表说明"], typed, ["x"] * len(typed)], known, Format())
            assert header is not None
            assert (header.first, header.template) == (1, template.template)
            assert header.fixed_subject_kind == template.subject_kind
            assert header.columns == tuple(typed)
    incomplete = find_header([category.templates[0].columns[1:]], known, Format())
    assert incomplete is not None
    assert incomplete.template is None


def test_the_feed_makes_its_own_columns_known(category: Category, feed: Callable[..., Feed]) -> None:
    row = ["doc_no", "Party Name", "amt", "flag", "upd"]
    assert find_header([row], known_headers(category, None), Format()) is None
    mapped = feed(
        columns={"CF_WSH": "doc_no", "CF_XDR_MC": Column(column="party name"), "CF_CFJG": Column(constant="x")},
        exclude=(Exclusion(column="flag", values=("1",), reason_zh="x"),),
        source_timestamp="upd",
    )
    found = find_header([row], known_headers(category, mapped), Format())
    assert found is not None
    assert found.known == 4
    one = feed(columns={"CF_WSH": "amt"})
    assert find_header([row], known_headers(category, one), Format()) is not None


def test_one_known_word_in_a_wide_row_is_no_header() -> None:
    assert find_header([["a", "b", "名称", "d"]], KNOWN, Format()) is None
    assert find_header([["名称"]], KNOWN, Format()) is not None


def test_group_headers_join_only_when_together_they_say_more() -> None:
    rows = [["名称", "代码", "", "许可", "处罚"], ["", "一", "二", "决定日期", "决定日期"], ["甲", "1", "2", "3", "4"]]
    header = find_header(rows, KNOWN, Format())
    assert header is not None
    assert (header.first, header.last) == (0, 1)
    assert header.columns == ("名称", "代码一", "代码二", "许可决定日期", "处罚决定日期")
    plain = find_header([["名称", "代码一", "x"], ["甲", "", "代码二"], ["", "", ""]], KNOWN, Format())
    assert plain is not None
    assert plain.last == 0


def test_a_merged_cell_that_crosses_the_header_makes_it_two_rows() -> None:
    rows = [["名称", "代码一", "数量", "数量"], ["名称", "代码一", "件", "元"]]
    assert find_header(rows, KNOWN, Format(), spans=[(0, 1)]).columns == ("名称", "代码一", "数量_件", "数量_元")  # type: ignore[union-attr]


def test_a_title_merged_over_every_column_is_no_part_of_the_header() -> None:
    header = find_header([["公示表"] * 3, ["名称", "代码一", "x"]], KNOWN, Format())
    assert header is not None
    assert (header.first, header.columns) == (1, ("名称", "代码一", "x"))


def test_a_declared_row_beyond_the_file_is_no_header() -> None:
    assert find_header([["名称"]], KNOWN, Format(), fixed=4) is None


def test_column_names_never_collide() -> None:
    names = unique_names(["a", "A", "a#2", "", "", "FILENAME", "第4列"])
    assert len({name.casefold() for name in names}) == 7
    assert names[:2] == ("a", "A#2")


def test_three_rows_make_a_header_when_only_together_they_are_known() -> None:
    known = KnownHeaders(frozenset({"相对人名称", "代码一", "代码二", "决定日期"}), 0, ())
    rows = [
        ["公示表", "", "", ""],
        ["相对人", "", "", "决定"],
        ["名称", "代码", "", "日期"],
        ["", "一", "二", ""],
        ["甲", "1", "2", "3"],
    ]
    header = find_header(rows, known, Format())
    assert header is not None
    assert (header.first, header.last) == (1, 3)
    assert header.columns == ("相对人名称", "代码一", "代码二", "决定日期")


def test_a_long_text_is_no_header_and_costs_nothing() -> None:
    rows = [["名称", "代码一", "x"], ["事" * 30_000, "名" * 30_000, "称" * 30_000]]
    header = find_header(rows, KNOWN, Format())
    assert header is not None
    assert header.last == 0
