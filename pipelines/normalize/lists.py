"""Values of code lists: every spelling to the standard value. A spelling nobody declared stays as it is.

Different texts of such a column are few, so each goes through this module once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pipelines.catalogue.code_lists import CodeList
from pipelines.normalize.code_texts import digits_without_decimal_tail
from pipelines.normalize.documents import ascii_upper, half_width
from pipelines.normalize.steps import Repair
from pipelines.normalize.texts import (
    text_on_one_line,
    text_or_null,
    text_without_invisible,
    text_without_markup,
    text_without_spreadsheet_trick,
    trimmed,
)

_SEPARATORS = re.compile(r"[;；、,，/／|+＋\s]+")
_JOINERS = ("并处", "以及", "并", "和", "及")
_NUMBERED = re.compile(r"([0-9]{1,2})[-.、:：_\s]*([^0-9\s].*)")
_EXPLAINED = re.compile(r"[-—－–:：\s]+(.+)|\s*[(（][-—－–:：\s]*(.+?)\s*[)）]")


class Spellings:
    """All spellings of one list, with those that a feed adds, compared without width, case and blanks."""

    def __init__(self, code_list: CodeList, own: Mapping[str, str]) -> None:
        self._own = dict(own)
        spellings = {**code_list.spellings(), **own}
        self._standard = {_folded(spelling): standard for spelling, standard in spellings.items()}
        self._longest = max((len(spelling) for spelling in self._standard), default=0)
        self._values = set(code_list.values)
        self._open = code_list.open_entry
        entry = next((entry for entry in code_list.entries if entry.name == code_list.open_entry), None)
        self._open_names = () if entry is None else tuple(sorted((entry.name, *entry.synonyms), key=len, reverse=True))

    def declared(self, value: str) -> str:
        """What the feed itself says this very text means."""
        return self._own.get(value, value)

    def one(self, value: str) -> str:
        """The standard value of a spelling, "1", "01 警告" and "警告" alike."""
        if value in self._values:
            return value
        known = self._standard.get(_folded(value))
        if known is not None:
            return known
        numbered = _NUMBERED.fullmatch(half_width(value))
        if numbered:
            name, number = self._standard.get(_folded(numbered[2])), self._standard.get(_folded(numbered[1]))
            # The number has to agree with the name, or to be unknown: lists number their entries differently.
            if name is not None and number in {None, name}:
                return name
        return value

    def open_entry(self, value: str) -> str:
        """ "其他(补办)", "其它：补办" → "其他-补办"."""
        for name in self._open_names:
            if value.startswith(name):
                explained = _EXPLAINED.fullmatch(value[len(name) :])
                if explained:
                    return f"{self._open}-{trimmed(explained[1] or explained[2])}"
        return value

    def several(self, value: str) -> str:
        """Classes joined in any way → joined by ";", in order, each once; unchanged when any of them is unknown."""
        tokens = self._tokens(value)
        if tokens is None:
            return value
        return ";".join(dict.fromkeys(tokens))

    def _is_known(self, token: str) -> str | None:
        for candidate in (self.one(token), self.open_entry(token)):
            if candidate in self._values or (self._open and candidate.startswith(f"{self._open}-")):
                return candidate
        return self._standard.get(_folded(token))

    def _tokens(self, value: str) -> list[str] | None:
        """The classes in ``value``, longest spelling first, since a class may hold a separator itself."""
        joiners = (found.start() for joiner in _JOINERS for found in re.finditer(joiner, value))
        separators = (found.start() for found in _SEPARATORS.finditer(value))
        ends = sorted({*joiners, *separators, len(value)}, reverse=True)
        tokens: list[str] = []
        position = 0
        while position < len(value):
            for end in ends:
                if end <= position:
                    return None
                token = value[position:end]
                known = self._is_known(token)
                if known is not None and not self._swallows(token):
                    tokens.append(known)
                    position = self._after_separator(value, end)
                    break
            else:
                return None
        return tokens or None

    def _swallows(self, token: str) -> bool:
        """Whether the explanation of an open class runs on into a class of its own: 其他-责令改正、罚款."""
        if not any(token.startswith(name) for name in self._open_names) or _folded(token) in self._standard:
            return False
        _, *later = _SEPARATORS.split(token)
        return any(separator in token for separator in ";；") or any(
            _folded(part) in self._standard and not part.isdigit() for part in later
        )

    @staticmethod
    def _after_separator(value: str, end: int) -> int:
        found = _SEPARATORS.match(value, end)
        position = found.end() if found else end
        for joiner in _JOINERS:
            if value.startswith(joiner, position):
                return position + len(joiner)
        return position


def enum_repairs(spellings: Spellings, *, several: bool) -> tuple[tuple[str, Repair], ...]:
    """The chain of repairs of a field with a code list; ``several``: it may hold more than one value."""
    cleaning: tuple[tuple[str, Repair], ...] = (
        ("ENUM-001", spellings.declared),
        ("TXT-003", text_without_invisible),
        ("TXT-005", text_on_one_line),
        ("TXT-004", text_without_markup),
        ("TXT-008", trimmed),
        ("TXT-006", text_without_spreadsheet_trick),
        ("TXT-007", digits_without_decimal_tail),
        ("TXT-001", text_or_null),
        ("ENUM-001", spellings.one),
        ("ENUM-003", spellings.open_entry),
    )
    return (*cleaning[:-1], ("ENUM-002", spellings.several)) if several else cleaning


def _folded(text: str) -> str:
    return ascii_upper("".join(half_width(text).split()))
