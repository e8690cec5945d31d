"""From bytes to text, strictly: a byte order mark, else UTF-8, else GB18030; nothing is ever ignored or replaced.

In GB18030 the second byte of a two-byte character is 40-7E or 80-FE, the second and fourth of a four-byte
character are 30-39 (GB 18030-2022, 5): comma, tab, semicolon, quote and line ends (all below 30 or 3B) never
occur inside a character, so lines and cells can be cut before decoding.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Encoding = Literal["utf-8", "gb18030", "utf-16"]

UTF8_MARK = codecs.BOM_UTF8
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CHUNK = 4 << 20

# UTF-8 bytes of words that stand in nearly every Chinese administrative record. Read as GB18030 they are
# rare characters side by side (公司 → 鍏徃), so their presence in a "GB18030" file means mixed encodings.
_UTF8_WORDS = tuple(word.encode() for word in ("公司", "行政", "\ufffd"))

# Python decodes by GB 18030-2000: these 18 two-byte codes then lay in the private-use area and are characters of
# their own since the edition of 2022 (GB 18030-2022, table of changed mappings).
_CHANGED_IN_2022 = {
    **dict(zip(range(0xE78D, 0xE797), (0xFE10, 0xFE12, 0xFE11, *range(0xFE13, 0xFE1A)), strict=True)),
    **dict(zip((0xE81E, 0xE826, 0xE82B, 0xE82C, 0xE832, 0xE843, 0xE854, 0xE864), range(0x9FB4, 0x9FBC), strict=True)),
}
_OLD_POINTS = re.compile(f"[{''.join(map(chr, _CHANGED_IN_2022))}]")

_WIDE_PAIR = re.compile(rb"[\x81-\xfe][\x30-\x39][\x81-\xfe][\x30-\x39]|([\x81-\xfe])[\x40-\x7e\x80-\xfe]", re.DOTALL)
_LEAST_COMMON_SHARE = 0.7


@dataclass(frozen=True)
class Decoder:
    """How the lines of one file are decoded.

    ``dominant`` is what most of the file is in; with ``strict`` the feed declared it and nothing else is tried.
    """

    dominant: Literal["utf-8", "gb18030"]
    strict: bool = False

    def line(self, data: bytes) -> tuple[str, str] | None:
        """The text of one line and the encoding it was in; None when it is in none.

        UTF-8 first: text that is not ASCII and happens to be valid UTF-8 is UTF-8. A line that fails inside
        a UTF-8 file counts as GB18030 only when it reads as common Chinese: a damaged UTF-8 line mostly
        "decodes" as GB18030 too, into nonsense.
        """
        encodings = (self.dominant,) if self.strict else ("utf-8", "gb18030")
        for encoding in encodings:
            try:
                text = data.decode(encoding)
            except UnicodeDecodeError:
                continue
            if encoding == "gb18030":
                if self.dominant == "utf-8" and not _reads_as_chinese(data):
                    continue
                text = _of_2022(text)
            return text, encoding
        return None

    def block(self, data: bytes) -> tuple[str, str] | None:
        """The text of many whole lines when all are in the dominant encoding; None: go line by line."""
        if self.dominant == "gb18030" and not self.strict and _mixed(data):
            return None
        try:
            text = data.decode(self.dominant)
        except UnicodeDecodeError:
            return None
        return (_of_2022(text) if self.dominant == "gb18030" else text), self.dominant


def _of_2022(text: str) -> str:
    """GB18030 text with the code points of the 2022 edition."""
    return text.translate(_CHANGED_IN_2022) if _OLD_POINTS.search(text) else text


def byte_order_mark(head: bytes) -> tuple[Encoding | None, int]:
    """The encoding that a byte order mark states, and the mark's length."""
    if head.startswith(UTF8_MARK):
        return "utf-8", len(UTF8_MARK)
    if head.startswith(_UTF16_MARKS):
        return "utf-16", 2
    return None, 0


def dominant_encoding(sample: bytes) -> Literal["utf-8", "gb18030"]:
    """What a sample of whole lines is mostly in; UTF-8 when nothing speaks for either."""
    if _decodes(sample, "utf-8"):
        return "utf-8"
    if _decodes(sample, "gb18030"):
        return "gb18030"
    votes = {"utf-8": 0, "gb18030": 0}
    for line in sample.split(b"\n"):
        found = None if line.isascii() else Decoder("utf-8").line(line)
        if found is not None:
            votes[found[1]] += 1
    return "gb18030" if votes["gb18030"] > votes["utf-8"] else "utf-8"


def utf16_to_utf8(source: Path, target: Path) -> bool:
    """Write a UTF-16 file that starts with its mark as UTF-8 without one; False when it is not wholly UTF-16.

    Memory stays at a few chunks. What was written before the failure is for the caller to delete.
    """
    decoder = codecs.getincrementaldecoder("utf-16")("strict")
    with source.open("rb") as reader, target.open("wb") as writer:
        try:
            while chunk := reader.read(_CHUNK):
                writer.write(decoder.decode(chunk).encode())
            writer.write(decoder.decode(b"", final=True).encode())
        except UnicodeError:
            return False
    return True


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _mixed(data: bytes) -> bool:
    return any(word in data for word in _UTF8_WORDS)


def _reads_as_chinese(data: bytes) -> bool:
    """Whether most two-byte characters are everyday ones: GB 2312 symbols (A1-A3) and level-1 characters (B0-D7)."""
    leads = [pair[0] for pair in _WIDE_PAIR.findall(data) if pair]
    if not leads:
        return False
    common: int = sum(0xA1 <= lead <= 0xA3 or 0xB0 <= lead <= 0xD7 for lead in leads)
    return common / len(leads) >= _LEAST_COMMON_SHARE
