"""What an act puts into the outbox: which version it is about at each endpoint, by when it has to be there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session as LedgerSession

from pipelines.catalogue.endpoints import FAMILY, Endpoint, Operation
from pipelines.deadlines.calendar import WorkingCalendar, load_calendar
from pipelines.deadlines.clock import deadline
from pipelines.deadlines.policies import Policies, load_policies
from pipelines.delivery.packing import BY_HAND
from pipelines.ledger.delivery_models import RecordAct
from pipelines.ledger.models import Consolidation, DeliveryFinding, Outbox
from pipelines.operations.clock_rows import overtaken
from pipelines.operations.context import Context
from pipelines.operations.deadline_changes import department_of_feeds, hold_deadlines

AT_ONCE = 500


@dataclass(frozen=True)
class Limits:
    """What the deadlines of acts are worked out from. ``departments``: feed → department."""

    calendar: WorkingCalendar
    policies: Policies
    departments: Mapping[str, str]


def hold_limits(context: Context, ledger: LedgerSession) -> Limits:
    """The limits as they are described now; no recomputation of deadlines overlooks what this transaction queues."""
    hold_deadlines(ledger)
    calendar, policies = load_calendar(context.settings), load_policies(context.settings, context.catalogue)
    return Limits(calendar, policies, department_of_feeds(context))


def versions_owed(ledger: LedgerSession, category: str, record_key: str) -> dict[str, list[Outbox]]:
    """Endpoint → the versions of a record that it was ever owed, in the order in which they were queued.

    Of several feeds that reported the record, the one that survived counts; the others do where it owes nothing.
    """
    query = select(Outbox).where(
        Outbox.category == category, Outbox.record_key == record_key, Outbox.family == "content"
    )
    losing = losing_feeds(ledger, category, record_key)
    owed: dict[str, list[Outbox]] = {}
    for row in ledger.scalars(query.order_by(Outbox.id)):
        owed.setdefault(row.endpoint, []).append(row)
    return {
        endpoint: [row for row in rows if row.feed not in losing or row.accepted_at is not None] or rows
        for endpoint, rows in sorted(owed.items())
    }


def losing_feeds(ledger: LedgerSession, category: str, record_key: str) -> set[str]:
    """Feeds whose report of a record does not count, because another one reported it."""
    query = select(Consolidation.losing_feed).where(
        Consolidation.category == category, Consolidation.record_key == record_key
    )
    return set(ledger.scalars(query))


def is_shown(row: Outbox) -> bool:
    """Whether the endpoint has accepted this version and is not known to show it no longer."""
    return row.accepted_at is not None and row.withdrawn_at is None


def is_under_way(row: Outbox) -> bool:
    """Whether the endpoint may have this version, or will be sent it before anything else happens to the record."""
    is_open = row.accepted_at is None and row.rejected_at is None and row.withheld_at is None
    return is_open and (row.package is not None or row.sent_at is not None)


def version_there(rows: Sequence[Outbox]) -> Outbox:
    """The version that an endpoint shows, or will when all that is under way has arrived; else the latest one."""
    there = [row for row in rows if is_shown(row) or is_under_way(row)]
    return (there or rows)[-1]


def release_taken(ledger: LedgerSession, endpoint: Endpoint) -> None:
    """Make due again what was left to a person because the endpoint did not take its operation, and now takes it.

    Not what was overtaken meanwhile, such as the withdrawal of a record that was reinstated since.
    """
    found = select(DeliveryFinding.outbox_id).where(
        DeliveryFinding.endpoint == endpoint.endpoint, DeliveryFinding.rule == BY_HAND
    )
    released = list(
        ledger.scalars(
            select(Outbox.id).where(
                Outbox.id.in_(found),
                Outbox.operation.in_(endpoint.operations),
                Outbox.withheld_at.is_not(None),
                Outbox.id.not_in(overtaken()),
            )
        )
    )
    nothing = {"withheld_at": None, "withheld_reason": None}
    for start in range(0, len(released), AT_ONCE):
        part = released[start : start + AT_ONCE]
        ledger.execute(delete(DeliveryFinding).where(DeliveryFinding.outbox_id.in_(part)))
        ledger.execute(update(Outbox).where(Outbox.id.in_(part)).values(nothing))


def queue(
    ledger: LedgerSession,
    limits: Limits,
    act: RecordAct,
    operation: Operation,
    version: Outbox,
    at: datetime,
) -> Outbox:
    """Owe ``operation`` to the endpoint of ``version``, about that version, because of ``act``.

    The clock of it begins when the act takes effect.
    """
    policy = limits.policies.applying(
        category=act.category,
        begins=act.effective_on,
        endpoint=version.endpoint,
        department=limits.departments.get(version.feed),
        operation=operation,
    )
    limit = deadline(limits.calendar, policy, act.effective_on)
    row = Outbox(
        endpoint=version.endpoint,
        category=act.category,
        feed=version.feed,
        run=version.run,
        record_key=act.record_key,
        version=version.version,
        content_hash=version.content_hash,
        act=act.id,
        family=FAMILY[operation],
        operation=operation,
        reason=act.reason,
        business_date=version.business_date,
        decision_date=version.decision_date,
        deadline=limit.date,
        deadline_provisional=limit.provisional,
        policy=policy.code,
        idempotency_key=_idempotency_key(version.endpoint, act, operation),
        queued_at=at,
    )
    ledger.add(row)
    return row


def _idempotency_key(endpoint: str, act: RecordAct, operation: str) -> str:
    """One key per act and endpoint: never that of the version, which the endpoint may have answered already."""
    text = "\x1f".join((endpoint, act.category, act.record_key, operation, str(act.id)))
    return hashlib.sha256(text.encode()).hexdigest()
