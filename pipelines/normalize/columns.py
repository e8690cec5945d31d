"""Which source columns fill which field, in one part of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipelines.catalogue.categories import Category, Field
from pipelines.catalogue.code_lists import CodeList
from pipelines.catalogue.editions import Assumption
from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.headers import normalise_header, numbered_code, stated_unit
from pipelines.catalogue.mappings import Column
from pipelines.catalogue.origins import Origin, Origins, field_origins, status_codes
from pipelines.engine.rows import RowsPart
from pipelines.errors import BatchHeldError, ExtractError
from pipelines.normalize.statuses import StatusPlan, plan_status, status_treatment
from pipelines.normalize.treatments import Treatment, treatment

# Row counters that people put in front of a list; they say nothing about a record.
COUNTERS = frozenset(normalise_header(header) for header in ("序号", "行号", "No", "#"))
UNITS = ("元", "万元")


@dataclass(frozen=True)
class FieldSource:
    """Where one field comes from: source columns, a constant where they are empty, or neither.

    ``how`` tells what is made of the columns. ``covered``: a restricted field reads one of them too, so that a cell as
    it came may hold what is not for everybody.
    """

    field: Field
    columns: tuple[str, ...]
    how: Column | None
    constant: str | None
    treatment: Treatment
    covered: bool = False

    @property
    def is_made(self) -> bool:
        """Whether the value is not simply what stands in a cell."""
        return self.how is not None and bool(self.columns) and (bool(self.how.join) or self.how.split is not None)


@dataclass(frozen=True)
class ColumnPlan:
    """The sources of all fields in one part, and the source columns that fill none.

    ``status`` says which states of a row are known; ``timestamp`` is the column with the time of its last change.
    """

    sources: tuple[FieldSource, ...]
    origins: Origins
    unmapped: tuple[str, ...]
    missing: tuple[str, ...]
    status: StatusPlan | None
    timestamp: str | None
    assumptions: tuple[Assumption, ...]

    def source(self, code: str) -> FieldSource:
        return next(source for source in self.sources if source.field.code == code)

    def column(self, header: str) -> str | None:
        """The source column with this header, however it is typed."""
        return self.origins.headers.column(header)


def plan_columns(part: RowsPart, feed: Feed, category: Category, code_lists: Mapping[str, CodeList]) -> ColumnPlan:
    """Match the columns of ``part`` with the fields of ``category``; what the feed says goes first.

    ``feed`` is the feed as it holds for this extract. Raises :class:`BatchHeldError` when a column that the feed names
    is absent or the header is that of another edition than the declared one, and :class:`ExtractError` when no column
    at all is known or a header states a unit that nobody can convert.
    """
    edition = category.editions.get(feed.edition)
    origins = field_origins(part.columns, feed, category)
    _refuse_other_edition(part, feed, category, origins)
    status = plan_status(feed, category, code_lists, origins)
    fields = [*category.fields, *(_status_field(code) for code in status_codes(edition))]
    restricted = {
        column
        for field in category.fields
        if field.exposure == "restricted" and field.code in origins.fields
        for column in origins.fields[field.code].columns
    }
    sources = []
    for field in fields:
        origin = origins.fields.get(field.code)
        may_be_empty = part.names_left_out and field.required != "always"
        if origin is not None and origin.absent and not may_be_empty:
            raise _absent(part, origin.absent[0], f"the field {field.code}")
        found = (
            status_treatment(edition, feed.values.get(field.code, {}))
            if edition is not None and field.code == edition.status.code
            else treatment(
                field,
                code_lists,
                own_values=feed.values.get(field.code),
                unit=_unit(part, field, origin),
                date_system_1904=part.date_system_1904,
            )
        )
        columns = () if origin is None else origin.columns
        how = None if origin is None else origin.how
        constant = None if how is None else found.standardise(how.constant).value
        covered = field.exposure == "restricted" or not restricted.isdisjoint(columns)
        sources.append(FieldSource(field, columns, how, constant, found, covered))
    if not any(source.columns for source in sources):
        raise ExtractError(
            "no column of this sheet is known",
            remedy="name its columns in the feed's YAML (columns:), or correct the header row",
            file=part.extract_name,
            sheet=part.sheet or None,
            line=_header_line(part),
        )
    _require_status(part, feed, category, sources)
    used = {column for source in sources for column in source.columns} | origins.dropped
    used |= _declared_elsewhere(part, feed, category, origins)
    timestamp = origins.timestamp
    if feed.source_timestamp is not None:
        timestamp = origins.headers.column(feed.source_timestamp)
    used |= {timestamp} if timestamp is not None else set()
    unmapped = tuple(c for c in part.columns if c not in used and normalise_header(c) not in COUNTERS)
    assumptions = () if edition is None else edition.assumptions
    missing = _missing(part, category, sources, assumptions)
    return ColumnPlan(tuple(sources), origins, unmapped, missing, status, timestamp, assumptions)


def _status_field(code: str) -> Field:
    """The status of an edition where it fills no field of the category: read and judged, but no part of a record."""
    return Field(code=code, name_zh="当前状态", name_en="status", type="text", required="optional", source="edition")


def _unit(part: RowsPart, field: Field, origin: Origin | None) -> str | None:
    """The unit of an amount without one: what the feed says, else what the header states."""
    if origin is None or field.type != "amount":
        return None
    if origin.how.unit is not None:
        return origin.how.unit
    stated = {stated_unit(column) for column in origin.columns}
    if len(stated) > 1 or not stated <= {None, *UNITS}:
        raise ExtractError(
            f"the header {', '.join(origin.columns)} states a unit that is neither 元 nor 万元",
            remedy=f"have the department send 元 or 万元, or say in the feed's YAML: columns: {field.code}: unit:",
            file=part.extract_name,
            sheet=part.sheet or None,
            line=_header_line(part),
        )
    return next(iter(stated), None)


def _refuse_other_edition(part: RowsPart, feed: Feed, category: Category, origins: Origins) -> None:
    """Hold an extract whose header is that of another edition, wherever that would change what a row says.

    In today's edition the text in the brackets of a numbered code decides what it is, so that a number alone does no
    harm; a status read by the wrong edition turns revoked decisions into valid ones.
    """
    for edition, headers in origins.contradictions.items():
        reads_status = category.roles.status is not None and category.roles.status in origins.fields
        if feed.edition != category.edition or reads_status or any(numbered_code(header) is None for header in headers):
            raise _held(
                part,
                f"the header speaks of edition {edition} ({', '.join(headers)}), the feed declares {feed.edition}",
                f"declare the edition that the department writes (edition: {edition}); if it does write {feed.edition} "
                "under these headers, name them in the feed's YAML (columns: or exclude:)",
            )


def _require_status(part: RowsPart, feed: Feed, category: Category, sources: list[FieldSource]) -> None:
    """An older edition marks revoked decisions in its status: without that column they would pass for valid ones."""
    edition = category.editions.get(feed.edition)
    if edition is None:
        return
    status = next(source for source in sources if source.field.code == edition.status.code)
    if not status.columns and status.constant is None:
        name = next(field.name_zh for field in edition.fields if field.code == edition.status.column)
        raise _held(
            part,
            f"the status column ({name}, {edition.status.column}) is not in the header row",
            "ask the department for it; where all rows stand, say so in the feed's YAML: "
            f"columns: {edition.status.code}: constant: {edition.status.names[0]}",
        )


def _declared_elsewhere(part: RowsPart, feed: Feed, category: Category, origins: Origins) -> set[str]:
    """Columns that exclusions and the time stamp of the feed read."""
    wanted = [(exclusion.column, "an exclusion") for exclusion in feed.exclude]
    if feed.source_timestamp is not None:
        wanted.append((feed.source_timestamp, "source_timestamp"))
    used = set()
    for header, purpose in wanted:
        column = origins.headers.column(header)
        if column is not None:
            used.add(column)
        elif header not in category.field_codes or purpose == "source_timestamp":
            raise _absent(part, header, purpose)
    return used


def _missing(
    part: RowsPart, category: Category, sources: list[FieldSource], assumptions: Iterable[Assumption]
) -> tuple[str, ...]:
    """Required fields that nothing fills, neither themselves nor from the fields they can be read off."""
    filled = {source.field.code for source in sources if source.columns or source.constant is not None}
    if part.fixed_subject_kind is not None or category.roles.subject_code in filled:
        filled.add(category.roles.subject_kind)
    if category.roles.document_number_fallback in filled:
        filled.add(category.roles.document_number)
    for assumption in assumptions:
        needed = {*assumption.present, *((assumption.copy_of,) if assumption.copy_of else ())}
        filled |= {assumption.field} if needed <= filled else set()
    return tuple(
        source.field.code for source in sources if source.field.required == "always" and source.field.code not in filled
    )


def _held(part: RowsPart, problem: str, remedy: str) -> BatchHeldError:
    return BatchHeldError(
        problem, remedy=remedy, file=part.extract_name, sheet=part.sheet or None, line=_header_line(part)
    )


def _absent(part: RowsPart, header: str, purpose: str) -> BatchHeldError:
    return _held(
        part,
        f"the column {header}, which the feed needs for {purpose}, is not in the header row",
        f"add the column or mend the feed's YAML; the header row has {', '.join(part.columns)}",
    )


def _header_line(part: RowsPart) -> int | None:
    return None if part.first_line is None else max(part.first_line - 1, 1)
