"""A small feed whose workbook goes out, is filled in as a clerk would, and comes back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow.parquet as pq
from openpyxl.worksheet.worksheet import Worksheet

from pipelines.catalogue.correction_form import CORRECTION, FIELD, REQUIRED_HEADERS
from pipelines.operations.reports import build_site
from pipelines.operations.resubmitting import Resubmitted, resubmit
from tests.operations.small_feed import FEED, Installation

HEADER = 2
SUBJECT_CODE, NUMBER, CONTENT, NAME = "统一社会信用代码", "决定书文号", "处罚内容", "当事人名称"


def workbook(installation: Installation, day: date) -> Path:
    """The department's workbook of a batch, made anew."""
    return build_site(installation.context, day).workbooks[FEED]


def line_sheets(book: openpyxl.Workbook) -> list[Worksheet]:
    """The sheets that are filled in."""
    return [sheet for sheet in book if set(REQUIRED_HEADERS) <= {cell.value for cell in sheet[HEADER]}]


def column(sheet: Worksheet, header: str, *, last: bool = False) -> int:
    """The column under a header; the last of several is the source column of that name."""
    found = [cell.column for cell in sheet[HEADER] if cell.value == header]
    return found[-1 if last else 0]


def fill(
    path: Path, target: Path, answers: Mapping[tuple[int, str], Any], *, everywhere: bool = False
) -> dict[tuple[int, str], str]:
    """Write answers, by line of the extract and field name, into the first yellow cell that asks for them.

    ``everywhere``: into every cell that asks. Returns where each was written, as sheet and cell.
    """
    book = openpyxl.load_workbook(path)
    written: dict[tuple[int, str], str] = {}
    for sheet in line_sheets(book):
        line, field, correction = column(sheet, "行号"), column(sheet, FIELD), column(sheet, CORRECTION)
        for row in range(HEADER + 1, sheet.max_row + 1):
            for key, value in answers.items():
                asked = sheet.cell(row, field).value
                if sheet.cell(row, line).value != key[0] or asked not in {key[1], None}:
                    continue
                if key in written and not everywhere:
                    continue
                if asked is None:
                    sheet.cell(row, field).value = key[1]
                sheet.cell(row, correction).value = value
                written[key] = f"{sheet.title}!{sheet.cell(row, correction).coordinate}"
    assert set(written) == set(answers), f"not asked for: {set(answers) - set(written)}"
    book.save(target)
    return written


def send_back(installation: Installation, path: Path) -> Resubmitted:
    return resubmit(installation.context, path, "示例经办")


def outcomes(installation: Installation, day: date) -> dict[int, str]:
    """Line of the extract → outcome."""
    run = installation.published(day)
    found = pq.read_table(installation.context.settings.runs / run.id / "outcomes.parquet").to_pylist()
    return {row["line"]: row["outcome"] for row in found}


def refused(installation: Installation, result: Resubmitted) -> list[tuple[str, str, str]]:
    """Sheet, cell and reason of everything that was not taken from a workbook."""
    path = installation.context.settings.runs / result.run / "corrections_refused.parquet"
    rows = pq.read_table(path).to_pylist()
    return [(row["book_sheet"], row["cell"], row["reason"]) for row in rows if row["workbook"] == result.sha256]


def answer(result: Resubmitted) -> dict[str, list[tuple[Any, ...]]]:
    """The lines of the answer by sheet, without title and header."""
    book = openpyxl.load_workbook(result.answer)
    return {sheet.title: [tuple(row) for row in sheet.iter_rows(min_row=3, values_only=True)] for sheet in book}
