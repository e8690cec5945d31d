"""A feed proposed from a sample: which category and edition it is, and which column fills which field."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.catalogue.catalogue import Catalogue
from pipelines.catalogue.categories import Category, Template
from pipelines.catalogue.code_lists import CodeList
from pipelines.catalogue.headers import normalise_header
from pipelines.errors import CatalogueError
from pipelines.intake.peeking import Sample, SampleTable, peek
from pipelines.operations.feed_content import describe
from pipelines.operations.feed_matching import (
    Matching,
    SampleColumn,
    code_list_of,
    known_origins,
    known_values,
    match_columns,
)

NEW_DEPARTMENT = "new_department"
# A category convinces from this score on, and when it is this much ahead of the next.
CONVINCING_FROM = 25
AHEAD_BY = 8
# An edition that knows less of a status column speaks against itself.
_MOSTLY = 0.6
_CODE = re.compile("[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Proposal:
    """What a sample is taken for.

    ``tables`` are those that the feed reads; ``others`` names the rest. ``scores`` are (category, score), best first.
    ``template`` is the official template whose headers the sample has, if it is one.
    """

    sample: Sample
    tables: tuple[SampleTable, ...]
    others: dict[str, str]
    matching: Matching
    scores: tuple[tuple[str, int], ...]
    template: Template | None
    department: str
    name: str

    @property
    def feed(self) -> str:
        return f"{self.department}_{self.name}"

    @property
    def category(self) -> Category:
        return self.matching.category


def propose(
    catalogue: Catalogue,
    file: Path,
    *,
    department: str | None = None,
    name: str | None = None,
    category: str | None = None,
    edition: int | None = None,
) -> Proposal:
    """Look at a sample and say what feed would read it; what is given is taken as it is.

    Raises :class:`CatalogueError` for an unknown category or edition, a code that is none and when no category
    convinces, :class:`ExtractError` for a file that cannot be read.
    """
    for option, code in (("--department", department), ("--name", name)):
        if code is not None and not _CODE.fullmatch(code):
            raise CatalogueError(f"{option} {code} is no code", remedy="use a-z, 0-9 and _, starting with a letter")
    candidates = [known for known in catalogue.categories.values() if category in {None, known.category}]
    if not candidates:
        raise CatalogueError(
            f"unknown category {category}", remedy=f"use one of {', '.join(sorted(catalogue.categories))}"
        )
    sample = peek(file, frozenset().union(*(known.all_headers() for known in catalogue.categories.values())))
    tables, others = _tables_of_one_shape(sample)
    columns = _columns(tables)
    matchings = []
    for known in candidates:
        year = _edition_of(columns, known, edition, catalogue.code_lists)
        matchings.append(match_columns(columns, known, year, catalogue.code_lists))
    matchings.sort(key=lambda matching: -matching.score)
    scores = tuple((matching.category.category, matching.score) for matching in matchings)
    if category is None:
        _check_convincing(scores, file)
    best = matchings[0]
    return Proposal(
        sample=sample,
        tables=tables,
        others=others,
        matching=best,
        scores=scores,
        template=_template(tables, best.category) if best.edition == best.category.edition else None,
        department=department or NEW_DEPARTMENT,
        name=name or best.category.category.rpartition("_")[2],
    )


def _edition_of(
    columns: Sequence[SampleColumn], category: Category, chosen: int | None, code_lists: Mapping[str, CodeList]
) -> int:
    """The edition that the headers speak of; the category's own when nothing speaks of another."""
    if chosen is not None:
        if chosen != category.edition and chosen not in category.editions:
            known = ", ".join(str(year) for year in sorted({category.edition, *category.editions}))
            raise CatalogueError(f"edition {chosen} of {category.category} is not known", remedy=f"use one of {known}")
        return chosen
    return max(
        (category.edition, *sorted(category.editions, reverse=True)),
        key=lambda year: _evidence(columns, category, year, code_lists),
    )


def _evidence(
    columns: Sequence[SampleColumn], category: Category, year: int, code_lists: Mapping[str, CodeList]
) -> tuple[int, int]:
    """How much speaks for an edition: nothing that contradicts it, and headers that only it knows."""
    contradictions = sum(map(len, known_origins(columns, category, year).contradictions.values()))
    headers = {normalise_header(column.header) for column in columns}
    known = {category.edition: set(category.headers())}
    known |= {code: set(edition.headers()) for code, edition in category.editions.items()}
    others = set().union(*(theirs for code, theirs in known.items() if code != year))
    unknown_states = _status_share(columns, category, year, code_lists) < _MOSTLY
    return -contradictions - unknown_states, len(headers & (known[year] - others))


def _status_share(
    columns: Sequence[SampleColumn], category: Category, year: int, code_lists: Mapping[str, CodeList]
) -> float:
    """Which share of the different values of the status column the edition knows; 1 when there is none."""
    code = category.roles.status
    origin = known_origins(columns, category, year).fields.get(code or "")
    if code is None or origin is None:
        return 1.0
    field = category.field(code)
    column = next(column for column in columns if column.header == origin.columns[0])
    known = known_values(column, field, code_list_of(field, category, year, code_lists))
    return sum(known.values()) / len(known) if known else 1.0


def _check_convincing(scores: Sequence[tuple[str, int]], file: Path) -> None:
    first, *rest = scores
    ahead = first[1] - (rest[0][1] if rest else 0)
    if first[1] < CONVINCING_FROM or ahead < AHEAD_BY:
        best_two = ", ".join(f"{name} {score} of 100" for name, score in scores[:2])
        raise CatalogueError(
            f"no category convinces: {best_two}",
            remedy="say which it is with --category; what cannot be matched is then left to you",
            file=file.name,
        )


def _tables_of_one_shape(sample: Sample) -> tuple[tuple[SampleTable, ...], dict[str, str]]:
    """The tables to read: those that share the headers that count; the rest with the reason why not."""
    ranked = sorted(sample.tables, key=lambda table: (-table.known, -len(table.rows)))
    first = ranked[0]
    kept = tuple(table for table in sample.tables if table is first or _belongs(table, first))
    others = {table.sheet: "other headers" for table in sample.tables if table not in kept}
    return kept, {**sample.left_out, **others}


def _belongs(table: SampleTable, first: SampleTable) -> bool:
    """Whether a sheet holds rows of the same kind: known headers, or mostly the headers of the first one."""
    mine = {normalise_header(header) for header in table.columns}
    theirs = {normalise_header(header) for header in first.columns}
    return bool(table.rows) and (table.known * 2 >= len(mine) or len(mine & theirs) * 2 > len(theirs))


def _columns(tables: Sequence[SampleTable]) -> list[SampleColumn]:
    """The columns of all tables, in order, those with the same header as one."""
    cells: dict[str, list[str]] = {}
    headers: dict[str, str] = {}
    for table in tables:
        for place, header in enumerate(table.columns):
            key = headers.setdefault(normalise_header(header), header)
            cells.setdefault(key, []).extend(row[place] for row in table.rows)
    return [SampleColumn(header, tuple(found), describe(found)) for header, found in cells.items()]


def _template(tables: Sequence[SampleTable], category: Category) -> Template | None:
    """The official template that every table has the headers of."""
    found = None
    for table in tables:
        present = {normalise_header(header) for header in table.columns}
        fitting = [
            template
            for template in category.templates
            if {normalise_header(header) for header in template.columns} <= present
        ]
        if not fitting:
            return None
        found = found or max(fitting, key=lambda template: len(template.columns))
    return found
