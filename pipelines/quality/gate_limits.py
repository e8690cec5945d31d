"""How far a figure of a batch may lie from what the last good batches had.

A limit is never tighter than chance: a figure is out of range only if it differs from the usual one by more than the
feed tolerates, by more rows than the floor, by more than chance does in a batch of that size, and by more than the good
batches differ among themselves. Chance is that of a Poisson count or of a binomial share, the uncertainty of the median
included; three standard deviations for a single figure, more where a gate looks at many figures at once (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, exp, floor, pi, sqrt
from statistics import NormalDist, median

from pipelines.catalogue.gate_settings import Tolerance
from pipelines.quality.gate_figures import Share

# A normal figure lies beyond three standard deviations on one side this often.
_RARE = NormalDist().cdf(-3.0)
# The variance of a median is this times that of a mean; a median absolute deviation this part of a standard deviation.
_MEDIAN_VARIANCE = pi / 2
_MEDIAN_DEVIATION = NormalDist().inv_cdf(0.75)

Distribution = Mapping[str, int]


@dataclass(frozen=True)
class Limits:
    """What is usual, and between which values a figure passes; None where there is no limit."""

    usual: float
    low: float
    high: float | None


def sigmas(figures: int) -> float:
    """How many standard deviations chance is allowed, so that all ``figures`` of a gate together are as rare as one."""
    return -NormalDist().inv_cdf(_RARE / max(figures, 1))


def count_limits(history: Sequence[int], tolerance: Tolerance, deviations: float) -> Limits:
    """Limits of a number of rows; ``history`` are those of the good batches."""
    usual = float(median(history))
    chance = sqrt(usual * (1 + _MEDIAN_VARIANCE / len(history)))
    allowed = max(tolerance.share * usual, tolerance.floor, deviations * max(chance, spread(history, usual)))
    # Whole rows, so that what is shown is what holds.
    return Limits(usual, float(max(0, floor(usual - allowed))), float(ceil(usual + allowed)))


def no_rows_limits(history: Sequence[int], _tolerance: Tolerance, _deviations: float) -> Limits:
    """At least one row, unless a good batch had none or so few are usual that none at all may be chance."""
    usual = float(median(history))
    is_odd = min(history) > 0 and exp(-usual) < _RARE
    return Limits(usual, 1.0 if is_odd else 0.0, None)


def share_limits(history: Sequence[Share], total: int, tolerance: Tolerance, deviations: float) -> Limits:
    """Limits of a share of ``total`` rows; ``history`` are the shares of the good batches."""
    values = [share.value for share in history]
    usual = median(values)
    known = sum(share.total or 0 for share in history)
    # One row more on either side: what has never happened yet is not impossible.
    likely = (usual * known + 1) / (known + 2)
    chance = sqrt(likely * (1 - likely) * (1 / total + _MEDIAN_VARIANCE / known))
    allowed = max(tolerance.share, tolerance.floor / total, deviations * max(chance, spread(values, usual)))
    return Limits(usual, max(0.0, usual - allowed), min(1.0, usual + allowed))


def distance(values: Distribution, usual: Mapping[str, float]) -> float:
    """Total variation distance: the smallest part of the rows whose value would have to change."""
    total = sum(values.values())
    return sum(abs(values.get(code, 0) / total - usual.get(code, 0.0)) for code in {*values, *usual}) / 2


def usual_distribution(history: Sequence[Distribution]) -> dict[str, float]:
    """The median share of every value, made to add up to 1."""
    shares: dict[str, list[float]] = {code: [] for values in history for code in values}
    for values in history:
        total = sum(values.values())
        for code, found in shares.items():
            found.append(values.get(code, 0) / total)
    middle = {code: median(found) for code, found in shares.items()}
    whole = sum(middle.values())
    if whole == 0.0:
        # No value is usual; the mean at least adds up.
        return {code: sum(found) / len(found) for code, found in shares.items()}
    return {code: share / whole for code, share in middle.items()}


def distribution_limits(history: Sequence[Distribution], total: int, tolerance: Tolerance, deviations: float) -> Limits:
    """Limits of the distance between the values of ``total`` rows and the usual distribution.

    By chance alone the distance of n rows has the mean ½ Σ √(2p(1−p)/(πn)) and, because one row moves it by at most
    1/n, a standard deviation of at most 1/(2√n).
    """
    center = usual_distribution(history)
    distances = [distance(values, center) for values in history]
    usual = median(distances)
    mean = sum(sqrt(2 * share * (1 - share) / (pi * total)) for share in center.values()) / 2
    chance = mean + deviations / (2 * sqrt(total))
    allowed = max(tolerance.share, tolerance.floor / total, deviations * spread(distances, usual))
    return Limits(usual, 0.0, min(1.0, max(usual + allowed, chance)))


def spread(values: Sequence[float], middle: float) -> float:
    """A standard deviation of the good batches, by their median absolute deviation: one odd batch does not move it."""
    return median(abs(value - middle) for value in values) / _MEDIAN_DEVIATION
