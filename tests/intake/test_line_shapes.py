"""What all lines of a block are taken for at once, held against the reader that looks at one line after another."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.intake.csv_records import RecordReader
from pipelines.intake.decoding import Decoder
from pipelines.intake.delimited import parse
from pipelines.intake.line_shapes import LOOK, PLAIN, TAILED, line_shapes, maybe_utf8

PIECE = st.sampled_from([",", ",", '"', '""', '","', "a", " ", "\r", "\n", "\r\n", "\0", "公", '"a"', '"a""b"', '","'])


def _shapes(text: str, cells: int = 3) -> list[int]:
    shapes: list[int] = line_shapes(text.encode(), ",", cells).shapes.tolist()
    return shapes


@pytest.mark.parametrize(
    "line",
    ["1,2,3", ",,3", '"1","2","3"', '"1,2","""","a""b"', '"",2,""', '1,"2",', "公,\t,\x1a", ' , ,"x y"', '"a"",",b,c'],
)
def test_what_rfc_4180_writes_is_plain(line: str) -> None:
    for end in ("\n", "\r\n", ""):
        assert _shapes(line + end) == [PLAIN]


@pytest.mark.parametrize(
    "line",
    [
        "",
        ",,",
        '"","",""',
        "1,2",
        "1,2,3,4",
        '"1,2,3',
        '1,2"x,3',
        '"1" ,2,3',
        ' "1",2,3',
        '"1"x,2,3',
        "1\r,2,3",
        "1,\0,3",
    ],
)
def test_whatever_else_wants_a_look(line: str) -> None:
    for end in ("\n", "\r\n"):
        assert _shapes(line + end) == [LOOK]


def test_one_delimiter_too_many_at_the_very_end_is_told_apart() -> None:
    assert _shapes('1,2,3,\n"1","2","3",\r\n1,2,3,4\n1,2,3,,\n,,,\n1,2,"3,"\n') == [
        TAILED,
        TAILED,
        LOOK,
        LOOK,
        LOOK,
        PLAIN,
    ]


def test_lines_are_looked_at_on_their_own() -> None:
    """A quote that is never closed does not turn the quotes of later lines around."""
    text = '1,2,3\n4,"5,6\n"7","8,9","10"\n\n"11\n12",13,14\n15,16,17'
    shapes = line_shapes(text.encode(), ",", 3)
    assert shapes.shapes.tolist() == [PLAIN, LOOK, PLAIN, LOOK, LOOK, LOOK, PLAIN]
    assert [text.encode()[place : place + 2] for place in shapes.starts[:-1]] == [
        b"1,", b"4,", b'"7', b'\n"', b'"1', b"12", b"15",
    ]  # fmt: skip
    assert shapes.starts[-1] == len(text)


def test_more_signs_than_can_be_counted_are_not_taken_for_few() -> None:
    assert _shapes("1" + "," * (2 + (1 << 16)) + "\n") == [LOOK]
    assert _shapes('"' + '""' * (1 << 16) + '",2,3\n') == [LOOK]


def test_an_empty_block_has_no_lines() -> None:
    assert len(line_shapes(b"", ",", 3).shapes) == 0


@settings(max_examples=400, deadline=None)
@given(pieces=st.lists(PIECE, max_size=30), cells=st.integers(1, 4))
def test_a_plain_line_is_a_row_of_exactly_its_cells(pieces: list[str], cells: int) -> None:
    block = "".join(pieces).encode()
    shapes = line_shapes(block, ",", cells)
    reader = RecordReader(Decoder("utf-8"), ",", cells)
    for index, shape in enumerate(shapes.shapes.tolist()):
        raw = block[shapes.starts[index] : shapes.starts[index + 1]].removesuffix(b"\n")
        assert bool(shapes.returned[index]) == raw.endswith(b"\r")
        if shape == LOOK:
            continue
        parsed = parse(raw.removesuffix(b"\r").decode(), ",")
        record = reader.read([raw], 0, 1, final=True)
        assert record is not None
        assert isinstance(parsed, list)
        assert record.cells == (parsed if shape == PLAIN else parsed[:-1])
        assert len(parsed) == (cells if shape == PLAIN else cells + 1)


def test_lines_that_may_be_utf8_are_found_among_gb18030() -> None:
    lines = ["行政处罚决定书", "ascii", "甲,乙", "行政"]
    encodings = ["gb18030", "gb18030", "utf-8", "utf-8"]
    block = b"".join(line.encode(name) + b"\n" for line, name in zip(lines, encodings, strict=True))
    assert maybe_utf8(block, line_shapes(block, ",", 1).starts).tolist() == [False, False, True, True]


@settings(max_examples=200, deadline=None)
@given(lines=st.lists(st.binary(max_size=8).map(lambda line: line.replace(b"\n", b"")), min_size=1, max_size=5))
def test_no_line_of_utf8_is_overlooked(lines: list[bytes]) -> None:
    block = b"".join(line + b"\n" for line in lines)
    found = maybe_utf8(block, line_shapes(block, ",", 1).starts)
    for line, may_be in zip(lines, found.tolist(), strict=True):
        if not line.isascii() and Decoder("utf-8", strict=True).line(line) is not None:
            assert may_be
