"""Which columns of an extract fill which field: the feed's own words, then the declared edition, then known headers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pipelines.catalogue.categories import Category
from pipelines.catalogue.editions import Edition
from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.headers import normalise_header, numbered_code
from pipelines.catalogue.mappings import Column

Layer = Literal["feed", "edition", "header"]


@dataclass(frozen=True)
class Origin:
    """How one field is filled, and the columns that are read for it as the extract calls them.

    ``absent`` are the columns that the feed names and the extract does not have.
    """

    how: Column
    columns: tuple[str, ...]
    layer: Layer
    absent: tuple[str, ...] = ()


@dataclass(frozen=True)
class Headers:
    """The columns of an extract by what they may be called.

    ``by_header``: normalised header → column; ``by_code``: code of the declared edition → column; ``by_field``: field
    of the category → column, for headers that the declared edition does not know.
    """

    edition: Edition | None
    by_header: Mapping[str, str]
    by_code: Mapping[str, str]
    by_field: Mapping[str, str]

    def column(self, header: str) -> str | None:
        """The column with this header, however it is typed, or with this name or code in the declared edition."""
        plain = normalise_header(header)
        found = self.by_header.get(plain)
        if found is None and self.edition is not None:
            found = self.by_code.get(self.edition.headers().get(plain, ""))
        return found


@dataclass(frozen=True)
class Origins:
    """The origins of all fields that anything fills, and of the status where an edition has one beside the fields.

    ``contradictions`` are headers that only another edition than the declared one has: edition → headers. ``dropped``
    are columns that the declared edition knows and nothing of today takes; ``timestamp`` is its own time stamp.
    """

    fields: Mapping[str, Origin]
    headers: Headers
    contradictions: Mapping[int, tuple[str, ...]]
    dropped: frozenset[str]
    timestamp: str | None


def field_origins(columns: Sequence[str], feed: Feed, category: Category) -> Origins:
    """Match the columns of an extract with the fields of ``category`` as ``feed`` declares them for this extract.

    Only the declared edition says what a header means; a header that it does not know may be one of the category's.
    The first of two columns with the same meaning counts.
    """
    edition = category.editions.get(feed.edition)
    headers = _headers(columns, edition, category)
    fields: dict[str, Origin] = {}
    for code in (*category.field_codes, *status_codes(edition)):
        origin = _of_feed(code, feed, headers) or _of_edition(code, headers)
        if origin is None and code in headers.by_field:
            column = headers.by_field[code]
            origin = Origin(Column(column=column), (column,), "header")
        if origin is not None:
            fields[code] = origin
    dropped = () if edition is None else edition.dropped
    return Origins(
        fields,
        headers,
        _contradictions(headers, feed, category),
        frozenset(headers.by_code[code] for code in dropped if code in headers.by_code),
        None if edition is None else headers.by_code.get(edition.timestamp or ""),
    )


def status_codes(edition: Edition | None) -> tuple[str, ...]:
    """The status column of an edition where it fills no field of the category."""
    return () if edition is None or edition.status.field is not None else (edition.status.column,)


def named_columns(feed: Feed) -> list[str]:
    """Every source column that the feed itself names, for a field, an exclusion or its time stamp."""
    columns = (feed.column(code) for code in feed.columns)
    named = [source for column in columns if column is not None for source in column.sources]
    named += [exclusion.column for exclusion in feed.exclude]
    return named + ([feed.source_timestamp] if feed.source_timestamp else [])


def _headers(columns: Sequence[str], edition: Edition | None, category: Category) -> Headers:
    own = {} if edition is None else edition.headers()
    todays = category.headers()
    by_header: dict[str, str] = {}
    by_code: dict[str, str] = {}
    by_field: dict[str, str] = {}
    for column in columns:
        by_header.setdefault(normalise_header(column), column)
    for header, column in by_header.items():
        if code := _meaning(header, own):
            by_code.setdefault(code, column)
        elif code := _meaning(header, todays):
            by_field.setdefault(code, column)
    return Headers(edition, by_header, by_code, by_field)


def _meaning(header: str, known: Mapping[str, str]) -> str | None:
    """What a header stands for; of a numbered code in an unknown spelling the text in brackets decides."""
    found = known.get(header)
    numbered = numbered_code(header)
    return known.get(numbered[1]) if found is None and numbered is not None else found


def _of_feed(code: str, feed: Feed, headers: Headers) -> Origin | None:
    how = feed.column(code)
    if how is None:
        return None
    columns = [(header, headers.column(header)) for header in how.sources]
    absent = tuple(header for header, column in columns if column is None)
    return Origin(how, tuple(column for _, column in columns if column is not None), "feed", absent)


def _of_edition(code: str, headers: Headers) -> Origin | None:
    edition = headers.edition
    if edition is None:
        return None
    how = Column(column=code) if code == edition.status.column else edition.column(code)
    if how is None:
        return None
    columns = tuple(headers.by_code[source] for source in how.sources if source in headers.by_code)
    return Origin(how, columns, "edition") if columns else None


def _contradictions(headers: Headers, feed: Feed, category: Category) -> dict[int, tuple[str, ...]]:
    """What speaks of another edition; a column that the feed itself names proves nothing."""
    named = {headers.column(header) for header in named_columns(feed)}
    columns = [column for column in headers.by_header.values() if column not in named]
    found: dict[int, tuple[str, ...]] = {}
    for other in {category.edition, *category.editions} - {feed.edition}:
        numbered = [column for column in columns if _is_numbered_as_in(category, column, other, feed.edition)]
        coded = _codes_of(category, columns, other, feed.edition)
        status = [column for column in columns if _is_status_of(category, column, other)] if not headers.edition else []
        if told := tuple(dict.fromkeys((*numbered, *coded, *status))):
            found[other] = told
    return found


def _is_numbered_as_in(category: Category, header: str, other: int, declared: int) -> bool:
    """Whether 行政相对人代码_N stands before a text that only the other edition has under this number."""
    numbered = numbered_code(header)
    if numbered is None:
        return False
    number, text = numbered
    theirs, ours = _numbers(category, other).get(number), _numbers(category, declared).get(number)
    return theirs is not None and theirs in text and (ours is None or ours not in text)


def _numbers(category: Category, edition: int) -> Mapping[str, str]:
    return category.numbered_codes if edition == category.edition else category.editions[edition].numbered_codes


def _codes_of(category: Category, columns: Sequence[str], other: int, declared: int) -> list[str]:
    """Columns called by codes of the other edition only, when none is called by one of the declared edition only.

    A single one may be a column of the department's own; a header of another edition has many.
    """
    theirs, ours = _own_codes(category, other), _own_codes(category, declared)
    plain = {column: normalise_header(column) for column in columns}
    if any(header in ours - theirs for header in plain.values()):
        return []
    found = [column for column, header in plain.items() if header in theirs - ours]
    return found if len(found) > 1 else []


def _own_codes(category: Category, edition: int) -> set[str]:
    fields = category.fields if edition == category.edition else category.editions[edition].fields
    spelt = [text for field in fields for text in (field.code, *field.aliases)]
    return {normalise_header(text) for text in spelt if text.startswith(f"{category.prefix}_")}


def _is_status_of(category: Category, header: str, other: int) -> bool:
    """Whether a column is the status of an edition whose status fills no field of today: nobody would read it."""
    edition = category.editions.get(other)
    if edition is None or edition.status.field is not None:
        return False
    names = (
        text for field in edition.fields if field.code == edition.status.column for text in (field.code, field.name_zh)
    )
    return normalise_header(header) in {normalise_header(text) for text in names}
