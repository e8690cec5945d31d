"""Gates: the figures of a batch beside those of the last good ones, judged by a checkpoint of Great Expectations."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from pipelines.catalogue.gate_settings import Gates, Tolerance
from pipelines.engine.duck import Session
from pipelines.ledger.quality_models import GateThreshold
from pipelines.quality.conservation import check_agreement
from pipelines.quality.gate_figures import (
    COUNTS,
    NO_ROWS,
    VALUE,
    VALUE_DISTRIBUTION,
    Counts,
    Figure,
    Share,
    distributions_of,
    shares_of,
)
from pipelines.quality.gate_history import GoodBatch, History
from pipelines.quality.gate_limits import (
    Limits,
    count_limits,
    distance,
    distribution_limits,
    no_rows_limits,
    share_limits,
    sigmas,
    usual_distribution,
)
from pipelines.quality.great_expectations_bridge import run_checkpoint
from pipelines.quality.rules import RuleCount, Suite

GATE_INPUTS = "gate_inputs"
Outcome = Literal["pass", "fail", "not_applicable"]
# Limits and figures are compared as people see them, not to the last bit.
_DIGITS = 9

_COLUMNS: dict[str, pa.DataType] = {
    "row_no": pa.int64(),
    **dict.fromkeys(("gate", "item", "reason"), pa.string()),
    **dict.fromkeys(("observed", "usual", "low", "high"), pa.float64()),
    "batches": pa.int64(),
    "applicable": pa.bool_(),
}


@dataclass(frozen=True)
class GateAnswer:
    """What one gate says about one figure; see :class:`~pipelines.ledger.quality_models.GateResult`."""

    gate: str
    item: str
    outcome: Outcome
    observed: float | None
    usual: float | None = None
    low: float | None = None
    high: float | None = None
    batches: int = 0
    reason: str = ""


def gate_of(rule_kwargs: Mapping[str, Any]) -> str:
    """The name of the gate that an entry of the suite is about."""
    return str(rule_kwargs["gate"])


def compare(
    suite: Suite, gates: Gates, counts: Counts, history: History, accepted: Mapping[Figure, GateThreshold]
) -> list[GateAnswer]:
    """Every figure of a batch with its limits, in the order of the suite; not yet judged where it is applicable.

    ``counts`` are the measures of the batch. ``accepted`` limits replace those that follow from the good batches;
    the floor stays. A gate without anything to look at has one answer that says so.
    """
    values = _values_known(counts, history)
    shares, distributions = shares_of(_with_values(counts, values)), distributions_of(counts)
    answers: list[GateAnswer] = []
    for rule in suite.rules:
        gate = gate_of(rule.kwargs)
        tolerance = gates.of(gate)
        batches = history.for_gate(tolerance)
        if gate == VALUE_DISTRIBUTION:
            found = _distributions(distributions, tolerance, batches)
        else:
            items = {item: share for (name, item), share in shares.items() if name == gate}
            earlier = [shares_of(_with_values(batch.counts, values)) for batch in batches]
            found = _shares(gate, items, tolerance, earlier)
        answers += [
            _with_accepted(answer, tolerance, accepted.get((gate, answer.item)), _total(answer, shares, distributions))
            for answer in found
        ] or [GateAnswer(gate, "", "not_applicable", None, reason="off" if tolerance.off else "nothing")]
    return [_rounded(answer) for answer in answers]


def judge_gates(
    session: Session, suite: Suite, run: str, answers: list[GateAnswer], result_file: Path | None = None
) -> list[GateAnswer]:
    """Put the figures into the table ``gate_inputs`` and have the checkpoint judge them; the answers with outcomes.

    ``result_file`` keeps what the checkpoint said, for Data Docs. Raises :class:`ConservationError` when the
    checkpoint counts other failures than the table has.
    """
    rows = [
        {
            "row_no": place,
            "gate": answer.gate,
            "item": answer.item,
            "reason": answer.reason,
            "observed": answer.observed,
            "usual": answer.usual,
            "low": answer.low,
            "high": answer.high,
            "batches": answer.batches,
            "applicable": answer.outcome != "not_applicable",
        }
        for place, answer in enumerate(answers)
    ]
    session.register("gate_answers", pa.Table.from_pylist(rows, schema=pa.schema(_COLUMNS)))
    session.execute(f"CREATE OR REPLACE TABLE {GATE_INPUTS} AS SELECT * FROM gate_answers")
    judged = [replace(answer, outcome=_outcome(answer)) for answer in answers]
    validated = run_checkpoint(session, suite, GATE_INPUTS, result_file)
    check_agreement(run, _counted(suite, judged), validated)
    return judged


def failing(suite: Suite, answers: list[GateAnswer]) -> list[GateAnswer]:
    """The answers that hold a batch: failed, of gates that block."""
    blocking = {gate_of(rule.kwargs) for rule in suite.rules if rule.blocking}
    return [answer for answer in answers if answer.outcome == "fail" and answer.gate in blocking]


def _values_known(counts: Counts, history: History) -> frozenset[Figure]:
    """The values of coded fields that any of the batches has: one that is gone is as telling as one that is new."""
    batches = (counts, *(batch.counts for batch in history.batches))
    return frozenset(key for batch in batches for key, value in batch.items() if key[0] == VALUE and value)


def _with_values(counts: Counts, known: Collection[Figure]) -> Counts:
    others = {key: value for key, value in counts.items() if key[0] != VALUE}
    return others | {key: counts.get(key, 0) for key in sorted(known)}


def _shares(
    gate: str, items: Mapping[str, Share], tolerance: Tolerance, earlier: Sequence[Mapping[Figure, Share]]
) -> list[GateAnswer]:
    answers = []
    for item, share in items.items():
        history = [found[gate, item] for found in earlier if (gate, item) in found]
        limits = None
        if len(history) >= tolerance.min_batches:
            deviations = sigmas(len(items))
            if gate in COUNTS:
                measure = no_rows_limits if gate == NO_ROWS else count_limits
                limits = measure([one.count for one in history], tolerance, deviations)
            else:
                limits = share_limits(history, share.total or 0, tolerance, deviations)
        answers.append(_answer(gate, item, share.value, limits, len(history), tolerance))
    return answers


def _distributions(
    distributions: Mapping[str, Mapping[str, int]], tolerance: Tolerance, batches: tuple[GoodBatch, ...]
) -> list[GateAnswer]:
    earlier = [distributions_of(batch.counts) for batch in batches]
    answers = []
    for field, values in distributions.items():
        history = [found[field] for found in earlier if field in found]
        observed, limits = None, None
        if len(history) >= tolerance.min_batches:
            observed = distance(values, usual_distribution(history))
            limits = distribution_limits(history, sum(values.values()), tolerance, sigmas(len(distributions)))
        answers.append(_answer(VALUE_DISTRIBUTION, field, observed, limits, len(history), tolerance))
    return answers


def _answer(
    gate: str, item: str, observed: float | None, limits: Limits | None, batches: int, tolerance: Tolerance
) -> GateAnswer:
    if tolerance.off:
        return GateAnswer(gate, item, "not_applicable", observed, batches=batches, reason="off")
    if limits is None:
        return GateAnswer(gate, item, "not_applicable", observed, batches=batches, reason="few_batches")
    return GateAnswer(gate, item, "pass", observed, limits.usual, limits.low, limits.high, batches)


def _with_accepted(
    answer: GateAnswer, tolerance: Tolerance, accepted: GateThreshold | None, total: int | None
) -> GateAnswer:
    """The answer under limits that somebody has accepted: they hold even while too few batches are known."""
    if accepted is None or answer.observed is None or answer.reason == "off":
        return answer
    low, high = accepted.low, accepted.high
    if answer.usual is not None:
        floor = tolerance.floor / total if total else tolerance.floor
        low = None if low is None else max(0.0, min(low, answer.usual - floor))
        high = None if high is None else max(high, answer.usual + floor)
    return replace(answer, outcome="pass", low=low, high=high, reason="")


def _total(
    answer: GateAnswer, shares: Mapping[Figure, Share], distributions: Mapping[str, Mapping[str, int]]
) -> int | None:
    if answer.gate == VALUE_DISTRIBUTION:
        return sum(distributions[answer.item].values())
    return shares[answer.gate, answer.item].total


def _rounded(answer: GateAnswer) -> GateAnswer:
    return replace(
        answer,
        observed=_shown(answer.observed),
        usual=_shown(answer.usual),
        low=_shown(answer.low),
        high=_shown(answer.high),
    )


def _shown(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)


def _outcome(answer: GateAnswer) -> Outcome:
    if answer.outcome == "not_applicable" or answer.observed is None:
        return "not_applicable"
    is_low = answer.low is not None and answer.observed < answer.low
    is_high = answer.high is not None and answer.observed > answer.high
    return "fail" if is_low or is_high else "pass"


def _counted(suite: Suite, answers: list[GateAnswer]) -> list[RuleCount]:
    outcomes: dict[str, list[Outcome]] = {gate_of(rule.kwargs): [] for rule in suite.rules}
    for answer in answers:
        outcomes[answer.gate].append(answer.outcome)
    counts = []
    for rule in suite.rules:
        found = outcomes[gate_of(rule.kwargs)]
        applied = len(found) - found.count("not_applicable")
        counts.append(RuleCount(rule.code, applied, found.count("fail")))
    return counts
