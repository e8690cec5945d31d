"""Records of text to one rows file, when the columns are known only after the last record.

Rows are written to pieces, a new one whenever names come up that the last one has no column for. One piece is mostly
all there is; several are put together at the end. Memory stays at one batch of rows and eight bytes per line number.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.engine.rows import LINE_COLUMN, SHEET_COLUMN, lines_beside
from pipelines.errors import ExtractError, StorageError
from pipelines.intake.header_search import unique_names
from pipelines.intake.mojibake import Mojibake, mojibake
from pipelines.intake.rows_writer import RowsWriter

MAX_NAMES = 1_000
_BATCH_ROWS = 8_192
_BATCH_CHARACTERS = 32 << 20

Values = dict[str, str | None]


class RecordsWriter:
    """Writes the records of one file, or of many of one shape, each of which is a sheet then.

    Where two records of a sheet start on one line, their lines tell nothing apart: the records of that sheet are
    numbered from 1 instead.
    """

    def __init__(self, target: Path, *, sheets: bool) -> None:
        self.target = target
        self.row_count = 0
        self.traces = Mojibake()
        self._sheets = sheets
        self._names: dict[str, None] = {}
        self._lines = array("q")
        self._waiting: list[Values] = []
        self._waiting_characters = 0
        self._waiting_sheets: list[tuple[str, int]] = []
        self._pieces: list[Path] = []
        self._writer: RowsWriter | None = None
        self._width = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
            elif self._writer is not None:
                self._writer.__exit__(kind, error, trace)
        finally:
            for piece in self._pieces:
                piece.unlink(missing_ok=True)

    @property
    def record_count(self) -> int:
        """Records taken so far, written or waiting."""
        return len(self._lines)

    @property
    def columns(self) -> tuple[str, ...]:
        """Unique names of the columns, in the order in which the records brought them up."""
        return unique_names([" ".join(name.split()) for name in self._names])

    def add_sheet(
        self, records: Iterable[tuple[int, Values]], name: str, sheet: str = ""
    ) -> tuple[tuple[str, ...], bool]:
        """Write all records of one sheet; returns the names in them, in order, and whether they are numbered by line.

        ``name`` is what the file is called in messages.
        """
        start = len(self._lines)
        seen: dict[str, None] = {}
        shared = False
        previous = 0
        for line, values in records:
            if values.keys() - seen.keys():
                seen.update(dict.fromkeys(values))
                self._learn(values, name)
            shared = shared or line == previous
            previous = line
            self._lines.append(line)
            self._waiting.append(values)
            self._waiting_characters += sum(map(len, filter(None, values.values())))
            if len(self._waiting) >= _BATCH_ROWS or self._waiting_characters >= _BATCH_CHARACTERS:
                self._hold_sheet(sheet)
                self._flush()
        self._hold_sheet(sheet)
        count = len(self._lines) - start
        if shared:
            self._lines[start:] = array("q", range(1, count + 1))
        return tuple(seen), not shared

    def _learn(self, values: Values, name: str) -> None:
        self._names.update(dict.fromkeys(values))
        if len(self._names) > MAX_NAMES:
            raise ExtractError(
                f"its records have more than {MAX_NAMES:,} different fields",
                remedy="ask the department what this file is; set format.row_path if the rows lie elsewhere in it",
                file=name,
            )

    def _hold_sheet(self, sheet: str) -> None:
        held = sum(count for _, count in self._waiting_sheets)
        if len(self._waiting) > held:
            self._waiting_sheets.append((sheet, len(self._waiting) - held))

    def _flush(self) -> None:
        if not self._waiting:
            return
        writer = self._writer
        if writer is None or self._width < len(self._names):
            writer = self._new_piece()
        columns: list[pa.Array[Any]] = []
        for name in self._names:
            cells = [values.get(name) or None for values in self._waiting]
            columns.append(pa.array(cells, pa.string()))
            self.traces += mojibake("\n".join(filter(None, cells)).encode())
        if self._sheets:
            sheets = [pa.repeat(pa.scalar(sheet, pa.string()), count) for sheet, count in self._waiting_sheets]
            columns.append(pa.concat_arrays(sheets))
        writer.add_columns(columns, ())
        self.row_count += len(self._waiting)
        self._waiting, self._waiting_sheets, self._waiting_characters = [], [], 0

    def _new_piece(self) -> RowsWriter:
        self._close()
        self._pieces.append(self.target.with_name(f"{self.target.stem}-{len(self._pieces)}.piece"))
        self._width = len(self._names)
        self._writer = RowsWriter(self._pieces[-1], self._stored(), numbered=False).__enter__()
        return self._writer

    def _stored(self) -> list[str]:
        return [*self.columns, *([SHEET_COLUMN] if self._sheets else [])]

    def _close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.__exit__(None, None, None)

    def _finish(self) -> None:
        self._flush()
        self._close()
        if not self._pieces:
            return
        try:
            if len(self._pieces) == 1:
                self._pieces.pop().rename(self.target)
            else:
                self._join()
            numbers: pa.Array[Any] = pa.Array.from_buffers(
                pa.int64(), len(self._lines), [None, pa.py_buffer(self._lines)]
            )
            pq.write_table(pa.table({LINE_COLUMN: numbers}), lines_beside(self.target), compression="zstd")
        except OSError as error:
            raise StorageError(
                f"cannot be written: {error.strerror or 'the disk refuses'}",
                remedy="free disk space or mend permissions, then run again",
                file=self.target,
            ) from error

    def _join(self) -> None:
        """Put the pieces together; a column that a piece does not have is empty there."""
        stored = self._stored()
        with RowsWriter(self.target, stored, numbered=False) as joined:
            for piece in self._pieces:
                for batch in pq.ParquetFile(piece).iter_batches():
                    empty = pa.nulls(batch.num_rows, pa.string())
                    present = set(batch.schema.names)
                    joined.add_columns([batch.column(name) if name in present else empty for name in stored], ())
