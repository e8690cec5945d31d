"""The defects that departments really send, one entry each: what it does to a row and what must become of the row.

Numbers are those of the project's defect catalogue (docs/defects, domain section 8). ``reasons`` are rule codes
without the category's prefix: ``REQ-WSH`` stands for ``REQ-CF_WSH`` and ``REQ-XK_WSH``, ``C10a`` for ``CF-C10a``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from data_samples.generator.rows import Row

Plant = Callable[[Row, Random], bool]
"""Changes the row and says True, or leaves it alone and says False when it does not fit."""


@dataclass(frozen=True)
class Defect:
    """``outcome`` of the row: accepted (repaired or warned), quarantined, duplicate, excluded or rejected (no row)."""

    name: str
    number: int
    outcome: str
    reasons: tuple[str, ...]
    plant: Plant


def has(row: Row, *keys: str) -> bool:
    """Whether all these cells are filled."""
    return all(row.cells.get(key) is not None for key in keys)


def full_width(text: str) -> str:
    """ASCII letters and digits in the width of Chinese characters."""
    return "".join(chr(ord(character) + 0xFEE0) if "!" <= character <= "~" else character for character in text)


def change(key: str, to: Callable[[str], str]) -> Plant:
    """Rewrites one filled cell."""

    def plant(row: Row, rng: Random) -> bool:
        if not has(row, key):
            return False
        old = row.text(key)
        new = to(old)
        if new == old:
            return False
        row.cells[key] = new
        return True

    return plant


def put(key: str, *values: str | None) -> Plant:
    """Writes one of ``values`` into a cell that the feed has."""

    def plant(row: Row, rng: Random) -> bool:
        if key not in row.cells:
            return False
        row.cells[key] = rng.choice(values)
        return True

    return plant


def damaged(kind: str) -> Plant:
    """Marks the line for damage to its bytes; only lines without a quoted line break, so that one line is lost."""

    def plant(row: Row, rng: Random) -> bool:
        if any("\n" in str(value) for value in row.cells.values() if value is not None):
            return False
        row.damage = kind
        return True

    return plant
