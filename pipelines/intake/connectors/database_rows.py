"""Rows of a cursor to Parquet text: one row group for each block that was fetched, nothing held beyond two blocks."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import Connection, Select

from pipelines.errors import SourceError, StorageError
from pipelines.intake.connectors.database_connection import descriptor_of
from pipelines.intake.connectors.database_values import ColumnText
from pipelines.intake.connectors.time_limit import time_limit

TYPE_KEY = b"source_type"
_BETWEEN_KEYS = "\x1f"

Item = TypeVar("Item")


@dataclass(frozen=True)
class Written:
    """``size``: bytes of all texts. ``inexact`` and ``undecodable`` count values by column, where there are any."""

    rows: int
    size: int
    inexact: dict[str, int]
    undecodable: dict[str, int]


def rows_schema(columns: Sequence[ColumnText], type_name: Callable[[str], str]) -> pa.Schema:
    """All columns text, each with the type that it has at the source as metadata."""
    return pa.schema(
        [pa.field(text.name, pa.string(), metadata={TYPE_KEY: type_name(text.name).encode()}) for text in columns]
    )


def write_rows(
    connection: Connection,
    statement: Select[Any],
    columns: Sequence[ColumnText],
    schema: pa.Schema,
    path: Path,
    *,
    fetch_rows: int,
    seconds: float,
    max_bytes: int,
    place: str,
) -> Written:
    """Stream the rows of ``statement`` into a Parquet file; the same rows in the same blocks are the same bytes.

    ``seconds`` bounds one block. Raises :class:`SourceError` when the texts have more than ``max_bytes``.
    """
    rows = size = 0
    with _keeping(path, schema) as keep, _without_collector():
        for block in _ahead(_blocks(connection, statement, fetch_rows, seconds)):
            arrays = [text.block(values) for text, values in zip(columns, zip(*block, strict=True), strict=True)]
            batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
            rows += batch.num_rows
            size += batch.nbytes
            if size > max_bytes:
                raise SourceError(
                    f"the rows have more than {max_bytes:,} bytes, which is all that the feed allows",
                    remedy="raise source.max_bytes in the feed's YAML if this size is right",
                    file=place,
                )
            keep(batch)
    return Written(
        rows,
        size,
        {text.name: text.inexact for text in columns if text.inexact},
        {text.name: text.undecodable for text in columns if text.undecodable},
    )


def supersede(earlier: Sequence[Path], new: Path, key: Sequence[str], target: Path) -> bool:
    """Write the rows of ``earlier`` whose key is not in ``new``, then those of ``new``; False when columns differ.

    A batch that is pulled again from a source that gives everything out once is made of what it took before, in the
    state that it has now.
    """
    schema = pq.read_schema(new)
    if any(pq.read_schema(path).names != schema.names for path in earlier):
        return False
    known = pa.chunked_array([_keys(batch, key) for batch in _batches(new)], pa.string())
    with _keeping(target, schema) as keep:
        for path in earlier:
            for batch in _batches(path):
                left = batch.filter(pc.invert(pc.is_in(_keys(batch, key), value_set=known)))
                if left.num_rows:
                    keep(left.cast(schema))
        for batch in _batches(new):
            keep(batch)
    return True


@contextmanager
def _keeping(path: Path, schema: pa.Schema) -> Iterator[Callable[[pa.RecordBatch], None]]:
    """A Parquet file that takes batches, each as a row group of its own."""
    writer = _kept(path, lambda: pq.ParquetWriter(path, schema, compression="zstd", compression_level=1))
    try:
        yield lambda batch: _kept(path, lambda: writer.write_batch(batch, row_group_size=batch.num_rows))
    finally:
        _kept(path, writer.close)


def _kept(path: Path, do: Callable[[], Item]) -> Item:
    try:
        return do()
    except OSError as error:
        raise StorageError(
            f"the rows cannot be kept: {error.strerror or 'the disk refuses'}",
            remedy="free disk space or mend permissions, then run again",
            file=path,
        ) from error


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            yield from file.read_row_group(group).combine_chunks().to_batches()


def _keys(batch: pa.RecordBatch, key: Sequence[str]) -> pa.Array[Any]:
    parts: list[Any] = [batch[name].fill_null("") for name in key]
    joined: pa.Array[Any] = pc.binary_join_element_wise(*parts, _BETWEEN_KEYS)
    return joined


def _blocks(
    connection: Connection, statement: Select[Any], fetch_rows: int, seconds: float
) -> Iterator[Sequence[Sequence[Any]]]:
    descriptor = descriptor_of(connection)
    with time_limit(seconds, descriptor):
        parts = connection.execution_options(yield_per=fetch_rows).execute(statement).partitions()
    while True:
        with time_limit(seconds, descriptor):
            block = next(parts, None)
        if block is None:
            return
        yield block


@contextmanager
def _without_collector() -> Iterator[None]:
    """Rows of text are no cycles, and the collector would walk through all of them again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items, each fetched in another thread while the one before is worked on."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="database-fetch") as fetcher:
        coming = fetcher.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = fetcher.submit(next, items, None)
            yield item
