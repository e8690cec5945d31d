"""The conservation law: no row and no line of a run may get lost or counted twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipelines.errors import ConservationError
from pipelines.quality.rules import RuleCount

OUTCOMES = ("accepted", "duplicate", "quarantined", "blocked", "excluded")


def check(run: str, rows_decoded: int, lines_undecoded: int, outcomes: Mapping[str, int]) -> str:
    """Hold the two sides against each other and return the sum as one line of text.

    ``rows_decoded`` and ``lines_undecoded`` come from intake; ``outcomes`` counts rows and lines by outcome
    (``accepted``, ``duplicate``, ``quarantined``, ``blocked``, ``excluded``; undecoded lines are quarantined).
    Raises :class:`ConservationError` with all figures when the sums differ, a count is negative or an outcome is
    none of the five.
    """
    unknown = sorted(set(outcomes) - set(OUTCOMES))
    parts = [outcomes.get(outcome, 0) for outcome in OUTCOMES]
    line = (
        f"{rows_decoded} rows + {lines_undecoded} undecoded lines = "
        f"{' + '.join(f'{part} {outcome}' for part, outcome in zip(parts, OUTCOMES, strict=True))}"
    )
    if unknown:
        raise _broken(f"unknown outcomes {', '.join(unknown)} beside {line}", run)
    if min(rows_decoded, lines_undecoded, *parts) < 0:
        raise _broken(f"a count is negative: {line}", run)
    difference = rows_decoded + lines_undecoded - sum(parts)
    if difference:
        raise _broken(f"{line} does not add up, {abs(difference)} {'missing' if difference > 0 else 'too many'}", run)
    return line


def check_agreement(run: str, scanned: Sequence[RuleCount], validated: Sequence[RuleCount]) -> None:
    """Hold the counts of the scan against those of Great Expectations, rule by rule.

    Raises :class:`ConservationError` with the first rules that differ: one of the two judges is wrong, and nobody
    knows which.
    """
    other = {count.code: count for count in validated}
    differing = [count for count in scanned if other.pop(count.code, None) != count]
    if differing or other:
        named = ", ".join([count.code for count in differing[:5]] or sorted(other)[:5])
        raise _broken(f"the two judges of the rules count differently for {named}", run)


def _broken(problem: str, run: str) -> ConservationError:
    return ConservationError(
        f"run {run}: {problem}",
        remedy="nothing was published; run the batch again, and report this when it comes back",
    )
