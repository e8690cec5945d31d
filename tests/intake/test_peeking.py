"""A file that no feed describes yet: what it is, where its header stands, what its columns are called."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.errors import ExtractError
from pipelines.intake.peeking import SAMPLE_ROWS, Sample, peek
from pipelines.settings import Settings

Look = Callable[[str, bytes], Sample]

HEADER = "当事人名称,统一社会信用代码,处罚决定书文号,处罚日期"
ROW = "示例市样本商贸有限公司,91119900MA9000013K,示市监罚〔2026〕1号,2026-11-12"


@pytest.fixture(scope="module")
def known() -> frozenset[str]:
    categories = load_catalogue(Settings()).categories.values()
    return frozenset().union(*(category.all_headers() for category in categories))


@pytest.fixture
def look(tmp_path: Path, known: frozenset[str]) -> Look:
    def go(name: str, data: bytes) -> Sample:
        path = tmp_path / name
        path.write_bytes(data)
        return peek(path, known)

    return go


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_text_is_known_by_its_header(look: Look, delimiter: str, encoding: str) -> None:
    text = "\n".join([HEADER, ROW, ROW]).replace(",", delimiter)
    sample = look("x.txt", text.encode(encoding))
    (table,) = sample.tables
    assert (sample.kind, sample.encoding) == ("csv", encoding.removesuffix("-sig"))
    assert table.columns == tuple(HEADER.split(","))
    assert table.rows == (tuple(ROW.split(",")),) * 2
    assert (table.header_line, table.header_rows, table.known) == (1, 1, 4)


def test_titles_and_notes_above_the_header_are_passed_over(look: Look) -> None:
    sample = look("x.csv", f'2026年11月行政处罚\n"填表说明：\n日期请用标准格式"\n\n{HEADER}\n{ROW}\n'.encode())
    assert sample.tables[0].header_line == 5
    assert len(sample.tables[0].rows) == 1


def test_a_header_that_nobody_knows_is_the_first_row_that_looks_like_one(look: Look) -> None:
    sample = look(
        "x.csv", b"exported 2026-11-12,,,\nparty,code_x,number_x,day_x\nfoo,1,2,2026-11-12\nbar,3,4,2026-11-12\n"
    )
    (table,) = sample.tables
    assert (table.columns, table.header_line, table.known) == (("party", "code_x", "number_x", "day_x"), 2, 0)


@pytest.mark.parametrize(
    "rows",
    [
        "示例市样本商贸有限公司,罚款\n示例市样本餐饮有限公司,警告\n",
        "示例张三,110199199001011234,罚款\n示例李四,110199199001011235,警告\n",
        "张*,罚款,甲\n李*,警告,乙\n",
    ],
)
def test_a_row_of_data_is_never_taken_for_a_header(look: Look, rows: str) -> None:
    """Headers are shown and written to files: nobody's name or number may be among them."""
    with pytest.raises(ExtractError, match="nothing in it looks like a header"):
        look("x.csv", rows.encode())


def test_no_more_is_read_than_a_sample_needs(look: Look) -> None:
    sample = look("x.csv", "\n".join([HEADER, *[ROW] * 50_000]).encode())
    assert len(sample.tables[0].rows) == SAMPLE_ROWS


def test_a_quote_that_is_never_closed_leaves_the_rows_before_it(look: Look) -> None:
    sample = look("x.csv", f'{HEADER}\n{ROW}\n"open,'.encode() + b"x" * 200_000)
    assert sample.tables[0].rows[0] == tuple(ROW.split(","))


def test_a_line_in_no_encoding_does_not_move_the_header(look: Look) -> None:
    sample = look("x.csv", b"\xff\xff\xfe\n" + f"{HEADER}\n{ROW}\n".encode())
    assert sample.tables[0].header_line == 2


def workbook(path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "行政处罚"
    sheet.append(["示例市行政处罚信息"])
    sheet.append(["序号", "相对人信息", None, "处罚信息", None])
    sheet.append([None, "当事人名称", "统一社会信用代码", "处罚决定书文号", "罚款"])
    sheet.append([1, "示例市样本商贸有限公司", "91119900MA9000013K", "示市监罚〔2026〕1号", 0.5])
    for area in ("A1:E1", "A2:A3", "B2:C2", "D2:E2"):
        sheet.merge_cells(area)
    book.create_sheet("填表说明").append(["日期请用标准格式"])
    hidden = book.create_sheet("旧")
    hidden.append(HEADER.split(","))
    hidden.append(ROW.split(","))
    hidden.sheet_state = "hidden"
    book.save(path)


def test_a_workbook_gives_its_tables_and_says_what_it_left_out(tmp_path: Path, known: frozenset[str]) -> None:
    workbook(tmp_path / "x.xlsx")
    sample = peek(tmp_path / "x.xlsx", known)
    (table,) = sample.tables
    assert sample.kind == "xlsx"
    assert sample.left_out == {"填表说明": "no header", "旧": "hidden"}
    assert (table.sheet, table.header_line, table.header_rows) == ("行政处罚", 2, 2)
    assert table.columns == ("序号", "当事人名称", "统一社会信用代码", "处罚决定书文号", "处罚信息_罚款")
    assert table.rows[0][1:] == ("示例市样本商贸有限公司", "91119900MA9000013K", "示市监罚〔2026〕1号", "0.5")


RECORD = dict(zip(HEADER.split(","), ROW.split(","), strict=True))


@pytest.mark.parametrize(
    ("name", "text", "row_path"),
    [
        ("x.json", json.dumps({"data": {"list": [RECORD, {**RECORD, "备注": None}]}}, ensure_ascii=False), "data.list"),
        ("x.jsonl", "\n".join([json.dumps(RECORD, ensure_ascii=False)] * 2), None),
        (
            "x.xml",
            "<ROWDATA>" + f"<ROW>{''.join(f'<{k}>{v}</{k}>' for k, v in RECORD.items())}</ROW>" * 2 + "</ROWDATA>",
            "ROWDATA/ROW",
        ),
    ],
)
def test_records_have_the_columns_that_any_of_them_has(look: Look, name: str, text: str, row_path: str | None) -> None:
    sample = look(name, text.encode())
    (table,) = sample.tables
    assert table.columns[:4] == tuple(RECORD)
    assert (len(table.rows), table.known, sample.row_path) == (2, 4 + ("备注" in table.columns), row_path)
    assert table.header_line == 0


def test_an_archive_gives_the_tables_of_its_entries(tmp_path: Path, known: frozenset[str]) -> None:
    workbook(tmp_path / "inside.xlsx")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("2026/一.csv", f"{HEADER}\n{ROW}\n")
        archive.writestr("2026/二.csv", f"{HEADER}\n{ROW}\n")
        archive.writestr("说明.pdf", "%PDF-1.7")
        archive.write(tmp_path / "inside.xlsx", "inside.xlsx")
    sample = peek(tmp_path / "x.zip", known)
    assert (sample.kind, sample.archive, sample.delimiter) == ("csv", True, "comma")
    assert [table.sheet for table in sample.tables] == ["2026/一.csv", "2026/二.csv"]
    assert set(sample.left_out) == {"说明.pdf", "inside.xlsx"}


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [("x.pdf", b"%PDF-1.7", "a PDF"), ("x.csv", b" \r\n", "empty"), ("x.xlsx", b"PK\x03\x04 broken", "damaged")],
)
def test_what_is_no_table_is_refused(look: Look, name: str, data: bytes, words: str) -> None:
    with pytest.raises(ExtractError, match=words) as caught:
        look(name, data)
    assert caught.value.file == name


def test_a_missing_file_is_called_missing(known: frozenset[str], tmp_path: Path) -> None:
    with pytest.raises(ExtractError, match="no such file"):
        peek(tmp_path / "x.csv", known)


def test_real_files_are_looked_at_without_a_complaint(shared: Path, known: frozenset[str]) -> None:
    """Forms without rows have their header too; the two with the least known headers are named."""
    folders = ("registry", "penalties", "lists", "messy")
    files = sorted(path for folder in folders for path in (shared / "real" / folder).iterdir())
    samples = {path.name: peek(path, known) for path in files}
    assert len(samples) >= 20
    assert all(sample.tables[0].columns for sample in samples.values())
    assert samples["registry_name_anomalies_gb18030.csv"].encoding == "gb18030"
    taxes = samples["tax_arrears_nanhai_2015Q2_masked.xls"]
    assert [(table.header_line, len(table.columns)) for table in taxes.tables] == [(5, 7), (5, 7)]
    assert samples["行政权力目录模板.xlsx"].tables[0].rows == ()
    assert samples["双公示月报表统计模板.xls"].tables[0].header_rows == 2
