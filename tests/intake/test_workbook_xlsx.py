"""Workbooks of Excel 2007 and later, down to XML that no program writes: read whole, or refused by name."""

from __future__ import annotations

import random
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import xlsxwriter
from xlsxwriter.worksheet import Worksheet

from pipelines.errors import ExtractError
from pipelines.intake import workbook_sheet_scan
from pipelines.intake.workbook_guard import Package
from pipelines.intake.workbook_sheet_scan import sheet_facts
from tests.intake.workbook_files import (
    HEADER,
    MAIN,
    STRICT,
    cell,
    header_row,
    raw_xlsx,
    read_book,
    relations,
    row,
    workbook_xml,
    worksheet,
    written,
)

TABLE = header_row() + row(2, "1", "甲公司", "〔2024〕1号")
READ = [(2, ("1", "甲公司", "〔2024〕1号", None, None))]


def far(place: str, *, prefix: str = "", quote: str = '"') -> str:
    number = place.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
    inside = f"<{prefix}c r={quote}{place}{quote}><{prefix}v>1</{prefix}v></{prefix}c>"
    return f"<{prefix}row r={quote}{number}{quote}>{inside}</{prefix}row>"


@pytest.mark.parametrize(
    "rows",
    [
        far("XFD1048576"),
        far("A4294967295"),
        far("ZZZZZZZZ9"),
        far("xfd1048576"),
        far("XFD1048576", quote="'"),
        far("XFD1048576", prefix="x:").replace("<x:row", f'<x:row xmlns:x="{MAIN}"', 1),
        far("XFD1048576").replace("<row ", "<row\n"),
        far("XFD1048576").replace("<c r", "<c\tr"),
        far("XFD1048576").replace('XFD1048576"', '&#88;FD1048576"'),
        "<!-- --><row r='1048575'>" + "<c><v>1</v></c>" * 16384 + "</row>",
    ],
    ids=["plain", "row", "column", "small", "quoted", "prefixed", "line break", "tab", "entity", "unnumbered"],
)
def test_a_cell_far_outside_is_refused_however_it_is_written(tmp_path: Path, rows: str) -> None:
    path = raw_xlsx(tmp_path / "a.xlsx", worksheet(TABLE + rows))
    with pytest.raises(ExtractError, match=r"a\.xlsx: sheet S1 reaches to row"):
        read_book(path)


@pytest.mark.parametrize(
    ("before", "rows"),
    [
        ('<dimension ref="A1:XFD1048576"/>', TABLE),
        ("", TABLE + '<row r="1048576"><c r="XFD1048576" s="0"/></row>'),
        ("", TABLE + '<row r="900000"><c r="B900000" s="0"/></row>'),
    ],
    ids=["dimension", "styled", "styled row"],
)
def test_empty_cells_and_claims_do_not_make_a_sheet_large(tmp_path: Path, before: str, rows: str) -> None:
    assert read_book(raw_xlsx(tmp_path / "a.xlsx", worksheet(rows, before=before))).rows == READ


def test_wide_tables_are_measured_exactly(tmp_path: Path) -> None:
    def fill(workbook: xlsxwriter.Workbook, sheet: Worksheet) -> None:
        sheet.write_row(0, 0, HEADER)
        sheet.write_row(1, 0, [1, "甲公司", "x"])
        sheet.write(1, 700, "右")
        sheet.write(5_000, 1, "乙公司")
        sheet.write(5_000, 2, "y")

    assert [line for line, _ in read_book(written(tmp_path / "a.xlsx", fill)).rows] == [2, 5_001]


def test_both_scans_of_a_sheet_find_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(workbook: xlsxwriter.Workbook, sheet: Worksheet) -> None:
        dice = random.Random(3)
        for line in range(300):
            sheet.write_row(line, 0, ["<甲>&", line, dice.random(), None, "x" * dice.randrange(30)])
            if dice.random() < 0.2:
                sheet.write_formula(line, dice.choice([5, 30, 50]), "=1/0", value=dice.choice(["#DIV/0!", "#N/A"]))
            if dice.random() < 0.2:
                sheet.write_formula(line, 7, '="a"&B1', value="")
            if dice.random() < 0.3:
                sheet.set_row(line, options={"hidden": True})
        sheet.autofilter("A1:E300")
        sheet.merge_range("K1:L2", "m")
        sheet.conditional_format("A1:A9", {"type": "2_color_scale"})

    monkeypatch.setattr(workbook_sheet_scan, "_BLOCK", 1000)
    path = written(tmp_path / "a.xlsx", fill)
    _without_values(path)
    with Package(path, path.name) as package:
        plain, full = (sheet_facts(package, "xl/worksheets/sheet1.xml", plain=plain) for plain in (True, False))
    assert (plain.is_plain, full.is_plain) == (True, False)
    assert plain.marks == full.marks
    assert plain.hidden_rows == full.hidden_rows
    assert (plain.error_cells, plain.formulas_without_value) == (full.error_cells, full.formulas_without_value)
    assert min(plain.error_cells, plain.formulas_without_value, len(plain.hidden_rows)) > 20
    assert (plain.height >= full.height) and (plain.width >= full.width) and (plain.cells >= full.cells)


def _without_values(path: Path) -> None:
    """The same workbook as a library writes it that computes no formulas."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = parts["xl/worksheets/sheet1.xml"].replace(b' t="str"><f>', b"><f>").replace(b"<v></v>", b"")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**parts, "xl/worksheets/sheet1.xml": sheet}.items():
            archive.writestr(name, content)


def test_a_formula_that_was_never_computed_shows_itself(tmp_path: Path) -> None:
    rows = header_row() + (
        '<row r="2"><c r="A2"><v>1</v></c><c r="B2"><f>"甲"&amp;A2</f></c><c r="C2"><f t="shared" si="0"/><v></v></c>'
        '<c r="D2" t="str"><f>A1</f><v></v></c><c r="E2"><f>A2*2</f><v>2</v></c></row>'
    )
    found = read_book(raw_xlsx(tmp_path / "a.xlsx", worksheet(rows)))
    assert found.rows == [(2, ("1", '="甲"&A2', "=", None, "2"))]
    assert found.manifest["formulas_without_value"] == 2


def test_a_newer_error_is_named_with_its_sheet_and_line_but_only_where_it_matters(tmp_path: Path) -> None:
    bad = worksheet(TABLE + '<row r="3"><c r="B3" t="e"><v>#SPILL!</v></c></row>')
    with pytest.raises(ExtractError, match=r"a\.xlsx, sheet S1, line 3: a cell shows the error #SPILL!"):
        read_book(raw_xlsx(tmp_path / "a.xlsx", bad))
    names = workbook_xml(("S1", ""), ("S2", ' state="hidden"'))
    found = read_book(raw_xlsx(tmp_path / "b.xlsx", worksheet(TABLE), bad, parts={"xl/workbook.xml": names}))
    assert found.rows == READ
    assert found.left_out == {"S2": "hidden"}
    private = bad.replace("#SPILL!", "#张三")
    with pytest.raises(ExtractError, match="a cell shows an error, which no reader knows"):
        read_book(raw_xlsx(tmp_path / "c.xlsx", private))


def _target(target: str) -> dict[str, str | bytes | None]:
    return {"xl/_rels/workbook.xml.rels": relations(("rId1", "worksheet", target))}


@pytest.mark.parametrize(
    ("sheet", "parts"),
    [
        (worksheet(TABLE, namespace=STRICT), {"xl/workbook.xml": workbook_xml(("S1", ""), namespace=STRICT)}),
        (re.sub("<(/?)", r"<\1x:", worksheet(TABLE)).replace("xmlns=", "xmlns:x="), {}),
        (worksheet(TABLE), _target("/xl/worksheets/sheet1.xml")),
        (worksheet(TABLE), _target("WorkSheets/Sheet1.xml")),
        (worksheet(TABLE), {"xl/workbook.xml": re.sub(r"\br(:id)|(xmlns:)r", r"\2q\1", workbook_xml(("S1", "")))}),
        (worksheet(TABLE), {"xl/vbaProject.bin": b"\0" * 99, "xl/externalLinks/externalLink1.xml": "<externalLink/>"}),
        (worksheet(TABLE).replace('r="1"', "").replace('r="2"', ""), {}),
        (worksheet(TABLE, before='<sheetFormatPr zeroHeight="1"/>', after='<rowBreaks><brk id="1"/></rowBreaks>'), {}),
    ],
    ids=["strict", "prefixed", "absolute", "case", "other prefix", "macros and links", "unnumbered rows", "breaks"],
)
def test_unusual_packages_are_read(tmp_path: Path, sheet: str, parts: dict[str, str | bytes | None]) -> None:
    assert read_book(raw_xlsx(tmp_path / "a.xlsx", sheet, parts=parts)).rows == READ


SHARED = '<row r="2"><c r="A2" t="s"><v>0</v></c></row>'
ENTITY = '<!DOCTYPE x [<!ENTITY a "aaa">]>'


@pytest.mark.parametrize(
    ("sheet", "parts", "problem"),
    [
        (worksheet(TABLE), {"xl/worksheets/sheet1.xml": None}, "damaged"),
        (worksheet(TABLE), {"xl/workbook.xml": "<workbook>"}, "damaged"),
        (worksheet(TABLE), {"xl/_rels/workbook.xml.rels": None}, "damaged"),
        (worksheet(TABLE), _target("worksheets/other.xml"), "damaged"),
        (worksheet(TABLE), {"_rels/.rels": None}, "damaged"),
        (worksheet(TABLE), {"xl/workbook.xml": None}, "damaged"),
        (worksheet(TABLE)[:-40], {}, "damaged"),
        (worksheet(TABLE.replace("</row>", "<row>")), {}, "damaged"),
        (worksheet(header_row() + SHARED), {}, "damaged"),
        (worksheet(header_row() + SHARED), {"xl/sharedStrings.xml": "<sst/>"}, "damaged"),
        (worksheet(TABLE + row(2, "2", "乙公司")), {}, "line 2: the rows are numbered wrongly"),
        (worksheet(TABLE), {"XL/Worksheets/SHEET1.xml": worksheet(TABLE)}, "damaged"),
        (ENTITY + worksheet(TABLE), {}, "declares entities"),
        (worksheet(TABLE), {"xl/workbook.xml": ENTITY + workbook_xml(("S1", ""))}, "declares entities"),
        (worksheet(TABLE), {"xl/workbook.bin": b"x"}, "binary workbook"),
    ],
)
def test_broken_packages_are_refused(
    tmp_path: Path, sheet: str, parts: dict[str, str | bytes | None], problem: str
) -> None:
    with pytest.raises(ExtractError, match=problem):
        read_book(raw_xlsx(tmp_path / "a.xlsx", sheet, parts=parts))


def test_two_sheets_of_one_name_are_refused(tmp_path: Path) -> None:
    names = {"xl/workbook.xml": workbook_xml(("S1", ""), ("S1", ""))}
    with pytest.raises(ExtractError, match="damaged"):
        read_book(raw_xlsx(tmp_path / "a.xlsx", worksheet(TABLE), worksheet(TABLE), parts=names))


def test_a_bomb_is_not_opened_even_when_its_directory_lies(tmp_path: Path) -> None:
    bomb = worksheet(TABLE + " " * (40 << 20))
    path = raw_xlsx(tmp_path / "bomb.xlsx", bomb)
    with pytest.raises(ExtractError, match=r"bomb\.xlsx: the workbook unpacks to far more"):
        read_book(path)
    stated = struct.pack("<L", len(bomb.encode()))
    assert path.read_bytes().count(stated) == 2
    path.write_bytes(path.read_bytes().replace(stated, struct.pack("<L", 10)))
    with pytest.raises(ExtractError, match="unpacks to far more"):
        read_book(path)


@pytest.mark.parametrize("quote", ['"', "'"])
def test_one_long_text_may_not_fill_a_hundred_thousand_cells(tmp_path: Path, quote: str) -> None:
    texts = f"<sst><si><t>{'长' * 32_767}</t></si><si><t>短</t></si></sst>"

    def sheet(number: int) -> str:
        cells = "".join(f'<row r="{line}"><c r="B{line}" t="s"><v>{number}</v></c></row>' for line in range(3, 60_003))
        return worksheet(TABLE + cells).replace('t="s"', f"t={quote}s{quote}")

    with pytest.raises(ExtractError, match="unpacks to far more"):
        read_book(raw_xlsx(tmp_path / "a.xlsx", sheet(0), parts={"xl/sharedStrings.xml": texts}))
    many_short = raw_xlsx(tmp_path / "b.xlsx", sheet(1), parts={"xl/sharedStrings.xml": texts})
    if quote == '"':
        assert read_book(many_short).manifest["rows"] == 60_001


def test_merged_ranges_that_overlap_without_end_are_refused(tmp_path: Path) -> None:
    merges = '<mergeCell ref="A1:XFD1048576"/>' * 50
    path = raw_xlsx(tmp_path / "a.xlsx", worksheet(TABLE, after=f"<mergeCells>{merges}</mergeCells>"))
    with pytest.raises(ExtractError, match="damaged"):
        read_book(path)


def test_texts_come_as_they_were_typed(tmp_path: Path) -> None:
    long = "事" * 32_767

    def fill(workbook: xlsxwriter.Workbook, sheet: Worksheet) -> None:
        bold = workbook.add_format({"bold": True})
        quoted = workbook.add_format({"quote_prefix": True})
        percent = workbook.add_format({"num_format": "0.0%"})
        hours = workbook.add_format({"num_format": "[h]:mm:ss"})
        sheet.write_row(0, 0, HEADER)
        sheet.write_string(1, 0, "0012", quoted)
        sheet.write_rich_string(1, 1, "甲", bold, "公", " 司 ")
        sheet.write_string(1, 2, "第一行\r\n第二行\t")
        sheet.write_formula(1, 3, '="0012"', value="0012")
        sheet.write_string(1, 4, "410000.0")
        sheet.write_string(2, 1, long)
        sheet.write_boolean(2, 2, False)
        sheet.write_number(2, 3, 0.155, percent)
        sheet.write_number(2, 4, 1.5, hours)
        sheet.write_string(3, 1, '="0012"')
        sheet.write_string(3, 2, "'0012")
        sheet.write_number(3, 3, 913302012345678901)
        sheet.write_string(3, 4, "913302012345678901")
        sheet.write_string(4, 1, "分\x1f隔")
        sheet.write_string(4, 2, "  ")

    found = read_book(written(tmp_path / "a.xlsx", fill))
    assert [cells for _, cells in found.rows] == [
        ("0012", "甲公 司 ", "第一行\r\n第二行\t", "0012", "410000.0"),
        (None, long, "FALSE", "0.155", "36:00:00"),
        (None, '="0012"', "'0012", "9.13302012345679E+17", "913302012345678901"),
        (None, "分\x1f隔", "  ", None, None),
    ]


def test_hidden_rows_are_counted_and_left_out_when_the_feed_says_so(tmp_path: Path) -> None:
    def fill(workbook: xlsxwriter.Workbook, sheet: Worksheet) -> None:
        sheet.write_row(0, 0, HEADER)
        for line in range(1, 9):
            sheet.write_row(line, 0, [line, f"公司{line}", "x"])
        for line in (2, 3, 6):
            sheet.set_row(line, options={"hidden": True})
        sheet.autofilter("A1:E9")

    path = written(tmp_path / "a.xlsx", fill)
    with_hidden, without = read_book(path), read_book(path, hidden_rows="skip")
    assert [line for line, _ in with_hidden.rows] == [2, 3, 4, 5, 6, 7, 8, 9]
    assert [line for line, _ in without.rows] == [2, 5, 6, 8, 9]
    for found, left_out in ((with_hidden, 0), (without, 3)):
        assert (found.manifest["hidden_rows"], found.manifest["hidden_rows_left_out"]) == (3, left_out)
        assert found.manifest["hidden_lines"] == ["3-4", "7"]


def test_sheets_are_chosen_by_the_feed_and_the_others_named(tmp_path: Path) -> None:
    def fill(workbook: xlsxwriter.Workbook, sheet: Worksheet) -> None:
        for name in ("许可1", "处罚'1' & 2", "处罚[2]"):
            page = workbook.add_worksheet(name.replace("[", "(").replace("]", ")"))
            page.write_row(0, 0, HEADER)
            page.write_row(1, 0, [1, name, "x"])
        chart = workbook.add_chart({"type": "line"})
        chart.add_series({"values": "=数据!$A$1:$A$5"})
        workbook.add_chartsheet("图").set_chart(chart)
        hidden = workbook.add_worksheet("处罚藏")
        hidden.write_row(0, 0, HEADER)
        hidden.write_row(1, 0, [1, "藏", "x"])
        hidden.very_hidden()

    path = written(tmp_path / "a.xlsx", fill)
    found = read_book(path, sheets="处罚*")
    assert [sheet.sheet for sheet in found.sheets] == ["处罚'1' & 2", "处罚(2)"]
    assert found.left_out == {"数据": "not declared", "许可1": "not declared", "图": "no worksheet", "处罚藏": "hidden"}
    with_hidden = read_book(path, sheets="处罚*", hidden_sheets="read")
    assert [sheet.sheet for sheet in with_hidden.sheets][-1] == "处罚藏"
    alone = read_book(path, sheet="许可1")
    assert alone.rows == [(2, ("1", "许可1", "x", None, None))]
    assert "处罚(2)" in alone.left_out


def test_traces_of_wrong_conversions_in_rows_are_counted(tmp_path: Path) -> None:
    rows = "".join(
        row(line, *cells)
        for line, cells in enumerate(
            [
                ("题锟斤拷", "", ""),
                tuple(HEADER),
                ("1", "甲锟斤拷公司", "\ufffd1\ufffd"),
                ("2", "乙\ue123公司", "????"),
            ],
            1,
        )
    )
    found = read_book(raw_xlsx(tmp_path / "a.xlsx", worksheet(rows)))
    counted = {"replacement": 2, "kun_jin_kao": 1, "private_use": 1, "question_marks": 1}
    assert found.manifest["mojibake"] == counted
    clean = read_book(raw_xlsx(tmp_path / "b.xlsx", worksheet(TABLE)))
    assert set(clean.manifest["mojibake"].values()) == {0}


def _cut(data: bytes, dice: random.Random) -> bytes:
    return data[: dice.randrange(len(data))]


def _flipped(data: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.randrange(1, 6)):
        changed[dice.randrange(len(changed))] = dice.randrange(256)
    return bytes(changed)


@pytest.mark.parametrize("damage", [_cut, _flipped])
def test_damage_anywhere_is_refused_or_does_no_harm(
    tmp_path: Path, damage: Callable[[bytes, random.Random], bytes]
) -> None:
    def fill(workbook: xlsxwriter.Workbook, sheet: Worksheet) -> None:
        sheet.write_row(0, 0, HEADER)
        for line in range(1, 60):
            sheet.write_row(line, 0, [line, f"公司{line}", f"〔2024〕{line}号", line * 1.5])

    path = written(tmp_path / "a.xlsx", fill)
    data, whole = path.read_bytes(), read_book(path).rows
    dice = random.Random(11)
    refused = 0
    for _ in range(60):
        path.write_bytes(damage(data, dice))
        try:
            assert read_book(path).rows == whole
        except ExtractError:
            refused += 1
    assert refused > 30


def test_damage_inside_the_xml_is_refused_or_does_no_harm(tmp_path: Path) -> None:
    dice = random.Random(5)
    xml = worksheet(TABLE + "".join(row(line, str(line), f"公司{line}", "x") for line in range(3, 30))).encode()
    refused = 0
    for _ in range(80):
        path = raw_xlsx(tmp_path / "a.xlsx", "", parts={"xl/worksheets/sheet1.xml": _flipped(xml, dice)})
        try:
            read_book(path)
        except ExtractError:
            refused += 1
    assert refused > 10


def test_a_table_may_start_anywhere(tmp_path: Path) -> None:
    def fill(workbook: xlsxwriter.Workbook, sheet: Worksheet) -> None:
        sheet.write("C3", "某市行政处罚公示表")
        sheet.write_row("C7", HEADER)
        sheet.write_row("C8", [1, "甲公司", "x"])
        sheet.write("J9", "旁注")
        sheet.write_row("C9", [2, "乙公司", "y"])

    found = read_book(written(tmp_path / "a.xlsx", fill))
    assert found.columns == (*HEADER, "第10列")
    assert found.rows == [(8, ("1", "甲公司", "x", None, None, None)), (9, ("2", "乙公司", "y", None, None, "旁注"))]
    assert (found.manifest["header_line"], found.manifest["lines_before_header"]) == (7, 6)


def test_cells_written_twice_over_a_row_keep_their_places(tmp_path: Path) -> None:
    rows = header_row() + f'<row r="2">{cell("C2", "x")}{cell("A2", "1")}{cell("B2", "甲公司")}</row>'
    assert read_book(raw_xlsx(tmp_path / "a.xlsx", worksheet(rows))).rows == [(2, ("1", "甲公司", "x", None, None))]
