"""The careful way through a CSV: one line after another, in plain Python.

For what the quick way cannot prove, and the measure of it: both must give the same rows, lines and rejects.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from pipelines.intake.csv_counts import Counted
from pipelines.intake.csv_head import CsvHead
from pipelines.intake.csv_lines import lines
from pipelines.intake.csv_records import MAX_RECORD_LINES, RecordReader
from pipelines.intake.mojibake import mojibake
from pipelines.intake.rejects import Reject
from pipelines.intake.rows_writer import RowsWriter

_BATCH_CELLS = 50_000


def read_careful(path: Path, head: CsvHead, target: Path, keep_reject: Callable[[Reject], None]) -> Counted:
    """Write the rows of a CSV with their lines to ``target``; what is no row goes to ``keep_reject`` at once."""
    found = Counted("careful")
    columns = len(head.header.columns)
    reader = RecordReader(head.decoder, head.delimiter, columns)
    rows: list[list[str]] = []
    numbers: list[int] = []
    with path.open("rb") as stream, RowsWriter(target, head.header.columns) as writer:
        stream.seek(head.data_offset)
        more = lines(stream)
        ahead: deque[bytes] = deque()
        while True:
            ahead.extend(islice(more, MAX_RECORD_LINES + 1 - len(ahead)))
            if not ahead:
                break
            number = head.data_line + found.lines_read
            record = reader.read(ahead, 0, number, final=True)
            if record is None:
                raise LookupError("a record of all lines there are has an end")
            for _ in range(record.lines):
                ahead.popleft()
            found.lines_read += record.lines
            if record.reject is not None:
                found.reject_count += 1
                keep_reject(record.reject)
            elif record.cells is None:
                found.blank_lines += record.lines
            else:
                rows.append(record.cells)
                numbers.append(number)
                found.count(record.encoding, 1)
            if len(rows) * columns >= _BATCH_CELLS:
                _write(writer, rows, numbers, found)
                rows, numbers = [], []
        _write(writer, rows, numbers, found)
    return found


def _write(writer: RowsWriter, rows: list[list[str]], numbers: list[int], found: Counted) -> None:
    writer.add(rows, numbers)
    found.traces += mojibake("\n".join("\x1f".join(cells) for cells in rows).encode())
