"""Golden cases, typed by hand or written from the list of deviations: ``data_samples/<feed>/golden_<name>/``.

``extract.csv`` is UTF-8 with commas so that people can read it; it is written anew in the form that the feed is sent in
before the pipeline sees it. A case whose bytes matter has ``extract.bin`` instead, which is sent as it is.
``expected.csv`` has a line for every expectation: the first one of a line gives its outcome and *all* its reasons, each
gives at most one field with its standard value (empty: no value).
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from datetime import datetime
from pathlib import Path

import openpyxl

from data_samples.golden.judging import SAMPLES, Verdict, judge_file

WORKBOOK_HEADER_LINE = 4
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_NUMBER = re.compile(r"[1-9]\d{0,14}")


def golden_cases() -> list[Path]:
    """Every case's folder, in order."""
    return sorted(SAMPLES.glob("*/golden_*"))


def case_name(case: Path) -> str:
    """``<feed>/<case>``, as tables name it."""
    return f"{case.parent.name}/{case.name}"


def expectations_of(case: Path) -> dict[int, list[dict[str, str]]]:
    """What must come out: line of the extract → its expectations."""
    by_line: dict[int, list[dict[str, str]]] = defaultdict(list)
    with (case / "expected.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            by_line[int(row["line"])].append(row)
    return by_line


def run_case(case: Path, folder: Path) -> dict[int, Verdict]:
    """What comes out: line of the extract → verdict. ``folder`` is for scratch."""
    extract, offset = _as_sent(case, folder)
    found = judge_file(case.parent.name, extract, folder)
    return {line - offset: verdict for line, verdict in found.items()}


def _as_sent(case: Path, folder: Path) -> tuple[Path, int]:
    """The extract in the feed's own form, and by how many lines its lines stand lower there."""
    feed = case.parent.name
    sent = folder / "extract.csv"
    if (case / "extract.bin").exists():
        sent.write_bytes((case / "extract.bin").read_bytes())
        return sent, 0
    text = (case / "extract.csv").read_text(encoding="utf-8")
    if feed == "ecology_penalty":
        return _as_workbook(list(csv.reader(io.StringIO(text))), folder / "extract.xlsx"), WORKBOOK_HEADER_LINE - 1
    if feed == "housing_licence":
        buffer = io.StringIO()
        csv.writer(buffer, delimiter=";", lineterminator="\n").writerows(csv.reader(io.StringIO(text)))
        text = buffer.getvalue()
    encoding = {"market_penalty": "gb18030", "market_licence": "utf-8-sig"}.get(feed, "utf-8")
    sent.write_bytes(text.encode(encoding))
    return sent, 0


def _as_workbook(rows: list[list[str]], path: Path) -> Path:
    """Title, header in two rows with merged cells, 序号; dates and numbers as such."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "行政处罚"
    header, *data = rows
    sheet.append(["示例市生态环境局行政处罚信息报送表"])
    sheet.append(["填报单位：示例市生态环境局法规科"])
    sheet.append(["序号", "行政相对人信息", *[None] * 7, "处罚决定信息"])
    sheet.append([None, *header])
    sheet.merge_cells("A1:Z1")
    sheet.merge_cells("A3:A4")
    sheet.merge_cells("B3:I3")
    sheet.merge_cells("J3:Z3")
    for number, row in enumerate(data, 1):
        sheet.append([number, *(_typed(cell) for cell in row)])
    book.save(path)
    return path


def _typed(cell: str) -> str | int | datetime | None:
    if _DAY.fullmatch(cell):
        return datetime.strptime(cell, "%Y-%m-%d")  # noqa: DTZ007 - a workbook knows no time zone
    return int(cell) if _NUMBER.fullmatch(cell) else (cell or None)
