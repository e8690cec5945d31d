"""The figures that gates look at, computed from the measures of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

NO_ROWS, ROW_COUNT = "no_rows", "row_count"
FILL_RATE, OUTCOME_SHARE, DUPLICATE_SHARE = "fill_rate", "outcome_share", "duplicate_share"
VALUE_SHARE, VALUE_DISTRIBUTION, REKEYED_SHARE = "value_share", "value_distribution", "rekeyed_share"
COUNTS = (NO_ROWS, ROW_COUNT)
# The measure that counts rows per value of a coded field.
VALUE = "value"
# The measure of decisions that the feed has reported before (known), and of those that have another key now (rekeyed).
REKEYED = "rekeyed"
# Duplicates have a gate of their own.
_OUTCOMES = ("accepted", "quarantined", "blocked", "excluded")
_VALUE_SEPARATOR = "="

Counts = Mapping[tuple[str, str], int]
Figure = tuple[str, str]


@dataclass(frozen=True)
class Share:
    """``count`` of ``total`` rows; a count of rows by itself has no total."""

    count: int
    total: int | None = None

    @property
    def value(self) -> float:
        """Per 1; the count itself where there is no total."""
        return float(self.count) if self.total is None else self.count / self.total


def shares_of(counts: Counts) -> dict[Figure, Share]:
    """Every figure of a batch but the distributions, by gate and item.

    ``counts`` are the measures of the batch: (name, item) → value. A share of no rows is left out: it says nothing.
    """
    received, judged = counts.get(("rows", "received"), 0), counts.get(("rows", "judged"), 0)
    if ("rows", "received") not in counts:
        return {}
    found = {(NO_ROWS, ""): Share(received)}
    if received:
        found[ROW_COUNT, ""] = Share(received)
        found |= {
            (OUTCOME_SHARE, item): Share(counts[name, item], received)
            for name, item in counts
            if name == "rows" and item in _OUTCOMES
        }
        found[DUPLICATE_SHARE, ""] = Share(counts.get(("rows", "duplicate"), 0), received)
    if judged:
        found |= {(FILL_RATE, item): Share(value, judged) for (name, item), value in counts.items() if name == "filled"}
    known = counts.get((REKEYED, "known"), 0)
    if known:
        found[REKEYED_SHARE, ""] = Share(counts.get((REKEYED, "rekeyed"), 0), known)
    for field, values in distributions_of(counts).items():
        total = sum(values.values())
        found |= {(VALUE_SHARE, f"{field}={value}"): Share(count, total) for value, count in values.items()}
    return found


def distributions_of(counts: Counts) -> dict[str, dict[str, int]]:
    """Per coded field with at least one value: how many rows have which value."""
    found: dict[str, dict[str, int]] = {}
    for (name, item), value in counts.items():
        if name == VALUE:
            field, _, code = item.partition(_VALUE_SEPARATOR)
            found.setdefault(field, {})[code] = value
    return {field: values for field, values in found.items() if sum(values.values())}
