"""OpenDocument spreadsheets: places, values, hidden and merged cells, and rows that claim to repeat a million times."""

from __future__ import annotations

import random
import zipfile
from pathlib import Path

import pytest

from pipelines.errors import ExtractError
from tests.intake.workbook_files import HEADER, ods_cell, ods_row, ods_table, raw_ods, read_book

DATA = ods_row("1", "甲公司", "〔2024〕1号")
READ = (2, ("1", "甲公司", "〔2024〕1号", None, None))


def number(value: str, kind: str = "float", text: str = "") -> str:
    return ods_cell(text or value, f'office:value-type="{kind}" office:value="{value}"')


def valued(kind: str, attribute: str, value: str, text: str = "x") -> str:
    return ods_cell(text, f'office:value-type="{kind}" office:{attribute}="{value}"')


def test_values_are_what_was_stored(tmp_path: Path) -> None:
    rich = (
        '<table:table-cell office:value-type="string"><office:annotation><text:p>批注</text:p></office:annotation>'
        '<text:p>甲<text:s text:c="2"/><text:span>公<text:span>司</text:span></text:span><text:tab/>b<text:line-break/>'
        "c"
        "<text:ruby><text:ruby-base>字</text:ruby-base><text:ruby-text>zì</text:ruby-text></text:ruby></text:p>"
        "<text:p>第二段&lt;</text:p></table:table-cell>"
    )
    error = 'office:value-type="string" office:string-value="" calcext:value-type="error"'
    rows = [
        ods_row(number("410000.0"), rich, number("0.155", "percentage", "15.5%"), number("5", "currency", "￥5")),
        ods_row(
            valued("date", "date-value", "2024-05-06"),
            valued("date", "date-value", "2024-05-06T07:08:09"),
            valued("time", "time-value", "PT26H03M00S"),
            valued("boolean", "boolean-value", "true"),
            number("0.23904899999999998"),
        ),
        ods_row(
            number("913302012345678901"),
            ods_cell("#REF!", error, 'table:formula="of:=[.A1]"'),
            ods_cell("#DIV/0!", 'office:value-type="float" office:value="0"', 'table:formula="of:=1/0"'),
            ods_cell("", "", 'table:formula="of:=[.A1]*2"'),
            valued("date", "date-value", "很久以前", "很久以前"),
        ),
    ]
    found = read_book(raw_ods(tmp_path / "a.ods", ods_table(ods_row(*HEADER), *rows)))
    assert [cells for _, cells in found.rows] == [
        ("410000", "甲  公司\tb\nc字\n第二段<", "0.155", "5", None),
        ("2024/05/06", "2024/05/06 07:08:09", "26:03:00", "TRUE", "0.239049"),
        ("9.13302012345679E+17", "#REF!", "#DIV/0!", "=[.A1]*2", "很久以前"),
    ]
    assert (found.manifest["error_cells"], found.manifest["formulas_without_value"]) == (2, 1)


def test_repeated_rows_and_cells_keep_every_place(tmp_path: Path) -> None:
    wide = ods_cell("", "", 'table:number-columns-repeated="16379"')
    table = ods_table(
        ods_row("标题", wide),
        ods_row(wide, more='table:number-rows-repeated="3"'),
        "<table:table-header-rows>" + ods_row(*HEADER, wide) + "</table:table-header-rows>",
        "<table:table-row-group>" + ods_row("1", "甲公司", "x", wide) + "</table:table-row-group>",
        ods_row(ods_cell("同", more='table:number-columns-repeated="3"'), more='table:number-rows-repeated="2"'),
        ods_row(wide, more='table:number-rows-repeated="1048000"'),
    )
    found = read_book(raw_ods(tmp_path / "a.ods", table))
    assert found.rows == [
        (6, ("1", "甲公司", "x", None, None)),
        (7, ("同", "同", "同", None, None)),
        (8, ("同", "同", "同", None, None)),
    ]
    assert (found.manifest["physical_lines"], found.manifest["lines_before_header"]) == (8, 4)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (ods_row(*["x"] * 60, more='table:number-rows-repeated="1000000"'), "reaches to row"),
        (ods_row(ods_cell("x", more='table:number-columns-repeated="999999999"')), "reaches to row"),
        (ods_row("x", more='table:number-rows-repeated="1048577"'), "damaged"),
        (ods_row("x", more='table:number-rows-repeated="-1"'), "damaged"),
        (ods_row("x", more='table:number-rows-repeated="many"'), "damaged"),
        (ods_row("长" * 100_000, more='table:number-rows-repeated="90000"'), "unpacks to far more"),
        (ods_row("", more='table:number-rows-repeated="1048570"') + ods_row(*["y"] * 50), "reaches to row"),
    ],
)
def test_what_claims_to_repeat_without_end_is_refused(tmp_path: Path, row: str, problem: str) -> None:
    with pytest.raises(ExtractError, match=problem):
        read_book(raw_ods(tmp_path / "a.ods", ods_table(ods_row(*HEADER), DATA, row)))


def test_hidden_rows_hidden_sheets_and_merged_cells(tmp_path: Path) -> None:
    merged = ods_cell("甲公司", more='table:number-rows-spanned="2" table:number-columns-spanned="1"')
    table = ods_table(
        ods_row(*HEADER),
        ods_row("1", merged, "x"),
        ods_row("2", "<table:covered-table-cell/>", "y"),
        ods_row("3", "乙公司", "z", more='table:visibility="filter"'),
        ods_row("4", "丙公司", "z", more='table:visibility="collapse" table:number-rows-repeated="2"'),
        ods_row("", more='table:visibility="collapse" table:number-rows-repeated="99999"'),
    )
    style = (
        '<style:style style:name="h" style:family="table"><style:table-properties table:display="false"/></style:style>'
    )
    hidden = ods_table(ods_row(*HEADER), DATA, name="藏", more='table:style-name="h"')
    path = raw_ods(tmp_path / "a.ods", table, hidden, styles=style)
    found = read_book(path)
    assert [(line, cells[1]) for line, cells in found.rows[:2]] == [(2, "甲公司"), (3, "甲公司")]
    assert (found.manifest["hidden_rows"], found.manifest["hidden_lines"]) == (3, ["4-6"])
    assert found.left_out == {"藏": "hidden"}
    assert [line for line, _ in read_book(path, hidden_rows="skip").rows] == [2, 3]
    assert len(read_book(path, hidden_sheets="read").sheets) == 2


def test_the_first_day_of_the_calendar_is_read(tmp_path: Path) -> None:
    settings = (
        '<table:calculation-settings><table:null-date table:date-value="1904-01-01"/></table:calculation-settings>'
    )
    path = raw_ods(tmp_path / "a.ods", ods_table(ods_row(*HEADER), DATA), settings=settings)
    assert read_book(path).sheets[0].date_system_1904


def test_tables_of_links_and_comments_are_no_sheets(tmp_path: Path) -> None:
    links = f"<table:dde-links><table:dde-link>{ods_table(DATA, name='链')}</table:dde-link></table:dde-links>"
    path = raw_ods(tmp_path / "a.ods", ods_table(ods_row(*HEADER), "<!-- <table:table-row/> -->", DATA), links)
    assert read_book(path).rows == [READ]


@pytest.mark.parametrize(
    ("tables", "more", "problem"),
    [
        ([ods_table(ods_row(*HEADER), DATA)] * 2, {}, "damaged"),
        ([ods_table(ods_row(*HEADER), DATA)], {"start": '<!DOCTYPE x [<!ENTITY a "b">]>'}, "declares entities"),
        (
            [ods_table(ods_row(*HEADER), DATA)],
            {"manifest": "<manifest:file-entry><manifest:encryption-data/></manifest:file-entry>"},
            "password",
        ),
        (["<table:table>"], {}, "damaged"),
        ([ods_table(ods_row(*HEADER), ods_row(number("12a")))], {}, "damaged"),
    ],
)
def test_what_is_no_sound_spreadsheet_is_refused(
    tmp_path: Path, tables: list[str], more: dict[str, str], problem: str
) -> None:
    with pytest.raises(ExtractError, match=problem):
        read_book(raw_ods(tmp_path / "a.ods", *tables, **more))


def test_a_bomb_and_a_missing_content_are_refused(tmp_path: Path) -> None:
    bomb = raw_ods(tmp_path / "bomb.ods", ods_table(ods_row(*HEADER), DATA), styles=" " * (40 << 20))
    with pytest.raises(ExtractError, match="unpacks to far more"):
        read_book(bomb)
    empty = tmp_path / "b.ods"
    with zipfile.ZipFile(empty, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
    with pytest.raises(ExtractError, match="damaged"):
        read_book(empty)


def test_damage_anywhere_is_refused(tmp_path: Path) -> None:
    rows = [ods_row(str(line), f"公司{line}", "x", number(f"{line}.5")) for line in range(60)]
    path = raw_ods(tmp_path / "a.ods", ods_table(ods_row(*HEADER), *rows))
    data, whole = path.read_bytes(), read_book(path).rows
    dice = random.Random(2)
    refused = 0
    for _ in range(60):
        changed = bytearray(data)
        for _ in range(3):
            changed[dice.randrange(len(data))] = dice.randrange(256)
        path.write_bytes(bytes(changed))
        try:
            assert read_book(path).rows == whole
        except ExtractError:
            refused += 1
    assert refused > 30
