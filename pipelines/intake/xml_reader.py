"""XML to records: one per row element, with the line its tag stands on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from pipelines.errors import ExtractError
from pipelines.intake.xml_parser import MAX_DEPTH, StrictParser

Records = Iterator[tuple[int, dict[str, str | None]]]
# An element as its fields: attributes (``@name``), own text beside other elements (``""``) and child elements.
Fields = list[tuple[str, Any]]

# What departments send without being asked how: the national web service and the FTP exchange (domain 6.2, 6.5).
KNOWN_PATHS = frozenset({("ROWDATA", "ROW"), ("DATAS", "DATA")})
OWN_TEXT = "#text"
SEPARATOR = ";"
MAX_RECORD_BYTES = 16 << 20
_SEARCH_DEPTH = 4
_MOST_PATHS = 5_000


def xml_records(chunks: Iterable[str], name: str, row_path: tuple[str, ...], beside: Counter[str]) -> Records:
    """The elements at ``row_path`` (names from the root on, without prefixes) as line and column → text.

    Attributes become ``@name``, elements inside elements ``outer.inner``. The texts of an element that is repeated are
    joined with ``;``, repeated elements that have elements themselves become one JSON text. ``beside`` counts elements
    with other names that stand where rows stand. Raises :class:`ExtractError` with the line of anything that is not
    well-formed, refused, or larger than a record can be.
    """
    builder = _RowBuilder(name, row_path, beside)
    for _ in builder.fed(chunks):
        yield from builder.found
        builder.found.clear()


def find_row_path(chunks: Iterable[str], name: str) -> tuple[str, ...] | None:
    """Where the rows are when nobody says so: at a known path, else the elements nearest to the root that repeat.

    An only child of the root with elements or attributes of its own counts as the only row. None: there are no rows.
    Raises :class:`ExtractError` when several different elements could be the rows.
    """
    search = _PathSearch(name)
    for _ in search.fed(chunks):
        known = next((path for path in KNOWN_PATHS if path in search.counts), None)
        if known is not None:
            return known
    for depth in range(2, _SEARCH_DEPTH + 1):
        counts = {path: search.counts[path] for path in search.full if len(path) == depth}
        repeated = {path: count for path, count in counts.items() if count > 1}
        if repeated:
            most = [path for path, count in repeated.items() if count == max(repeated.values())]
            if len(most) > 1:
                raise ExtractError(
                    f"several elements could be the rows: {', '.join('/'.join(path) for path in most)}",
                    remedy="name the right one as format.row_path in the feed's YAML",
                    file=name,
                )
            return most[0]
    return next((path for path in search.full if len(path) == 2), None)


class _RowBuilder(StrictParser):
    def __init__(self, name: str, row_path: tuple[str, ...], beside: Counter[str]) -> None:
        super().__init__(name)
        self.found: list[tuple[int, dict[str, str | None]]] = []
        self._path = row_path
        self._beside = beside
        self._depth = 0
        self._matched = 0
        # The open row and the open elements in it: their names, and what is in them so far.
        self._names: list[str] = []
        self._open: list[Fields] = []
        self._row_line = self._row_byte = 0
        # Text since the last tag. A handler written in Python would take a third of the whole time.
        self._texts: list[str] = []
        self._expat.buffer_text = True
        self._expat.CharacterDataHandler = self._texts.append

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element outside of rows, or a row."""
        self.check_namespaces(attributes)
        self._depth += 1
        self.check_depth(self._depth)
        self._texts.clear()
        local = _local(name)
        if self._matched != self._depth - 1:
            return
        if self._depth == len(self._path) and local != self._path[-1]:
            self._beside[local] += 1
        elif self._depth < len(self._path) and local == self._path[self._matched]:
            self._matched += 1
        elif self._depth == len(self._path):
            self._names.append(local)
            self._open.append(_attributes(attributes))
            self._row_line, self._row_byte = self.line, self._expat.CurrentByteIndex
            self._expat.StartElementHandler, self._expat.EndElementHandler = self._start_inside, self._end_inside

    def end(self, name: str) -> None:
        self._texts.clear()
        self._depth -= 1
        self._matched = min(self._matched, self._depth)

    def check_chunk(self, size: int) -> None:
        if not self._open:
            self._texts.clear()
        elif size - self._row_byte > MAX_RECORD_BYTES:
            raise self.error("a row is longer than a record can be, or never ends", "ask what this file is")

    def _start_inside(self, name: str, attributes: dict[str, str]) -> None:
        self._own_text("".join(self._texts))
        fields: Fields = []
        if attributes:
            self.check_namespaces(attributes)
            fields = _attributes(attributes)
        self._names.append(_local(name))
        self._open.append(fields)
        if len(self._open) > MAX_DEPTH:
            self.check_depth(len(self._open))

    def _end_inside(self, name: str) -> None:
        text = "".join(self._texts)
        if self._open[-1]:
            self._own_text(text)
        value = self._open.pop() or text
        local = self._names.pop()
        self._texts.clear()
        if self._open:
            self._open[-1].append((local, value))
            return
        record: dict[str, str | None] = {}
        _flatten([("", value)] if isinstance(value, str) else value, "", record)
        self.found.append((self._row_line, record))
        self._depth -= 1
        self._expat.StartElementHandler, self._expat.EndElementHandler = self.start, self.end

    def _own_text(self, text: str) -> None:
        """Text beside other elements belongs to the element around them, unless it is indentation."""
        self._texts.clear()
        if text and not text.isspace():
            self._open[-1].append(("", text))


class _PathSearch(StrictParser):
    """Counts elements by path; ``full`` are the paths with attributes or elements of their own, in order."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.counts: Counter[tuple[str, ...]] = Counter()
        self.full: dict[tuple[str, ...], None] = {}
        self._path: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if attributes:
            self.check_namespaces(attributes)
        if len(self._path) <= _SEARCH_DEPTH:
            self.full.setdefault(tuple(self._path))
        self._path.append(_local(name))
        self.check_depth(len(self._path))
        if len(self._path) <= _SEARCH_DEPTH:
            path = tuple(self._path)
            self.counts[path] += 1
            if _attributes(attributes):
                self.full.setdefault(path)
            if len(self.counts) > _MOST_PATHS:
                raise self.error("there are thousands of different elements", "ask what this file is")

    def end(self, name: str) -> None:
        self._path.pop()


def _local(name: str) -> str:
    """The name without its prefix: which namespace it belongs to makes no difference."""
    return name if ":" not in name else name.rpartition(":")[2]


def _attributes(attributes: dict[str, str]) -> Fields:
    """Attributes as fields; declarations of namespaces and what ``xsi:`` says about types are none."""
    return [
        (f"@{name.rpartition(':')[2]}", value)
        for name, value in attributes.items()
        if name != "xmlns" and not name.startswith(("xmlns:", "xsi:", "xml:"))
    ]


def _flatten(fields: Fields, prefix: str, record: dict[str, str | None]) -> None:
    """Add the fields of an element to a record."""
    grouped: dict[str, list[Any]] = {}
    for name, value in fields:
        if name in grouped:
            grouped[name].append(value)
        else:
            grouped[name] = [value]
    for name, values in grouped.items():
        value = _joined(name, values) if len(values) > 1 else values[0]
        if isinstance(value, list):
            _flatten(value, f"{prefix}{name}.", record)
            continue
        column = f"{prefix}{name}" if name else (prefix[:-1] or OWN_TEXT)
        if record.get(column) is None:
            record[column] = value or None
        elif value:
            # Names of elements may hold points themselves.
            record[column] = f"{record[column]}{SEPARATOR}{value}"


def _joined(name: str, values: list[Any]) -> str:
    if all(isinstance(value, str) for value in values):
        return ("" if name == "" else SEPARATOR).join(value for value in values if value.strip())
    return json.dumps([_plain(value) for value in values], ensure_ascii=False)


def _plain(value: str | Fields) -> Any:
    """An element inside a JSON text: a text, or an object in which repeated names hold a list."""
    if isinstance(value, str):
        return value
    found: dict[str, Any] = {}
    for name, inner in value:
        key = name or OWN_TEXT
        plain = _plain(inner)
        if key in found:
            before = found[key]
            found[key] = [*before, plain] if isinstance(before, list) else [before, plain]
        else:
            found[key] = plain
    return found
