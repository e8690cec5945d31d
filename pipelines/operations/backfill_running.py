"""Running a plan, one batch at a time, behind whatever else wants a feed.

Slices run in the order of their dates. A process that dies is continued by the next one: what its slice had published
counts, anything else begins again. A feed that is at work for somebody else is left until later.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

from pipelines.errors import FeedBusyError, GuijiError, RunConflictError, SourceError
from pipelines.ledger.database import now
from pipelines.ledger.operation_models import BackfillPlan, BackfillSlice
from pipelines.operations.attempts import load_run, take_lock
from pipelines.operations.backfill_plans import (
    attempt_since,
    begin_plan,
    end_plan,
    end_slice,
    load_plan,
    settle_slices,
    slices_of,
)
from pipelines.operations.context import Context
from pipelines.operations.night import run_batch, unexpected
from pipelines.operations.rejudging import rejudge

Progress = Callable[[int, int, str], None]
BUSY_SECONDS = 5.0
# Another batch of the feed may have been published in between; that cannot go on for ever.
MOST_TRIES = 3


@dataclass
class Outcome:
    """What one call of :func:`run_plan` has done; ``left``: feed → why its other slices wait for another call."""

    plan: BackfillPlan
    done: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)


def run_plan(
    context: Context,
    number: int,
    *,
    limit: int | None = None,
    pause: float = 1.0,
    again: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Run the slices of a plan that wait, at most ``limit``, with ``pause`` seconds after each.

    Works with one thread and gives way at a feed (see :func:`~pipelines.operations.attempts.feed_lock`). A slice that
    fails stops itself only; a source that is down leaves the other slices of its feed for another call. Raises
    :class:`RunConflictError` when somebody runs the plan, it was given up, or its configuration has changed.
    """
    report = progress or (lambda _done, _total, _what: None)
    modest = replace(context, settings=context.settings.model_copy(update={"threads": 1, "gives_way": True}))
    with _plan_lock(context, number) as is_ours:
        if not is_ours:
            raise RunConflictError(
                f"another process runs the plan {number}", remedy=f"see 'guiji backfill show {number}'"
            )
        outcome = Outcome(begin_plan(context, number, again=again))
        total = len(slices_of(context, number))
        while limit is None or outcome.done + len(outcome.failed) < limit:
            waiting = _waiting(context, number, outcome.left)
            if not waiting:
                break
            ended = total - len(waiting)
            # Of each feed the earliest; while one feed is busy, the others go on.
            firsts = {one.feed: one for one in reversed(waiting)}
            for one in sorted(firsts.values(), key=lambda first: (first.business_date, first.feed)):
                report(ended, total, f"{one.feed} {one.business_date}")
                if _run_slice(modest, outcome, one):
                    time.sleep(pause)
                    break
            else:
                report(ended, total, f"waiting for {', '.join(sorted(firsts))}")
                time.sleep(BUSY_SECONDS)
        outcome.plan = end_plan(context, number)
    return outcome


def refresh_plan(context: Context, number: int) -> BackfillPlan:
    """The plan, with what others have run of it meanwhile (Airflow, the night); left alone while somebody runs it."""
    plan = load_plan(context, number)
    with _plan_lock(context, number) as is_ours:
        if not is_ours or plan.state == "cancelled":
            return plan
        settle_slices(context, number)
        return end_plan(context, number)


@contextmanager
def _plan_lock(context: Context, number: int) -> Iterator[bool]:
    """Hold a plan; False when another process does."""
    context.settings.locks.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        yield take_lock(held, context.settings.locks / f"backfill-{number}.lock", fcntl.LOCK_EX)


def _waiting(context: Context, number: int, left: dict[str, str]) -> list[BackfillSlice]:
    """Slices to run, in their order; none once the plan was given up."""
    if load_plan(context, number).state != "running":
        return []
    return [one for one in slices_of(context, number) if one.state == "waiting" and one.feed not in left]


def _run_slice(context: Context, outcome: Outcome, one: BackfillSlice) -> bool:
    """Run one slice; False when its feed is busy, and nothing is known about the slice yet."""
    with context.ledger.write() as ledger:
        found = ledger.get_one(BackfillSlice, one.id)
        found.state, found.tries, found.started_at = "running", found.tries + 1, now()
    problem: GuijiError | None = None
    ran: str | None = None
    try:
        if outcome.plan.replay == "judge":
            ran = rejudge(context, one.feed, one.business_date)
        else:
            ran = run_batch(context, one.feed, one.business_date)
    except GuijiError as error:
        problem = error
    except Exception as error:  # noqa: BLE001 - whatever happens in one slice must not stop the others
        problem = unexpected(error)
    if isinstance(problem, FeedBusyError):
        _wait_again(context, one, counts=False)
        return False
    if isinstance(problem, RunConflictError) and one.tries + 1 < MOST_TRIES:
        _wait_again(context, one, counts=True)
        return True
    # Its own run, though somebody may have begun another attempt since.
    run = load_run(context, ran) if ran is not None else attempt_since(context, one)
    end_slice(context, one.id, run, str(problem) if problem is not None else None)
    if problem is None:
        outcome.done += 1
        return True
    outcome.failed[f"{one.feed} {one.business_date}"] = str(problem)
    if isinstance(problem, SourceError):
        outcome.left[one.feed] = str(problem)
    return True


def _wait_again(context: Context, one: BackfillSlice, *, counts: bool) -> None:
    with context.ledger.write() as ledger:
        found = ledger.get_one(BackfillSlice, one.id)
        found.state = "waiting"
        if not counts:
            found.tries -= 1
