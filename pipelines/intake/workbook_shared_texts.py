"""How much text the cells of an .xlsx hold once each has its own: they share it in the file, and may share too much.

A text of 32,767 characters that a million cells name makes a small file and 30 GB of memory.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from pipelines.intake.workbook_guard import Package
from pipelines.intake.workbook_sheet_facts import SheetFacts

_ENTRY = re.compile(rb"<(?:\w+:)?si[\s/>]")
_REFERENCE = re.compile(rb' t="s"[^>]*><v>([0-9]+)</v>')


class SharedTexts:
    """The texts that the cells of a workbook share; unpacks their part once."""

    def __init__(self, package: Package, part: str) -> None:
        self._package = package
        self._content = b"".join(package.unpack(part))
        self._longest = max(map(len, self._content.split(b"</si>")))

    def bytes_shown(self, sheets: Mapping[str, SheetFacts], enough: int) -> int:
        """Bytes of XML text that all cells together show, or a number that is larger; exact only beyond ``enough``.

        ``sheets``: the facts of each worksheet part.
        """
        most = sum(facts.cells for facts in sheets.values()) * self._longest
        # Inside a comment or CDATA "<si>" starts no entry, and the numbers of the entries would be others.
        if most <= enough or b"<!" in self._content:
            return most
        starts = [found.start() for found in _ENTRY.finditer(self._content)]
        sizes = [end - start for start, end in zip(starts, [*starts[1:], len(self._content)], strict=True)]
        return sum(_named_bytes(self._package, part, facts, sizes) for part, facts in sheets.items())


def _named_bytes(package: Package, part: str, facts: SheetFacts, sizes: list[int]) -> int:
    """The texts that the cells of one sheet name; a cell whose text is not seen counts as the longest."""
    named: Counter[bytes] = Counter()
    showing = 0
    seam = b""
    for piece in package.unpack(part):
        text = seam + piece
        # A piece ends anywhere; what stands after its last cell is looked at again with the next piece.
        end = max(0, text.rfind(b"<c "))
        named.update(_REFERENCE.findall(text, 0, end))
        showing += text.count(b't="s"', 0, end)
        seam = text[end:]
    named.update(_REFERENCE.findall(seam))
    showing += seam.count(b't="s"')
    unseen = (showing if facts.is_plain else facts.cells) - named.total()
    total = sum(count * sizes[int(index)] for index, count in named.items() if int(index) < len(sizes))
    return total + max(0, unseen) * max(sizes, default=0)
