"""Deadlines of ten million records against a plain addition of days to the same dates, both in DuckDB.

The plain way adds nine days to every decision date and knows nothing of holidays. Ours loads the calendar, makes the
table of deadlines and joins it: the table is one of DuckDB's own, so that it knows the range of its days and joins by
position. Both in turn, several rounds, the best of each.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.meter import Meter
from pipelines.deadlines.calendar import load_calendar
from pipelines.deadlines.clock import deadline_table
from pipelines.deadlines.policies import load_policies
from pipelines.engine.duck import Session, session
from pipelines.settings import Settings

ROWS = 10_000_000
ROUNDS = 7
PLAIN, DEADLINES, WITH_CERTAINTY = "plain date addition", "deadlines", "deadlines, and whether they are provisional"


def plain(duck: Session) -> None:
    duck.execute("CREATE OR REPLACE TEMP TABLE result AS SELECT decision_date + 9 AS deadline FROM records")


def deadlines(duck: Session, columns: str = "deadline") -> None:
    settings = Settings()
    first, last = duck.one("SELECT min(decision_date), max(decision_date) FROM records")
    table = deadline_table(load_calendar(settings), load_policies(settings).default, first, last)
    duck.register("table_of_days", table)
    duck.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE days AS SELECT decision_date, {columns} FROM table_of_days;
        CREATE OR REPLACE TEMP TABLE result AS SELECT {columns} FROM records JOIN days USING (decision_date)
        """
    )


def main(_csv: str, folder: str) -> None:
    ways: dict[str, Callable[[Session], None]] = {
        PLAIN: plain,
        DEADLINES: deadlines,
        WITH_CERTAINTY: lambda duck: deadlines(duck, "deadline, provisional"),
    }
    meter = Meter()
    with session(Path(folder)) as duck:
        duck.execute(
            "CREATE TABLE records AS SELECT DATE '2024-01-01' + (hash(number) % 1090)::INTEGER AS decision_date "
            f"FROM range({ROWS}) AS numbers(number)"
        )
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, way in ways.items():
                start = time.perf_counter()
                way(duck)
                seconds[name].append(time.perf_counter() - start)
                if duck.count("result") != ROWS:
                    raise SystemExit(f"{name}: {duck.count('result')} results of {ROWS} records")
    meter.parts = {name: min(found) for name, found in seconds.items()}
    meter.print()


if __name__ == "__main__":
    main(*sys.argv[1:])
