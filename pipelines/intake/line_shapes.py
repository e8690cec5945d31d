"""Which lines of a block are a row at first sight, found for all of them at once, without an object per line.

A line is plain when it has exactly the cells it should have, something in at least one of them, and quotes only as
RFC 4180 writes them, with no blank beside them: there every reader of CSV agrees. Whatever else a line is, or the
start of, it wants a look of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LOOK = 0
PLAIN = 1
# As plain, but with one more delimiter at the end, and nothing behind it.
TAILED = 2

# Signs are counted per line in sixteen bits, which is five times as fast as in more.
_LONGEST = (1 << 16) - 1

_LINE_FEED, _CARRIAGE_RETURN, _QUOTE, _NUL = b'\n\r"\0'

Offsets = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class LineShapes:
    """The lines of a block: where each starts (and, as one more entry, where the block ends), and its shape.

    ``returned`` says which lines end with CR LF.
    """

    starts: Offsets
    shapes: NDArray[np.uint8]
    returned: Flags


def line_shapes(block: bytes, delimiter: str, cell_count: int) -> LineShapes:
    """Look at a block of whole lines, ended by LF or CR LF; only the last may lack its end."""
    data = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(data == _LINE_FEED)
    stops = ends + 1
    if len(data) and (not len(stops) or stops[-1] != len(data)):
        ends, stops = np.append(ends, len(data)), np.append(stops, len(data))
    starts = np.concatenate((np.zeros(1, np.int64), stops))
    if not len(ends):
        return LineShapes(starts, np.empty(0, np.uint8), np.empty(0, np.bool_))
    marks = data == ord(delimiter)
    delimiters = _per_line(marks, starts)
    lengths = ends - starts[:-1]
    good = lengths <= _LONGEST
    returned = np.zeros(len(ends), np.bool_)
    if b"\r" in block:
        returned = (data[ends - 1] == _CARRIAGE_RETURN) & (lengths > 0)
        good &= _per_line(data == _CARRIAGE_RETURN, starts) == returned
        ends, lengths = ends - returned, lengths - returned
    if b"\0" in block:
        good &= _per_line(data == _NUL, starts) == 0
    signs = delimiters
    if b'"' in block:
        quotes, regular, inside = _quotes(data, marks, starts, ends)
        good &= regular
        signs = delimiters + quotes
        delimiters = delimiters - inside
    good &= lengths > signs
    shapes = np.where(good & (delimiters == cell_count - 1), PLAIN, LOOK).astype(np.uint8)
    longer = good & (delimiters == cell_count)
    if longer.any():
        shapes[longer & (data[ends - 1] == ord(delimiter))] = TAILED
    return LineShapes(starts, shapes, returned)


def maybe_utf8(block: bytes, starts: Offsets) -> Flags:
    """Lines with characters beyond ASCII in which nothing speaks against UTF-8 at first sight.

    In UTF-8 a byte from C0 on is followed by one of 80 to BF; GB18030 text breaks that within a few characters.
    """
    data = np.frombuffer(block, np.uint8)
    signs = data & 0x80
    signs[:-1] |= (data[:-1] >= 0xC0) & ((data[1:] & 0xC0) != 0x80)
    found: NDArray[np.uint8] = np.bitwise_or.reduceat(signs, starts[:-1])
    suspects: Flags = found == 0x80
    return suspects


def _quotes(data: NDArray[np.uint8], marks: Flags, starts: Offsets, ends: Offsets) -> tuple[Offsets, Flags, Offsets]:
    """Per line: the number of quotes, whether they are regular, and the delimiters (``marks``) between them.

    Counted from the left of its line, an odd quote opens a cell or follows the one it is doubled with, an even one
    closes a cell or is doubled by the next. ``ends`` are those of the text, before CR or LF.
    """
    lines = len(ends)
    places = np.flatnonzero(data == _QUOTE)
    line = np.searchsorted(starts, places, side="right") - 1
    quotes = np.bincount(line, minlength=lines)
    ordinal = np.arange(len(places)) - (np.cumsum(quotes) - quotes)[line]
    before, after = np.maximum(places - 1, 0), np.minimum(places + 1, len(data) - 1)
    opens = (places == starts[line]) | marks[before] | (data[before] == _QUOTE)
    closes = (places + 1 == ends[line]) | marks[after] | (data[after] == _QUOTE)
    regular = quotes % 2 == 0
    regular[line[~np.where(ordinal % 2 == 0, opens, closes)]] = False
    paired = places[regular[line]]
    inside = np.zeros(lines, np.int64)
    if len(paired):
        held = np.add.reduceat(marks, paired, dtype=np.uint16)[::2]
        inside = np.bincount(line[regular[line]][::2], weights=held, minlength=lines).astype(np.int64)
    return quotes, regular, inside


def _per_line(marks: Flags, starts: Offsets) -> Offsets:
    return np.add.reduceat(marks, starts[:-1], dtype=np.uint16).astype(np.int64)
