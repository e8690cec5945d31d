"""Which source column a field was read from, so that a report can point at a cell."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.catalogue.categories import Category
from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.headers import normalise_header


def source_columns_of_fields(feed: Feed, category: Category, columns: Sequence[str]) -> dict[str, int]:
    """Field code → position in ``columns``; fields that no column fills are left out.

    What the feed says goes before the headers the category knows; a field with a constant has no column unless
    the feed names one.
    """
    positions: dict[str, int] = {}
    by_header: dict[str, int] = {}
    known = category.headers()
    for index, column in enumerate(columns):
        header = normalise_header(column)
        by_header.setdefault(header, index)
        if header in known:
            positions.setdefault(known[header], index)
    for code in feed.columns:
        declared = feed.column(code)
        positions.pop(code, None)
        if declared is not None and declared.column is not None:
            header = normalise_header(declared.column)
            if header in by_header:
                positions[code] = by_header[header]
    return positions
