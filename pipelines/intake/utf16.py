"""UTF-16 as UTF-8, line by line, so that damage costs only the lines it lies in.

A line ends wherever the two bytes of a line feed stand, also between two units. In sound Chinese or Latin text they
never stand there; where a byte was lost or added, they do, and from the next line on all is in step again.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from pipelines.intake.csv_records import MAX_LINE_BYTES

Codec = Literal["utf-16-le", "utf-16-be"]

_BLOCK = 1 << 20
# Long enough to be too long as UTF-8 as well.
_MOST_BYTES_OF_A_LINE = 2 * MAX_LINE_BYTES + 64
# No line in UTF-8 or GB18030 holds this byte.
_NO_TEXT = b"\xff"
_MARKS: dict[bytes, Codec] = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
# In UTF-16 a zero stands beside each of these, always on the same side.
_STRUCTURE = b"\n\r\t,"
_LEAST_UNITS = 2
_LOOKED_AT = 4096


@dataclass(frozen=True)
class Utf16:
    """Which way round a file is, how long its byte order mark is, and what ends its lines (LF, or CR alone)."""

    codec: Codec
    mark: int
    line_end: str

    @property
    def unit(self) -> bytes:
        return self.line_end.encode(self.codec)


def utf16_form(head: bytes) -> Utf16 | None:
    """The form of a file that starts with ``head``; None when it is not UTF-16. Without a mark zeros tell."""
    codec = _MARKS.get(head[:2])
    mark = 2 if codec else 0
    codec = codec or (_without_mark(head[:_LOOKED_AT]) if b"\0" in head else None)
    if codec is None:
        return None
    has_line_feed = "\n".encode(codec) in head
    return Utf16(codec, mark, "\n" if has_line_feed or "\r".encode(codec) not in head else "\r")


def _without_mark(head: bytes) -> Codec | None:
    """UTF-16 when most commas, tabs and line ends are units of it."""
    structure = sum(head.count(byte) for byte in _STRUCTURE)
    sides: tuple[tuple[Codec, int], ...] = (("utf-16-le", 0), ("utf-16-be", 1))
    for codec, side in sides:
        pairs = zip(head[side::2], head[1 - side :: 2], strict=False)
        units = sum(high == 0 and low in _STRUCTURE for low, high in pairs)
        if units >= _LEAST_UNITS and units * 2 > structure:
            return codec
    return None


def utf16_to_utf8(source: Path, target: Path, form: Utf16) -> None:
    """Write the same lines as UTF-8, without a mark and ended by LF.

    A line that cannot be decoded becomes one that cannot be decoded as UTF-8 either, of a line that is longer than any
    record only the start is written.
    """
    with source.open("rb") as reader, target.open("wb") as writer:
        for block in _blocks(reader, form):
            text = _text(block, form.codec)
            if text is not None and text.count(form.line_end) == block.count(form.unit):
                writer.write(text.replace(form.line_end, "\n").encode())
                continue
            for line in block.split(form.unit)[: block.count(form.unit) or 1]:
                text = _text(line, form.codec)
                writer.write((_NO_TEXT if text is None else text.encode()) + b"\n")


def utf16_lines(source: Path, form: Utf16) -> Iterator[bytes]:
    """The lines as they are in the file, without their ends."""
    with source.open("rb") as reader:
        for block in _blocks(reader, form):
            lines = block.split(form.unit)
            yield from lines if lines[-1] else lines[:-1]


def _blocks(reader: BinaryIO, form: Utf16) -> Iterator[bytes]:
    """Blocks of whole lines; only the last may lack its end."""
    reader.seek(form.mark)
    rest = b""
    skipping = False
    while chunk := reader.read(_BLOCK):
        data = rest + chunk
        if skipping:
            end = data.find(form.unit)
            skipping = end < 0
            rest = data[-1:] if skipping else b""
            if skipping:
                continue
            data = data[end + len(form.unit) :]
        cut = data.rfind(form.unit) + len(form.unit)
        if cut >= len(form.unit):
            yield data[:cut]
            rest = data[cut:]
        elif len(data) > _MOST_BYTES_OF_A_LINE:
            yield data[:_MOST_BYTES_OF_A_LINE] + form.unit
            skipping, rest = True, data[-1:]
        else:
            rest = data
    if rest and not skipping:
        yield rest


def _text(data: bytes, codec: Codec) -> str | None:
    try:
        return data.decode(codec)
    except UnicodeDecodeError:
        return None
