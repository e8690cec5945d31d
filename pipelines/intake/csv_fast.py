"""The fast way through a CSV: DuckDB reads it and writes Parquet, if it can be proved that nothing was lost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from pipelines.engine.duck import InputRefusedError, Session, identifier, literal
from pipelines.intake.csv_head import CsvHead
from pipelines.intake.text_facts import TextFacts

# DuckDB's own limit is 2 MB; a longer line goes the careful way.
_MAX_LINE = 2 << 20


def read_fast(session: Session, path: Path, head: CsvHead, facts: TextFacts, target: Path) -> int | None:
    """Write the rows of a UTF-8 file to ``target``; returns their number, None when the proof fails.

    The proof: line ends are all of one kind, no NUL, no blank beside a quote (where readers differ), DuckDB's
    strict reader accepted every line, and there are exactly as many rows as lines after the header. Hence no
    blank line was skipped, no quoted line break joined two lines, and row ``n`` is line ``data_line + n``.
    """
    if facts.line_ends not in {"lf", "crlf"} or facts.has_nul or (facts.has_quote and facts.has_blank_beside_quote):
        return None
    if not head.plain or facts.has_open_line:
        return None
    expected = facts.lines - facts.blank_lines_at_end - (head.data_line - 1)
    if expected <= 0:
        return None
    written = _copy(session, path, head, target)
    if written is None:
        return None
    if written != expected or has_empty_row(session, target, head.header.columns):
        target.unlink()
        return None
    return written


def strict_source(path: Path, head: CsvHead, skip: int) -> str:
    """DuckDB's strict reader over a file of ``head``'s form, as SQL: it refuses what is not exactly as told."""
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in head.header.columns)
    return (
        f"read_csv({literal(str(path))}, auto_detect=false, columns={{{columns}}}, "
        f"delim={literal(head.delimiter)}, quote='\"', escape='\"', header=false, skip={skip}, "
        f"strict_mode=true, null_padding=false, ignore_errors=false, max_line_size={_MAX_LINE})"
    )


def _copy(session: Session, path: Path, head: CsvHead, target: Path) -> int | None:
    query = f"SELECT * FROM {strict_source(path, head, head.data_line - 1)}"
    try:
        return session.write_parquet(query, target)
    except InputRefusedError:
        return None


def has_empty_row(session: Session, path: Path, columns: Sequence[str]) -> bool:
    """Whether a row holds nothing at all. A column without NULLs, by the file's own statistics, answers at once."""
    metadata = pq.read_metadata(path)
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        chunks = (row_group.column(column) for column in range(len(columns)))
        if not any(chunk.statistics is not None and chunk.statistics.null_count == 0 for chunk in chunks):
            break
    else:
        return False
    cells = ", ".join(identifier(name) for name in columns)
    source = f"read_parquet({literal(str(path))})"
    return bool(session.one(f"SELECT count(*) FROM {source} WHERE coalesce({cells}) IS NULL")[0])
