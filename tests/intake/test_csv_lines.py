"""Blocks of whole lines, and line numbers in little memory."""

from __future__ import annotations

import io
import itertools

import pytest

from pipelines.intake import csv_lines
from pipelines.intake.csv_lines import LineNumbers, lines, read_lines
from pipelines.intake.csv_records import MAX_LINE_BYTES


@pytest.mark.parametrize("size", [1, 2, 5, 100])
@pytest.mark.parametrize("data", [b"", b"\n", b"\n\n", b"ab\ncd\n", b"ab\n\ncd", b"abcdefgh\ni\n"])
def test_blocks_are_whole_lines_and_all_of_them(data: bytes, size: int) -> None:
    stream = io.BytesIO(data)
    blocks = list(iter(lambda: read_lines(stream, size), b""))
    assert b"".join(blocks) == data
    assert all(block.endswith(b"\n") for block in blocks[:-1])
    assert list(lines(io.BytesIO(data))) == (data.removesuffix(b"\n").split(b"\n") if data else [])


@pytest.mark.parametrize("end", [b"\n", b""])
def test_of_an_endless_line_only_the_start_is_given(end: bytes) -> None:
    endless = b"x" * (3 * MAX_LINE_BYTES)
    found = list(lines(io.BytesIO(b"a\n" + endless + end + b"b\n" * len(end))))
    assert found[0] == b"a"
    assert found[2:] == [b"b"] * len(end)
    assert MAX_LINE_BYTES < len(found[1]) < len(endless)


def test_line_numbers_come_back_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_lines, "_BATCH", 10)
    monkeypatch.setattr(csv_lines, "_LONGEST_RUN", 4)
    runs = [(2, 3), (5, 30), (40, 1), (42, 1), (44, 1), (50, 25), (75, 1), (90, 0)]
    numbers = LineNumbers()
    for first, count in runs:
        numbers.add(first, count)
    expected = list(itertools.chain.from_iterable(range(first, first + count) for first, count in runs))
    batches = [batch.to_pylist() for batch in numbers.batches()]
    assert list(itertools.chain.from_iterable(batches)) == expected
    assert len(batches) > 1
    assert numbers.count == len(expected)
    both = LineNumbers()
    both.add(1)
    both.extend(numbers)
    assert list(itertools.chain.from_iterable(batch.to_pylist() for batch in both.batches())) == [1, *expected]


def test_numbers_without_a_gap_are_told_by_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_lines, "_LONGEST_RUN", 4)
    numbers = LineNumbers()
    assert numbers.first_of_all is None
    for first in (7, 17, 27):
        numbers.add(first, 10)
    assert numbers.first_of_all == 7
    numbers.add(38)
    assert numbers.first_of_all is None
    assert list(LineNumbers().batches()) == []
