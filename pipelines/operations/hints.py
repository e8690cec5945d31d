"""What suggestions are made of beside the batch itself: subjects that are known, and how its files are laid out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from pipelines.catalogue.categories import Category
from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.origins import field_origins
from pipelines.engine.duck import Session, file_literal, identifier, literal
from pipelines.engine.rows import RowsPart
from pipelines.errors import CatalogueError
from pipelines.operations.context import Context
from pipelines.quality.facts import FACTS
from pipelines.quality.suggested_codes import KNOWN_SUBJECTS, code_fields
from pipelines.quality.suggested_columns import COLUMN_ORDER
from pipelines.records.reading import hidden_runs

_KNOWN_VERSIONS = "known_versions"
_NAMED = ("valid", "issued_nonstandard")
_ORDER_COLUMNS: dict[str, pa.DataType] = {
    "part": pa.int64(),
    "first_row": pa.int64(),
    "rows": pa.int64(),
    "place": pa.int64(),
    "field": pa.string(),
}
_ORDER = pa.schema(_ORDER_COLUMNS)


def create_hints(context: Context, session: Session, feed: Feed, parts: Sequence[RowsPart]) -> None:
    """Make the views ``known_subjects`` and ``column_order`` that suggestions read.

    ``known_subjects`` (field, code, name_key, name, origin): names with valid codes from accepted rows of the batch,
    from the published versions of the category, whatever feed they came from, and from the register of subjects if
    the installation has one. ``column_order`` (part, first_row, rows, place, field): the fields of each file in the
    order of its columns. Raises :class:`CatalogueError` for a register that is missing or has other columns.
    """
    category = context.catalogue.category_of(feed)
    context.stores[category.category].versions(session, _KNOWN_VERSIONS, hidden_runs(context.ledger))
    sources = [*_of_batch(category), *_of_store(category)]
    if context.settings.subject_registry is not None:
        sources.append(_of_registry(session, context.settings.subject_registry))
    session.execute(
        f"CREATE OR REPLACE TEMP VIEW {KNOWN_SUBJECTS} AS "
        f"SELECT field, code, name_key(name) AS name_key, name, origin FROM ({' UNION ALL '.join(sources)}) "
        "WHERE code IS NOT NULL AND name IS NOT NULL"
    )
    session.register(COLUMN_ORDER, _column_order(feed, category, parts))


def _of_batch(category: Category) -> list[str]:
    verdicts = ", ".join(f"'{verdict}'" for verdict in _NAMED)
    taken = "SELECT row_no FROM settled WHERE outcome IN ('accepted', 'duplicate')"
    return [
        f"SELECT {literal(code)} AS field, {identifier(code)} AS code, {identifier(name)} AS name, 'batch' AS origin "
        f"FROM {FACTS} SEMI JOIN ({taken}) USING (row_no) "
        f"WHERE {identifier(code + '_verdict')} IN ({verdicts})"
        for code, name in code_fields(category)
    ]


def _of_store(category: Category) -> list[str]:
    return [
        f"SELECT DISTINCT {literal(code)} AS field, {identifier(code)} AS code, {identifier(name)} AS name, "
        f"'store' AS origin FROM {_KNOWN_VERSIONS}"
        for code, name in code_fields(category)
    ]


def _of_registry(session: Session, path: Path) -> str:
    """The register of subjects: a CSV or Parquet file with the columns ``code`` and ``name``."""
    remedy = "let GUIJI_SUBJECT_REGISTRY name a CSV (UTF-8) or Parquet file with the columns code and name"
    if not path.is_file():
        raise CatalogueError("the register of subjects is missing", file=path, remedy=remedy)
    read = (
        f"read_parquet({file_literal(path)})"
        if path.suffix == ".parquet"
        else f"read_csv({file_literal(path)}, all_varchar = true, header = true)"
    )
    columns = {str(row[0]) for row in session.rows(f"DESCRIBE FROM {read}")}
    if not {"code", "name"} <= columns:
        raise CatalogueError("the register of subjects has no columns code and name", file=path, remedy=remedy)
    return f"SELECT '', CAST(code AS VARCHAR), CAST(name AS VARCHAR), 'registry' FROM {read}"


def _column_order(feed: Feed, category: Category, parts: Sequence[RowsPart]) -> pa.Table:
    rows: list[tuple[int, int, int, int, str]] = []
    for number, part in enumerate(parts):
        places = {column: place for place, column in enumerate(part.columns)}
        origins = field_origins(part.columns, feed.for_extract(part.extract_name), category).fields
        for code, origin in origins.items():
            # A field that is joined from several columns has no place of its own.
            if len(origin.columns) == 1 and code in category.field_codes and origin.columns[0] in places:
                rows.append((number, part.row_offset, part.row_count, places[origin.columns[0]], code))
    columns = list(zip(*rows, strict=True)) or [()] * len(_ORDER)
    return pa.table({name: list(column) for name, column in zip(_ORDER.names, columns, strict=True)}, schema=_ORDER)
