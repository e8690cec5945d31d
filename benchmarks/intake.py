"""Intake alone: land, hash, prove, rows file and lines, against the floor; the same rows once more in GB18030.

Every file in turn, several rounds, the best of each. The floor reads the same file with DuckDB and writes Parquet.
"""

from __future__ import annotations

import json
import resource
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.floor import write_floor
from benchmarks.penalty_rows import write_penalty_rows
from pipelines.catalogue.catalogue import load_catalogue
from pipelines.engine.duck import session
from pipelines.intake.landing import land
from pipelines.intake.reading import read_landed
from pipelines.settings import Settings

ROUNDS = 3
FLOOR, UTF8, GB18030 = "floor", "intake of UTF-8", "intake of GB18030"
CLEAN_FLOOR, CLEAN_UTF8 = "floor, clean file", "intake of UTF-8, clean file"


def write_gb18030(source: Path, target: Path) -> None:
    """The same rows in GB18030; a line that is no UTF-8 is none of GB18030 either."""
    with source.open("rb") as lines, target.open("wb") as file:
        for line in lines:
            try:
                file.write(line.decode().encode("gb18030"))
            except UnicodeDecodeError as error:
                file.write(line[: error.start].decode().encode("gb18030") + line[error.start :])


def write_clean(source: Path, target: Path) -> None:
    """About as many rows as ``source`` has, one to a line."""
    with source.open("rb") as file:
        lines = sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))
    write_penalty_rows(target, lines - 1, hard=0)


def main(csv: str, folder: str) -> None:
    root = Path(folder)
    root.mkdir(parents=True)
    gb18030, clean = root / "gb18030.csv", root / "clean.csv"
    write_gb18030(Path(csv), gb18030)
    write_clean(Path(csv), clean)
    category = load_catalogue(Settings()).categories["administrative_penalty"]

    def intake(source: Path, into: Path) -> None:
        with session(threads=2) as duck:
            read_landed(duck, [land(source, into / "landing")], None, category, into)

    measured: dict[str, tuple[Callable[[Path, Path], None], Path]] = {
        FLOOR: (write_floor, Path(csv)),
        UTF8: (intake, Path(csv)),
        GB18030: (intake, gb18030),
        CLEAN_FLOOR: (write_floor, clean),
        CLEAN_UTF8: (intake, clean),
    }
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        for name, (work, source) in measured.items():
            into = root / "out"
            into.mkdir()
            start = time.perf_counter()
            work(source, into)
            best[name] = min(best.get(name, float("inf")), time.perf_counter() - start)
            shutil.rmtree(into)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps({**best, "total": sum(best.values()), "peak_gb": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:])
