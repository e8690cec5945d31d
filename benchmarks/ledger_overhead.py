"""What the ledger takes of a run: its statements and commits, in a large batch and in a small one.

Without an endpoint that is what the run itself writes down; with one, a row of the outbox per record comes on top.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event

from benchmarks.guiji import DAY, install
from benchmarks.meter import IN_THE_LEDGER, Meter
from benchmarks.penalty_rows import write_penalty_rows
from pipelines.operations.night import run_batch
from pipelines.quality import great_expectations_engine  # noqa: F401 - the library takes seconds to import

SMALL = 5_000
FEED = "bench_penalty"


class Stopwatch:
    """Seconds that one engine spends on statements and commits."""

    def __init__(self, engine: Engine) -> None:
        self.seconds = 0.0
        self._began = 0.0
        event.listen(engine, "before_cursor_execute", self._begin)
        event.listen(engine, "after_cursor_execute", self._end)
        commit = Connection._commit_impl

        def timed_commit(connection: Connection) -> None:
            self._begin()
            commit(connection)
            if connection.engine is engine:
                self._end()

        Connection._commit_impl = timed_commit  # type: ignore[method-assign]

    def _begin(self, *_: Any) -> None:
        self._began = time.perf_counter()

    def _end(self, *_: Any) -> None:
        self.seconds += time.perf_counter() - self._began


def main(csv: str, folder: str) -> None:
    small = Path(folder) / "small.csv"
    write_penalty_rows(small, SMALL)
    meter = Meter()
    shares: dict[str, float] = {}
    # The first batch of a process is slower than any other; it is not measured.
    run_batch(install(small, Path(folder) / "first"), FEED, DAY)
    for size, rows in (("all rows", Path(csv)), (f"{SMALL:,} rows", small)):
        for told, endpoints in (("no endpoint", ""), ("one endpoint", "endpoints: [province_sandbox]\n")):
            context = install(rows, Path(folder) / f"{size} {told}", endpoints)
            watch = Stopwatch(context.ledger.engine)
            part = f"{size}, {told}"
            with meter.part(part):
                run_batch(context, FEED, DAY)
            shares[part + IN_THE_LEDGER] = watch.seconds
    meter.print(shares=shares)


if __name__ == "__main__":
    main(*sys.argv[1:])
