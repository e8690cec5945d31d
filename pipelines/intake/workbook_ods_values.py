"""What a cell of an OpenDocument spreadsheet holds, and what it shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta

from lxml import etree

from pipelines.intake.workbook_values import CellValue


def open_name(space: str, name: str) -> str:
    """The name of an element or attribute as lxml spells it, ``table``, ``table-cell`` for ``table:table-cell``."""
    return f"{{urn:oasis:names:tc:opendocument:xmlns:{space}:1.0}}{name}"


_PARAGRAPH = open_name("text", "p")
_VALUE, _BOOLEAN = open_name("office", "value"), open_name("office", "boolean-value")
_DATE, _LENGTH = open_name("office", "date-value"), open_name("office", "time-value")
_BLANKS, _TAB, _BREAK = open_name("text", "s"), open_name("text", "tab"), open_name("text", "line-break")
_NOT_SHOWN = {open_name("office", "annotation"), open_name("text", "ruby-text")}
_TIME = re.compile(r"(-?)P(?:(\d+)D)?T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.\d*)?S)?")


def shown_text(cell: etree._Element) -> str:
    """The paragraphs of a cell, one to a line."""
    return "\n".join([_paragraph(paragraph) for paragraph in cell.iterchildren(_PARAGRAPH)])


def stored_value(kind: str | None, cell: etree._Element) -> CellValue | None:
    """The value of a cell that holds no text; None where it holds text, or a value that is none of its kind."""
    given = cell.get(_VALUE)
    if kind in {"float", "currency", "percentage"} and given is not None:
        return float(given)
    if kind == "boolean":
        return cell.get(_BOOLEAN) == "true"
    if kind == "date":
        return _date(str(cell.get(_DATE)))
    if kind == "time":
        found = _TIME.fullmatch(str(cell.get(_LENGTH)))
        if found is not None:
            days, hours, minutes, seconds = (int(number or 0) for number in found.groups()[1:])
            length = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
            return -length if found[1] else length
    return None


def _date(text: str) -> CellValue | None:
    try:
        return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)
    except ValueError:
        return None


def _paragraph(element: etree._Element) -> str:
    return "".join(_pieces(element)) if len(element) else element.text or ""


def _pieces(element: etree._Element) -> Iterator[str]:
    """Text with the blanks, tabs and line breaks that are elements; without comments and readings of characters."""
    yield element.text or ""
    for child in element.iterchildren():
        if child.tag == _BLANKS:
            yield " " * min(int(child.get(open_name("text", "c"), "1")), 1000)
        elif child.tag == _TAB:
            yield "\t"
        elif child.tag == _BREAK:
            yield "\n"
        elif child.tag not in _NOT_SHOWN:
            yield from _pieces(child)
        yield child.tail or ""
