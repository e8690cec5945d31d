"""Geometry of the two drawings on a scorecard; the templates turn it into inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipelines.reporting.counts import Counts, Ratio
from pipelines.reporting.reasons import ReasonCount
from pipelines.reporting.words import OUTCOMES, RuleTexts, rule_text

STACK_WIDTH = 1000
# A slice of a few rows among thousands stays visible.
THINNEST = 3

BAR_WIDTH = 420
LABEL_LETTERS = 26


@dataclass(frozen=True)
class Segment:
    """One outcome in the stacked bar; ``x`` and ``width`` in units of the drawing."""

    outcome: str
    name: str
    rows: int
    share: str
    x: int
    width: int


@dataclass(frozen=True)
class Bar:
    """One reason in the bar chart."""

    label: str
    code: str
    severity: str
    rows: int
    width: int


def outcome_segments(counts: Counts) -> list[Segment]:
    """The outcomes that occur, in the order of the conservation line; the widths fill ``STACK_WIDTH`` exactly."""
    present = [(name, rows) for name, rows in counts.outcomes.items() if rows]
    if not present:
        return []
    total = sum(rows for _, rows in present)
    spare = STACK_WIDTH - THINNEST * len(present)
    passed = 0
    edges = [0]
    for index, (_, rows) in enumerate(present, start=1):
        passed += rows
        edges.append(THINNEST * index + spare * passed // total)
    return [
        Segment(name, OUTCOMES[name], rows, Ratio(rows, total).text, left, right - left)
        for (name, rows), (left, right) in zip(present, pairwise(edges), strict=True)
    ]


def reason_bars(reasons: Sequence[ReasonCount], texts: RuleTexts) -> list[Bar]:
    """One bar per reason, the longest ``BAR_WIDTH`` wide."""
    longest = max((reason.rows for reason in reasons), default=1)
    return [
        Bar(
            label=_short(rule_text(texts, reason.code).message_zh),
            code=reason.code,
            severity=reason.severity,
            rows=reason.rows,
            width=max(2, BAR_WIDTH * reason.rows // longest),
        )
        for reason in reasons
    ]


def _short(text: str) -> str:
    return text if len(text) <= LABEL_LETTERS else text[: LABEL_LETTERS - 1] + "…"
