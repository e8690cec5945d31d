"""What can be counted in the bytes of a text file in one quick pass."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_CHUNK = 4 << 20
_TAIL = 1 << 16


@dataclass(frozen=True)
class TextFacts:
    """Facts that prove, or rule out, that every line of a file is one record.

    ``lines`` counts a last line without line end too; ``blank_lines_at_end`` of them hold nothing.
    ``line_ends`` is ``lf``, ``crlf``, ``cr``, ``mixed`` (a carriage return stands on its own, or both kinds
    occur) or ``none``.
    """

    size: int
    lines: int
    blank_lines_at_end: int
    line_ends: str
    has_nul: bool
    has_quote: bool
    has_blank_beside_quote: bool


def text_facts(path: Path) -> TextFacts:
    """Read a file once, in chunks."""
    size = newlines = returns = pairs = 0
    has_nul = has_quote = has_blank_beside_quote = False
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
                has_blank_beside_quote = has_blank_beside_quote or b' "' in chunk or b'" ' in chunk
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
    )


def _line_ends(newlines: int, returns: int, pairs: int) -> str:
    if returns == 0:
        return "lf" if newlines else "none"
    if newlines == 0:
        return "cr"
    return "crlf" if returns == pairs == newlines else "mixed"
