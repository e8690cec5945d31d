"""Tasks that receivers make: what they rejected, would not take, cannot be told, or hold otherwise than we believe."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, literal, or_, select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.delivery.packing import BY_HAND
from pipelines.ledger.delivery_models import Difference
from pipelines.ledger.models import DeliveryFinding, Outbox
from pipelines.ledger.quality_models import Task
from pipelines.operations.clock import SHANGHAI, today_in_shanghai
from pipelines.operations.context import Context
from pipelines.operations.task_life import Standing, update_task
from pipelines.reporting.batches import superseded

UNNAMED = "REJECTED"
RECONCILE = "RECONCILE-"
"""What the rule of a task about differences begins with; their kind follows."""
_OF_RECEIVERS = Task.rule.contains(":")


def refresh_delivery_tasks(context: Context, by: str) -> None:
    """Bring the tasks that receivers make up to date, of every feed that owes them something."""
    with context.ledger.write() as ledger:
        rejected = select(DeliveryFinding.feed)
        withheld = select(Outbox.feed).where(Outbox.withheld_rule.is_not(None))
        differing = select(Difference.feed).where(Difference.resolved_at.is_(None), Difference.feed.is_not(None))
        known = select(Task.feed).where(_OF_RECEIVERS)
        for feed in sorted(set(ledger.scalars(rejected.union(withheld, differing, known)))):
            if feed in context.catalogue.feeds:
                store_delivery_tasks(context, ledger, feed, by)


def store_delivery_tasks(context: Context, ledger: LedgerSession, feed: str, by: str) -> None:
    """Bring the tasks that receivers make for a feed up to date, one per endpoint, rule and field.

    A record is open until a newer version of it is queued for the endpoint, the endpoint has accepted it after all, or
    nothing keeps it back any more.
    Rejections are the department's work; what an acceptance profile keeps back is the upper level's. Operations that an
    endpoint does not take, and differences that a reconciliation found, are ours; these are open until they are gone.
    """
    today = today_in_shanghai()
    known = {
        (task.rule, task.field): task for task in ledger.scalars(select(Task).where(Task.feed == feed, _OF_RECEIVERS))
    }
    ever = {name: task.rows_ever for name, task in known.items()}
    for standing, run in _standings(ledger, feed, ever, today):
        update_task(ledger, context.catalogue.feed(feed), standing, run, today, by)
        known.pop((standing.rule, standing.field), None)
    for task in known.values():
        # A profile that lets a record go leaves no trace in the outbox.
        update_task(ledger, context.catalogue.feed(feed), _emptied(task, today), task.run, today, by)


def _standings(
    ledger: LedgerSession, feed: str, known: dict[tuple[str, str], int], today: date
) -> Iterator[tuple[Standing, str]]:
    for query, owner in ((_rejected(feed), "department"), (_withheld(feed), "upper"), (_differing(feed), "us")):
        for endpoint, rule, field, ever, rows, first, last, open_since, run in ledger.execute(query):
            name = f"{endpoint}:{rule}"
            yield (
                Standing(
                    rule=name,
                    field=field,
                    rule_version=1,
                    severity="block",
                    owner="us" if rule == BY_HAND else owner,
                    rows=int(rows),
                    waived=0,
                    fresh=max(0, int(ever) - known.get((name, field), 0)),
                    found=0,
                    corrected=0,
                    still_wrong=0,
                    first_seen=_day(first),
                    last_seen=_day(last),
                    open_since=_day(open_since) if rows else None,
                    closed_on=None if rows else today,
                ),
                run,
            )


def _emptied(task: Task, today: date) -> Standing:
    return Standing(
        rule=task.rule,
        field=task.field,
        rule_version=task.rule_version,
        severity=task.severity,
        owner=task.owner,
        rows=0,
        waived=0,
        fresh=0,
        found=0,
        corrected=0,
        still_wrong=0,
        first_seen=task.first_seen,
        last_seen=task.last_seen,
        open_since=None,
        closed_on=task.closed_on or today,
    )


def _rejected(feed: str) -> Select[*tuple[Any, ...]]:
    # Rejected and set aside: another feed reported it, and has to mend what there is to mend.
    is_ours = or_(Outbox.rejected_at.is_(None), Outbox.withheld_at.is_(None))
    is_open = _is_open(and_(Outbox.accepted_at.is_(None), is_ours))
    found = DeliveryFinding.found_at
    name = (
        DeliveryFinding.endpoint,
        func.coalesce(DeliveryFinding.rule, UNNAMED),
        func.coalesce(DeliveryFinding.field, ""),
    )
    return (
        select(
            *name,
            func.count(),
            func.sum(case((is_open, 1), else_=0)),
            func.min(found),
            func.max(found),
            func.min(case((is_open, found))),
            func.max(Outbox.run),
        )
        .join(Outbox, Outbox.id == DeliveryFinding.outbox_id)
        .where(DeliveryFinding.feed == feed)
        .group_by(*name)
        .order_by(*name)
    )


def _withheld(feed: str) -> Select[*tuple[Any, ...]]:
    is_open = _is_open(and_(Outbox.withheld_at.is_not(None), Outbox.accepted_at.is_(None)))
    queued = Outbox.queued_at
    return (
        select(
            Outbox.endpoint,
            Outbox.withheld_rule,
            literal(""),
            func.count(),
            func.sum(case((is_open, 1), else_=0)),
            func.min(queued),
            func.max(queued),
            func.min(case((is_open, queued))),
            func.max(Outbox.run),
        )
        .where(Outbox.feed == feed, Outbox.withheld_rule.is_not(None))
        .group_by(Outbox.endpoint, Outbox.withheld_rule)
        .order_by(Outbox.endpoint, Outbox.withheld_rule)
    )


def _differing(feed: str) -> Select[*tuple[Any, ...]]:
    is_open = Difference.resolved_at.is_(None)
    found = Difference.found_at
    return (
        select(
            Difference.endpoint,
            literal(RECONCILE) + Difference.kind,
            literal(""),
            func.count(),
            func.sum(case((is_open, 1), else_=0)),
            func.min(found),
            func.max(found),
            func.min(case((is_open, found))),
            select(func.max(Outbox.run)).where(Outbox.feed == feed).scalar_subquery(),
        )
        .where(Difference.feed == feed)
        .group_by(Difference.endpoint, Difference.kind)
        .order_by(Difference.endpoint, Difference.kind)
    )


def _is_open(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return and_(condition, ~superseded())


def _day(instant: datetime) -> date:
    return instant.replace(tzinfo=UTC).astimezone(SHANGHAI).date()
