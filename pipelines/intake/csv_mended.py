"""The middle way through a CSV: the few lines that need care are mended, and DuckDB reads the whole in one go.

Lines without quotes are copied as they are; records with quoted line breaks or stray quotes are parsed one by one
and written again so that every reader agrees on them; what is no row goes to the rejects. The mended copy is then
read strictly, and must give exactly the rows that were written.
"""

from __future__ import annotations

import csv
import io
from array import array
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.engine.duck import InputRefusedError, Session
from pipelines.engine.rows import LINE_COLUMN, lines_beside
from pipelines.intake.csv_fast import has_empty_row, strict_source
from pipelines.intake.csv_head import CsvHead
from pipelines.intake.csv_scanner import Batch, CsvScanner
from pipelines.intake.rejects import Reject
from pipelines.intake.text_facts import TextFacts


def read_mended(
    session: Session, path: Path, head: CsvHead, facts: TextFacts, target: Path
) -> tuple[Batch, list[Reject]] | None:
    """Write the rows of a UTF-8 file to ``target``, and their lines beside it.

    Returns the totals (its ``lines`` are empty) and the rejects, or None when the proof fails: then nothing was
    written, and the file has to be read line by line.
    """
    if facts.line_ends not in {"lf", "crlf"} or facts.has_nul:
        return None
    scanner = CsvScanner(head.decoder, head.delimiter, len(head.header.columns), verbatim=True)
    beside = target.with_suffix(".mended")
    lines = array("q")
    total = Batch()
    try:
        with path.open("rb") as stream, beside.open("wb") as mended:
            stream.seek(head.data_offset)
            for batch in scanner.scan(stream, head.data_line):
                mended.write(batch.verbatim or _encoded(batch.rows, head.delimiter, facts.line_ends))
                lines.extend(batch.lines)
                _add(total, batch)
        if not lines or not _copy(session, beside, head, lines, target):
            return None
    finally:
        beside.unlink(missing_ok=True)
    return total, total.rejects


def _copy(session: Session, mended: Path, head: CsvHead, lines: array[int], target: Path) -> bool:
    try:
        # Without the lines, which would have to be paired with the rows one by one, DuckDB reads in parallel. It keeps
        # the order of a file, so that row and line agree when there are as many of both.
        written = session.write_parquet(f"SELECT * FROM {strict_source(mended, head, skip=0)}", target)
    except InputRefusedError:
        return False
    if written != len(lines) or has_empty_row(session, target, head.header.columns):
        target.unlink()
        return False
    numbers: pa.Array[Any] = pa.Array.from_buffers(pa.int64(), len(lines), [None, pa.py_buffer(lines)])
    pq.write_table(pa.table({LINE_COLUMN: numbers}), lines_beside(target), compression="zstd")
    return True


def _encoded(rows: list[list[str]], delimiter: str, line_ends: str) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n" if line_ends == "lf" else "\r\n").writerows(rows)
    return text.getvalue().encode()


def _add(total: Batch, batch: Batch) -> None:
    total.rejects += batch.rejects
    total.blank_lines += batch.blank_lines
    total.lines_read += batch.lines_read
    for encoding, count in batch.encodings.items():
        total.encodings[encoding] = total.encodings.get(encoding, 0) + count
