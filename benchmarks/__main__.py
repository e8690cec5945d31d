"""The benchmark table: the floor, our whole way, and what one would write otherwise, on the same rows.

Each measurement runs in a process of its own, so that its peak memory is its own and nothing is warm.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.conclusions import conclusions
from benchmarks.penalty_rows import write_penalty_rows

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
    "clock",
    "outbox",
    "deadlines",
    "delivery",
    "ledger_overhead",
    "audit",
    "status",
)
# Takes a few minutes and gigabytes of disk: only when asked for.
ON_DEMAND = ("memory", "night")


def measure(name: str, csv: Path, folder: Path) -> dict[str, float]:
    """Run one measurement; seconds by part and ``peak_gb``."""
    command = [sys.executable, "-m", f"benchmarks.{name}", str(csv), str(folder / name)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    parts: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return parts


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
