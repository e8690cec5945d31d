"""Which source columns a field was read from, so that a report can point at a cell."""

from __future__ import annotations

from pipelines.catalogue.categories import Category
from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.origins import field_origins
from pipelines.reporting.run_files import RunFiles


def source_columns_of_fields(feed: Feed, category: Category, files: RunFiles) -> dict[str, int]:
    """Field code → position in the source columns of a run; fields that no column fills are left out.

    A joined field points at its first column, a split one at the column that it is a part of. Where the extracts of a
    run fill a field from different columns, the first extract counts.
    """
    return {code: columns[0] for code, columns in all_source_columns(feed, category, files).items()}


def all_source_columns(feed: Feed, category: Category, files: RunFiles) -> dict[str, tuple[int, ...]]:
    """Field code → positions of every source column that it reads in any extract of a run, the first one first."""
    order = {column: index for index, column in enumerate(files.source_columns())}
    positions: dict[str, tuple[int, ...]] = {}
    for part in files.parts:
        for code, origin in field_origins(part.columns, feed.for_extract(part.extract_name), category).fields.items():
            found = (*positions.get(code, ()), *(order[column] for column in origin.columns))
            if found:
                positions[code] = tuple(dict.fromkeys(found))
    return positions
