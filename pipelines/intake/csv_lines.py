"""A file in blocks of whole lines, and the numbers of the lines that rows stand on; both in little memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from pipelines.intake.csv_records import MAX_LINE_BYTES

# What is made of a block byte by byte stays below 128 kB, from where on memory is asked of the system each time.
_BLOCK = 112 << 10
_BATCH = 1 << 20
_LONGEST_RUN = 1 << 18
_MOST_SKIPPED = 1 << 20


def read_lines(stream: BinaryIO, size: int = _BLOCK) -> bytes:
    """About ``size`` bytes of whole lines, ended by LF; empty at the end of the file.

    Of a line that is longer than any record the start is given, a little more than ``MAX_LINE_BYTES``.
    """
    block = stream.read(size)
    if not block or block.endswith(b"\n"):
        return block
    rest = stream.readline(MAX_LINE_BYTES + 1)
    if len(rest) > MAX_LINE_BYTES and not rest.endswith(b"\n"):
        while (skipped := stream.readline(_MOST_SKIPPED)) and not skipped.endswith(b"\n"):
            pass
        rest += skipped[-1:]
    return block + rest


def lines(stream: BinaryIO) -> Iterator[bytes]:
    """One line after another, without LF; a CR before it is still there."""
    while block := read_lines(stream):
        yield from block.removesuffix(b"\n").split(b"\n")


class LineNumbers:
    """Rising line numbers, kept as runs: sixteen bytes for many that follow each other."""

    def __init__(self) -> None:
        self.count = 0
        self._firsts = array("q")
        self._counts = array("q")

    def add(self, first: int, count: int = 1) -> None:
        """Append ``count`` numbers from ``first`` on."""
        if not count:
            return
        if self._firsts and self._firsts[-1] + self._counts[-1] == first and self._counts[-1] < _LONGEST_RUN:
            self._counts[-1] += count
        else:
            self._firsts.append(first)
            self._counts.append(count)
        self.count += count

    def extend(self, other: LineNumbers) -> None:
        for first, count in zip(other._firsts, other._counts, strict=True):
            self.add(first, count)

    @property
    def first_of_all(self) -> int | None:
        """The first number if all others follow it without a gap."""
        if self.count and self._firsts[-1] + self._counts[-1] - self._firsts[0] == self.count:
            return self._firsts[0]
        return None

    def batches(self) -> Iterator[pa.Array[Any]]:
        """All numbers as BIGINT arrays of about a million."""
        firsts, counts = np.array(self._firsts, np.int64), np.array(self._counts, np.int64)
        until = np.cumsum(counts)
        start = 0
        while start < len(firsts):
            before = until[start] - counts[start]
            stop = max(start + 1, int(np.searchsorted(until, before + _BATCH, side="right")))
            part = slice(start, stop)
            offsets = firsts[part] - (until[part] - counts[part])
            yield pa.array(np.repeat(offsets, counts[part]) + np.arange(before, until[stop - 1]))
            start = stop
