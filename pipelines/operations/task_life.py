"""The life of a task: what a batch, a receiver or a person does to it, each step with who, when and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import func, select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.catalogue.feeds import Feed
from pipelines.errors import RunConflictError
from pipelines.ledger.database import now
from pipelines.ledger.quality_models import Task, TaskEvent
from pipelines.operations.clock import today_in_shanghai
from pipelines.operations.context import Context
from pipelines.operations.people import name_of, reason_of
from pipelines.operations.task_references import new_reference

OPEN, ACKNOWLEDGED, FIXED, VERIFIED, WAIVED, REOPENED = (
    "open",
    "acknowledged",
    "fixed",
    "verified",
    "waived",
    "reopened",
)
STATES = (OPEN, ACKNOWLEDGED, FIXED, REOPENED, VERIFIED, WAIVED)
UNFINISHED = (OPEN, ACKNOWLEDGED, FIXED, REOPENED)
_BY_HAND = {
    ACKNOWLEDGED: (OPEN, REOPENED),
    FIXED: (OPEN, ACKNOWLEDGED, REOPENED),
    REOPENED: (ACKNOWLEDGED, FIXED),
}


@dataclass(frozen=True)
class Standing:
    """How a task stands after somebody has looked: ``rows`` open, ``waived`` excused, ``fresh`` never seen before.

    ``found`` of the open rows were judged again and failed again; ``corrected`` rows came back in a workbook, of which
    ``still_wrong`` failed again.
    """

    rule: str
    field: str
    rule_version: int
    severity: str
    owner: str
    rows: int
    waived: int
    fresh: int
    found: int
    corrected: int
    still_wrong: int
    first_seen: date
    last_seen: date
    open_since: date | None
    closed_on: date | None


def update_task(ledger: LedgerSession, feed: Feed, standing: Standing, run: str, day: date, by: str) -> Task | None:
    """Bring one task up to date; makes it when something is open or waived. Nothing is logged when nothing changed."""
    query = select(Task).where(Task.feed == feed.feed, Task.rule == standing.rule, Task.field == standing.field)
    task = ledger.scalar(query)
    was: str | None = None
    rows_before = waived_before = 0
    if task is None:
        if not standing.rows and not standing.waived:
            return None
        task = _new_task(ledger, feed, standing, run)
    else:
        was, rows_before, waived_before = task.state, task.rows, task.waived
    task.rule_version, task.severity, task.owner = standing.rule_version, standing.severity, standing.owner
    task.rows, task.waived, task.run = standing.rows, standing.waived, run
    task.rows_ever += standing.fresh
    task.first_seen = min(task.first_seen, standing.first_seen)
    task.last_seen = max(task.last_seen, standing.last_seen)
    task.open_since = standing.open_since
    if standing.corrected:
        came_back = f"{standing.corrected} rows corrected in a workbook, {standing.still_wrong} of them still wrong"
        _log(ledger, task, day, FIXED, by, came_back, state=was or OPEN, rows=rows_before)
    state, event = _next(was, standing)
    task.state = state
    task.closed_on = None if standing.rows else standing.closed_on or day
    if event is None and (rows_before, waived_before) != (standing.rows, standing.waived):
        event = "counted"
    if event is not None:
        why = "declared fixed, and still wrong" if was == FIXED and event == REOPENED else None
        _log(ledger, task, day, event, by, why)
    return task


def change_task(context: Context, reference: str, state: str, by: str, why: str | None = None) -> Task:
    """A person acknowledges a task, declares it fixed or reopens it; returns the task.

    Raises :class:`RunConflictError` for an unknown reference, and for a step that the task's state does not allow.
    """
    with context.ledger.write() as ledger:
        task = find_task(ledger, reference)
        if task.state not in _BY_HAND[state]:
            raise RunConflictError(
                f"the task {task.reference} is {task.state} and cannot become {state}",
                remedy=f"only a task that is {' or '.join(_BY_HAND[state])} can",
            )
        task.state = state
        _log(ledger, task, today_in_shanghai(), state, name_of(by), None if why is None else reason_of(why))
    return task


def find_task(ledger: LedgerSession, reference: str) -> Task:
    """The task with this reference, in any case; raises :class:`RunConflictError` when there is none."""
    task = ledger.scalar(select(Task).where(Task.reference == reference.strip().upper()))
    if task is None:
        raise RunConflictError(f"there is no task {reference}", remedy="list the tasks with 'guiji tasks list'")
    return task


def _new_task(ledger: LedgerSession, feed: Feed, standing: Standing, run: str) -> Task:
    def is_taken(reference: str) -> bool:
        return bool(ledger.scalar(select(func.count()).select_from(Task).where(Task.reference == reference)))

    task = Task(
        reference=new_reference(feed.feed, standing.rule, standing.field, is_taken),
        department=feed.department,
        feed=feed.feed,
        category=feed.category,
        rule=standing.rule,
        rule_version=standing.rule_version,
        field=standing.field,
        severity=standing.severity,
        owner=standing.owner,
        state=OPEN,
        rows=standing.rows,
        waived=standing.waived,
        rows_ever=0,
        first_seen=standing.first_seen,
        last_seen=standing.last_seen,
        run=run,
    )
    ledger.add(task)
    ledger.flush()
    return task


def _next(was: str | None, standing: Standing) -> tuple[str, str | None]:
    """The state after a look, and the event when that is a step."""
    if not standing.rows:
        state = WAIVED if standing.waived else VERIFIED
        return state, None if state == was else state
    if was is None:
        return OPEN, "opened"
    if was in {VERIFIED, WAIVED} or (was == FIXED and standing.found):
        return REOPENED, REOPENED
    return was, None


def _log(
    ledger: LedgerSession,
    task: Task,
    day: date,
    event: str,
    by: str,
    why: str | None,
    *,
    state: str | None = None,
    rows: int | None = None,
) -> None:
    ledger.add(
        TaskEvent(
            task=task.id,
            at=now(),
            business_date=day,
            event=event,
            state=state or task.state,
            rows=task.rows if rows is None else rows,
            by=by,
            why=why,
        )
    )
