"""Plans as the ledger keeps them: found, shown, begun and given up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.errors import RunConflictError
from pipelines.ledger.database import now
from pipelines.ledger.models import Batch, Run
from pipelines.ledger.operation_models import BackfillPlan, BackfillSlice
from pipelines.operations.backfill_counts import counts_of_run
from pipelines.operations.backfill_planning import basis_of
from pipelines.operations.context import Context

OPEN = ("planned", "running")


@dataclass(frozen=True)
class PlanLine:
    """A plan and how many of its slices are in which state."""

    plan: BackfillPlan
    slices: dict[str, int]


def list_plans(context: Context) -> list[PlanLine]:
    """All plans, the newest first."""
    states = select(BackfillSlice.plan, BackfillSlice.state, func.count()).group_by(
        BackfillSlice.plan, BackfillSlice.state
    )
    with context.ledger.read() as ledger:
        plans = list(ledger.scalars(select(BackfillPlan).order_by(BackfillPlan.id.desc())))
        counts: dict[int, dict[str, int]] = {plan.id: {} for plan in plans}
        for plan, state, slices in ledger.execute(states):
            counts[plan][state] = slices
    return [PlanLine(plan, counts[plan.id]) for plan in plans]


def load_plan(context: Context, number: int) -> BackfillPlan:
    """The plan with this number; raises :class:`RunConflictError` for one that does not exist."""
    with context.ledger.read() as ledger:
        return _plan(ledger, number)


def slices_of(context: Context, number: int) -> list[BackfillSlice]:
    """The slices of a plan by business date and feed: the order in which they run."""
    with context.ledger.read() as ledger:
        return list(ledger.scalars(_slices(number)))


def begin_plan(context: Context, number: int, *, again: bool) -> BackfillPlan:
    """The plan, to be worked on: running from now on; with ``again`` its failed slices wait once more.

    What somebody else has run since the plan was made, or a process that died had published, is done. Raises
    :class:`RunConflictError` for a plan that was given up, and for one whose feeds or rules are not those of its
    making.
    """
    plan = load_plan(context, number)
    if plan.state == "cancelled":
        raise _given_up(number)
    _require_basis(context, plan)
    if again:
        with context.ledger.write() as ledger:
            for one in ledger.scalars(_slices(number).where(BackfillSlice.state == "failed")):
                one.state, one.tries = "waiting", 0
    settle_slices(context, number)
    with context.ledger.write() as ledger:
        plan = _plan(ledger, number, lock=True)
        if plan.state == "cancelled":
            # While the slices were looked at.
            raise _given_up(number)
        plan.state, plan.ended_at = "running", None
    return plan


def settle_slices(context: Context, number: int) -> None:
    """Find out what became of slices that are not done: done where an attempt since the plan was made was published.

    Of the others those that were running wait again. Call it when nobody runs the plan.
    """
    for one in slices_of(context, number):
        if one.state == "done":
            continue
        run = attempt_since(context, one, ("published", "unchanged"))
        if run is not None:
            end_slice(context, one.id, run, None)
        elif one.state == "running":
            with context.ledger.write() as ledger:
                ledger.get_one(BackfillSlice, one.id).state = "waiting"


def attempt_since(context: Context, one: BackfillSlice, states: Sequence[str] = ()) -> Run | None:
    """The newest attempt at the batch of a slice since its plan was made; of those in these states, where given."""
    query = (
        select(Run)
        .join(Batch, Batch.id == Run.batch_id)
        .where(Batch.feed == one.feed, Batch.business_date == one.business_date, Run.attempt > one.attempts_before)
        .order_by(Run.attempt.desc())
        .limit(1)
    )
    if states:
        query = query.where(Run.state.in_(states))
    with context.ledger.read() as ledger:
        return ledger.scalar(query)


def end_slice(context: Context, slice_id: int, run: Run | None, problem: str | None) -> None:
    """Keep what became of a slice: what its run changed, or the problem that stopped it."""
    actual = counts_of_run(context, run) if run is not None and problem is None else None
    with context.ledger.write() as ledger:
        found = ledger.get_one(BackfillSlice, slice_id)
        found.state = "done" if problem is None else "failed"
        found.run = run.id if run is not None else None
        found.actual, found.problem, found.ended_at = actual, problem, now()


def end_plan(context: Context, number: int) -> BackfillPlan:
    """The plan as it stands: done when no slice is left."""
    with context.ledger.write() as ledger:
        plan = _plan(ledger, number)
        left = ledger.scalars(_slices(number).where(BackfillSlice.state.in_(("waiting", "running")))).first()
        if left is None and plan.state in OPEN:
            plan.state, plan.ended_at = "done", now()
    return plan


def cancel_plan(context: Context, number: int) -> None:
    """Give a plan up: a slice that is at work ends, no other begins.

    Raises :class:`RunConflictError` for a plan that has ended.
    """
    with context.ledger.write() as ledger:
        plan = _plan(ledger, number, lock=True)
        if plan.state not in OPEN:
            raise RunConflictError(f"the plan {number} is {plan.state}", remedy="only an open plan can be given up")
        plan.state, plan.ended_at = "cancelled", now()


def _require_basis(context: Context, plan: BackfillPlan) -> None:
    feeds = [context.catalogue.feed(code) for code in plan.basis]
    changed = [feed for feed, mark in basis_of(context, feeds).items() if plan.basis[feed] != mark]
    if changed:
        raise RunConflictError(
            f"the feeds or rules that the plan {plan.id} was made for have changed ({', '.join(changed)}), "
            "so what it expects no longer holds",
            remedy=f"give it up with 'guiji backfill cancel {plan.id}' and plan again",
        )


def _given_up(number: int) -> RunConflictError:
    return RunConflictError(f"the plan {number} was given up", remedy="make a new one with 'guiji backfill plan'")


def _plan(ledger: LedgerSession, number: int, *, lock: bool = False) -> BackfillPlan:
    plan = ledger.get(BackfillPlan, number, with_for_update=lock)
    if plan is None:
        raise RunConflictError(f"there is no plan {number}", remedy="list them with 'guiji backfill show'")
    return plan


def _slices(number: int) -> Select[BackfillSlice]:
    in_order = (BackfillSlice.business_date, BackfillSlice.feed)
    return select(BackfillSlice).where(BackfillSlice.plan == number).order_by(*in_order)
