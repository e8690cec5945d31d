"""What calamine does not tell about a worksheet of an .xlsx."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pipelines.errors import ExtractError
from pipelines.intake.workbook_guard import refuse_giant_grid
from pipelines.intake.workbook_sheet import Cell

# What calamine can read in an error cell; the newer ones (#SPILL!, #CALC!) make it give up the whole sheet.
_READABLE_ERRORS = frozenset({"#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!"})
_ERROR_NAME = re.compile(r"#[A-Z0-9/_]{1,20}[!?]?")


@dataclass
class SheetFacts:
    """Cells and rows are counted from 0.

    ``marks``: what is to be shown in cells that calamine gives back empty, ``#REF!`` or ``=B2*2``. The grid has at
    most ``height`` × ``width`` cells, and not more than ``cells`` of them hold something.
    """

    height: int = 0
    width: int = 0
    hidden_rows: set[int] = field(default_factory=set)
    marks: dict[Cell, str] = field(default_factory=dict)
    error_cells: int = 0
    formulas_without_value: int = 0
    cells: int = 0
    is_plain: bool = False
    repeated_row: int | None = None

    def reach(self, height: int, width: int) -> None:
        self.height = max(self.height, height)
        self.width = max(self.width, width)

    def error(self, cell: Cell, text: str) -> None:
        self.marks[cell] = text
        self.error_cells += 1

    def no_value(self, cell: Cell, formula: str) -> None:
        self.marks[cell] = f"={formula}"
        self.formulas_without_value += 1


def refuse_unreadable(facts: SheetFacts, sheet: str, name: str) -> None:
    """:class:`ExtractError` for a sheet that calamine would not read, or would read with a loss.

    A grid that no memory holds, row numbers that occur twice (the last would count), errors of a newer kind in cells.
    """
    refuse_giant_grid(facts.height, facts.width, sheet, name)
    if facts.repeated_row is not None:
        raise ExtractError(
            "the rows are numbered wrongly: this number occurs twice",
            remedy="ask the department to open it in Excel or WPS, save it again and send it again",
            file=name,
            sheet=sheet,
            line=facts.repeated_row + 1,
        )
    for (row, _), text in facts.marks.items():
        if text.startswith("#") and text not in _READABLE_ERRORS:
            what = f"the error {text}" if _ERROR_NAME.fullmatch(text) else "an error"
            raise ExtractError(
                f"a cell shows {what}, which no reader knows",
                remedy="ask the department to replace formulas by their values and to send it again",
                file=name,
                sheet=sheet,
                line=row + 1,
            )
