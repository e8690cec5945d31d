"""One record of a CSV after another, from its raw lines: a row, a line that is no row, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pipelines.intake.decoding import Decoder
from pipelines.intake.delimited import OpenRecord, Trouble, parse, parse_with_stray_quotes
from pipelines.intake.rejects import BINARY, CELL_COUNT, MAX_KEPT_BYTES, OPEN_QUOTE, UNDECODABLE, Reject

# How far a quoted cell may reach. Longer "cells" are a quote that nobody closed, and would swallow the file.
MAX_RECORD_LINES = 256
MAX_RECORD_BYTES = 256 << 10
# A line longer than this is no record of any category (all fields together have some 20,000 characters).
MAX_LINE_BYTES = 4 << 20
# A record that grows far beyond its cells while a quote is open will never be a row.
_MOST_EXTRA_CELLS = 64
# How many lines of one file are parsed in vain for the end of an open quote before open quotes are no longer followed.
_PATIENCE = 500_000
_NOTHING = b" \t\x1a"


class Lines(Protocol):
    """Raw lines without LF; a CR before it is still there."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> bytes: ...


@dataclass(frozen=True)
class Record:
    """A row (``cells``), what is no row (``reject``), or neither: nothing stands there. ``lines`` were used up."""

    cells: list[str] | None
    reject: Reject | None
    lines: int
    encoding: str = ""


class RecordReader:
    """Reads records of ``cell_count`` cells; one that has another number, or no text, becomes a reject.

    Extra cells that are all empty hold nothing and are not counted (a delimiter at the end of each line). What a
    record is depends on its own lines alone, as long as the file is not full of open quotes. One reader reads one
    file, in order. ``line_end`` stands between the lines of a reject.
    """

    def __init__(self, decoder: Decoder, delimiter: str, cell_count: int, line_end: bytes = b"\n") -> None:
        self._decoder = decoder
        self._delimiter = delimiter
        self._cell_count = cell_count
        self._line_end = line_end
        self._patience = _PATIENCE

    def read(self, lines: Lines, index: int, number: int, *, final: bool) -> Record | None:
        """The record that starts at ``lines[index]``, which is line ``number`` of the file.

        None when its end may lie beyond ``lines``, which are all there are if ``final``.
        """
        raw = lines[index]
        content = raw.removesuffix(b"\r")
        if len(content) > MAX_LINE_BYTES:
            return self._refused(number, BINARY, [raw[:MAX_KEPT_BYTES]])
        if not content.strip(_NOTHING) and self._fitted(content.decode().split(self._delimiter)) is None:
            return Record(None, None, 1)
        if b"\0" in content:
            return self._refused(number, BINARY, [raw])
        decoded = self._decoder.line(content)
        text = decoded[0] if decoded else _structure(content)
        parsed = parse(text, self._delimiter)
        if parsed is Trouble.OPEN and self._patience > 0:
            joined = self._joined(lines, index, number, final=final)
            if joined is None or joined.lines > 1:
                return joined
        if decoded is None:
            return self._refused(number, UNDECODABLE, [raw])
        if parsed is Trouble.MALFORMED:
            parsed = parse_with_stray_quotes(text, self._delimiter)
            if isinstance(parsed, list) and self._fitted(parsed) is None:
                return self._refused(number, CELL_COUNT, [raw], len(parsed))
        if isinstance(parsed, Trouble):
            return self._refused(number, OPEN_QUOTE, [raw])
        return self._row(parsed, number, [raw], decoded[1])

    def _joined(self, lines: Lines, index: int, number: int, *, final: bool) -> Record | None:
        """A record whose quoted cells hold line breaks. It must be well-formed, or its first line stands alone.

        A quote that was never closed meets the opening quote of a later cell, and text follows that "closing"
        quote: the joined text is malformed, so the following lines are not swallowed.
        """
        raws = [lines[index]]
        size = len(raws[0])
        record = OpenRecord(_structure(raws[0]), self._delimiter)
        unseen: list[bytes] = []
        tried = 0
        for following in range(index + 1, index + MAX_RECORD_LINES):
            if following >= len(lines):
                if not final:
                    return None
                break
            raw = lines[following]
            raws.append(raw)
            unseen.append(raw)
            size += len(raw) + 1
            if size > MAX_RECORD_BYTES or b"\0" in raw or record.cell_count > self._cell_count + _MOST_EXTRA_CELLS:
                break
            if b'"' not in raw:
                continue
            trouble = record.add(_structure(b"\n" + b"\n".join(unseen)))
            tried += 1
            unseen = []
            if trouble is Trouble.MALFORMED:
                break
            if trouble is None:
                return self._whole(raws, number)
        self._patience -= tried
        return Record(None, None, 1)

    def _whole(self, raws: Sequence[bytes], number: int) -> Record:
        """A well-formed record of several lines."""
        decoded = self._decoder.line(b"\n".join(raws).removesuffix(b"\r"))
        parsed = parse(decoded[0], self._delimiter) if decoded else None
        if decoded is None or not isinstance(parsed, list):
            return self._refused(number, UNDECODABLE, raws)
        return self._row(parsed, number, raws, decoded[1])

    def _row(self, parsed: list[str], number: int, raws: Sequence[bytes], encoding: str) -> Record:
        cells = self._fitted(parsed)
        if cells is None:
            return self._refused(number, CELL_COUNT, raws, len(parsed))
        return Record(cells if any(cells) else None, None, len(raws), encoding)

    def _fitted(self, cells: list[str]) -> list[str] | None:
        count = self._cell_count
        if len(cells) == count:
            return cells
        return cells[:count] if len(cells) > count and not any(cells[count:]) else None

    def _refused(self, number: int, cause: tuple[str, str], raws: Sequence[bytes], actual: int | None = None) -> Record:
        data = self._line_end.join(raws)
        return Record(None, Reject(number, cause, data, self._cell_count, actual), len(raws))


def _structure(raw: bytes) -> str:
    """A raw line as text that shows its structure, whatever it is in: Latin-1 maps bytes one to one."""
    return raw.removesuffix(b"\r").decode("latin-1")
