"""The text of an XML or JSON file: the whole file in one encoding, decoded strictly, in chunks.

Other than a CSV such a file cannot be read around a line that is in no encoding: it is refused, with that line.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path

from pipelines.catalogue.formats import Format
from pipelines.errors import ExtractError
from pipelines.intake.decoding import byte_order_mark, holds_utf8_words
from pipelines.intake.gb18030 import of_2022

_CHUNK = 1 << 20
_MARKUP_ENCODING = re.compile(rb"""^\s*<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
# What a declaration calls the encodings that are read. GB2312 and GBK are parts of GB18030, and mostly meant as such.
_READABLE = frozenset({"utf8", "utf16", "gb18030", "gbk", "gb2312", "cp936", "ms936", "xgbk", "windows936", "usascii"})


def encoding_of(path: Path, name: str, layout: Format) -> str:
    """``utf-8``, ``utf-16``, ``utf-16-le``, ``utf-16-be`` or ``gb18030``: what the whole file is in.

    A byte order mark decides, then what the feed declares. Otherwise a file that is UTF-8 from end to end is UTF-8,
    whatever its XML declaration says (GB18030 text never is), and what is left may be GB18030. Raises
    :class:`ExtractError` with the first line that is in neither.
    """
    with path.open("rb") as reader:
        head = reader.read(200)
    mark, _ = byte_order_mark(head)
    declared = None if layout.encoding == "auto" else layout.encoding
    if mark is not None:
        if declared not in {None, mark}:
            raise _not_declared(name, mark, declared)
        return mark
    if declared is not None:
        return declared
    if b"\0" in head[:2]:
        return "utf-16-be" if head.startswith(b"\0") else "utf-16-le"
    broken = _first_broken_line(path, "utf-8")
    if broken is None:
        return "utf-8"
    stated = _MARKUP_ENCODING.match(head)
    if stated is not None and re.sub(rb"[-_.]", b"", stated[1]).lower().decode() not in _READABLE:
        raise ExtractError(
            f"the XML declares the encoding {stated[1].decode()}, which is not read",
            remedy="ask the department for UTF-8, or set format.encoding in the feed's YAML if the file is in that one",
            file=name,
            line=1,
        )
    if _first_broken_line(path, "gb18030") is None and not _is_mixed(path):
        return "gb18030"
    raise _undecodable(name, "UTF-8 or GB18030", broken)


def text_chunks(path: Path, name: str, encoding: str) -> Iterator[str]:
    """The text without its byte order mark, about a million characters at a time.

    GB18030 comes with the code points of the edition of 2022. Raises :class:`ExtractError` with the line where the
    decoding fails.
    """
    broken: list[int] = []
    first = True
    for text in _decoded(path, encoding, broken):
        yield text.removeprefix("\ufeff") if first else text
        first = False
    if broken:
        raise _undecodable(name, encoding.upper(), broken[0])


def text_lines(chunks: Iterator[str]) -> Iterator[str]:
    """The lines of a text without their ends."""
    rest = ""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split("\n")
        yield from lines
    if rest:
        yield rest


def _first_broken_line(path: Path, encoding: str) -> int | None:
    broken: list[int] = []
    for _ in _decoded(path, encoding, broken):
        pass
    return broken[0] if broken else None


def _decoded(path: Path, encoding: str, broken: list[int]) -> Iterator[str]:
    """Chunks of text up to the end, or up to the first line that cannot be decoded: that goes to ``broken``."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    lines = 1
    with path.open("rb") as reader:
        while True:
            data = reader.read(_CHUNK)
            try:
                text = decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                before = error.object[: error.start].decode(error.encoding, "replace")
                broken.append(lines + before.count("\n"))
                return
            lines += text.count("\n")
            if text:
                yield of_2022(text) if encoding == "gb18030" else text
            if not data:
                return


def _is_mixed(path: Path) -> bool:
    """Whether UTF-8 stands among the GB18030: then it is a file of mixed encodings, or a damaged one in UTF-8."""
    seam = b""
    with path.open("rb") as reader:
        while data := reader.read(_CHUNK):
            if holds_utf8_words(seam + data):
                return True
            seam = data[-8:]
    return False


def _undecodable(name: str, encodings: str, line: int) -> ExtractError:
    return ExtractError(
        f"the file cannot be decoded as {encodings}",
        remedy="ask the department to export it again in one encoding, best UTF-8",
        file=name,
        line=line,
    )


def _not_declared(name: str, found: str, declared: str | None) -> ExtractError:
    return ExtractError(
        f"the file is {found.upper()}, the feed declares {declared}",
        remedy="ask for the declared encoding, or set format.encoding to auto in the feed's YAML",
        file=name,
    )
