"""Geometry of the drawings on the pages; the templates turn it into inline SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from pipelines.reporting.counts import Counts, Ratio
from pipelines.reporting.words import OUTCOMES

STACK_WIDTH = 1000
# A slice of a few rows among thousands stays visible.
THINNEST = 3

# One unit of a drawing is one pixel of a narrow screen, so that its letters are never scaled down.
CHART_WIDTH, CHART_HEIGHT = 340, 150
LEFT, RIGHT, TOP, BOTTOM = 44, 8, 10, 22
PLOT_WIDTH, PLOT_HEIGHT = CHART_WIDTH - LEFT - RIGHT, CHART_HEIGHT - TOP - BOTTOM
SPARK_WIDTH, SPARK_HEIGHT = 96, 22
_STEPS = (1, 2, 5, 10)


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
class Tick:
    """A line of the scale: where, and what it says."""

    position: float
    label: str


@dataclass(frozen=True)
class Mark:
    """A bar of a day: ``x``, ``y``, ``width``, ``height``."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Trend:
    """A figure by day: bars from zero for amounts, a line for shares. A day without a value is a gap, never a zero.

    ``paths`` are the unbroken stretches of the line as SVG paths, ``dots`` days that stand alone. ``from_zero`` says
    whether the scale begins at zero; a page must say so when it does not.
    """

    bars: tuple[Mark, ...]
    paths: tuple[str, ...]
    dots: tuple[tuple[float, float], ...]
    rows: tuple[Tick, ...]
    columns: tuple[Tick, ...]
    last: tuple[float, float] | None
    low: float
    high: float

    @property
    def from_zero(self) -> bool:
        return self.low == 0

    @property
    def is_empty(self) -> bool:
        return not (self.bars or self.paths or self.dots)


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


def amount_trend(values: Mapping[date, int], last_day: date, days: int) -> Trend:
    """Bars of an amount over the last ``days`` calendar days."""
    steps = _scale(0, max(values.values(), default=0))
    high = steps[-1]
    slot = PLOT_WIDTH / days
    bars = []
    for day, value in values.items():
        height = PLOT_HEIGHT * value / high
        bars.append(Mark(_x(day, last_day, days) - slot * 0.4, TOP + PLOT_HEIGHT - height, slot * 0.8, height))
    rows = tuple(Tick(_y(step, 0, high), _short_number(step)) for step in steps)
    return Trend(tuple(bars), (), (), rows, _columns(last_day, days), None, 0, high)


def share_trend(values: Mapping[date, Ratio], last_day: date, days: int) -> Trend:
    """A line of a share in per cent over the last ``days`` calendar days; days without a denominator are gaps."""
    points = {day: 100 * one.numerator / one.denominator for day, one in values.items() if one.denominator}
    least, most = min(points.values(), default=0.0), max(points.values(), default=100.0)
    # Shares near 100 % are told apart only on a scale of their own; small ones begin at zero.
    low = 0.0 if least < 50 else max(0.0, least - (100 - least) * 0.2)
    steps = _scale(low, 100 if low else most)
    low, high = steps[0], min(steps[-1], 100.0)
    steps = [step for step in steps if step <= 100]
    paths, dots = [], []
    for stretch in _stretches(sorted(points)):
        at = [(_x(day, last_day, days), _y(points[day], low, high)) for day in stretch]
        if len(at) == 1:
            dots.append(at[0])
        else:
            paths.append("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in at))
    newest = max(points, default=None)
    last = None if newest is None else (_x(newest, last_day, days), _y(points[newest], low, high))
    rows = tuple(Tick(_y(step, low, high), f"{step:g}%") for step in steps)
    return Trend((), tuple(paths), tuple(dots), rows, _columns(last_day, days), last, low, high)


def spark(values: Mapping[date, Ratio], last_day: date, days: int) -> str:
    """A small line without a scale, from the least to the most it has been; empty for fewer than two days."""
    points = {day: one.numerator / one.denominator for day, one in values.items() if one.denominator}
    if len(points) < 2:
        return ""
    low, high = min(points.values()), max(points.values())
    span = (high - low) or 1
    inner = SPARK_HEIGHT - 4
    at = [
        (
            SPARK_WIDTH - 2 - (last_day - day).days * (SPARK_WIDTH - 4) / (days - 1),
            2 + inner * (1 - (points[day] - low) / span) if high > low else SPARK_HEIGHT / 2,
        )
        for day in sorted(points)
    ]
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in at)


def _x(day: date, last_day: date, days: int) -> float:
    """The middle of a day."""
    return LEFT + PLOT_WIDTH * (days - 0.5 - (last_day - day).days) / days


def _y(value: float, low: float, high: float) -> float:
    return TOP + PLOT_HEIGHT * (1 - (value - low) / ((high - low) or 1))


def _stretches(days: Sequence[date]) -> list[list[date]]:
    """Days in a row; weekends without a batch do not break a line."""
    found: list[list[date]] = []
    for day in days:
        if found and (day - found[-1][-1]).days <= 3:
            found[-1].append(day)
        else:
            found.append([day])
    return found


def _scale(low: float, high: float) -> list[float]:
    """Three to six round numbers that hold ``low`` and ``high``."""
    span = max(high - low, 1e-9) if high > low else max(abs(high), 1.0)
    size = 1e-6
    while True:
        for step in (size * factor for factor in _STEPS[:-1]):
            first = step * int(low / step + 1e-9)
            if first + 4 * step >= (high if high > low else first + span) - 1e-9 * step:
                ticks = [first]
                while ticks[-1] < high - 1e-9 * step or len(ticks) < 2:
                    ticks.append(first + step * len(ticks))
                return [round(tick, 6) for tick in ticks]
        size *= 10


def _columns(last_day: date, days: int) -> tuple[Tick, ...]:
    """The first of each month; for short windows every seventh day."""
    shown = [last_day - timedelta(days=back) for back in range(days)]
    marked = [day for day in shown if (day.day == 1 if days > 45 else day.weekday() == 0)]
    return tuple(Tick(_x(day, last_day, days), f"{day.month}/{day.day}") for day in reversed(marked))


def _short_number(number: float) -> str:
    """``1,200`` up to six digits, millions beyond; a scale must stay narrow."""
    if number >= 1_000_000:
        return f"{number / 1_000_000:g}M"
    return f"{number:,.0f}" if number == int(number) else f"{number:g}"
