"""Tasks as they are shown: the loudest first, and one with all that is known about it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.orm import Session as LedgerSession

from pipelines.catalogue.rule_words import OWNERS
from pipelines.deadlines.calendar import WorkingCalendar, load_calendar
from pipelines.engine.duck import file_literal
from pipelines.errors import CatalogueError
from pipelines.ledger.delivery_models import Difference
from pipelines.ledger.models import DeliveryFinding
from pipelines.ledger.quality_models import Closing, Task, TaskEvent
from pipelines.operations.attempts import last_published, run_folder
from pipelines.operations.cases import CASES_FILE
from pipelines.operations.clock import today_in_shanghai
from pipelines.operations.context import Context
from pipelines.operations.delivery_tasks import RECONCILE, UNNAMED
from pipelines.operations.judging import suite_of
from pipelines.operations.task_life import STATES, UNFINISHED, find_task

# A problem that outlives the time in which a record has to be shared has made that record late.
WORKING_DAYS = 7
EXAMPLES = 5


@dataclass(frozen=True)
class TaskLine:
    """One task. ``days``: calendar days since its oldest open row was found; ``overdue``: more than 7 working days."""

    reference: str
    state: str
    department: str
    feed: str
    category: str
    rule: str
    rule_version: int
    field: str
    severity: str
    owner: str
    rows: int
    waived: int
    rows_ever: int
    first_seen: date
    last_seen: date
    open_since: date | None
    closed_on: date | None
    days: int
    overdue: bool

    def as_json(self) -> dict[str, Any]:
        return {name: value.isoformat() if isinstance(value, date) else value for name, value in asdict(self).items()}


@dataclass(frozen=True)
class ExampleRow:
    """A row of a task: its reference (extract, sheet, line), what stood there (masked), and since when it is open."""

    row: str
    observed: str | None
    since: date


@dataclass(frozen=True)
class Event:
    """A step in the life of a task; ``rows`` were open after it."""

    at: datetime
    business_date: date
    event: str
    state: str
    rows: int
    by: str
    why: str | None


@dataclass(frozen=True)
class TaskView:
    """All about one task. ``texts``: message and what to do, in Chinese and English; empty for a receiver's rule.

    ``closed``: how rows were closed → rows and the sum of the days they were open. ``timeline``: business dates on
    which the number of open rows changed.
    """

    line: TaskLine
    texts: dict[str, str]
    source: str
    examples: tuple[ExampleRow, ...]
    history: tuple[Event, ...]
    closed: dict[str, tuple[int, int]]
    timeline: tuple[tuple[date, int], ...]


def list_tasks(
    context: Context,
    *,
    departments: Sequence[str] = (),
    owners: Sequence[str] = (),
    states: Sequence[str] = UNFINISHED,
    feeds: Sequence[str] = (),
    today: date | None = None,
) -> list[TaskLine]:
    """Tasks, the loudest first: blocking before warning, then by rows × days open. Unfinished ones unless asked.

    Raises :class:`CatalogueError` for a department, owner, state or feed that does not exist and never had a task.
    """
    query = select(Task)
    for column, wanted in ((Task.department, departments), (Task.owner, owners), (Task.state, states)):
        if wanted:
            query = query.where(column.in_(wanted))
    if feeds:
        query = query.where(Task.feed.in_(feeds))
    with context.ledger.read() as ledger:
        found = list(ledger.scalars(query))
        if not found:
            _require_known("department", departments, {*context.catalogue.departments, *_had(ledger, Task.department)})
            _require_known("owner", owners, OWNERS)
            _require_known("state", states, STATES)
            _require_known("feed", feeds, {*context.catalogue.feeds, *_had(ledger, Task.feed)})
    day = today or today_in_shanghai()
    calendar = load_calendar(context.settings)
    lines = [_line(task, day, calendar) for task in found]
    return sorted(lines, key=lambda one: (one.severity != "block", -one.rows * max(one.days, 1), one.reference))


def _had(ledger: LedgerSession, column: InstrumentedAttribute[str]) -> Iterable[str]:
    return ledger.scalars(select(column).distinct())


def _require_known(what: str, wanted: Sequence[str], known: Collection[str]) -> None:
    for name in wanted:
        if name not in known:
            raise CatalogueError(f"unknown {what} {name}", remedy=f"use one of {', '.join(sorted(known))}")


def view_task(context: Context, reference: str, today: date | None = None) -> TaskView:
    """One task with its texts, up to five of its open rows, its history and how many rows were open when.

    Raises :class:`RunConflictError` for an unknown reference.
    """
    day = today or today_in_shanghai()
    with context.ledger.read() as ledger:
        task = find_task(ledger, reference)
        events = ledger.scalars(select(TaskEvent).where(TaskEvent.task == task.id).order_by(TaskEvent.id))
        history = tuple(
            Event(one.at, one.business_date, one.event, one.state, one.rows, one.by, one.why) for one in events
        )
        closings = select(Closing.how, func.sum(Closing.rows), func.sum(Closing.days)).where(Closing.task == task.id)
        closed = {how: (int(rows), int(days)) for how, rows, days in ledger.execute(closings.group_by(Closing.how))}
        received = ":" in task.rule
        examples = _rejections(ledger, task) if received else ()
        last_run = last_published(ledger, task.feed)
    texts, source = ({}, task.rule.partition(":")[0]) if received else _texts(context, task)
    if not received and last_run is not None:
        examples = _rows(context, task, last_run)
    return TaskView(
        line=_line(task, day, load_calendar(context.settings)),
        texts=texts,
        source=source,
        examples=examples,
        history=history,
        closed=closed,
        timeline=_timeline(history),
    )


def _line(task: Task, today: date, calendar: WorkingCalendar) -> TaskLine:
    since = task.open_since if task.state in UNFINISHED else None
    return TaskLine(
        reference=task.reference,
        state=task.state,
        department=task.department,
        feed=task.feed,
        category=task.category,
        rule=task.rule,
        rule_version=task.rule_version,
        field=task.field,
        severity=task.severity,
        owner=task.owner,
        rows=task.rows,
        waived=task.waived,
        rows_ever=task.rows_ever,
        first_seen=task.first_seen,
        last_seen=task.last_seen,
        open_since=since,
        closed_on=task.closed_on,
        days=(today - since).days if since else 0,
        overdue=since is not None and calendar.working_days_between(since, today) > WORKING_DAYS,
    )


def _texts(context: Context, task: Task) -> tuple[dict[str, str], str]:
    """What the rule says; nothing when it has left the rule book since."""
    suite = suite_of(context, context.catalogue.categories[task.category])
    if task.rule not in suite:
        return {}, ""
    rule = suite.rule(task.rule)
    texts = {
        "message_zh": rule.message_zh,
        "fix_zh": rule.fix_zh,
        "message_en": rule.message_en,
        "fix_en": rule.fix_en,
    }
    return texts, rule.source


def _rows(context: Context, task: Task, run: str) -> tuple[ExampleRow, ...]:
    file = run_folder(context, run) / CASES_FILE
    if not file.is_file():
        return ()
    with context.session() as session:
        found = session.rows(
            f"""
            SELECT extract, sheet, line, observed, opened_on FROM read_parquet({file_literal(file)})
            WHERE rule = $rule AND coalesce(field, '') = $field AND state = 'open'
            ORDER BY opened_on, extract, sheet, line LIMIT {EXAMPLES}
            """,
            {"rule": task.rule, "field": task.field},
        )
    return tuple(
        ExampleRow("—" if extract is None else f"{extract[:12]}/{sheet or ''}/{line or ''}", observed, since)
        for extract, sheet, line, observed, since in found
    )


def _rejections(ledger: LedgerSession, task: Task) -> tuple[ExampleRow, ...]:
    endpoint, _, rule = task.rule.partition(":")
    if rule.startswith(RECONCILE):
        return _differences(ledger, task.feed, endpoint, rule.removeprefix(RECONCILE))
    query = select(DeliveryFinding).where(DeliveryFinding.feed == task.feed, DeliveryFinding.endpoint == endpoint)
    query = query.where(
        func.coalesce(DeliveryFinding.rule, UNNAMED) == rule, func.coalesce(DeliveryFinding.field, "") == task.field
    )
    found = ledger.scalars(query.order_by(DeliveryFinding.id.desc()).limit(EXAMPLES))
    return tuple(ExampleRow(f"record {one.record_key[:12]}", None, one.found_at.date()) for one in found)


def _differences(ledger: LedgerSession, feed: str, endpoint: str, kind: str) -> tuple[ExampleRow, ...]:
    query = select(Difference).where(
        Difference.feed == feed,
        Difference.endpoint == endpoint,
        Difference.kind == kind,
        Difference.resolved_at.is_(None),
    )
    found = ledger.scalars(query.order_by(Difference.id.desc()).limit(EXAMPLES))
    return tuple(ExampleRow(f"record {(one.record_key or '')[:12]}", one.detail, one.found_at.date()) for one in found)


def _timeline(history: Sequence[Event]) -> tuple[tuple[date, int], ...]:
    """Open rows after the last event of each business date that changed them.

    A late batch says what was open when it came. What people say changes no rows.
    """
    days: dict[date, int] = {}
    before: int | None = None
    for event in history:
        if event.rows != before:
            days[event.business_date] = before = event.rows
    changed: list[tuple[date, int]] = []
    for day, rows in sorted(days.items()):
        if not changed or changed[-1][1] != rows:
            changed.append((day, rows))
    return tuple(changed)
