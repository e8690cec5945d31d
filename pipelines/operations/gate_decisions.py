"""What a steward decides about a batch that a gate holds: it is released, or refused; once, by name, with a reason."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.errors import GuijiError, RunConflictError
from pipelines.ledger.database import now
from pipelines.ledger.models import Run
from pipelines.ledger.quality_models import GateDecision
from pipelines.operations.attempts import load_run
from pipelines.operations.context import Context
from pipelines.operations.gates import REFUSE, RELEASE, decision_of, is_held_by_gates
from pipelines.operations.people import name_of, reason_of
from pipelines.operations.publishing import publish_batch


def release(context: Context, run_id: str, by: str, why: str) -> bool:
    """Record that a held run may pass its gates, and publish it; False when it was published already.

    What was judged is published: no rule is skipped, quarantined rows stay quarantined. If another batch of the feed
    was published meanwhile, the run is judged again first. The decision is kept before anything is published, so that
    a process that dies in between is repeated by the same command. Raises :class:`RunConflictError` for a run that is
    unknown, refused, replaced or not held by a gate.
    """
    load_run(context, run_id)
    with context.ledger.write() as ledger:
        run = ledger.get_one(Run, run_id)
        decision = decision_of(ledger, run_id)
        if decision is None:
            _require_waiting(context, ledger, run, RELEASE)
            ledger.add(_decision(run_id, RELEASE, by, why))
        elif decision.decision == REFUSE:
            raise _refused(decision)
        elif run.state == "published":
            return False
        else:
            _require_newest(ledger, run)
    publish_batch(context, run_id)
    return True


def refuse(context: Context, run_id: str, by: str, why: str) -> bool:
    """End a held run as failed, with the reason; nothing of it is published. False when it was refused already.

    The next attempt at the batch is asked by the same gates. Raises :class:`RunConflictError` for a run that is
    unknown, released, replaced or not held by a gate.
    """
    load_run(context, run_id)
    with context.ledger.write() as ledger:
        run = ledger.get_one(Run, run_id)
        decision = decision_of(ledger, run_id)
        if decision is not None and decision.decision == REFUSE:
            return False
        if decision is not None:
            raise RunConflictError(
                f"the run {run_id} was released by {decision.by} on {decision.at:%Y-%m-%d %H:%M} UTC",
                remedy=f"'guiji gates show {run_id}' says why; a published batch is corrected by a new one",
            )
        _require_waiting(context, ledger, run, REFUSE)
        recorded = _decision(run_id, REFUSE, by, why)
        ledger.add(recorded)
        run.state, run.finished_at = "failed", now()
        run.problem = f"refused by {recorded.by}: {recorded.why} — start the batch again when it is mended"
    return True


def _require_waiting(context: Context, ledger: LedgerSession, run: Run, wanted: str) -> None:
    _require_newest(ledger, run)
    if run.state != "held":
        raise RunConflictError(
            f"the run {run.id} is {run.state}; only a run that a gate holds can be {wanted}d",
            remedy="list them with 'guiji gates list --held'",
        )
    if not is_held_by_gates(context, ledger, run):
        raise RunConflictError(
            f"no gate holds the run {run.id}, it waits because: {run.problem}",
            remedy="this cannot be released or refused; mend what is named there, then run the batch again",
        )


def _require_newest(ledger: LedgerSession, run: Run) -> None:
    newest = ledger.scalar(select(func.max(Run.attempt)).where(Run.batch_id == run.batch_id))
    if run.attempt != newest or run.swept:
        raise RunConflictError(
            f"a newer attempt at the batch has replaced the run {run.id}",
            remedy=f"look at the newest with 'guiji gates list --feed {run.feed} --date {run.business_date}'",
        )


def _decision(run: str, decision: str, by: str, why: str) -> GateDecision:
    if not by.strip() or not why.strip():
        raise GuijiError("a decision needs a name and a reason", remedy="say --by and --why")
    return GateDecision(run=run, decision=decision, by=name_of(by), at=now(), why=reason_of(why))


def _refused(decision: GateDecision) -> RunConflictError:
    return RunConflictError(
        f"the run {decision.run} was refused by {decision.by} on {decision.at:%Y-%m-%d %H:%M} UTC: {decision.why}",
        remedy="start the batch again; its gates are asked anew",
    )
