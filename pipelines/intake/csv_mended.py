"""The quick way through a CSV: what readers may differ on is mended, and DuckDB reads the whole in one go.

Every line is looked at first. Where all are plain UTF-8, DuckDB reads the file as it lies. Else plain lines are copied,
as UTF-8; records with quoted line breaks or stray quotes are parsed one by one and written again so that every reader
agrees on them; what is no row goes to the rejects. DuckDB reads strictly, and must give exactly as many rows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.engine.duck import InputRefusedError, MemoryExhaustedError, Session, file_literal, identifier, literal
from pipelines.engine.rows import LINE_COLUMN, lines_beside
from pipelines.intake.csv_counts import Counted
from pipelines.intake.csv_head import CsvHead
from pipelines.intake.csv_lines import LineNumbers, read_lines
from pipelines.intake.csv_pieces import CsvPieces, Piece
from pipelines.intake.parquet_file import ParquetFile
from pipelines.intake.rejects import Reject

# Rejects are told only when the whole has been proved. A file that is mostly no table is read line by line instead.
_MOST_REJECT_BYTES = 64 << 20
_REJECT_OVERHEAD = 300
# As much in a row group as a core works on well, in vectors of DuckDB.
_GROUP_BYTES = 32 << 20
_GROUP_CELLS = 800_000
_MOST_GROUP_ROWS = 30_720
_VECTOR_ROWS = 2048
# Enough for reading and writing at full speed; with more, peak memory would grow with the file.
_MEGABYTES = 768
# DuckDB's own limit; a longer line needs to be announced.
_MAX_LINE = 2 << 20
_COPIED_AT_ONCE = 1 << 20
_WRITTEN_BEHIND = 16


def read_mended(
    session: Session, path: Path, head: CsvHead, target: Path, keep_reject: Callable[[Reject], None]
) -> Counted | None:
    """Write the rows of a CSV to ``target``, and their lines beside it unless they follow each other.

    What is no row goes to ``keep_reject``. None when it cannot be proved that nothing was lost: then nothing was
    written or kept, and the file has to be read line by line.
    """
    found = Counted("fast")
    lines = LineNumbers()
    rejects: list[Reject] = []
    held = 0
    pieces = CsvPieces(head.decoder, head.delimiter, len(head.header.columns))
    with path.open("rb") as stream, _Copy(path, head, target.with_suffix(".mended")) as copy:
        stream.seek(head.data_offset)
        for piece in pieces.cut(stream, head.data_line):
            copy.take(piece)
            _add(found, piece)
            lines.extend(piece.lines)
            rejects += piece.rejects
            held += sum(len(reject.data) + _REJECT_OVERHEAD for reject in piece.rejects)
            if held > _MOST_REJECT_BYTES:
                return None
        source, skip = copy.finish()
        if source != path:
            found.way = "mended"
        query = f"SELECT * FROM {strict_source(source, head, skip, copy.longest)}"
        group_rows = _group_rows(source.stat().st_size, lines.count, len(head.header.columns))
        if lines.count == 0 or not _write(session, query, lines, head, target, group_rows):
            return None
    for reject in rejects:
        keep_reject(reject)
    found.first_line = lines.first_of_all
    found.reject_count = len(rejects)
    return found


def _add(found: Counted, piece: Piece) -> None:
    found.blank_lines += piece.blank_lines
    found.lines_read += piece.lines_read
    found.traces += piece.traces
    for encoding, count in piece.encodings.items():
        found.count(encoding, count)


def strict_source(path: Path, head: CsvHead, skip: int, longest: int) -> str:
    """DuckDB's strict reader over a file of ``head``'s form, as SQL: it refuses what is not exactly as told."""
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in head.header.columns)
    return (
        f"read_csv({file_literal(path)}, auto_detect=false, columns={{{columns}}}, "
        f"delim={literal(head.delimiter)}, quote='\"', escape='\"', header=false, skip={skip}, "
        f"strict_mode=true, null_padding=false, ignore_errors=false, max_line_size={max(_MAX_LINE, 2 * longest)})"
    )


def _write(session: Session, query: str, lines: LineNumbers, head: CsvHead, target: Path, group_rows: int) -> bool:
    try:
        # Without the lines, which would have to be paired with the rows one by one, DuckDB reads in parallel. It keeps
        # the order of a file, so that row and line agree when there are as many of both.
        with session.memory_at_most(_MEGABYTES):
            written = session.write_parquet(query, target, group_rows=group_rows)
    except (InputRefusedError, MemoryExhaustedError):
        return False
    if written != lines.count or _has_empty_row(session, target, head):
        target.unlink()
        return False
    if lines.first_of_all is None:
        with _LinesFile(lines_beside(target)) as file:
            file.write(lines)
    return True


def _group_rows(size: int, rows: int, columns: int) -> int:
    """Rows of a row group for a file of ``size`` bytes."""
    wanted = min(_GROUP_BYTES * rows // max(size, 1), _GROUP_CELLS // columns, _MOST_GROUP_ROWS)
    return max(wanted // _VECTOR_ROWS, 1) * _VECTOR_ROWS


class _LinesFile(ParquetFile):
    """The lines that rows stand on, as the differences that they mostly are."""

    def __init__(self, path: Path) -> None:
        schema = pa.schema({LINE_COLUMN: pa.int64()})
        super().__init__(path, schema, use_dictionary=False, column_encoding={LINE_COLUMN: "DELTA_BINARY_PACKED"})

    def write(self, lines: LineNumbers) -> None:
        for numbers in lines.batches():
            self._write(pa.table([numbers], schema=self._schema))


def _has_empty_row(session: Session, path: Path, head: CsvHead) -> bool:
    """Whether a row holds nothing at all. A column without NULLs, by the file's own statistics, answers at once."""
    metadata = pq.read_metadata(path)
    columns = head.header.columns
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        chunks = (row_group.column(column) for column in range(len(columns)))
        if not any(chunk.statistics is not None and chunk.statistics.null_count == 0 for chunk in chunks):
            break
    else:
        return False
    cells = ", ".join(identifier(name) for name in columns)
    source = f"read_parquet({file_literal(path)})"
    return bool(session.one(f"SELECT count(*) FROM {source} WHERE coalesce({cells}) IS NULL")[0])


class _Copy:
    """The rows of a file as a mended copy, which is begun only when the file itself will not do.

    ``longest`` is the length in bytes of the longest row that is not plain.
    """

    def __init__(self, source: Path, head: CsvHead, beside: Path) -> None:
        self.longest = 0
        self._source = source
        self._head = head
        self._beside = beside
        self._copy: BinaryIO | None = None
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="csv-copy")
        self._writing: deque[Future[int]] = deque()
        self._reach = head.data_offset
        self._lines = 0
        self._gap = self._ended = False
        with source.open("rb") as reader:
            before = reader.read(head.data_offset)
        self._returned = before.count(b"\r\n")
        self._suits = head.plain and b"\0" not in before and before.count(b"\r") == self._returned

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.shutdown()
        if self._copy is not None:
            self._copy.close()
        self._beside.unlink(missing_ok=True)

    def take(self, piece: Piece) -> None:
        """Append the rows of the piece that follows."""
        if not piece.rows:
            # Empty lines at the end of a file do no harm there.
            self._gap = True
            self._suits = self._suits and piece.empty
            self._lines += piece.lines_read
            self._returned += piece.returned
            return
        self.longest = max(self.longest, piece.longest)
        self._suits = self._suits and piece.untouched and not self._gap and not self._ended
        if not self._suits:
            self._write(_with_line_feeds(piece.rows) if piece.plain else piece.rows)
            return
        self._reach += len(piece.rows)
        self._lines += piece.lines_read
        self._returned += piece.returned
        self._ended = not piece.rows.endswith(b"\n")

    def finish(self) -> tuple[Path, int]:
        """The file to read and how many lines of it to skip."""
        skip = self._head.data_line - 1
        # All lines end alike: with LF, or with CR LF.
        if self._suits and self._copy is None and self._returned in {0, skip + self._lines}:
            return self._source, skip
        copy = self._begun()
        while self._writing:
            self._writing.popleft().result()
        copy.close()
        return self._beside, 1

    def _write(self, rows: bytes) -> None:
        """Hand rows to the other thread, which is a few pieces behind."""
        self._writing.append(self._writer.submit(self._begun().write, rows))
        if len(self._writing) > _WRITTEN_BEHIND:
            self._writing.popleft().result()

    def _begun(self) -> BinaryIO:
        """The copy, with all rows in it that were taken while the file itself seemed to do."""
        if self._copy is None:
            self._copy = self._beside.open("wb")
            # A reader may take a mark at the start of a file for its own; what starts the first row is text.
            self._copy.write(b"\n")
            with self._source.open("rb") as reader:
                reader.seek(self._head.data_offset)
                left = self._reach - self._head.data_offset
                while left > 0:
                    rows = read_lines(reader, min(left, _COPIED_AT_ONCE))
                    left -= len(rows)
                    self._copy.write(_with_line_feeds(rows))
        return self._copy


def _with_line_feeds(rows: bytes) -> bytes:
    """Rows in which every line ends with LF alone; in a plain line a carriage return stands nowhere but at the end."""
    if b"\r" in rows:
        rows = rows.replace(b"\r\n", b"\n")
    return rows if rows.endswith(b"\n") else rows.removesuffix(b"\r") + b"\n"
