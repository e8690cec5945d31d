"""Which row is the header: found by the headers that the category and the feed know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipelines.catalogue.categories import Category, Template
from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.formats import Format
from pipelines.catalogue.headers import normalise_header
from pipelines.engine.rows import LINE_COLUMN, SHEET_COLUMN

# Titles, units and 填表说明 before the header take a few rows; what lies deeper is data.
SEARCH_ROWS = 20
_MOST_HEADER_ROWS = 3
_LONGEST_HEADER = 200
SERIAL_HEADERS = frozenset({"序号", "编号", "no", "行号"})
_RESERVED = frozenset({LINE_COLUMN, SHEET_COLUMN, "file_row_number", "filename"})

Cells = Sequence[str]


@dataclass(frozen=True)
class KnownHeaders:
    """What a header may say, normalised, and how many source columns the feed itself names."""

    names: frozenset[str]
    declared: int
    templates: tuple[Template, ...]
    _normalised: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    def normal(self, name: str) -> str:
        """A header normalised; empty for a text that is too long to be one. The search asks for each many times."""
        if name not in self._normalised:
            self._normalised[name] = normalise_header(name) if len(name) <= _LONGEST_HEADER else ""
        return self._normalised[name]


@dataclass(frozen=True)
class Header:
    """Rows ``first`` to ``last`` (0-based, of the rows searched) as unique column names, left to right."""

    first: int
    last: int
    columns: tuple[str, ...]
    known: int
    template: str | None
    fixed_subject_kind: str | None


def known_headers(category: Category, feed: Feed | None) -> KnownHeaders:
    """Headers of the category, of its templates and of the feed's own columns, exclusions and time stamp."""
    declared: list[str] = []
    if feed is not None:
        columns = (feed.column(code) for code in feed.columns)
        declared = [source for column in columns if column is not None for source in column.sources]
        declared += [exclusion.column for exclusion in feed.exclude]
        declared += [feed.source_timestamp] if feed.source_timestamp else []
    names = set(category.all_headers())
    names.update(normalise_header(header) for header in declared)
    names.update(normalise_header(header) for template in category.templates for header in template.columns)
    names.discard("")
    return KnownHeaders(frozenset(names), len(declared), category.templates)


def find_header(
    rows: Sequence[Cells],
    known: KnownHeaders,
    layout: Format,
    *,
    fixed: int | None = None,
    spans: Sequence[tuple[int, int]] = (),
) -> Header | None:
    """The header among the first rows of a file or sheet; None when no row carries known headers.

    ``fixed`` is the index of the row that the feed declares (then nothing is searched), ``spans`` are the
    first and last rows of vertically merged cells: a header row that such a cell crosses reaches as far.
    Without merges several rows are taken as one header only when together they say more than fewer do.
    """
    if fixed is not None:
        last = min(fixed + layout.header_rows, len(rows)) - 1
        return _header(rows, fixed, last, known) if fixed < len(rows) else None
    searched = [[_clean(cell) for cell in row] for row in rows[:SEARCH_ROWS]]
    size = layout.header_rows
    sizes = range(1, _MOST_HEADER_ROWS + 1) if size == 1 else (size,)
    windows = [(first, first + size - 1) for size in sizes for first in range(len(searched) - size + 1)]
    if not windows:
        return None
    first, last = max(windows, key=lambda window: _known_count(searched, window, known))
    found = _header(rows, first, last, known)
    if not _convincing(found, rows, known):
        return None
    first, last = found.first, found.last
    for top, bottom in spans:
        if top < bottom < top + _MOST_HEADER_ROWS and top <= last and bottom >= first:
            first, last = min(first, top), max(last, bottom)
    return found if (first, last) == (found.first, found.last) else _header(rows, first, last, known)


def _convincing(found: Header, rows: Sequence[Cells], known: KnownHeaders) -> bool:
    """Two known headers convince; one does when the row is that short or the feed asks for no more."""
    filled = sum(1 for cell in rows[found.last] if cell.strip())
    return found.known >= 2 or (found.known == 1 and (filled <= 2 or known.declared == 1))


def _header(rows: Sequence[Cells], first: int, last: int, known: KnownHeaders) -> Header:
    names = _names(rows, first, last, known)
    present = _present(names, known)
    template = next(
        (
            template
            for template in known.templates
            if {known.normal(column) for column in template.columns} == present - SERIAL_HEADERS
        ),
        None,
    )
    return Header(
        first,
        last,
        unique_names(names),
        len(present & known.names),
        template.template if template else None,
        template.subject_kind if template else None,
    )


def _names(rows: Sequence[Cells], first: int, last: int, known: KnownHeaders) -> list[str]:
    return _joined([[_clean(cell) for cell in row] for row in rows[first : last + 1]], known)


def _known_count(rows: list[list[str]], window: tuple[int, int], known: KnownHeaders) -> int:
    """How many known headers some rows carry together; the cells are clean already."""
    return len(_present(_joined(rows[window[0] : window[1] + 1], known), known) & known.names)


def _present(names: Sequence[str], known: KnownHeaders) -> set[str]:
    return {known.normal(name) for name in names} - {""}


def _clean(cell: str) -> str:
    return " ".join(cell.replace("\ufeff", "").split())


def _joined(window: list[list[str]], known: KnownHeaders) -> list[str]:
    """One name per column from several header rows; a group header counts for the empty cells right of it."""
    width = max((len(row) for row in window), default=0)
    padded = [row + [""] * (width - len(row)) for row in window]
    if len(padded) == 1:
        return padded[0]
    own = padded[-1]
    repeated = Counter(own)
    names: list[str] = []
    for column in range(width):
        groups: list[str] = []
        for row in padded[:-1]:
            text = row[column] or (_left_of(row, column) if own[column] else "")
            if text and text not in groups and text != own[column]:
                groups.append(text)
        name = own[column] or (groups.pop() if groups else "")
        names.append(_name(groups, name, repeated[name] > 1, known))
    return names


def _left_of(row: list[str], column: int) -> str:
    return next((row[left] for left in range(column - 1, -1, -1) if row[left]), "")


def _name(groups: list[str], own: str, repeated: bool, known: KnownHeaders) -> str:
    """The name under its groups, outermost first: as it is known, or else all of them in one."""
    if not groups:
        return own
    whole = "_".join(groups)
    if len(whole) + len(own) > _LONGEST_HEADER:
        return f"{whole}_{own}"
    joined = [form for group in (groups[-1], whole) for form in (f"{group}{own}", f"{group}_{own}", f"{group}({own})")]
    candidates = [*joined, own] if repeated else [own, *joined]
    found = next((name for name in candidates if known.normal(name) in known.names), None)
    if found is None or (found == own and repeated):
        return f"{whole}_{own}"
    return found


def unnamed_column(position: int) -> str:
    """What a column without a header is called; the first column is 1."""
    return f"第{position}列"


def unique_names(names: Sequence[str]) -> tuple[str, ...]:
    """Column names without a repetition, compared as DuckDB compares them (case does not count).

    An empty header becomes ``第4列``; the second 备注 becomes ``备注#2``.
    """
    taken = {name.casefold() for name in _RESERVED}
    result: list[str] = []
    for position, name in enumerate(names, start=1):
        base = name or unnamed_column(position)
        unique, number = base, 1
        while unique.casefold() in taken:
            number += 1
            unique = f"{base}#{number}"
        taken.add(unique.casefold())
        result.append(unique)
    return tuple(result)
