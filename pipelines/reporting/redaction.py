"""Receivers quote what they were sent: their messages lose every value of the record before a page shows them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable

MASK = "＊＊＊"
WITHHELD = "（接收方的说明可能含有记录内容，见部门工作簿）"

# Identity numbers, phones, credit codes, bank cards: whatever a source cell does not already give away.
_RUN = re.compile(r"[0-9A-Za-z*](?:[\s\-]?[0-9A-Za-z*])*")
_TELLING_DIGITS = 6
# What stands in quotation marks is most likely a value, perhaps of somebody else's record.
_QUOTED = re.compile(r"([“‘「『\"'])([^“”‘’「」『』\"']+)([”’」』\"'])")
_SHORTEST = 2


def redact(message: str, values: Iterable[str | None], known_words: Collection[str] = ()) -> str:
    """``message`` without any of ``values``, without quotations and without long codes.

    Values are found however they are spaced. Left alone: values of one character and plain numbers of less than six
    digits, which say nothing and would tear words apart; quoted ``known_words``, such as names of fields.
    """
    letters, places = _fold(message)
    hidden: set[int] = set()
    for value in values:
        wanted, _ = _fold(value or "")
        if not _is_telling(wanted):
            continue
        start = letters.find(wanted)
        while start >= 0:
            hidden.update(range(places[start], places[start + len(wanted) - 1] + 1))
            start = letters.find(wanted, start + 1)
    shown = "".join("\0" if index in hidden else letter for index, letter in enumerate(message))
    shown = _QUOTED.sub(lambda found: found[0] if found[2] in known_words else f"{found[1]}\0{found[3]}", shown)
    return _RUN.sub(_hide_code, re.sub("\0+", MASK, shown)).strip()


def _is_telling(value: str) -> bool:
    if not any(letter.isalpha() for letter in value):
        return sum(letter.isdigit() for letter in value) >= _TELLING_DIGITS
    return len(value) >= _SHORTEST


def _hide_code(run: re.Match[str]) -> str:
    return MASK if sum(letter.isdigit() for letter in run[0]) >= _TELLING_DIGITS else run[0]


def _fold(text: str) -> tuple[str, list[int]]:
    """Text without width, case and blanks, and for each of its characters the place in the original."""
    letters: list[str] = []
    places: list[int] = []
    for index, letter in enumerate(text):
        for folded in unicodedata.normalize("NFKC", letter).casefold():
            if not folded.isspace() and unicodedata.category(folded) != "Cf":
                letters.append(folded)
                places.append(index)
    return "".join(letters), places
