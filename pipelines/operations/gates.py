"""Gates: a batch that is unlike the good ones before it waits for a steward."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.catalogue.feeds import Feed
from pipelines.deadlines.calendar import load_calendar
from pipelines.engine.duck import Session
from pipelines.errors import BatchHeldError, RunConflictError
from pipelines.ledger.models import Extract, Run
from pipelines.ledger.quality_models import GateDecision, GateResult, Measure
from pipelines.operations.attempts import run_folder
from pipelines.operations.context import Context
from pipelines.quality.gate_figures import COUNTS, REKEYED
from pipelines.quality.gate_history import accepted_thresholds, read_history
from pipelines.quality.gates import GateAnswer, compare, failing, gate_of, judge_gates
from pipelines.quality.rule_words import amount
from pipelines.quality.rules import Suite
from pipelines.quality.suite import load_gates

GATES_FILE = "gates.json"
RELEASE, REFUSE = "release", "refuse"
_MOST_NAMED = 3


def check_gates(context: Context, session: Session, feed: Feed, run: Run) -> None:
    """Hold a judged run that fails a gate: raises :class:`BatchHeldError`, unless its release is on record.

    Called last, when the run's files and figures are stored: a release publishes what was judged. What every gate
    said is kept in the ledger and, as Great Expectations says it, in the run's folder.
    """
    rekeyed = _rekeyed(session)
    suite, answers = ask_gates(context, session, feed, run, run_folder(context, run.id) / GATES_FILE)
    with context.ledger.write() as ledger:
        ledger.execute(delete(Measure).where(Measure.run == run.id, Measure.name == REKEYED))
        ledger.add_all(
            Measure(run=run.id, name=name, item=item, value=value) for (name, item), value in rekeyed.items()
        )
        ledger.execute(delete(GateResult).where(GateResult.run == run.id))
        ledger.execute(insert(GateResult), [{"run": run.id, **asdict(answer)} for answer in answers])
        released = is_released(ledger, run.id)
    failed = failing(suite, answers)
    if failed and not released:
        raise held(run.id, failed, {gate_of(rule.kwargs): rule.code for rule in suite.rules})


def ask_gates(
    context: Context, session: Session, feed: Feed, run: Run, result_file: Path | None = None
) -> tuple[Suite, list[GateAnswer]]:
    """What the gates in force say about the judged rows of the session; stores nothing but ``result_file``."""
    suite = load_gates(context.settings).on(run.business_date)
    measured = session.rows("SELECT name, item, value FROM measures")
    counts = {(str(name), str(item)): int(value) for name, item, value in measured} | _rekeyed(session)
    with context.ledger.read() as ledger:
        history = read_history(
            ledger,
            feed.feed,
            run.business_date,
            load_calendar(context.settings),
            [feed.gates.of(gate_of(rule.kwargs)) for rule in suite.rules],
        )
        accepted = accepted_thresholds(ledger, feed.feed)
    compared = compare(suite, feed.gates, counts, history, accepted)
    return suite, judge_gates(session, suite, run.id, compared, result_file)


def _rekeyed(session: Session) -> dict[tuple[str, str], int]:
    """How many decisions of the batch the feed has reported before, and how many of these have another key now."""
    known, rekeyed = session.one("SELECT known, rekeyed FROM rekeying")
    return {(REKEYED, "known"): int(known), (REKEYED, "rekeyed"): int(rekeyed)}


def held(run: str, failed: Sequence[GateAnswer], codes: dict[str, str]) -> BatchHeldError:
    """What is said about a run that a gate holds."""
    named = "; ".join(
        f"{codes[answer.gate]} {answer.gate}{f' {answer.item}' if answer.item else ''} "
        f"is {amount(answer.gate, answer.observed)}, usually {amount(answer.gate, answer.usual)}, "
        f"allowed {_range(answer)}"
        for answer in failed[:_MOST_NAMED]
    )
    more = f"; and {len(failed) - _MOST_NAMED} more" if len(failed) > _MOST_NAMED else ""
    return BatchHeldError(
        f"the batch is unlike the good ones before it: {named}{more}",
        remedy=f"look at it with 'guiji gates show {run}', then 'guiji gates release {run} --why …' publishes it "
        f"and 'guiji gates refuse {run} --why …' gives it up",
    )


def decision_of(ledger: LedgerSession, run: str) -> GateDecision | None:
    """What a steward has decided about a held run, if anything."""
    return ledger.scalar(select(GateDecision).where(GateDecision.run == run))


def runs_with_compared_rows(ledger: LedgerSession, runs: Collection[str]) -> set[str]:
    """Those of the runs whose number of rows a gate has compared with the batches before them."""
    query = select(GateResult.run).where(
        GateResult.run.in_(runs), GateResult.gate.in_(COUNTS), GateResult.outcome != "not_applicable"
    )
    return set(ledger.scalars(query))


def is_held_by_gates(context: Context, ledger: LedgerSession, run: Run) -> bool:
    """Whether a gate has found the run unlike the good batches, released or not."""
    return run.stage == "judged" and bool(_blocking_failures(context, ledger, run))


def is_released(ledger: LedgerSession, run: str) -> bool:
    """Whether a steward has let a run pass: the run itself, or an earlier one of its batch that read the same extracts.

    Otherwise each workbook that comes back for a released batch would need a release of its own, although the file is
    the one that was looked at.
    """
    decision = decision_of(ledger, run)
    if decision is not None:
        return decision.decision == RELEASE
    of_batch = select(Run.batch_id).where(Run.id == run).scalar_subquery()
    query = (
        select(GateDecision.run)
        .join(Run, Run.id == GateDecision.run)
        .where(Run.batch_id == of_batch, GateDecision.decision == RELEASE)
    )
    extracts = _extracts(ledger, run)
    return any(_extracts(ledger, released) == extracts for released in ledger.scalars(query))


def _extracts(ledger: LedgerSession, run: str) -> list[str]:
    return sorted(ledger.scalars(select(Extract.sha256).where(Extract.run == run)))


def require_open_gates(context: Context, ledger: LedgerSession, run: Run) -> None:
    """Nothing is published that its gates have not seen, or that they hold and nobody released.

    Raises :class:`RunConflictError` and :class:`BatchHeldError`.
    """
    if ledger.scalar(select(GateResult.id).where(GateResult.run == run.id).limit(1)) is None:
        raise RunConflictError(
            f"the gates have not seen the run {run.id}: it ended while it was judged", remedy="judge it again"
        )
    if _blocking_failures(context, ledger, run) and not is_released(ledger, run.id):
        raise BatchHeldError(
            f"a gate holds the run {run.id}", remedy=f"look at it with 'guiji gates show {run.id}', then decide"
        )


def _blocking_failures(context: Context, ledger: LedgerSession, run: Run) -> list[GateResult]:
    suite = load_gates(context.settings).on(run.business_date)
    blocking = {gate_of(rule.kwargs) for rule in suite.rules if rule.blocking}
    query = select(GateResult).where(GateResult.run == run.id, GateResult.outcome == "fail").order_by(GateResult.id)
    return [found for found in ledger.scalars(query) if found.gate in blocking]


def _range(answer: GateAnswer) -> str:
    if answer.high is None:
        return f"from {amount(answer.gate, answer.low)}"
    if answer.low is None:
        return f"up to {amount(answer.gate, answer.high)}"
    return f"{amount(answer.gate, answer.low)} to {amount(answer.gate, answer.high)}"
