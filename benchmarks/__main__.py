"""The benchmark table: the floor, our whole way, and what one would write otherwise, on the same rows.

Each measurement runs in a process of its own, so that its peak memory is its own and nothing is warm.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.intake import CLEAN_FLOOR, CLEAN_UTF8, FLOOR, GB18030, UTF8
from benchmarks.penalty_rows import write_penalty_rows
from benchmarks.report_site import NOTHING, ONE_NIGHT

MEASUREMENTS = (
    "floor",
    "guiji",
    "pandas",
    "intake",
    "workbooks",
    "problem_workbook",
    "database",
    "quality",
    "report_site",
)
# Takes a few minutes and gigabytes of disk: only when asked for.
ON_DEMAND = ("memory",)


def measure(name: str, csv: Path, folder: Path) -> dict[str, float]:
    """Run one measurement; seconds by part and ``peak_gb``."""
    command = [sys.executable, "-m", f"benchmarks.{name}", str(csv), str(folder / name)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    parts: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return parts


def conclusions(results: dict[str, dict[str, float]]) -> Iterator[str]:
    """One sentence per aim, for what was measured."""
    if {"floor", "guiji"} <= set(results):
        ratio = results["guiji"]["total"] / results["floor"]["total"]
        yield f"guiji takes {ratio:.2f} × the floor (aim: at most 4)"
    if {"pandas", "guiji"} <= set(results):
        ratio = results["pandas"]["total"] / results["guiji"]["total"]
        yield f"guiji is {ratio:.1f} × faster than the pandas way (aim: at least 10)"
    if parts := results.get("intake"):
        ratio, clean = parts[UTF8] / parts[FLOOR], parts[CLEAN_UTF8] / parts[CLEAN_FLOOR]
        yield f"intake takes {ratio:.2f} × the floor, {clean:.2f} × on a clean file (aim: at most 2)"
        share = parts[UTF8] / parts[GB18030]
        yield f"GB18030 has {share:.0%} of the rows a second of the same data in UTF-8 (aim: at least 70 %)"
    if parts := results.get("quality"):
        for way in ("great expectations on pandas", "the same, naming the rows"):
            yield f"verdicts are {parts[way] / parts['verdicts']:.0f} × faster than {way} (aim: at least 50)"
        ratio = parts["quality step"] / parts["bare scan and writing"]
        yield f"the quality step takes {ratio:.2f} × a bare scan that counts the same (aim: at most 1.5)"
    if parts := results.get("report_site"):
        yield f"the report site takes {parts[NOTHING]:.0f} s for 1,000 batches (aim: about a minute)"
        yield f"one more night of 50 feeds takes {parts[ONE_NIGHT]:.0f} s (aim: seconds)"
    if parts := results.get("memory"):
        yield f"ten times the rows take {parts['growth_mb']:+.0f} MB of memory (aim: at most ± 200)"
    for server in ("postgresql", "mariadb"):
        parts = results.get("database", {})
        if f"{server} feed" in parts:
            share = parts[f"{server} bare cursor"] / parts[f"{server} feed"]
            aim = "of the rows a second of a bare cursor loop (aim: at least 60 %)"
            yield f"a database feed on {server} has {share:.0%} {aim}"
    if parts := results.get("problem_workbook"):
        ratio = parts["problem workbook"] / parts["xlsxwriter alone"]
        yield f"a department workbook takes {ratio:.2f} × xlsxwriter alone with the same cells (aim: at most 2)"
    if parts := results.get("workbooks"):
        ratio = parts["workbook to rows"] / parts["python-calamine alone"]
        yield f"a workbook takes {ratio:.2f} × python-calamine alone (aim: at most 2)"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="penalty rows (default 1,000,000)")
    parser.add_argument("--pandas-rows", type=int, help="rows for the pandas way, if fewer; its time is scaled up")
    parser.add_argument("--only", choices=MEASUREMENTS + ON_DEMAND, action="append", help="only this measurement")
    chosen = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory(prefix="guiji-bench-") as name:
        folder = Path(name)
        csv = folder / "penalties.csv"
        with console.status(f"writing {chosen.rows:,} penalty rows"):
            write_penalty_rows(csv, chosen.rows)
        console.print(f"{chosen.rows:,} rows, {csv.stat().st_size / 1e6:.0f} MB")
        results: dict[str, dict[str, float]] = {}
        for measurement in chosen.only or MEASUREMENTS:
            source, scale = csv, 1.0
            if measurement == "pandas" and chosen.pandas_rows and chosen.pandas_rows < chosen.rows:
                source, scale = folder / "fewer.csv", chosen.rows / chosen.pandas_rows
                write_penalty_rows(source, chosen.pandas_rows)
            with console.status(f"measuring {measurement}"):
                found = measure(measurement, source, folder)
            results[measurement] = {key: value * (1 if key == "peak_gb" else scale) for key, value in found.items()}
    table = Table(title="Seconds (one run, same rows)")
    table.add_column("measurement")
    table.add_column("part")
    table.add_column("seconds", justify="right")
    table.add_column("peak GB", justify="right")
    for measurement, parts in results.items():
        for part, seconds in parts.items():
            if part not in {"total", "peak_gb", "growth_mb"}:
                table.add_row("", part, f"{seconds:.2f}", "")
        table.add_row(measurement, "total", f"{parts['total']:.2f}", f"{parts['peak_gb']:.2f}", style="bold")
    console.print(table)
    for sentence in conclusions(results):
        console.print(sentence, highlight=False)


if __name__ == "__main__":
    main()
