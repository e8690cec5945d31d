"""One record of delimited text into cells: RFC 4180, and what departments send instead."""

from __future__ import annotations

import csv
import re
from enum import Enum

_QUOTED = re.compile(r' *"([^"]*+(?:""[^"]*+)*+)" *')
_OPENING = re.compile(r' *"')


class Trouble(Enum):
    """Why a text is no well-formed record."""

    OPEN = "a quote is opened and never closed"
    MALFORMED = "text follows a closing quote"


def parse(text: str, delimiter: str) -> list[str] | Trouble:
    """The cells of one record, strictly: a cell that starts with a quote ends with one, ``""`` is a quote inside.

    A quote inside a cell that does not start with one is an ordinary character; blanks around a quoted cell
    are not part of it.
    """
    if '"' not in text:
        return text.split(delimiter)
    if ' "' not in text and '" ' not in text:
        try:
            return next(csv.reader((text,), delimiter=delimiter, strict=True))
        except csv.Error:
            pass  # find out below what is wrong with it
    cells, _, trouble = _cells(text, delimiter, 0)
    return trouble or cells


class OpenRecord:
    """A record whose last cell is still open, line by line, so that no line is looked at twice but in the open cell.

    ``cell_count`` says how many cells are complete. Only structure matters: any text that keeps the delimiters will do.
    """

    def __init__(self, text: str, delimiter: str) -> None:
        self.cell_count = 0
        self._delimiter = delimiter
        self._open = ""
        self.add(text)

    def add(self, text: str) -> Trouble | None:
        """What is wrong with the record when ``text`` is appended; None when it is complete."""
        whole = self._open + text
        cells, position, trouble = _cells(whole, self._delimiter, 0)
        self.cell_count += len(cells)
        self._open = whole[position:]
        return trouble


def _cells(text: str, delimiter: str, position: int) -> tuple[list[str], int, Trouble | None]:
    """The cells from ``position`` on, where the first stands that is none, and what is wrong with it."""
    cells: list[str] = []
    while True:
        quoted = _QUOTED.match(text, position)
        if quoted is not None:
            end = quoted.end()
            if end < len(text) and text[end] != delimiter:
                return cells, position, Trouble.MALFORMED
            cells.append(quoted[1].replace('""', '"'))
        elif _OPENING.match(text, position):
            return cells, position, Trouble.OPEN
        else:
            end = text.find(delimiter, position)
            end = len(text) if end < 0 else end
            cells.append(text[position:end])
        if end >= len(text):
            return cells, end, None
        position = end + 1


def parse_with_stray_quotes(text: str, delimiter: str) -> list[str] | Trouble:
    """The cells of one line whose writer did not double the quotes inside: ``"关于"某案"的决定",5``.

    A quote closes its cell only where a delimiter or the end follows. Only for a line that :func:`parse` calls
    malformed, and only to be believed when the number of cells comes out right.
    """
    cells: list[str] = []
    position = 0
    while True:
        opening = _OPENING.match(text, position)
        if opening is None:
            end = text.find(delimiter, position)
            end = len(text) if end < 0 else end
            cells.append(text[position:end])
        else:
            closing = _closing_quote(text, opening.end(), delimiter)
            if closing < 0:
                return Trouble.OPEN
            cells.append(text[opening.end() : closing].replace('""', '"'))
            end = closing + 1
            while end < len(text) and text[end] == " ":
                end += 1
        if end >= len(text):
            return cells
        position = end + 1


def _closing_quote(text: str, position: int, delimiter: str) -> int:
    while (position := text.find('"', position)) >= 0:
        after = position + 1
        if text.startswith('"', after) and after + 1 < len(text) and text[after + 1] != delimiter:
            position += 2
            continue
        rest = after
        while rest < len(text) and text[rest] == " ":
            rest += 1
        if rest == len(text) or text[rest] == delimiter:
            return position
        position += 1
    return -1
