"""What lines below a header are: rows unless their own words prove that they are none, and every other one named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from xlsxwriter.worksheet import Worksheet

from tests.intake.workbook_files import HEADER, ReadBook, read_book, written

FIRST = [1, "甲公司", "〔2024〕1号", "2024/5/6", 1]
SECOND = [2, "乙公司", "〔2024〕2号", "2024/5/7", 2]


def table(tmp_path: Path, *lines: list[Any], merges: tuple[str, ...] = (), header: list[str] = HEADER) -> ReadBook:
    """Lines below the header, which is line 1."""

    def fill(workbook: xlsxwriter.Workbook, sheet: Worksheet) -> None:
        for number, cells in enumerate([header, *lines]):
            for column, value in enumerate(cells):
                if value is not None:
                    sheet.write(number, column, value)
        for merged in merges:
            sheet.merge_range(merged, lines[int(merged.split(":")[0][1:]) - 2][ord(merged[0]) - 65])

    return read_book(written(tmp_path / "a.xlsx", fill))


def kinds(found: ReadBook) -> list[tuple[int, str]]:
    return [(note["line"], note["kind"]) for note in found.manifest["note_rows"]]


def kept(found: ReadBook) -> list[int]:
    assert sum(sheet.row_count for sheet in found.sheets) == found.manifest["rows"]
    return [line for line, _ in found.rows]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (["合计", None, None, None, 45000], "total"),
        (["合 计", None, "3件", None, "1,234.50"], "total"),
        ([None, "小计：", None, None, "0.5万元"], "total"),
        ([None, None, "本页合计", "-", 2], "total"),
        (HEADER, "header again"),
        ([None, *HEADER[1:3]], "header again"),
        (["一、企业部分"], "note"),
        (["填表说明：必填项不得为空"], "note"),
        ([None, "制表人：某某"], "note"),
        ([None, None, None, None, None, None, "旁边的话"], "note"),
    ],
)
def test_totals_headings_and_repeated_headers_are_no_rows_wherever_they_stand(
    tmp_path: Path, line: list[Any], kind: str
) -> None:
    found = table(tmp_path, FIRST, line, SECOND)
    assert (kept(found), kinds(found)) == ([2, 4], [(3, kind)])
    assert "某某" not in str(found.manifest)


@pytest.mark.parametrize(
    "line",
    [
        ["合计", "合计公司", "x"],
        ["合计", None, "〔2024〕3号", None, None],
        [None, "丙公司"],
        [None, None, "〔2024〕3号"],
        [None, "合计科技有限公司", None, None, 3],
        [3, "制表人：某某", "〔2024〕3号"],
        ["示例", "丙公司", "x"],
        [None, "行政相对人名称", "〔2024〕3号"],
        [None, "必填", "选填"],
    ],
)
def test_a_line_that_may_be_a_row_is_one(tmp_path: Path, line: list[Any]) -> None:
    assert kept(table(tmp_path, FIRST, line, SECOND)) == [2, 3, 4]


def test_signatures_and_remarks_below_the_table_are_no_rows(tmp_path: Path) -> None:
    found = table(
        tmp_path,
        FIRST,
        SECOND,
        ["以上数据真实有效，特此说明。"],
        [],
        ["制表人：", "张某", None, "审核人：李某"],
        [None, "填报单位（盖章）", None, None, None],
        ["负责人：王某", None, None, "2024年5月8日"],
        [None, None, None, "2024-05-08"],
    )
    assert kept(found) == [2, 3]
    assert kinds(found) == [(4, "note"), (6, "closing"), (7, "closing"), (8, "closing"), (9, "closing")]
    assert [note["cells"] for note in found.manifest["note_rows"]] == [1, 3, 1, 2, 1]
    assert found.manifest["blank_lines"] == 1


def test_names_alone_at_the_end_are_rows(tmp_path: Path) -> None:
    found = table(tmp_path, FIRST, [2, "乙公司"], [None, "丙公司"], [None, "丁公司"])
    assert kept(found) == [2, 3, 4, 5]
    only_names = table(tmp_path, *[[None, f"公司{number}"] for number in range(60)])
    assert len(kept(only_names)) == 60


def test_sample_rows_instructions_and_field_codes_below_the_header_are_no_rows(tmp_path: Path) -> None:
    codes = [None, "CF_XDR_MC", "CF_WSH", "CF_JDRQ", "CF_NR_FK"]
    demands = [None, "必填", "（必填）", "选填", "选填"]
    sample = ["示例", "某某公司", "〔2020〕1号", "2020/1/1", 1]
    found = table(tmp_path, codes, demands, sample, ["示例2:", "某某公司"], FIRST, SECOND)
    assert kept(found) == [6, 7]
    assert kinds(found) == [(2, "second header"), (3, "instruction"), (4, "sample"), (5, "sample")]


def test_numbers_that_wait_for_rows_are_counted(tmp_path: Path) -> None:
    found = table(tmp_path, FIRST, SECOND, *[[number] for number in range(3, 50)])
    assert kept(found) == [2, 3]
    assert found.manifest["serial_only_lines"] == 47


def test_a_line_merged_over_the_table_is_a_note_and_a_merged_column_makes_rows(tmp_path: Path) -> None:
    found = table(tmp_path, FIRST, [None, "分局", None], SECOND, [None, None, "〔2024〕3号"], merges=("B3:E3", "B4:B5"))
    assert kept(found) == [2, 4, 5]
    assert found.rows[-1][1][1] == "乙公司"
    assert kinds(found) == [(3, "note")]


def test_narrow_tables_have_no_notes_of_one_cell(tmp_path: Path) -> None:
    header = ["行政相对人名称", "行政处罚决定书文号"]
    found = table(tmp_path, ["甲公司", "x"], ["说明：见附件"], ["乙公司"], header=header)
    assert kept(found) == [2, 3, 4]


def test_a_thousand_notes_are_counted_and_the_first_listed(tmp_path: Path) -> None:
    lines = [line for number in range(500) for line in ([number, f"公司{number}", "x"], ["小计", None, None, None, 1])]
    found = table(tmp_path, *lines)
    assert (found.manifest["rows"], found.manifest["note_row_count"], len(found.manifest["note_rows"])) == (
        500,
        500,
        200,
    )
