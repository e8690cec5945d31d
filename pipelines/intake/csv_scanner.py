"""The careful way through a CSV: line by line over raw bytes, so that a bad line costs only itself."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import pyarrow as pa

from pipelines.intake.arrow_lines import LineSplitter, is_utf8
from pipelines.intake.decoding import Decoder
from pipelines.intake.delimited import Trouble, parse, parse_with_stray_quotes
from pipelines.intake.rejects import BINARY, CELL_COUNT, MAX_KEPT_BYTES, OPEN_QUOTE, UNDECODABLE, Reject

# How far a quoted cell may reach. Longer "cells" are a quote that nobody closed, and would swallow the file.
MAX_RECORD_LINES = 256
MAX_RECORD_BYTES = 256 << 10
# A line longer than this is no record of any category (all fields together have some 20,000 characters).
MAX_LINE_BYTES = 4 << 20

_BLOCK = 1 << 20
_BLOCKS_AHEAD = 4
# Shorter stretches without a quote are not worth a hand-over to Arrow.
_QUIET_BYTES = 8 << 10
# A few rows go to columns quickest through lists.
_FEW_LINES = 200
# Many rows that were found one by one go to columns through these two ASCII separators: three times as
# fast as through Python lists. A block in which they occur as text goes through lists.
_CELL_END, _RECORD_END = "\x1f", "\x1e"
_SEPARATORS = re.compile(rb"[\x1e\x1f]")
_NOTHING = b" \t\x1a"


@dataclass
class Batch:
    """What one block of the file gave: rows with the lines they start on, rejects, and what held nothing.

    Rows come as ``columns``, one Arrow array each with NULL for empty, as ``rows``, lists of cells, or as
    ``verbatim``, the bytes of lines that were only looked at.
    """

    rows: list[list[str]] = field(default_factory=list)
    columns: list[pa.Array[Any]] | None = None
    verbatim: bytes | None = None
    lines: Sequence[int] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    blank_lines: int = 0
    lines_read: int = 0
    encodings: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Record:
    cells: list[str] | None
    reject: Reject | None
    consumed: int
    encoding: str = ""


class CsvScanner:
    """Reads records of ``cell_count`` cells; a record that has another number, or no text, becomes a reject.

    Extra cells that are all empty hold nothing and are not counted (a delimiter at the end of each line).
    ``carriage_return`` says that lines end with CR alone. With ``verbatim`` lines without quotes are passed on as
    they are when they look like rows (valid UTF-8, delimiters as many as there should be in all, none blank), and
    other rows are lists.
    """

    def __init__(
        self,
        decoder: Decoder,
        delimiter: str,
        cell_count: int,
        *,
        carriage_return: bool = False,
        verbatim: bool = False,
    ) -> None:
        self._decoder = decoder
        self._delimiter = delimiter
        self._cell_count = cell_count
        self._carriage_return = carriage_return
        self._verbatim = verbatim
        self._splitter = LineSplitter(delimiter, cell_count)
        self._packed_splitter = LineSplitter(_CELL_END, cell_count, _RECORD_END)

    def scan(self, stream: BinaryIO, line: int) -> Iterator[Batch]:
        """Batches in order, from the stream's position on, which is the start of line ``line``.

        Blocks without quotes are cut into columns by a second thread (Arrow works outside the interpreter
        lock) while this one reads and decodes ahead.
        """
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="csv-columns") as pool:
            ahead: deque[Future[Batch] | Batch] = deque()
            for found in self._blocks(stream, line, pool):
                ahead.append(found)
                if len(ahead) > _BLOCKS_AHEAD:
                    yield _result(ahead.popleft())
            while ahead:
                yield _result(ahead.popleft())

    def _blocks(self, stream: BinaryIO, line: int, pool: ThreadPoolExecutor) -> Iterator[Future[Batch] | Batch]:
        carry = b""
        skipping = False
        while True:
            chunk = stream.read(_BLOCK)
            final = not chunk
            if self._carriage_return:
                chunk = chunk.replace(b"\r", b"\n")
            if skipping:
                end = chunk.find(b"\n")
                skipping = end < 0 and not final
                chunk = chunk[end + 1 :] if end >= 0 else b""
                if skipping:
                    continue
            data = carry + chunk
            cut = len(data) if final else data.rfind(b"\n") + 1
            if cut == 0 and len(data) > MAX_LINE_BYTES:
                yield Batch(lines_read=1, rejects=[Reject(line, BINARY, data[:MAX_KEPT_BYTES], self._cell_count)])
                line, carry, skipping = line + 1, b"", True
                continue
            block = data[:cut]
            if b"\0" in block:
                batch, used = self._line_by_line(block, None, line, final)
                yield batch
                line += batch.lines_read
            else:
                line, used = yield from self._around_quotes(block, line, final, pool)
            carry = data[used:]
            if final:
                return

    def _around_quotes(
        self, block: bytes, line: int, final: bool, pool: ThreadPoolExecutor
    ) -> Generator[Future[Batch] | Batch, None, tuple[int, int]]:
        """A block as stretches without quotes, which go to columns whole, and stretches with them, line by line.

        Returns the line and the byte at which the next block has to go on.
        """
        position = 0
        while position < len(block):
            quote = block.find(b'"', position)
            start = len(block) if quote < 0 else max(block.rfind(b"\n", position, quote) + 1, position)
            if start > position:
                quiet = block[position:start]
                untouched = self._untouched(quiet, line) if self._verbatim else None
                decoded = None if untouched else self._decoder.block(quiet)
                if untouched is not None:
                    yield untouched
                elif decoded is None or self._verbatim:
                    batch, _ = self._line_by_line(quiet, decoded, line, True)
                    yield batch
                else:
                    yield pool.submit(self._columns, quiet, decoded, line)
                line += quiet.count(b"\n") + (not quiet.endswith(b"\n"))
                position = start
                continue
            end = _end_of_quotes(block, start)
            if end is not None:
                stretch = block[start:end]
                batch, used = self._line_by_line(stretch, self._decoder.block(stretch), line, False)
                if used == len(stretch):
                    yield batch
                    line += batch.lines_read
                    position = end
                    continue
            # A quote whose end cannot be seen from here: the rest of the block is looked at as one.
            rest = block[start:]
            batch, used = self._line_by_line(rest, self._decoder.block(rest), line, final)
            yield batch
            return line + batch.lines_read, start + used
        return line, position

    def _untouched(self, data: bytes, line: int) -> Batch | None:
        """A stretch without quotes to pass on as it is; None when one of its lines wants a look.

        A blank line lacks its delimiters; where another line has too many, the strict reader finds out.
        """
        count = data.count(b"\n")
        if data.count(self._delimiter.encode()) != count * (self._cell_count - 1) or not data.endswith(b"\n"):
            return None
        if not is_utf8(data):
            return None
        return Batch(
            verbatim=data, lines=range(line, line + count), lines_read=count, encodings={self._decoder.dominant: count}
        )

    def _columns(self, data: bytes, decoded: tuple[str, str], line: int) -> Batch:
        """A block without quotes: no record of it reaches into the next block."""
        columns = self._splitter.columns(_whole_lines(data, *decoded))
        if columns is None:
            return self._line_by_line(data, decoded, line, True)[0]
        count = len(columns[0])
        lines = list(range(line, line + count))
        return Batch(columns=columns, lines=lines, lines_read=count, encodings={decoded[1]: count})

    def _line_by_line(self, data: bytes, decoded: tuple[str, str] | None, line: int, final: bool) -> tuple[Batch, int]:
        """Whole lines to a batch; returns the bytes used up (an open quote may need the next block)."""
        batch = Batch()
        raws = _split_bytes(data)
        texts = _split_text(decoded[0]) if decoded else None
        lines: list[int] = []
        batch.lines = lines
        is_packed = len(raws) > _FEW_LINES and not self._verbatim and not _SEPARATORS.search(data)
        packed: list[str] | None = [] if is_packed else None
        index = plain = 0
        while index < len(raws):
            if texts is not None and self._is_plain(texts[index]):
                if packed is None:
                    batch.rows.append(texts[index].split(self._delimiter))
                else:
                    packed.append(texts[index].replace(self._delimiter, _CELL_END))
                lines.append(line + index)
                plain += 1
                index += 1
                continue
            record = self._record(raws, index, line + index, final)
            if record is None:
                break
            if self._keep(record, batch, packed):
                lines.append(line + index)
            index += record.consumed
        if decoded and plain:
            batch.encodings[decoded[1]] = batch.encodings.get(decoded[1], 0) + plain
        if packed:
            batch.columns = self._packed_splitter.columns(_RECORD_END.join(packed).encode())
        used = len(data) if index >= len(raws) else sum(len(raw) + 1 for raw in raws[:index])
        batch.lines_read = index
        return batch, used

    def _is_plain(self, text: str) -> bool:
        """A line that is a row at first sight: no quote, the right number of cells, something in them."""
        delimiter = self._delimiter
        return '"' not in text and text.count(delimiter) == self._cell_count - 1 and text.strip(delimiter) != ""

    def _keep(self, record: _Record, batch: Batch, packed: list[str] | None) -> bool:
        """Put a record where it belongs; whether it is a row."""
        if record.reject is not None:
            batch.rejects.append(record.reject)
        elif record.cells is None or not any(record.cells):
            batch.blank_lines += record.consumed
        else:
            if packed is None:
                batch.rows.append(record.cells)
            else:
                packed.append(_CELL_END.join(record.cells))
            batch.encodings[record.encoding] = batch.encodings.get(record.encoding, 0) + 1
            return True
        return False

    def _record(self, raws: list[bytes], index: int, line: int, final: bool) -> _Record | None:
        """The record that starts at ``index``; None when its end may lie in the next block."""
        raw = raws[index]
        content = raw.removesuffix(b"\r")
        if not content.strip(_NOTHING) and self._fitted(content.decode().split(self._delimiter)) is None:
            return _Record(None, None, 1)
        if b"\0" in content:
            return self._refused(line, BINARY, raw)
        decoded = self._decoder.line(content)
        # Latin-1 maps bytes one to one, which is enough to see the structure of a line nobody can read.
        text = decoded[0] if decoded else content.decode("latin-1")
        parsed = parse(text, self._delimiter)
        if parsed is Trouble.OPEN:
            joined = self._joined(raws, index, line, final)
            if joined is None or joined.consumed > 1:
                return joined
        if decoded is None:
            return self._refused(line, UNDECODABLE, raw)
        if parsed is Trouble.MALFORMED:
            parsed = parse_with_stray_quotes(text, self._delimiter)
            if isinstance(parsed, list) and self._fitted(parsed) is None:
                return self._refused(line, CELL_COUNT, raw, len(parsed))
        if isinstance(parsed, Trouble):
            return self._refused(line, OPEN_QUOTE, raw)
        cells = self._fitted(parsed)
        if cells is None:
            return self._refused(line, CELL_COUNT, raw, len(parsed))
        return _Record(cells, None, 1, decoded[1])

    def _joined(self, raws: list[bytes], index: int, line: int, final: bool) -> _Record | None:
        """A record whose quoted cells hold line breaks. It must be well-formed, or its first line stands alone.

        A quote that was never closed meets the opening quote of a later cell, and text follows that "closing"
        quote: the joined text is malformed, so the following lines are not swallowed.
        """
        alone = _Record(None, None, 1)
        size = len(raws[index])
        for following in range(index + 1, index + MAX_RECORD_LINES):
            if following >= len(raws):
                return alone if final else None
            raw = raws[following]
            size += len(raw) + 1
            if size > MAX_RECORD_BYTES or b"\0" in raw:
                return alone
            if b'"' not in raw:
                continue
            whole = b"\n".join(raws[index : following + 1])
            consumed = following + 1 - index
            content = whole.removesuffix(b"\r")
            decoded = self._decoder.line(content)
            parsed = parse(decoded[0] if decoded else content.decode("latin-1"), self._delimiter)
            if parsed is Trouble.OPEN:
                continue
            if parsed is Trouble.MALFORMED:
                return alone
            if decoded is None:
                return self._refused(line, UNDECODABLE, whole, consumed=consumed)
            cells = self._fitted(parsed)
            if cells is None:
                return self._refused(line, CELL_COUNT, whole, len(parsed), consumed=consumed)
            return _Record(cells, None, consumed, decoded[1])
        return alone

    def _fitted(self, cells: list[str]) -> list[str] | None:
        count = self._cell_count
        if len(cells) == count:
            return cells
        return cells[:count] if len(cells) > count and not any(cells[count:]) else None

    def _refused(
        self, line: int, cause: tuple[str, str], data: bytes, actual: int | None = None, *, consumed: int = 1
    ) -> _Record:
        if self._carriage_return:
            data = data.replace(b"\n", b"\r")
        return _Record(None, Reject(line, cause, data, self._cell_count, actual), consumed)


def _end_of_quotes(block: bytes, start: int) -> int | None:
    """Where the lines with quotes end that begin at ``start``: quotes are paired, and none follows soon."""
    position, is_open = start, False
    while True:
        end = block.find(b"\n", position)
        if end < 0:
            return None
        is_open ^= block.count(b'"', position, end) % 2 == 1
        position = end + 1
        if not is_open and block.find(b'"', position, position + _QUIET_BYTES) < 0:
            return position


def _result(found: Future[Batch] | Batch) -> Batch:
    return found.result() if isinstance(found, Future) else found


def _whole_lines(data: bytes, text: str, encoding: str) -> bytes:
    """A block as UTF-8 with LF between its lines and none after the last."""
    if encoding != "utf-8":
        data = text.encode()
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
    return data[:-1] if data.endswith((b"\n", b"\r")) else data


def _split_text(text: str) -> list[str]:
    """Lines without their ends; only LF ends a line, a CR just before it belongs to the end."""
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    return (text[:-1] if text.endswith(("\n", "\r")) else text).split("\n")


def _split_bytes(data: bytes) -> list[bytes]:
    """Lines as they are, without LF; a CR before it is still there."""
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return lines
