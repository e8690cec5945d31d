"""Lines that could not become rows: kept with their bytes, counted, never lost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.intake.parquet_file import ParquetFile

UNDECODABLE = ("LINE-001", "undecodable")
CELL_COUNT = ("LINE-002", "cell_count")
BINARY = ("LINE-003", "binary")
OPEN_QUOTE = ("LINE-004", "open_quote")
NO_RECORD = ("LINE-005", "no_record")

# A "line" of binary rubbish can be as long as the file. The landing keeps all of it; the reject keeps its start.
MAX_KEPT_BYTES = 1 << 16

_FLUSH_ROWS = 10_000
_FLUSH_BYTES = 16 << 20

_FIELDS: dict[str, pa.DataType] = {
    "extract": pa.string(),
    "extract_name": pa.string(),
    "sheet": pa.string(),
    "line": pa.int64(),
    "reason": pa.string(),
    "rule": pa.string(),
    "expected_cells": pa.int32(),
    "actual_cells": pa.int32(),
    "bytes": pa.binary(),
}
REJECT_SCHEMA = pa.schema(_FIELDS)


@dataclass(frozen=True)
class Reject:
    """One line, or one record of several lines, that is no row. ``line`` is its first line."""

    line: int
    cause: tuple[str, str]
    data: bytes
    expected_cells: int | None = None
    actual_cells: int | None = None


class RejectLog(ParquetFile):
    """``rejects.parquet`` of a run, written in batches and put in place whole; also when it stays empty."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, REJECT_SCHEMA)
        self.count = 0
        self._waiting: list[dict[str, Any]] = []
        self._waiting_bytes = 0

    def add(self, extract: str, extract_name: str, sheet: str, reject: Reject) -> None:
        """Keep one reject; the first ``MAX_KEPT_BYTES`` of its bytes stand here, all of them in the landing."""
        rule, reason = reject.cause
        kept = reject.data[:MAX_KEPT_BYTES]
        self._waiting.append(
            {
                "extract": extract,
                "extract_name": extract_name,
                "sheet": sheet,
                "line": reject.line,
                "reason": reason,
                "rule": rule,
                "expected_cells": reject.expected_cells,
                "actual_cells": reject.actual_cells,
                "bytes": kept,
            }
        )
        self.count += 1
        self._waiting_bytes += len(kept)
        if len(self._waiting) >= _FLUSH_ROWS or self._waiting_bytes >= _FLUSH_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._write(pa.Table.from_pylist(self._waiting, schema=REJECT_SCHEMA))
        self._waiting, self._waiting_bytes = [], 0
