"""What the query of the national web service tells about records: enough to know whether a call got through?"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

Row = Mapping[str, str]
"""Element name → text."""

FLAG = "FLAG"
REMOVED = "2"


def is_named(row: Row, name: Row) -> bool:
    """Whether a row that is held is the one that was asked for."""
    return all(row.get(element, "") == text for element, text in name.items())


def is_removed(row: Row) -> bool:
    """Whether the receiver still has the row but no longer shows it (取消上报)."""
    return row.get(FLAG) == REMOVED


def shown_as(held: Sequence[Row], sent: Row, known_by: Collection[str], id_name: str, *, is_new: bool) -> Row | None:
    """The row that shows what was sent, of those that are held under its name; ``None`` when none does.

    A receiver that tells nothing but the elements in ``known_by`` cannot prove that it holds a new version: then only
    a new record counts as held.
    """
    for row in held:
        told = {element: text for element, text in row.items() if text and element not in {id_name, FLAG}}
        if is_removed(row):
            continue
        if told == {element: text for element, text in sent.items() if text}:
            return row
        if is_new and told.keys() <= set(known_by):
            return row
    return None
