"""The department workbook read back with openpyxl equals what was sent, cell by cell."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl.workbook import Workbook
from openpyxl.worksheet.worksheet import Worksheet
from reporting_batch import (
    COLUMNS,
    DAY,
    FEED,
    PERSON_ID,
    ROWS,
    RULES,
    RUN,
    SECOND_COLUMNS,
    USCC,
    Installation,
    small_installation,
)

from pipelines.catalogue.catalogue import _load, load_catalogue
from pipelines.errors import StorageError
from pipelines.ledger.quality_models import Task
from pipelines.reporting.metrics import FeedFigures
from pipelines.reporting.problem_sheets import MOST_SHEETS, OWN_COLUMNS
from pipelines.reporting.sheets import LINES_PER_SHEET, LONGEST_CELL, cell_text
from pipelines.reporting.workbook import write_workbook
from pipelines.reporting.workbook_pages import shown_bytes

from test_metrics import figures  # isort: skip

SOURCE = len(OWN_COLUMNS)


def write(installation: Installation, path: Path, lines_per_sheet: int = LINES_PER_SHEET) -> int:
    batch: FeedFigures = figures(installation)
    feed = installation.catalogue.feed(FEED)
    return write_workbook(
        installation.session,
        installation.settings,
        installation.ledger,
        feed,
        installation.catalogue.category_of(feed),
        batch,
        RULES,
        {"province_sandbox": "省平台（沙箱）"},
        "法规处",
        path,
        lines_per_sheet=lines_per_sheet,
    )


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Workbook:
    folder = tmp_path_factory.mktemp("book")
    with small_installation(folder) as installation:
        write(installation, folder / "x.xlsx")
    return openpyxl.load_workbook(folder / "x.xlsx")


def table(sheet: Worksheet) -> list[dict[str, object]]:
    """The lines below the header as header → value; where a source column is called like one of ours, ours."""
    rows = sheet.iter_rows(min_row=2, values_only=True)
    headers = [str(header) for header in next(rows)]
    return [dict(reversed(list(zip(headers, row, strict=True)))) for row in rows]


def problem_tables(book: Workbook) -> list[tuple[str, dict[str, object]]]:
    """(sheet, line) of every sheet that is about one kind of problem."""
    return [(sheet.title, line) for sheet in book if sheet.title[:2].isdigit() for line in table(sheet)]


def source_cells(sheet: Worksheet) -> list[list[str | None]]:
    return [list(row[SOURCE:]) for row in sheet.iter_rows(min_row=3, values_only=True)]


def test_one_sheet_per_kind_of_problem_and_one_line_per_row(book: Workbook) -> None:
    lines = problem_tables(book)
    assert [(sheet[:2], line["行号"], line["问题代码"], line["字段"]) for sheet, line in lines] == [
        ("01", 3, "REQ-CF_WSH", "行政处罚决定书文号"),
        ("01", 4, "REQ-CF_WSH", "行政处罚决定书文号"),
        ("01", 4, "REQ-CF_WSH", "行政处罚决定书文号"),
        ("02", 10, "1001", "行政相对人名称"),
        ("03", 7, "DUP-003", None),
        ("04", 3, "USCC-CF_XDR_SHXYM", "行政相对人代码_1(统一社会信用代码)"),
    ]
    assert [line["序号"] for _, line in lines] == [1, 2, 3, 1, 1, 1]
    assert {line["严重程度"] for _, line in lines} == {"必须更正"}
    first, third = lines[0][1], lines[2][1]
    assert [(line["文件"], line["工作表"]) for line in (first, third)] == [("a.csv", None), ("b.xlsx", "表二")]
    assert [first["行引用"], third["行引用"]] == ["aaaaaaaaaaaa//3", "bbbbbbbbbbbb/表二/4"]
    assert (first["问题"], first["处理办法"]) == ("“行政处罚决定书文号”没有填写", "请填写文号")
    assert all(line["更正后的值"] is None for _, line in lines)


def test_a_row_on_several_sheets_says_where_the_others_are(book: Workbook) -> None:
    others = {(sheet[:2], line["行号"]): line["同一行的其他问题"] for sheet, line in problem_tables(book)}
    assert others["01", 3] == "另见 04、提示"
    assert others["04", 3] == "另见 01、提示"
    assert others["03", 7] is None


def test_source_cells_come_back_exactly_as_they_were_sent(book: Workbook) -> None:
    sheet = book["01 行政处罚决定书文号"]
    headers = [cell.value for cell in sheet[2]][SOURCE:]
    assert headers == [*COLUMNS, SECOND_COLUMNS[2]]
    cells = source_cells(sheet)
    for line, row_no in enumerate((1, 2)):
        assert cells[line] == [value or None for value in ROWS[row_no]] + [None]
    by_header = dict(zip(headers, cells[2], strict=True))
    assert by_header == dict.fromkeys(headers) | {"行政相对人名称": ROWS[0][2], "只在第二张表": "-5"}


def test_every_source_cell_is_text_and_no_cell_is_a_formula(book: Workbook) -> None:
    for sheet in book:
        for row in sheet.iter_rows(min_row=3):
            for cell in row:
                assert cell.data_type != "f"
                if sheet.title[:2].isdigit() and cell.column > SOURCE and cell.value is not None:
                    assert cell.data_type in {"s", "inlineStr"}
                if sheet.title[:1] != "_" and isinstance(cell.value, str) and cell.value[0] in "=+-@":
                    assert cell.quotePrefix, cell.coordinate


def test_the_wrong_cell_is_marked_and_shown_beside_the_reason(book: Workbook) -> None:
    sheet = book["04 行政相对人代码_1(统一社会信用代码)"]
    assert table(sheet)[0]["报送的值"] == ROWS[1][3]
    marked = [
        [cell.column - SOURCE - 1 for cell in row[SOURCE:] if cell.fill.fgColor.rgb == "FFF8D7D3"]
        for name in ("01 行政处罚决定书文号", sheet.title, "03 同一决定的多行内容互相矛盾")
        for row in book[name].iter_rows(min_row=3)
    ]
    assert marked == [[1], [1], [1], [3], []]
    assert sheet.cell(3, 9).fill.fgColor.rgb == "FFFFF4C2"


def test_only_the_yellow_cells_are_open_and_what_machines_read_is_hidden(book: Workbook) -> None:
    for sheet in book:
        if not (sheet.title[:2].isdigit() or sheet.title == "提示"):
            continue
        assert sheet.protection.sheet
        assert sheet.protection.password is None
        assert not sheet.protection.autoFilter
        assert not sheet.protection.formatColumns
        for row in sheet.iter_rows(min_row=3):
            for cell in row:
                assert cell.protection.locked == (cell.fill.fgColor.rgb != "FFFFF4C2"), cell.coordinate
        # Neighbours of the same width are one entry of the file.
        hidden = {
            sheet.cell(2, place).value
            for group in sheet.column_dimensions.values()
            if group.hidden
            for place in range(group.min, group.max + 1)
        }
        assert hidden == {"行引用", "行校验", "字段代码", "行签"}
    assert [book[name].sheet_state for name in ("_代码", "_归集")] == ["hidden", "veryHidden"]


def test_what_no_cell_of_a_row_can_mend_stays_closed_and_says_why(installation: Installation, tmp_path: Path) -> None:
    path = next((installation.settings.schemas / "departments" / "shichang").glob("penalty.yaml"))
    said = "columns: {CF_WSH: {column: 处罚文号, split: {by: '/', part: 1}}, "
    path.write_text(path.read_text(encoding="utf-8").replace("columns: {", said), encoding="utf-8")
    _load.cache_clear()
    made = replace(installation, catalogue=load_catalogue(installation.settings))
    write(made, tmp_path / "x.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "x.xlsx")["01 行政处罚决定书文号"]
    assert sheet.cell(3, 9).protection.locked
    assert "不能在本表更正：该字段取自一列的一部分" in str(table(sheet)[0]["处理办法"])


def test_drop_downs_offer_the_code_list(installation: Installation, tmp_path: Path) -> None:
    findings = installation.run_folder / "findings.parquet"
    rows = pq.read_table(findings).to_pylist()
    pq.write_table(
        pa.Table.from_pylist([row | {"rule": "ENUM-1", "field": "CF_XDR_LB"} for row in rows if row["row_no"] == 2]),
        findings,
    )
    write(installation, tmp_path / "x.xlsx")
    book = openpyxl.load_workbook(tmp_path / "x.xlsx")
    (sheet,) = [sheet for sheet in book if "类别" in sheet.title]
    (rule,) = sheet.data_validations.dataValidation
    assert (str(rule.sqref), rule.type, rule.errorStyle or "stop") == ("I3", "list", "stop")
    name, _, cells = str(rule.formula1).partition("!")
    offered = [cell.value for (cell,) in book[name.strip("'")][cells.replace("$", "")]]
    assert offered == ["法人及非法人组织", "自然人", "个体工商户"]


def test_suggestions_and_tasks_stand_beside_the_problem(installation: Installation, tmp_path: Path) -> None:
    suggestion = {
        "row_no": 1,
        "field": "CF_XDR_SHXYM",
        "suggested": USCC,
        "kind": "confusable",
        "evidence_zh": "首位 0 与 9 易混",
        "evidence_en": "",
    }
    pq.write_table(pa.Table.from_pylist([suggestion]), installation.run_folder / "suggestions.parquet")
    with installation.ledger.write() as ledger:
        ledger.add(
            Task(
                reference="T-000123",
                department="shichang",
                feed=FEED,
                category="administrative_penalty",
                rule="REQ-CF_WSH",
                rule_version=1,
                field="CF_WSH",
                severity="block",
                owner="department",
                state="open",
                rows=3,
                rows_ever=3,
                first_seen=DAY,
                last_seen=DAY,
                run=RUN,
            )
        )
    write(installation, tmp_path / "x.xlsx")
    book = openpyxl.load_workbook(tmp_path / "x.xlsx")
    suggested = [line["建议（请核实）"] for _, line in problem_tables(book)]
    assert suggested == [None] * 5 + [f"{USCC}（首位 0 与 9 易混）"]
    assert [line["任务编号"] for _, line in problem_tables(book)] == ["T-000123"] * 3 + [None] * 3


def test_many_kinds_share_a_sheet(installation: Installation, tmp_path: Path) -> None:
    findings = installation.run_folder / "findings.parquet"
    (row, *_) = [row for row in pq.read_table(findings).to_pylist() if row["row_no"] == 2]
    rows = [row | {"rule": f"X-{number:02d}"} for number in range(MOST_SHEETS + 5)]
    pq.write_table(pa.Table.from_pylist(rows), findings)
    write(installation, tmp_path / "x.xlsx")
    names = openpyxl.load_workbook(tmp_path / "x.xlsx").sheetnames
    assert sum(name[:2].isdigit() for name in names) == MOST_SHEETS - 1
    assert "其他问题" in names
    assert len(names) == len({name.lower() for name in names})
    assert max(map(len, names)) <= 31


def test_warnings_stand_apart_and_duplicates_and_exclusions_nowhere(book: Workbook) -> None:
    assert [(line["行号"], line["问题代码"]) for line in table(book["提示"])] == [
        (3, "CF-FINE-01"),
        (6, "CF-FINE-01"),
        (9, "TOMB-001"),
    ]
    everywhere = {line["行号"] for _, line in problem_tables(book)} | {line["行号"] for line in table(book["提示"])}
    assert everywhere.isdisjoint({5, 8, 11})


def test_undecodable_lines_have_a_sheet_of_their_own(book: Workbook) -> None:
    first, second = table(book["无法解析的行"])
    assert (first["行号"], first["问题代码"], second["应有列数"], second["实有列数"]) == (12, "LINE-001", 8, 7)
    text = "原文（仅供查看，无法识别的字显示为 �）"
    assert first[text] == "0011,乱码�"
    assert second[text] == "0012,少一列,张某"


def test_the_clerk_starts_at_the_cover_and_finds_help(book: Workbook) -> None:
    assert book.sheetnames == [
        "填写说明",
        "01 行政处罚决定书文号",
        "02 行政相对人名称",
        "03 同一决定的多行内容互相矛盾",
        "04 行政相对人代码_1(统一社会信用代码)",
        "提示",
        "无法解析的行",
        "汇总",
        "说明",
        "_代码",
        "_归集",
    ]
    assert book.active is not None
    cover = book.active
    assert cover.title == "填写说明"
    told = {row[0]: row[1] for row in cover.iter_rows(values_only=True) if row[0]}
    assert told["需要更正"] == "5行、6个问题；另有3个提示请核实"
    assert "2026年3月2日" in str(told["时限"])
    assert "法规处" in str(told["收件"])
    listed = [row[0] for row in cover.iter_rows(values_only=True) if str(row[0])[:2].isdigit()]
    assert listed == book.sheetnames[1:5]
    sheet = book["01 行政处罚决定书文号"]
    assert sheet.freeze_panes == "E3"
    assert sheet.auto_filter.ref == "A2:AA5"
    assert "更正后的值" in str(sheet["A1"].value)
    assert [line["问题代码"] for line in table(book["汇总"])][:2] == ["REQ-CF_WSH", "DUP-003"]
    assert any("法规处" in str(line["说明"]) for line in table(book["说明"]))


def test_same_batch_same_bytes_and_nothing_left_beside(installation: Installation, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert write(installation, folder / "a.xlsx") == write(installation, folder / "b.xlsx") == 11
    assert (folder / "a.xlsx").read_bytes() == (folder / "b.xlsx").read_bytes()
    assert {path.name for path in folder.iterdir()} == {"a.xlsx", "b.xlsx"}
    assert not list(installation.settings.scratch.glob("workbook-*"))
    created = openpyxl.load_workbook(folder / "a.xlsx").properties.created
    assert created == datetime(2026, 3, 5)  # noqa: DTZ001 - a workbook's date has no zone
    assert (folder / "a.xlsx").stat().st_mode & 0o777 == 0o600


def test_more_lines_than_a_sheet_holds_go_on_the_next_sheet(installation: Installation, tmp_path: Path) -> None:
    write(installation, tmp_path / "x.xlsx", lines_per_sheet=2)
    book = openpyxl.load_workbook(tmp_path / "x.xlsx")
    assert book.sheetnames[1:3] == ["01 行政处罚决定书文号", "01 行政处罚决定书文号2"]
    assert [line["序号"] for name in book.sheetnames[1:3] for line in table(book[name])] == [1, 2, 3]
    assert book["01 行政处罚决定书文号2"].protection.sheet


def test_a_rejection_without_a_source_row_is_kept(installation: Installation, tmp_path: Path) -> None:
    with installation.ledger.write() as ledger:
        ledger.connection().exec_driver_sql("UPDATE delivery_finding SET record_key = 'gone', field = 'XYZ'")
    write(installation, tmp_path / "x.xlsx")
    book = openpyxl.load_workbook(tmp_path / "x.xlsx")
    (last,) = [line for _, line in problem_tables(book) if line["问题代码"] == "1001"]
    assert book["02 XYZ"].cell(3, 9).protection.locked
    assert (last["行号"], last["字段"], last["行引用"]) == (None, "XYZ", None)
    assert str(last["问题"]).startswith("【省平台（沙箱）】未查询到主体")
    assert PERSON_ID in str(last["问题"])


def test_a_failure_leaves_the_old_workbook_and_names_the_place(installation: Installation, tmp_path: Path) -> None:
    path = tmp_path / "x.xlsx"
    write(installation, path)
    before = path.read_bytes()
    (installation.run_folder / "rows" / "001.parquet").unlink()
    with pytest.raises(StorageError, match="run the batch again"):
        write(installation, path)
    assert path.read_bytes() == before
    assert {found.name for found in path.parent.glob("*x.xlsx*")} == {"x.xlsx"}
    assert not list(installation.settings.scratch.glob("workbook-*"))


def test_a_place_that_cannot_be_written_is_one_clear_error(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(StorageError, match="free disk space or mend permissions"):
        write(installation, tmp_path / "folder" / "x.xlsx")


def test_cells_too_long_for_excel_say_so() -> None:
    text, _ = cell_text("长" * (LONGEST_CELL + 1))
    assert text == "长" * LONGEST_CELL + "…（内容过长，其余见原文件）"
    assert cell_text("长" * LONGEST_CELL)[0] == "长" * LONGEST_CELL


@pytest.mark.parametrize("value", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1"])
def test_what_a_spreadsheet_would_run_is_guarded_and_unchanged(value: str) -> None:
    assert cell_text(value) == (value, True)


def test_bytes_are_shown_in_the_encoding_that_fits() -> None:
    assert shown_bytes("处罚,文号\r\n".encode("gb18030")) == "处罚,文号"
    assert shown_bytes("处罚,文号".encode()) == "处罚,文号"
    assert shown_bytes(b"a\x00\x07b") == "a��b"
    assert shown_bytes(b"x" * 5000) == "x" * 4000 + "…"


def test_the_workbook_holds_no_link_to_anywhere(installation: Installation, tmp_path: Path) -> None:
    write(installation, tmp_path / "x.xlsx")
    with zipfile.ZipFile(tmp_path / "x.xlsx") as archive:
        assert not [name for name in archive.namelist() if "externalLink" in name or "worksheets/_rels" in name]
