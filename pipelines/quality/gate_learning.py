"""Limits learned from good batches, beside those in force; nothing changes until somebody accepts them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from pipelines.catalogue.gate_settings import Gates
from pipelines.ledger.quality_models import GateThreshold
from pipelines.quality.gate_figures import (
    COUNTS,
    NO_ROWS,
    VALUE_DISTRIBUTION,
    Figure,
    distributions_of,
    shares_of,
)
from pipelines.quality.gate_history import GoodBatch, History
from pipelines.quality.gate_limits import distance, spread, usual_distribution
from pipelines.quality.gates import GateAnswer, compare
from pipelines.quality.rules import Suite

# Learned limits lie this far from the usual figure at least: one percent of a count, one point of a share.
_NARROWEST = 0.01
_DEVIATIONS = 4.0
_DIGITS = 6


@dataclass(frozen=True)
class Learned:
    """The limits of one figure: learned from ``batches`` good batches, and in force until now."""

    gate: str
    item: str
    usual: float
    low: float
    high: float
    batches: int
    in_force: GateAnswer | None

    @property
    def is_news(self) -> bool:
        """Whether accepting it would change anything."""
        now = self.in_force
        return now is None or (now.low, now.high) != (self.low, self.high)


def learn(suite: Suite, gates: Gates, history: History, accepted: Mapping[Figure, GateThreshold]) -> list[Learned]:
    """Limits that every batch of ``history`` keeps, for each figure of at least ``min_batches`` of them.

    From the lowest to the highest figure that a good batch had, but at least four standard deviations (by the median
    absolute deviation) and one percent, or one point, to either side of the median. Days of all kinds count: accepted
    limits hold on every day.
    """
    if not history.batches:
        return []
    latest, *_ = history.batches
    now = {(answer.gate, answer.item): answer for answer in compare(suite, gates, latest.counts, history, accepted)}
    found = []
    for (gate, item), values in _values(history.batches).items():
        tolerance = gates.of(gate)
        if tolerance.off or len(values) < tolerance.min_batches:
            continue
        usual = median(values)
        margin = max(_DEVIATIONS * spread(values, usual), _NARROWEST * (usual if gate in COUNTS else 1.0))
        highest = float("inf") if gate in COUNTS else 1.0
        low = 0.0 if gate == VALUE_DISTRIBUTION else max(0.0, min(*values, usual - margin))
        high = min(highest, max(*values, usual + margin))
        found.append(
            Learned(
                gate,
                item,
                round(usual, _DIGITS),
                round(low, _DIGITS),
                round(high, _DIGITS),
                len(values),
                now.get((gate, item)),
            )
        )
    order = [str(rule.kwargs["gate"]) for rule in suite.rules]
    return sorted((one for one in found if one.gate in order), key=lambda one: (order.index(one.gate), one.item))


def _values(batches: Sequence[GoodBatch]) -> dict[Figure, list[float]]:
    """Every figure of every batch; whether there are rows at all is nothing to learn."""
    found: dict[Figure, list[float]] = {}
    for batch in batches:
        for figure, share in shares_of(batch.counts).items():
            if figure[0] != NO_ROWS:
                found.setdefault(figure, []).append(share.value)
    spreads = [distributions_of(batch.counts) for batch in batches]
    for field in sorted({field for one in spreads for field in one}):
        values = [one[field] for one in spreads if field in one]
        center = usual_distribution(values)
        found[VALUE_DISTRIBUTION, field] = [distance(one, center) for one in values]
    return found
