"""Which cells of an .xlsx worksheet are computed."""

from __future__ import annotations

import re
from typing import Any

from lxml import etree

from pipelines.intake.workbook_guard import Package, column_number, damaged, refuse_entities
from pipelines.intake.workbook_sheet import Cell

_REFERENCE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")


def formula_cells(package: Package, part: str) -> frozenset[Cell]:
    """Row and column, from 0, of every cell with a formula; :class:`ExtractError` for damaged XML."""
    found: set[Cell] = set()
    parser: Any = etree.XMLPullParser(("end",), tag="{*}c", resolve_entities=False, no_network=True)
    try:
        for piece in package.unpack(part):
            refuse_entities(piece, package.name)
            parser.feed(piece)
            for _, element in parser.read_events():
                place = _REFERENCE.fullmatch(str(element.get("r")))
                if place is not None and element.find("{*}f") is not None:
                    found.add((int(place[2]) - 1, column_number(place[1]) - 1))
                _forget(element)
    except etree.XMLSyntaxError as error:
        raise damaged(package.name) from error
    return frozenset(found)


def _forget(element: etree._Element) -> None:
    """Give back the memory of what was read, of the cell and of the rows before its own."""
    element.clear()
    row = element.getparent()
    while row is not None and row.getprevious() is not None:
        del row.getparent()[0]  # type: ignore[union-attr]
