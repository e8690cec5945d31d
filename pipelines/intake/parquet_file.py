"""One Parquet file, written beside its place and put there whole, also when it stays empty."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import StorageError


class ParquetFile:
    """A file that appears under its name when its ``with`` block ends without an error; else nothing is left of it.

    Options are those of :class:`pyarrow.parquet.ParquetWriter`. Raises :class:`StorageError` when the disk refuses.
    """

    def __init__(self, path: Path, schema: pa.Schema, **options: Any) -> None:
        self.path = path
        self._schema = schema
        self._options = {"compression": "zstd", "compression_level": 1, **options}
        self._beside = path.with_suffix(".writing")
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(self._beside, self._schema, **self._options)
        except OSError as error:
            raise self._full(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._flush()
                self._close()
                self._beside.rename(self.path)
        except OSError as failure:
            raise self._full(failure) from failure
        finally:
            # After a failure the file goes anyway; that it cannot be closed either says nothing new.
            with suppress(OSError):
                self._close()
            self._beside.unlink(missing_ok=True)

    def _flush(self) -> None:
        """Write what still waits, before the file is closed."""

    def _write(self, table: pa.Table) -> None:
        """Append a table as one row group."""
        if self._writer is None:
            raise ValueError(f"{self.path.name} is not open")
        try:
            self._writer.write_table(table, row_group_size=max(table.num_rows, 1))
        except OSError as error:
            raise self._full(error) from error

    def _close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _full(self, error: OSError) -> StorageError:
        return StorageError(
            f"cannot be written: {error.strerror or 'the disk refuses'}",
            remedy="free disk space or mend permissions, then run again",
            file=self.path,
        )
