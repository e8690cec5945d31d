"""A block of clean lines into columns, without a Python object per cell."""

from __future__ import annotations

import struct
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_EMPTY = pa.scalar("")
_NULL = pa.scalar(None, pa.string())


def is_utf8(data: bytes) -> bool:
    """Whether bytes are valid UTF-8, without making text of them."""
    offsets = pa.py_buffer(struct.pack("<2i", 0, len(data)))
    try:
        pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(data)]).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


class LineSplitter:
    """Splits lines without quotes into ``cell_count`` columns; an empty cell becomes NULL."""

    def __init__(self, delimiter: str, cell_count: int, line_end: str = "\n") -> None:
        self._delimiter = delimiter
        self._line_end = line_end
        self._cell_count = cell_count
        self._row_starts: pa.Array[Any] = pa.array([], pa.int32())

    def columns(self, data: bytes) -> list[pa.Array[Any]] | None:
        """Columns of a block of valid UTF-8 without a last line end.

        None when a line has another number of cells or a row holds nothing at all: then somebody has to look.
        """
        offsets = pa.py_buffer(struct.pack("<2i", 0, len(data)))
        whole = pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(data)])
        lines = pc.split_pattern(whole, self._line_end).flatten()
        cells = pc.split_pattern(lines, self._delimiter)
        right = pc.equal(pc.list_value_length(cells), pa.scalar(self._cell_count, pa.int32()))
        if not pc.all(right).as_py():
            return None
        flat = cells.flatten()
        flat = pc.if_else(pc.equal(flat, _EMPTY), _NULL, flat)
        starts = self._starts(len(lines))
        columns = [flat.take(pc.add(starts, pa.scalar(number, pa.int32()))) for number in range(self._cell_count)]
        if all(column.null_count for column in columns):
            empty = reduce(pc.and_, (pc.is_null(column) for column in columns))
            if pc.any(empty).as_py():
                return None
        return columns

    def _starts(self, count: int) -> pa.Array[Any]:
        """Index of the first cell of each of ``count`` lines."""
        if len(self._row_starts) < count:
            stop = 2 * count * self._cell_count
            self._row_starts = pa.array(range(0, stop, self._cell_count), pa.int32())
        return self._row_starts.slice(0, count)
