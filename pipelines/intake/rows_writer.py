"""Rows of text to Parquet from Python, in batches of bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.engine.rows import LINE_COLUMN
from pipelines.errors import StorageError

# One row group per this many rows: enough for DuckDB to read in parallel, small enough to hold.
_GROUP_ROWS = 65_536
_GROUP_BYTES = 256 << 20
_SMALL_BATCH = 512


class RowsWriter:
    """Writes rows with their line numbers; the file appears under its name only when it is complete.

    An empty cell becomes NULL; every other text stays as it is.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self.row_count = 0
        self._columns = tuple(columns)
        fields: dict[str, pa.DataType] = {**dict.fromkeys(columns, pa.string()), LINE_COLUMN: pa.int64()}
        self._schema = pa.schema(fields)
        self._beside = path.with_suffix(".writing")
        self._batches: list[pa.RecordBatch] = []
        self._waiting_rows = 0
        self._waiting_bytes = 0
        self._writer: pq.ParquetWriter | None = None
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rows-writer")
        self._writing: Future[None] | None = None

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(self._beside, self._schema, compression="zstd", compression_level=1)
        except OSError as error:
            raise self._full(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._flush()
                self._wait()
            self._pool.shutdown()
            if self._writer is not None:
                self._writer.close()
            if kind is None:
                self._beside.rename(self.path)
        except OSError as failure:
            if kind is None:
                raise self._full(failure) from failure
        finally:
            self._pool.shutdown()
            self._beside.unlink(missing_ok=True)

    def add(self, rows: Sequence[Sequence[str]], lines: Sequence[int]) -> None:
        """Append rows (each as wide as the columns) that stand on ``lines``."""
        if len(rows) != len(lines):
            raise ValueError(f"{len(rows)} rows stand on {len(lines)} lines")
        if rows:
            columns = [pa.array([cell or None for cell in column], pa.string()) for column in zip(*rows, strict=True)]
            self.add_columns(columns, lines)

    def add_columns(self, columns: Sequence[pa.Array[Any]], lines: Sequence[int]) -> None:
        """Append whole columns, in which an empty cell is NULL already."""
        batch = pa.RecordBatch.from_arrays([*columns, pa.array(lines, pa.int64())], schema=self._schema)
        self._batches.append(batch)
        self.row_count += batch.num_rows
        self._waiting_rows += batch.num_rows
        # The size of a batch is dear to ask for where batches are small, and small ones do not fill the memory.
        self._waiting_bytes += batch.nbytes if batch.num_rows > _SMALL_BATCH else 0
        if self._waiting_rows >= _GROUP_ROWS or self._waiting_bytes >= _GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if not self._batches or self._writer is None:
            return
        self._wait()
        group = pa.Table.from_batches(self._batches, schema=self._schema)
        self._writing = self._pool.submit(_write, self._writer, group)
        self._batches, self._waiting_rows, self._waiting_bytes = [], 0, 0

    def _wait(self) -> None:
        """For the row group that is being written in the other thread; at most one waits behind it."""
        writing, self._writing = self._writing, None
        if writing is None:
            return
        try:
            writing.result()
        except OSError as error:
            raise self._full(error) from error

    def _full(self, error: OSError) -> StorageError:
        return StorageError(
            f"cannot be written: {error.strerror or 'the disk refuses'}",
            remedy="free disk space or mend permissions, then run again",
            file=self.path,
        )


def _write(writer: pq.ParquetWriter, group: pa.Table) -> None:
    # A column in a thousand pieces takes three times as long to encode as one in a piece.
    writer.write_table(group.combine_chunks(), row_group_size=group.num_rows)
