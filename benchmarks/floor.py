"""The floor: DuckDB reads the CSV as text and writes zstd Parquet, nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

from benchmarks.meter import Meter


def write_floor(csv: Path, folder: Path) -> None:
    """Write the rows of a CSV to ``rows.parquet`` in a folder. What does not fit is skipped; the real way keeps it."""
    connection = duckdb.connect(config={"threads": 2})
    connection.execute(
        f"COPY (FROM read_csv('{csv}', all_varchar = true, ignore_errors = true, header = true, delim = ',', "
        f"quote = '\"')) TO '{folder}/rows.parquet' (FORMAT parquet, COMPRESSION zstd)"
    )
    connection.close()


def main(csv: str, folder: str) -> None:
    Path(folder).mkdir(parents=True)
    meter = Meter()
    with meter.part("csv to parquet"):
        write_floor(Path(csv), Path(folder))
    meter.print()


if __name__ == "__main__":
    main(*sys.argv[1:])
