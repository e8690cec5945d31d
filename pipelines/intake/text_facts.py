"""What can be counted in the bytes of a text file in one quick pass."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_CHUNK = 4 << 20
_TAIL = 1 << 16
_QUOTED_LINES_LOOKED_AT = 10_000
_QUOTES_LOOKED_AT = 5_000


@dataclass(frozen=True)
class TextFacts:
    """Facts that prove, or rule out, that every line of a file is one record.

    ``lines`` counts a last line without line end too; ``blank_lines_at_end`` of them hold nothing.
    ``line_ends`` is ``lf``, ``crlf``, ``cr``, ``mixed`` (a carriage return stands on its own, or both kinds
    occur) or ``none``. ``has_open_line``: among the first lines with quotes one has an odd number of them, so that
    a cell goes on in the next line, or a quote is astray.
    """

    size: int
    lines: int
    blank_lines_at_end: int
    line_ends: str
    has_nul: bool
    has_quote: bool
    has_blank_beside_quote: bool
    has_open_line: bool


def text_facts(path: Path) -> TextFacts:
    """Read a file once, in chunks."""
    size = newlines = returns = pairs = 0
    has_nul = has_quote = has_blank_beside_quote = has_open_line = False
    looked_at = 0
    seam = b""
    with path.open("rb") as reader:
        while chunk := reader.read(_CHUNK):
            seam += chunk[:1]
            size += len(chunk)
            newlines += chunk.count(b"\n")
            if b"\r" in chunk:
                returns += chunk.count(b"\r")
                pairs += chunk.count(b"\r\n")
            pairs += seam == b"\r\n"
            has_nul = has_nul or b"\0" in chunk
            if b'"' in chunk:
                has_quote = True
                if not has_open_line and looked_at < _QUOTED_LINES_LOOKED_AT:
                    has_open_line, more = _open_line(chunk, _QUOTED_LINES_LOOKED_AT - looked_at)
                    looked_at += more
                has_blank_beside_quote = has_blank_beside_quote or _blank_beside_quote(chunk)
            has_blank_beside_quote = has_blank_beside_quote or seam in (b' "', b'" ')
            seam = chunk[-1:]
    with path.open("rb") as reader:
        reader.seek(max(0, size - _TAIL))
        tail = reader.read()
    line_ends = _line_ends(newlines, returns, pairs)
    unterminated = bool(tail) and not tail.endswith(b"\r" if line_ends == "cr" else b"\n")
    ending = tail[len(tail.rstrip(b"\r\n")) :]
    return TextFacts(
        size=size,
        lines=(returns if line_ends == "cr" else newlines) + unterminated,
        blank_lines_at_end=max(0, ending.count(b"\n") - 1),
        line_ends=line_ends,
        has_nul=has_nul,
        has_quote=has_quote,
        has_blank_beside_quote=has_blank_beside_quote,
        has_open_line=has_open_line,
    )


def _blank_beside_quote(chunk: bytes) -> bool:
    """Looks at each quote where they are few: a search for two bytes is slow where blanks are many."""
    position = -1
    for _ in range(_QUOTES_LOOKED_AT):
        position = chunk.find(b'"', position + 1)
        if position < 0:
            return False
        if b" " in chunk[max(position - 1, 0) : position + 2]:
            return True
    return b' "' in chunk[position:] or b'" ' in chunk[position:]


def _open_line(chunk: bytes, most: int) -> tuple[bool, int]:
    """Whether a whole line of the chunk has an odd number of quotes, and how many lines with quotes were seen."""
    position = chunk.find(b"\n") + 1
    for seen in range(most):
        quote = chunk.find(b'"', position)
        end = chunk.find(b"\n", quote)
        if quote < 0 or end < 0:
            return False, seen
        start = max(chunk.rfind(b"\n", position, quote) + 1, position)
        if chunk.count(b'"', start, end) % 2:
            return True, seen + 1
        position = end + 1
    return False, most


def _line_ends(newlines: int, returns: int, pairs: int) -> str:
    if returns == 0:
        return "lf" if newlines else "none"
    if newlines == 0:
        return "cr"
    return "crlf" if returns == pairs == newlines else "mixed"
