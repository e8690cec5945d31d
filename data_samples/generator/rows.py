"""One line of a sample file before it is written: cells, and the defects planted in it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

Cell = str | int | date | Decimal | None
"""Dates, amounts and numbers stay what they are until the file decides how it writes them; a defect is text."""


@dataclass
class Row:
    """Cells by field code without the category's prefix (``XDR_MC``), or by header for a feed's own columns.

    ``damage`` is what happens to the bytes of the line: ``undecodable``, ``binary``, ``short``, ``long``,
    ``gb18030``.
    """

    cells: dict[str, Cell]
    planted: list[str] = field(default_factory=list)
    damage: str | None = None

    def copy(self) -> Row:
        return replace(self, cells=dict(self.cells), planted=list(self.planted))

    def text(self, key: str) -> str:
        """The cell as text; empty when there is none."""
        value = self.cells.get(key)
        return "" if value is None else str(value)

    def day(self, key: str) -> date:
        value = self.cells[key]
        if not isinstance(value, date):
            raise TypeError(f"{key} holds no date any more")
        return value


def years_later(day: date, years: int) -> date:
    """The day before the same day, so many years on: 2026-11-18 → 2027-11-17."""
    return date.fromordinal(date(day.year + years, day.month, min(day.day, 28)).toordinal() - 1)
