"""A CSV cut into pieces that every reader of CSV agrees on: plain lines by the thousand, others one by one."""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

from pipelines.intake.csv_lines import LineNumbers, read_lines
from pipelines.intake.csv_records import Record, RecordReader
from pipelines.intake.decoding import Decoder, is_utf8
from pipelines.intake.gb18030 import gb18030_to_utf8
from pipelines.intake.line_shapes import LOOK, TAILED, LineShapes, Offsets, line_shapes, maybe_utf8
from pipelines.intake.mojibake import Mojibake, mojibake
from pipelines.intake.rejects import Reject

_WORKERS = 2
_PIECES_AHEAD = 32
# Shorter stretches are not worth a hand-over to another thread.
_FEW_BYTES = 16 << 10
# So few lines are decoded one by one when one of them is in another encoding, or in none.
_FEW_LINES = 8
_MOST_BYTES_OF_A_CHARACTER = 4


@dataclass
class Piece:
    """What a stretch of the file gave: ``rows`` are lines of CSV in UTF-8, one per row, which stand on ``lines``.

    ``plain`` says that a line end in them is never text; they may be CR LF, and the last may lack. ``untouched`` rows
    are the bytes of the file. ``empty`` says that the stretch holds nothing but line ends. Of both, ``returned`` lines
    end with CR LF. ``longest`` bounds the bytes of a row that is not plain.
    """

    rows: bytes = b""
    lines: LineNumbers = field(default_factory=LineNumbers)
    rejects: list[Reject] = field(default_factory=list)
    blank_lines: int = 0
    lines_read: int = 0
    encodings: dict[str, int] = field(default_factory=dict)
    traces: Mojibake = field(default_factory=Mojibake)
    plain: bool = False
    untouched: bool = False
    returned: int = 0
    longest: int = 0
    empty: bool = False


@dataclass(frozen=True)
class _Stretch:
    """Plain lines, all of the same shape; ``starts`` are as in :class:`LineShapes`."""

    data: bytes
    starts: Offsets
    line: int
    returned: int

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, index: int) -> bytes:
        return self.data[self.starts[index] : self.starts[index + 1]].removesuffix(b"\n")

    def end_of_empty(self, index: int) -> bytes | None:
        """The end of a line that is nothing else."""
        line = self.data[self.starts[index] : self.starts[index + 1]]
        return line if line in {b"\n", b"\r\n"} else None

    def part(self, start: int, stop: int) -> _Stretch:
        offset = self.starts[start]
        starts = self.starts[start : stop + 1] - offset
        return _Stretch(self.data[offset : self.starts[stop]], starts, self.line + start, self.returned)


class CsvPieces:
    """Cuts a file of ``cell_count`` cells to a line into pieces.

    A line in GB18030 becomes UTF-8. A row that was looked at on its own is written again, with all cells quoted.
    """

    def __init__(self, decoder: Decoder, delimiter: str, cell_count: int) -> None:
        self._decoder = decoder
        self._delimiter = delimiter
        self._cell_count = cell_count
        self._records = RecordReader(decoder, delimiter, cell_count)

    def cut(self, stream: BinaryIO, line: int) -> Iterator[Piece]:
        """Pieces in order, from the stream's position on, which is the start of line ``line``.

        Plain lines are decoded by other threads while this one looks ahead.
        """
        with ThreadPoolExecutor(_WORKERS, thread_name_prefix="csv-pieces") as pool:
            ahead: deque[Future[Piece] | Piece] = deque()
            for found in self._found(stream, line, pool):
                ahead.append(found)
                if len(ahead) > _PIECES_AHEAD:
                    yield _result(ahead.popleft())
            while ahead:
                yield _result(ahead.popleft())

    def _found(self, stream: BinaryIO, line: int, pool: ThreadPoolExecutor) -> Iterator[Future[Piece] | Piece]:
        unused = b""
        while True:
            more = read_lines(stream)
            block = unused + more if unused else more
            shapes = line_shapes(block, self._delimiter, self._cell_count)
            whole = _Stretch(block, shapes.starts, line, 0)
            index = 0
            for stop in _ends_of_stretches(shapes):
                if index >= stop:
                    continue
                if shapes.shapes[index] == LOOK:
                    piece, index = self._looked_at(whole, index, stop, final=not more)
                    if piece.lines_read:
                        yield piece
                    if index < stop:
                        break
                    continue
                stretch = _Stretch(
                    block[shapes.starts[index] : shapes.starts[stop]],
                    shapes.starts[index : stop + 1] - shapes.starts[index],
                    line + index,
                    int(np.count_nonzero(shapes.returned[index:stop])),
                )
                tailed = bool(shapes.shapes[index] == TAILED)
                if len(stretch.data) < _FEW_BYTES:
                    yield self._decoded(stretch, tailed=tailed)
                else:
                    yield pool.submit(self._decoded, stretch, tailed=tailed)
                index = stop
            line += index
            unused = block[shapes.starts[index] :]
            if not more:
                return

    def _looked_at(self, lines: _Stretch, index: int, stop: int, *, final: bool) -> tuple[Piece, int]:
        """The records from ``index`` on up to ``stop``, the last of which may reach further; and the line after them.

        That line is before ``stop`` when the end of its record may lie beyond ``lines``.
        """
        text = _Rewritten(self._delimiter)
        while index < stop:
            record = self._records.read(lines, index, lines.line + index, final=final)
            if record is None:
                break
            text.add(record, lines.line + index, lines.end_of_empty(index))
            index += record.lines
        return text.piece(), index

    def _decoded(self, stretch: _Stretch, *, tailed: bool) -> Piece:
        """A stretch as rows, and as rejects where a line is in no encoding."""
        found = Piece(lines_read=len(stretch), plain=True, returned=stretch.returned)
        parts = list(self._parts(stretch, found))
        found.rows = parts[0] if len(parts) == 1 else b"".join(parts)
        found.untouched = found.rows is stretch.data and not tailed
        if tailed:
            found.rows = self._without_tails(found.rows)
        found.traces = mojibake(found.rows)
        return found

    def _parts(self, stretch: _Stretch, found: Piece) -> Iterator[bytes]:
        """Rows of a stretch in UTF-8. Where it is not all of one encoding, its halves are tried."""
        converted = self._converted(stretch)
        if converted is not None:
            found.lines.add(stretch.line, len(stretch))
            _count(found.encodings, self._decoder.dominant, len(stretch))
            yield converted
        elif len(stretch) > _FEW_LINES:
            half = len(stretch) // 2
            yield from self._parts(stretch.part(0, half), found)
            yield from self._parts(stretch.part(half, len(stretch)), found)
        else:
            piece, _ = self._looked_at(stretch, 0, len(stretch), final=True)
            found.lines.extend(piece.lines)
            found.rejects += piece.rejects
            for encoding, count in piece.encodings.items():
                _count(found.encodings, encoding, count)
            yield piece.rows

    def _converted(self, stretch: _Stretch) -> bytes | None:
        if self._decoder.dominant == "utf-8":
            return stretch.data if is_utf8(stretch.data) else None
        if not self._decoder.strict:
            for index in np.flatnonzero(maybe_utf8(stretch.data, stretch.starts)).tolist():
                decoded = self._decoder.line(stretch[index].removesuffix(b"\r"))
                if decoded is None or decoded[1] != "gb18030":
                    return None
        return gb18030_to_utf8(stretch.data)

    def _without_tails(self, rows: bytes) -> bytes:
        tail = self._delimiter.encode()
        rows = rows.replace(b"\r\n", b"\n").removesuffix(b"\r")
        return rows.replace(tail + b"\n", b"\n").removesuffix(tail)


class _Rewritten:
    """Records that were looked at, as CSV in which nothing is left to doubt."""

    def __init__(self, delimiter: str) -> None:
        self._piece = Piece(empty=True)
        self._text = io.StringIO()
        self._writer = csv.writer(self._text, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n")

    def add(self, record: Record, line: int, end_of_empty: bytes | None) -> None:
        piece = self._piece
        piece.lines_read += record.lines
        piece.empty = piece.empty and end_of_empty is not None
        piece.returned += end_of_empty == b"\r\n"
        if record.reject is not None:
            piece.rejects.append(record.reject)
        elif record.cells is None:
            piece.blank_lines += record.lines
        else:
            start = self._text.tell()
            self._writer.writerow(record.cells)
            piece.longest = max(piece.longest, (self._text.tell() - start) * _MOST_BYTES_OF_A_CHARACTER)
            piece.lines.add(line)
            _count(piece.encodings, record.encoding, 1)

    def piece(self) -> Piece:
        self._piece.rows = self._text.getvalue().encode()
        self._piece.traces = mojibake(self._piece.rows)
        return self._piece


def _ends_of_stretches(shapes: LineShapes) -> list[int]:
    """Where the shape of a line differs from that of the next."""
    if not len(shapes.shapes):
        return []
    ends: list[int] = (np.flatnonzero(np.diff(shapes.shapes)) + 1).tolist()
    return [*ends, len(shapes.shapes)]


def _count(counts: dict[str, int], key: str, more: int) -> None:
    counts[key] = counts.get(key, 0) + more


def _result(found: Future[Piece] | Piece) -> Piece:
    return found.result() if isinstance(found, Future) else found
