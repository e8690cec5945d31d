"""Reads the XML of a worksheet for what calamine does not tell, before calamine opens it.

How far it reaches (calamine holds it as a full grid and dies of one that no memory holds), which rows are hidden, and
which cells calamine gives back empty although something stands in them: errors, and formulas without a stored value.

Two ways with the same answer: :class:`_PlainScan` searches the bytes of XML as spreadsheet programs write it; XML of
any other shape is parsed by :class:`_FullScan`, which takes ten times as long.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lxml import etree

from pipelines.intake.workbook_guard import MAX_GRID_CELLS, Package, column_number, damaged, refuse_entities
from pipelines.intake.workbook_sheet import Cell
from pipelines.intake.workbook_sheet_facts import SheetFacts

_BLOCK = 4 << 20
_SHORTEST_CELL = len('<c r="A1" t="s"><v>0</v></c>')
_TAIL = rb"(?: [A-Za-z0-9:]++=\"[^\"<>&']*+\")*+/?>"
# One search proves both that cells are written as expected and that the grid is small enough; others need more work.
_SMALL_GRID = (699_999, 52)
_OUTSIDE_SMALL_GRID = re.compile(rb'<c(?=[\s/>])(?! r="A?[A-Z][1-6]?[0-9]{1,5}+"' + _TAIL + rb")")
_UNUSUAL_CELL = re.compile(rb'<c(?=[\s/>])(?! r="[A-Z]{1,3}+[0-9]{1,7}+"' + _TAIL + rb")")
_UNUSUAL_ROW = re.compile(rb'<row(?=[\s/>])(?! r="[0-9]{1,7}+"' + _TAIL + rb")")
_PREFIXED = re.compile(rb":(?:c|row)[\s/>]")
_ROW = re.compile(rb'<row r="([0-9]+)"')
_HIDDEN_ROW = re.compile(rb'<row r="([0-9]+)"[^>]*? hidden="(?:1|true|on)"')
_CELL_COLUMN = re.compile(rb'<c r="([A-Z]+)')
_CELL_ROW = re.compile(rb'<c r="[A-Z]+([0-9]+)"')
_ERROR_CELL = re.compile(
    rb'<c r="([A-Z]+)([0-9]+)"[^>]* t="e"[^>]*>(?:<f[^>]*/>|<f[^>]*>[^<]*</f>)?<v>([^<]*)</v>',
)
_NO_VALUE = re.compile(rb"(?:</f>|<f[^>]*/>)(?:<v ?/>|<v></v>)?</c>")
_FORMULA_CELL = re.compile(
    rb'<c r="([A-Z]+)([0-9]+)"([^>]*)>(?:<f[^>]*/>|<f[^>]*>([^<]*)</f>)(?:<v ?/>|<v></v>)?</c>',
)


def sheet_facts(package: Package, part: str, *, plain: bool = True) -> SheetFacts:
    """The facts of one worksheet part; :class:`ExtractError` for damaged XML.

    ``plain=False`` parses the XML in any case.
    """
    facts = _PlainScan(package.name).facts(package.unpack_ahead(part)) if plain else None
    return facts if facts is not None else _FullScan(package.name).facts(package.unpack_ahead(part))


class _PlainScan:
    """Searches blocks of whole rows. Every search is preceded by the proof that it sees all cells and rows."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._facts = SheetFacts()
        self._rows: set[int] = set()

    def facts(self, pieces: Iterator[bytes]) -> SheetFacts | None:
        """None for XML that is not as spreadsheet programs write it, and for a grid that seems too large."""
        for number, block in enumerate(_blocks(pieces)):
            if number == 0 and b"<sheetData" not in block:
                return None
            try:
                if not self._look(block):
                    return None
            except UnicodeDecodeError as error:
                raise damaged(self._name) from error
        self._facts.is_plain = True
        return self._facts if self._facts.height * self._facts.width <= MAX_GRID_CELLS else None

    def _look(self, block: bytes) -> bool:
        """False for a block whose cells and rows the searches may not see."""
        facts = self._facts
        is_small = _OUTSIDE_SMALL_GRID.search(block) is None
        if not is_small and _UNUSUAL_CELL.search(block):
            return False
        if _UNUSUAL_ROW.search(block) or _PREFIXED.search(block) or (b"!" in block and b"<!" in block):
            return False
        rows = _ROW.findall(block)
        new = set(map(int, rows))
        if len(new) != len(rows) or not new.isdisjoint(self._rows):
            return False
        self._rows |= new
        if is_small:
            facts.reach(*_SMALL_GRID)
        else:
            columns = (column_number(letters.decode()) for letters in set(_CELL_COLUMN.findall(block)))
            facts.reach(max(map(int, set(_CELL_ROW.findall(block)))), max(columns))
        if b' hidden="' in block:
            facts.hidden_rows.update(int(row) - 1 for row in _HIDDEN_ROW.findall(block))
        if b't="e"' in block:
            for letters, row, text in _ERROR_CELL.findall(block):
                facts.error(_cell(letters, row), _text(text))
        # The letter alone is found many times faster than the pattern, and a sheet without formulas has it in no tag.
        if b"f" in block and _NO_VALUE.search(block):
            for letters, row, attributes, formula in _FORMULA_CELL.findall(block):
                if b't="str"' not in attributes:
                    facts.no_value(_cell(letters, row), _text(formula))
        facts.cells += len(block) // _SHORTEST_CELL
        return True


class _FullScan:
    """Parses the XML element by element, whatever namespace prefixes, quotes or order it uses."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._facts = SheetFacts()
        self._rows: set[int] = set()
        self._row, self._next_row, self._next_column = 0, 0, 0
        self._cell = (0, 0)
        self._kind = ""
        self._formula: str | None = None
        self._value = ""
        self._into: list[str] | None = None

    def facts(self, pieces: Iterator[bytes]) -> SheetFacts:
        target: Any = self
        parser = etree.XMLParser(target=target, resolve_entities=False, no_network=True)
        try:
            for piece in pieces:
                parser.feed(piece)
            parser.close()
        except etree.XMLSyntaxError as error:
            raise damaged(self._name) from error
        return self._facts

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        refuse_entities(b"<!DOCTYPE", self._name)

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        match _local(tag):
            case "row":
                self._start_row(attributes)
            case "c":
                self._start_cell(attributes)
            case "v" | "f" | "t":
                self._into = []

    def data(self, text: str) -> None:
        if self._into is not None:
            self._into.append(text)

    def end(self, tag: str) -> None:
        match _local(tag):
            case "v" | "t":
                self._value += "".join(self._into or ())
                self._into = None
            case "f":
                self._formula = "".join(self._into or ())
                self._into = None
            case "c":
                self._end_cell()

    def close(self) -> None:
        """The end of the document; what was found is in the facts."""

    def _start_row(self, attributes: dict[str, str]) -> None:
        try:
            self._row = int(attributes["r"]) - 1 if "r" in attributes else self._next_row
        except ValueError as error:
            raise damaged(self._name) from error
        if self._row in self._rows and self._facts.repeated_row is None:
            self._facts.repeated_row = self._row
        self._rows.add(self._row)
        self._next_row, self._next_column = self._row + 1, 0
        if attributes.get("hidden") in {"1", "true", "on"}:
            self._facts.hidden_rows.add(self._row)

    def _start_cell(self, attributes: dict[str, str]) -> None:
        self._cell = self._row, self._next_column
        if "r" in attributes:
            found = re.fullmatch(r"([A-Za-z]+)([0-9]+)", attributes["r"])
            if found is None:
                raise damaged(self._name)
            self._cell = int(found[2]) - 1, column_number(found[1]) - 1
        self._next_column = self._cell[1] + 1
        self._kind, self._formula, self._value = attributes.get("t", "n"), None, ""
        self._facts.cells += 1

    def _end_cell(self) -> None:
        facts = self._facts
        if self._value:
            facts.reach(self._cell[0] + 1, self._cell[1] + 1)
            if self._kind == "e":
                facts.error(self._cell, self._value)
        elif self._formula is not None and self._kind != "str":
            facts.reach(self._cell[0] + 1, self._cell[1] + 1)
            facts.no_value(self._cell, self._formula)


def _blocks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in larger pieces that end where a row ends."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size < _BLOCK or b"</row>" not in piece:
            continue
        block = b"".join(waiting)
        end = block.rindex(b"</row>") + len(b"</row>")
        yield block[:end]
        waiting = [block[end:]]
        size = len(waiting[0])
    yield b"".join(waiting)


def _cell(letters: bytes, row: bytes) -> Cell:
    return int(row) - 1, column_number(letters.decode()) - 1


def _text(xml: bytes) -> str:
    """Text between tags without its five entities; a cell's error or formula needs no others."""
    plain = xml.decode("utf-8", "strict")
    for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&apos;", "'"), ("&amp;", "&")):
        plain = plain.replace(entity, character)
    return plain


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
