"""Which cell of a row has to be overwritten so that a field gets a corrected value, and where none can be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipelines.catalogue.categories import Category
from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.origins import field_origins

Obstacle = Literal["constant", "joined", "split", "shared", "absent"]


@dataclass(frozen=True)
class Target:
    """The source column that a correction of a field overwrites, or why there is none.

    ``constant``: the feed's own configuration fills the field. ``joined``, ``split``: the field is made of several
    columns or of a part of one, so that its value does not say what the cells have to be. ``shared``: another field is
    made of the same column in that way. ``absent``: the extract has no column for it. ``unit`` is the unit in which
    the column is read when it is not the standard's.
    """

    column: str | None
    obstacle: Obstacle | None = None
    unit: str | None = None


def correction_targets(columns: Sequence[str], feed: Feed, category: Category) -> dict[str, Target]:
    """Field code → target, for every field of ``category`` in an extract with these source columns.

    ``feed`` is the feed as it holds for this extract.
    """
    origins = field_origins(columns, feed, category).fields
    made_of = {
        column
        for origin in origins.values()
        if origin.how.join or origin.how.split is not None
        for column in origin.columns
    }
    targets: dict[str, Target] = {}
    for code in category.field_codes:
        origin = origins.get(code)
        if origin is None:
            targets[code] = Target(None, "absent")
        elif origin.how.join:
            targets[code] = Target(None, "joined")
        elif origin.how.split is not None:
            targets[code] = Target(None, "split")
        elif not origin.columns:
            targets[code] = Target(None, "constant" if origin.how.constant is not None else "absent")
        elif origin.columns[0] in made_of:
            targets[code] = Target(None, "shared")
        else:
            targets[code] = Target(origin.columns[0], unit=origin.how.unit)
    return targets
