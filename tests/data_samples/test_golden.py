"""Golden cases, typed by hand: ``data_samples/<feed>/golden_<name>/`` holds what goes in and what must come out.

``extract.csv`` is UTF-8 with commas so that people can read it; it is written anew in the form that the feed is sent in
before the pipeline sees it. ``expected.csv`` has a line for every expectation: the first one of a line gives its
outcome and *all* its reasons, each gives at most one field with its standard value (empty: no value).
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from datetime import datetime
from pathlib import Path

import openpyxl
import pytest
from sample_judging import SAMPLES, judge_file

CASES = sorted(SAMPLES.glob("*/golden_*"))
WORKBOOK_HEADER_LINE = 4
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_NUMBER = re.compile(r"[1-9]\d{0,14}")


def test_there_are_golden_cases_for_every_feed() -> None:
    assert {case.parent.name for case in CASES} == {
        "ecology_penalty",
        "housing_licence",
        "market_licence",
        "market_penalty",
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}-{case.name.removeprefix('golden_')}")
def test_golden_case(case: Path, tmp_path: Path) -> None:
    feed = case.parent.name
    extract, offset = as_sent(feed, case / "extract.csv", tmp_path)
    found = {line - offset: verdict for line, verdict in judge_file(feed, extract, tmp_path).items()}
    with (case / "expected.csv").open(encoding="utf-8", newline="") as file:
        expected = list(csv.DictReader(file))
    by_line: dict[int, list[dict[str, str]]] = defaultdict(list)
    for row in expected:
        by_line[int(row["line"])].append(row)
    assert found.keys() == by_line.keys(), "every line needs an expectation"
    wrong = []
    for line, rows in by_line.items():
        verdict = found[line]
        outcome, reasons = rows[0]["outcome"], set(rows[0]["reasons"].split())
        if (verdict.outcome, verdict.reasons) != (outcome, reasons):
            wrong.append(f"{line}: {verdict.outcome} {sorted(verdict.reasons)}, expected {outcome} {sorted(reasons)}")
        wrong += [
            f"{line}: {row['field']} is {verdict.values[row['field']]!r}, expected {row['value']!r}"
            for row in rows
            if row["field"] and (verdict.values[row["field"]] or "") != row["value"]
        ]
    assert not wrong, "\n" + "\n".join(wrong)


def as_sent(feed: str, extract: Path, folder: Path) -> tuple[Path, int]:
    """The extract in the feed's own form, and by how many lines its lines stand lower there."""
    text = extract.read_text(encoding="utf-8")
    if feed == "ecology_penalty":
        return as_workbook(list(csv.reader(io.StringIO(text))), folder / "extract.xlsx"), WORKBOOK_HEADER_LINE - 1
    sent = folder / "extract.csv"
    if feed == "housing_licence":
        buffer = io.StringIO()
        csv.writer(buffer, delimiter=";", lineterminator="\n").writerows(csv.reader(io.StringIO(text)))
        text = buffer.getvalue()
    encoding = {"market_penalty": "gb18030", "market_licence": "utf-8-sig"}.get(feed, "utf-8")
    sent.write_bytes(text.encode(encoding))
    return sent, 0


def as_workbook(rows: list[list[str]], path: Path) -> Path:
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
