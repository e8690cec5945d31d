"""The quality step by itself, on the same standard rows: our verdicts, Great Expectations on pandas, a bare scan.

The bare scan counts with DuckDB how many rows break each predicate, knows nothing of rows and reasons, and writes the
files that the step writes, from tables that are there already. Great Expectations judges the rules that
:mod:`benchmarks.pandas` knows, once with counts alone and once so that it names the rows (``COMPLETE``).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd

from benchmarks import pandas as pandas_way
from benchmarks.meter import Meter
from pipelines.catalogue.catalogue import load_catalogue
from pipelines.catalogue.categories import Category
from pipelines.catalogue.feeds import Feed
from pipelines.dedupe.keys import add_keys
from pipelines.engine.duck import Session, session
from pipelines.intake.landing import land
from pipelines.intake.reading import read_landed
from pipelines.normalize.standardise import standardise
from pipelines.quality.checks import check_of
from pipelines.quality.compile import judge, parameters
from pipelines.quality.facts import FACTS, create_facts
from pipelines.quality.findings import create_findings
from pipelines.quality.rules import Suite
from pipelines.quality.suite import load_suite
from pipelines.settings import Settings

DAY = date(2026, 11, 20)
ROUNDS = 3
FEED = {"feed": "bench_penalty", "name_zh": "基准测试", "category": "administrative_penalty", "edition": 2018}
VERDICTS, LIBRARY, LIBRARY_ROWS = "verdicts", "great expectations on pandas", "the same, naming the rows"
STEP, BARE = "quality step", "bare scan and writing"


def step(duck: Session, suite: Suite, category: Category, into: Path) -> None:
    """What a batch does with its standard rows: facts, verdicts, findings, both written."""
    judge(duck, suite, category, DAY)
    create_findings(duck, suite, category, reasons="verdicts")
    write(duck, into)


def write(duck: Session, into: Path) -> None:
    duck.write_parquet("FROM verdicts", into / "verdicts.parquet")
    duck.write_parquet("FROM findings", into / "findings.parquet")


def bare(duck: Session, suite: Suite, category: Category, into: Path) -> None:
    """Count the rows that break each predicate in one scan, then write what the step wrote."""
    create_facts(duck, category, "standard")
    checks = [check_of(rule, parameters(DAY)) for rule in suite.rules]
    duck.one(f"SELECT {', '.join(f'count(*) FILTER ({check.broken})' for check in checks)} FROM {FACTS}")
    write(duck, into)


def best(meter: Meter, name: str, work: Callable[[], object], rounds: int = ROUNDS) -> None:
    """Keep the shortest of several rounds."""
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        meter.parts[name] = min(meter.parts.get(name, float("inf")), time.perf_counter() - start)


def standard_frame(duck: Session, category: Category) -> pd.DataFrame:
    """The standard rows as the pandas way wants them, derived columns included."""
    fields = ", ".join(f'"{field.code}" AS "{field.name_zh}"' for field in category.fields)
    return pandas_way.standardise(duck.connection.sql(f"SELECT {fields} FROM standard").df(), category)


def main(csv: str, folder: str) -> None:
    root = Path(folder)
    root.mkdir(parents=True)
    catalogue = load_catalogue(Settings())
    category = catalogue.categories["administrative_penalty"]
    suite = load_suite(Settings(), category, catalogue.code_lists)
    meter = Meter()
    with session(threads=2) as duck:
        read = read_landed(duck, [land(Path(csv), root / "landing")], None, category, root)
        feed = Feed.model_validate({**FEED, "source": {"kind": "folder", "path": "bench"}})
        standardise(duck, read.parts, feed, category, catalogue.code_lists)
        add_keys(duck, category)
        rows = standard_frame(duck, category)
        shared = replace(suite, rules=pandas_way.known(rows, category, suite.rules))
        print(f"{len(rows):,} rows, {len(shared.rules)} of {len(suite.rules)} rules known to the pandas way")
        best(meter, VERDICTS, lambda: judge(duck, shared, category, DAY))
        step(duck, suite, category, root)
        for _ in range(ROUNDS):
            best(meter, STEP, lambda: step(duck, suite, category, root), rounds=1)
            best(meter, BARE, lambda: bare(duck, suite, category, root), rounds=1)
    with meter.part(LIBRARY):
        pandas_way.validate(rows, category, shared.rules)
    with meter.part(LIBRARY_ROWS):
        pandas_way.validate(rows, category, shared.rules, "COMPLETE")
    meter.print()


if __name__ == "__main__":
    main(*sys.argv[1:])
