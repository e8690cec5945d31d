"""Rows of text to Parquet from Python, in batches of bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa

from pipelines.engine.rows import LINE_COLUMN
from pipelines.intake.parquet_file import ParquetFile

# One row group per this many rows: enough for DuckDB to read in parallel, small enough to hold.
_GROUP_ROWS = 65_536
_GROUP_CELLS = 4_000_000
_GROUP_BYTES = 256 << 20
_SMALL_BATCH = 512


class RowsWriter(ParquetFile):
    """Writes rows with their line numbers; the file appears under its name only when it is complete.

    An empty cell becomes NULL; every other text stays as it is. ``numbered=False``: the lines are kept elsewhere.
    """

    def __init__(self, path: Path, columns: Sequence[str], *, numbered: bool = True) -> None:
        fields: dict[str, pa.DataType] = dict.fromkeys(columns, pa.string())
        super().__init__(path, pa.schema({**fields, LINE_COLUMN: pa.int64()} if numbered else fields))
        self.row_count = 0
        self._numbered = numbered
        self._batches: list[pa.RecordBatch] = []
        self._waiting_rows = 0
        self._waiting_bytes = 0
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rows-writer")
        self._writing: Future[None] | None = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A file must not be closed while the other thread writes to it.
        with self._pool:
            if kind is not None:
                self._pool.shutdown()
            super().__exit__(kind, error, trace)

    def add(self, rows: Sequence[Sequence[str]], lines: Sequence[int]) -> None:
        """Append rows (each as wide as the columns) that stand on ``lines``."""
        if len(rows) != len(lines):
            raise ValueError(f"{len(rows)} rows stand on {len(lines)} lines")
        if rows:
            columns = [pa.array([cell or None for cell in column], pa.string()) for column in zip(*rows, strict=True)]
            self.add_columns(columns, lines)

    def add_columns(self, columns: Sequence[pa.Array[Any]], lines: Sequence[int]) -> None:
        """Append whole columns, in which an empty cell is NULL already."""
        numbers = [pa.array(lines, pa.int64())] if self._numbered else []
        batch = pa.RecordBatch.from_arrays([*columns, *numbers], schema=self._schema)
        self._batches.append(batch)
        self.row_count += batch.num_rows
        self._waiting_rows += batch.num_rows
        # The size of a batch is dear to ask for where batches are small, and small ones do not fill the memory.
        self._waiting_bytes += batch.nbytes if batch.num_rows > _SMALL_BATCH else 0
        most_rows = min(_GROUP_ROWS, _GROUP_CELLS // len(self._schema) + 1)
        if self._waiting_rows >= most_rows or self._waiting_bytes >= _GROUP_BYTES:
            self._send()

    def _flush(self) -> None:
        self._send()
        self._wait()

    def _send(self) -> None:
        """Hand what waits to the other thread; at most one row group waits behind the one that is being written."""
        if not self._batches:
            return
        self._wait()
        self._writing = self._pool.submit(self._write_group, self._batches)
        self._batches, self._waiting_rows, self._waiting_bytes = [], 0, 0

    def _write_group(self, batches: list[pa.RecordBatch]) -> None:
        # A column in a thousand pieces takes three times as long to encode as one in a piece.
        self._write(pa.Table.from_batches(batches, schema=self._schema).combine_chunks())

    def _wait(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()
