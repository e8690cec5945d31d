"""A department workbook of 50,000 problem rows: our way from a run's files; xlsxwriter alone with the same cells."""

from __future__ import annotations

import csv
import json
import resource
import sys
import time
from datetime import date
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import python_calamine
import xlsxwriter

from benchmarks.penalty_rows import HEADERS
from pipelines.catalogue.catalogue import Catalogue, load_catalogue
from pipelines.engine.duck import session
from pipelines.engine.rows import RowsPart
from pipelines.intake.rejects import RejectLog
from pipelines.ledger.database import Ledger, migrate, now, open_ledger
from pipelines.ledger.models import Batch, Run
from pipelines.quality.rules import Rule
from pipelines.quality.suite import load_suite
from pipelines.reporting.metrics import feed_figures
from pipelines.reporting.workbook import write_workbook
from pipelines.settings import PROJECT_ROOT, Settings

ROWS = 50_000
FEED, DAY = "market_penalty", date(2026, 11, 20)
RUN = f"{FEED}-20261120-001"
ALONE, OURS = "xlsxwriter alone", "problem workbook"
EXTRACT = "a" * 64
# One problem in each row, of as many kinds as a bad batch has.
KINDS = 8


def make_run(source: Path, settings: Settings, rules: list[Rule]) -> None:
    """The files of a run in which every row is quarantined."""
    with source.open(encoding="utf-8", errors="surrogateescape", newline="") as lines:
        whole = (row for row in csv.reader(lines) if len(row) == len(HEADERS) and _is_text(row))
        rows = list(islice(whole, 1, ROWS + 1))
    folder = settings.runs / RUN
    (folder / "rows").mkdir(parents=True)
    columns = {
        header: pa.array(column, pa.string()) for header, column in zip(HEADERS, zip(*rows, strict=True), strict=True)
    }
    pq.write_table(pa.table(columns), folder / "rows" / "000.parquet")
    with RejectLog(folder / "rejects.parquet"):
        numbers = range(len(rows))
    chosen = [rules[number % KINDS] for number in numbers]
    located = {
        "row_no": pa.array(numbers, pa.int64()),
        "extract": pa.array([EXTRACT] * len(rows)),
        "sheet": pa.array([""] * len(rows)),
        "line": pa.array([number + 2 for number in numbers], pa.int64()),
    }
    nothing = pa.nulls(len(rows), pa.string())
    outcome = {
        "outcome": pa.array(["quarantined"] * len(rows)),
        "reasons": pa.array([[rule.code] for rule in chosen]),
        "record_key": nothing,
        "excluded_reason": nothing,
    }
    pq.write_table(pa.table(located | outcome), folder / "outcomes.parquet")
    finding = {
        "rule": pa.array([rule.code for rule in chosen]),
        "severity": pa.array(["block"] * len(rows)),
        "field": pa.array([rule.field for rule in chosen]),
    }
    pq.write_table(pa.table(located | finding), folder / "findings.parquet")


def _is_text(row: list[str]) -> bool:
    return not any("\udc80" <= character <= "\udcff" for character in "".join(row))


def record_run(ledger: Ledger, folder: Path) -> None:
    part = RowsPart(EXTRACT, "penalties.csv", "", folder / "rows" / "000.parquet", tuple(HEADERS), 0, ROWS, 2)
    with ledger.write() as opened:
        batch = Batch(feed=FEED, business_date=DAY, run=RUN)
        opened.add(batch)
        opened.flush()
        opened.add(
            Run(
                id=RUN,
                batch_id=batch.id,
                feed=FEED,
                category="administrative_penalty",
                business_date=DAY,
                attempt=1,
                state="published",
                stage="published",
                started_at=now(),
                finished_at=now(),
                rows_decoded=ROWS,
                quarantined=ROWS,
                manifest={"parts": [part.as_json()]},
            )
        )


def ours(settings: Settings, catalogue: Catalogue, ledger: Ledger, rules: dict[str, Rule], path: Path) -> float:
    feed = catalogue.feed(FEED)
    with session(settings.scratch) as opened:
        figures = feed_figures(opened, settings, catalogue, ledger, FEED, DAY)
        start = time.perf_counter()
        write_workbook(opened, settings, ledger, feed, catalogue.category_of(feed), figures, rules, {}, None, path)
        return time.perf_counter() - start


def alone(cells: dict[str, list[list[object]]], path: Path) -> float:
    """Write the same cells, empty ones left out, each as text or number in one format."""
    start = time.perf_counter()
    book = xlsxwriter.Workbook(str(path), {"constant_memory": True, "strings_to_formulas": False})
    text = book.add_format({"num_format": "@", "border": 1, "text_wrap": True})
    for name, rows in cells.items():
        sheet = book.add_worksheet(name)
        for number, row in enumerate(rows):
            for column, value in enumerate(row):
                if isinstance(value, str):
                    if value:
                        sheet.write_string(number, column, value, text)
                else:
                    sheet.write_number(number, column, value, text)
    book.close()
    return time.perf_counter() - start


def main(source: str, folder: str) -> None:
    home = Path(folder)
    settings = Settings(root=PROJECT_ROOT, home=home / "home", inbox=home)
    settings.home_path.mkdir(parents=True)
    migrate(settings.ledger)
    catalogue, ledger = load_catalogue(settings), open_ledger(settings.ledger)
    category = catalogue.categories["administrative_penalty"]
    suite = load_suite(settings, category, catalogue.code_lists)
    rules = [rule for rule in suite.rules if rule.severity == "block" and rule.field is not None]
    make_run(Path(source), settings, rules)
    record_run(ledger, settings.runs / RUN)
    took = {OURS: ours(settings, catalogue, ledger, {rule.code: rule for rule in suite.rules}, home / "ours.xlsx")}
    opened = python_calamine.CalamineWorkbook.from_path(home / "ours.xlsx")
    cells = {name: opened.get_sheet_by_name(name).to_python() for name in opened.sheet_names}
    took[ALONE] = alone(cells, home / "alone.xlsx")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps({**took, "total": sum(took.values()), "peak_gb": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:])
