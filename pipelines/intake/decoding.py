"""From bytes to text, strictly: a byte order mark, else UTF-8, else GB18030; nothing is ever ignored or replaced.

In GB18030 the second byte of a two-byte character is 40-7E or 80-FE, the second and fourth of a four-byte
character are 30-39 (GB 18030-2022, 5): comma, tab, semicolon, quote and line ends (all below 30 or 3B) never
occur inside a character, so lines and cells can be cut before decoding.
"""

from __future__ import annotations

import codecs
import re
import struct
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from pipelines.intake.gb18030 import of_2022

Encoding = Literal["utf-8", "gb18030", "utf-16"]
LineEncoding = Literal["utf-8", "gb18030"]

UTF8_MARK = codecs.BOM_UTF8
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

# UTF-8 bytes of words that stand in nearly every Chinese administrative record. Read as GB18030 they are
# rare characters side by side (公司 → 鍏徃), so their presence in a "GB18030" file means mixed encodings.
_UTF8_WORDS = tuple(word.encode() for word in ("公司", "行政", "\ufffd"))

_WIDE_PAIR = re.compile(rb"[\x81-\xfe][\x30-\x39][\x81-\xfe][\x30-\x39]|([\x81-\xfe])[\x40-\x7e\x80-\xfe]", re.DOTALL)
_LEAST_COMMON_SHARE = 0.7
_CHINESE_IN_UTF8 = re.compile(rb"[\xe1-\xf4]")


@dataclass(frozen=True)
class Decoder:
    """How the lines of one file are decoded.

    ``dominant`` is what most of the file is in; with ``strict`` the feed declared it and nothing else is tried.
    """

    dominant: LineEncoding
    strict: bool = False

    def line(self, data: bytes) -> tuple[str, str] | None:
        """The text of one line and the encoding it was in; None when it is in none.

        What a line is in depends on nothing but the line. Text beyond ASCII that is valid UTF-8 is UTF-8, except
        that in a GB18030 file a few everyday characters side by side may be both. In a UTF-8 file another line
        counts as GB18030 only when it reads as common Chinese: a damaged UTF-8 line mostly "decodes" as GB18030
        too, into nonsense.
        """
        if data.isascii():
            return data.decode("ascii"), self.dominant
        for encoding in self._tried(data):
            try:
                text = data.decode(encoding)
            except UnicodeDecodeError:
                continue
            return (of_2022(text) if encoding == "gb18030" else text), encoding
        return None

    def _tried(self, data: bytes) -> tuple[LineEncoding, ...]:
        if self.strict:
            return (self.dominant,)
        if self.dominant == "utf-8":
            return ("utf-8", "gb18030") if _reads_as_chinese(data) else ("utf-8",)
        return ("gb18030", "utf-8") if _reads_as_chinese(data) else ("utf-8", "gb18030")


def is_utf8(data: bytes | memoryview) -> bool:
    """Whether bytes are valid UTF-8, without making text of them and outside the interpreter lock."""
    offsets = pa.py_buffer(struct.pack("<2i", 0, len(data)))
    try:
        pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(data)]).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def byte_order_mark(head: bytes) -> tuple[Encoding | None, int]:
    """The encoding that a byte order mark states, and the mark's length."""
    if head.startswith(UTF8_MARK):
        return "utf-8", len(UTF8_MARK)
    if head.startswith(_UTF16_MARKS):
        return "utf-16", 2
    return None, 0


def dominant_encoding(sample: bytes) -> LineEncoding:
    """What a sample of whole lines is mostly in; UTF-8 when nothing speaks for either.

    The bytes of a few everyday words are both: 食品 in GB18030 is ``ʳƷ`` in UTF-8. Chinese in UTF-8 has other bytes.
    """
    if _decodes(sample, "utf-8"):
        return "gb18030" if not _CHINESE_IN_UTF8.search(sample) and _reads_as_chinese(sample) else "utf-8"
    if _decodes(sample, "gb18030"):
        return "gb18030"
    votes = {"utf-8": 0, "gb18030": 0}
    for line in sample.split(b"\n"):
        found = None if line.isascii() else Decoder("utf-8").line(line)
        if found is not None:
            votes[found[1]] += 1
    return "gb18030" if votes["gb18030"] > votes["utf-8"] else "utf-8"


def other_encoding(sample: bytes, declared: LineEncoding) -> LineEncoding | None:
    """What a sample of whole lines is in when nothing beyond ASCII in it is in the encoding that was declared."""
    decoder = Decoder(declared)
    lines = [line for line in sample.split(b"\n") if not line.isascii()]
    found = [decoded[1] for decoded in map(decoder.line, lines) if decoded is not None]
    if not found or declared in found:
        return None
    return "gb18030" if declared == "utf-8" else "utf-8"


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def holds_utf8_words(data: bytes) -> bool:
    """Whether bytes that decode as GB18030 hold everyday words in UTF-8: then they are of mixed encodings."""
    return any(word in data for word in _UTF8_WORDS)


def _reads_as_chinese(data: bytes) -> bool:
    """Whether most two-byte characters are everyday ones: GB 2312 symbols (A1-A3) and level-1 characters (B0-D7)."""
    leads = [pair[0] for pair in _WIDE_PAIR.findall(data) if pair]
    if not leads:
        return False
    common: int = sum(0xA1 <= lead <= 0xA3 or 0xB0 <= lead <= 0xD7 for lead in leads)
    return common / len(leads) >= _LEAST_COMMON_SHARE
