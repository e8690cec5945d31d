"""An .xlsx of 100,000 rows × 26 columns: python-calamine alone, and our way to rows in Parquet, best of five each."""

from __future__ import annotations

import csv
import json
import resource
import sys
import time
from collections.abc import Callable
from datetime import datetime
from itertools import islice
from pathlib import Path

import python_calamine
import xlsxwriter

from benchmarks.penalty_rows import HEADERS
from pipelines.catalogue.catalogue import load_catalogue
from pipelines.catalogue.formats import Format
from pipelines.intake.header_search import known_headers
from pipelines.intake.workbook_reader import read_workbook
from pipelines.settings import Settings

ROWS = 100_000
ROUNDS = 5
ALONE, OURS = "python-calamine alone", "workbook to rows"
_AMOUNTS = frozenset({"罚款金额 (万元)", "没收违法所得、没收非法财物的金额 (万元)"})
_DATES = frozenset({"处罚决定日期", "处罚有效期", "公示截止期"})


def write_workbook(source: Path, target: Path) -> None:
    """The first rows of a CSV of penalties as a clerk's workbook: amounts are numbers, dates are dates."""
    with (
        source.open(encoding="utf-8", errors="surrogateescape", newline="") as lines,
        xlsxwriter.Workbook(str(target), {"default_date_format": "yyyy/m/d"}) as book,
    ):
        sheet = book.add_worksheet("法人处罚")
        whole = (row for row in csv.reader(lines) if len(row) == len(HEADERS) and _is_text(row))
        for number, row in enumerate(islice(whole, ROWS + 1)):
            for column, (header, text) in enumerate(zip(HEADERS, row, strict=True)):
                sheet.write(number, column, text if number == 0 else _typed(header, text))


def _is_text(row: list[str]) -> bool:
    """The CSV holds a few lines that are in no encoding; a workbook cannot."""
    return not any("\udc80" <= character <= "\udcff" for character in "".join(row))


def _typed(header: str, text: str) -> str | float | datetime:
    try:
        if header in _AMOUNTS:
            return float(text)
        return datetime.strptime(text, "%Y/%m/%d") if header in _DATES else text  # noqa: DTZ007 - a date has no zone
    except ValueError:
        return text


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main(source: str, folder: str) -> None:
    Path(folder).mkdir(parents=True)
    book, rows = Path(folder) / "penalties.xlsx", Path(folder) / "rows.parquet"
    write_workbook(Path(source), book)
    known = known_headers(load_catalogue(Settings()).categories["administrative_penalty"], None)

    def alone() -> None:
        opened = python_calamine.CalamineWorkbook.from_path(book)
        opened.get_sheet_by_name("法人处罚").to_python(skip_empty_area=False)

    def ours() -> None:
        read_workbook(book, book.name, known, Format(), lambda: rows, kind="xlsx")

    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        for name, work in ((ALONE, alone), (OURS, ours)):
            best[name] = min(best.get(name, float("inf")), _seconds(work))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps({**best, "total": sum(best.values()), "peak_gb": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:])
