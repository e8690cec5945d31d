"""Which source column fills which field, in one part of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.catalogue.categories import Category, Field
from pipelines.catalogue.code_lists import CodeList
from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.headers import normalise_header
from pipelines.engine.rows import RowsPart
from pipelines.errors import ExtractError
from pipelines.normalize.treatments import Treatment, treatment

# Row counters that people put in front of a list; they say nothing about a record.
COUNTERS = frozenset(normalise_header(header) for header in ("序号", "行号", "No", "#"))


@dataclass(frozen=True)
class FieldSource:
    """Where one field comes from: a source column, a constant where that is empty, or neither."""

    field: Field
    column: str | None
    constant: str | None
    treatment: Treatment


@dataclass(frozen=True)
class ColumnPlan:
    """The sources of all fields in one part, and the source columns that fill none."""

    sources: tuple[FieldSource, ...]
    columns: Mapping[str, str]
    unmapped: tuple[str, ...]
    missing: tuple[str, ...]

    def source(self, code: str) -> FieldSource:
        return next(source for source in self.sources if source.field.code == code)

    def column(self, header: str) -> str | None:
        """The source column with this header, however it is typed."""
        return self.columns.get(normalise_header(header))


def plan_columns(part: RowsPart, feed: Feed, category: Category, code_lists: Mapping[str, CodeList]) -> ColumnPlan:
    """Match the columns of ``part`` with the fields of ``category``; what the feed says goes first.

    Raises :class:`ExtractError` when a column that the feed names is absent, or when no column at all is known.
    """
    columns: dict[str, str] = {}
    for column in part.columns:
        columns.setdefault(normalise_header(column), column)
    by_header: dict[str, str] = {}
    known = category.headers()
    for header, column in columns.items():
        if header in known:
            by_header.setdefault(known[header], column)
    used = _declared_elsewhere(part, feed, category, columns)
    sources = []
    for field in category.fields:
        declared = feed.column(field.code)
        column_name = by_header.get(field.code)
        if declared is not None:
            column_name = None
            if declared.column is not None:
                column_name = columns.get(normalise_header(declared.column))
                if column_name is None:
                    raise _absent(part, declared.column, f"the field {field.code}")
        if column_name is not None:
            used.add(column_name)
        found = treatment(
            field,
            code_lists,
            own_values=feed.values.get(field.code),
            unit=None if declared is None else declared.unit,
            date_system_1904=part.date_system_1904,
        )
        constant = None if declared is None else found.standardise(declared.constant).value
        sources.append(FieldSource(field, column_name, constant, found))
    if not any(source.column for source in sources):
        raise ExtractError(
            "no column of this sheet is known",
            remedy="name its columns in the feed's YAML (columns:), or correct the header row",
            file=part.extract_name,
            sheet=part.sheet or None,
            line=_header_line(part),
        )
    unmapped = tuple(c for c in part.columns if c not in used and normalise_header(c) not in COUNTERS)
    return ColumnPlan(tuple(sources), columns, unmapped, _missing(part, category, sources))


def _declared_elsewhere(part: RowsPart, feed: Feed, category: Category, columns: Mapping[str, str]) -> set[str]:
    """Columns that exclusions and the time stamp of the feed read."""
    wanted = [(exclusion.column, "an exclusion") for exclusion in feed.exclude]
    if feed.source_timestamp is not None:
        wanted.append((feed.source_timestamp, "source_timestamp"))
    used = set()
    for header, purpose in wanted:
        column = columns.get(normalise_header(header))
        if column is not None:
            used.add(column)
        elif header not in category.field_codes or purpose == "source_timestamp":
            raise _absent(part, header, purpose)
    return used


def _missing(part: RowsPart, category: Category, sources: list[FieldSource]) -> tuple[str, ...]:
    """Required fields that nothing fills, neither themselves nor from the field they can be read off."""
    filled = {source.field.code for source in sources if source.column is not None or source.constant is not None}
    if part.fixed_subject_kind is not None or category.roles.subject_code in filled:
        filled.add(category.roles.subject_kind)
    if category.roles.document_number_fallback in filled:
        filled.add(category.roles.document_number)
    return tuple(
        source.field.code for source in sources if source.field.required == "always" and source.field.code not in filled
    )


def _absent(part: RowsPart, header: str, purpose: str) -> ExtractError:
    return ExtractError(
        f"the column {header}, which the feed needs for {purpose}, is not in the header row",
        remedy=f"add the column or mend the feed's YAML; the header row has {', '.join(part.columns)}",
        file=part.extract_name,
        sheet=part.sheet or None,
        line=_header_line(part),
    )


def _header_line(part: RowsPart) -> int | None:
    return None if part.first_line is None else max(part.first_line - 1, 1)
