"""Repair of differences between us and an endpoint: planned first, then stored one by one, each with its act."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby

from sqlalchemy import Select, select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.catalogue.endpoints import Operation
from pipelines.delivery.exclusive import exclusive
from pipelines.delivery.outbox import unsettled
from pipelines.errors import RunConflictError
from pipelines.ledger.database import now
from pipelines.ledger.delivery_models import Difference, RecordAct
from pipelines.ledger.models import Outbox, Receipt, Tombstone
from pipelines.operations.act_deliveries import Limits, hold_limits, queue, version_there, versions_owed
from pipelines.operations.clock import today_in_shanghai
from pipelines.operations.context import Context
from pipelines.operations.people import name_of
from pipelines.operations.reconciliation import open_differences
from pipelines.operations.record_acts import take_turn
from pipelines.operations.record_states import OBJECTIONS, acts_on, has_objection

MOST = 1000
BY_NAME_ONLY = "withdrawn_there"
ACTIONS = {
    "missing_there": "send the record again",
    "content_differs": "send what it had accepted again",
    "still_there": "withdraw it again",
    "objection_differs": "send the mark again",
    "unknown_here": "note it as accepted",
    "withdrawn_there": "send the record again",
}
ACCEPTED = "对账确认：接收方已持有该记录"
RESENT = "对账修复：{kind}"
QUEUED = "已重新报送（操作 {act}）"
NOTED = "已记为接受"
FOLLOWS = "有更新版本待报送"


@dataclass(frozen=True)
class Planned:
    """One difference and what would be done about it; without an ``action``, why nobody but a person can."""

    difference: Difference
    action: str | None
    why_not: str | None = None


def plan_repair(context: Context, endpoint: str | None = None, kinds: Sequence[str] = ()) -> list[Planned]:
    """What can be done about the open differences, of one endpoint or some kinds only if named.

    Records that are not ours are never touched. What the endpoint has withdrawn by itself is sent again only when
    that kind is named: a person has to have asked why.
    """
    return [
        _plan(context, difference, kinds)
        for difference in open_differences(context, endpoint)
        if difference.resolution is None and (not kinds or difference.kind in kinds)
    ]


def repair(context: Context, planned: Sequence[Planned], by: str, most: int = MOST) -> int:
    """Store the repairs that are possible, each in a transaction of its own; returns how many.

    A difference stays open until a reconciliation sees that it is gone. Raises :class:`RunConflictError` for more
    than ``most``: an endpoint that has lost nearly everything is a matter for a person; and for an endpoint that is
    delivered to right now.
    """
    possible = [one.difference for one in planned if one.action is not None]
    if len(possible) > most:
        raise RunConflictError(
            f"{len(possible)} differences would be repaired, at most {most} are at once; nothing was repaired",
            remedy="find out what happened at the endpoint, then name the number with --most",
        )
    repaired = 0
    for endpoint, of_endpoint in groupby(sorted(possible, key=lambda one: one.endpoint), key=lambda one: one.endpoint):
        # Not while it is delivered to: what a record is sent as follows from what this changes.
        with exclusive(context.ledger.engine, endpoint):
            for difference in of_endpoint:
                with context.ledger.write() as ledger:
                    limits = hold_limits(context, ledger)
                    take_turn(ledger, difference.category)
                    repaired += _repair(ledger, limits, difference.id, name_of(by))
    return repaired


def _plan(context: Context, difference: Difference, kinds: Sequence[str]) -> Planned:
    if difference.record_key is None or difference.outbox_id is None:
        return Planned(difference, None, "not a record or content of ours; ask the endpoint whose it is")
    if difference.kind == BY_NAME_ONLY and BY_NAME_ONLY not in kinds:
        return Planned(difference, None, "ask the endpoint why; then withdraw it here too, or name this kind")
    endpoint = context.catalogue.endpoints.get(difference.endpoint)
    needed = {"still_there": "withdraw", "content_differs": "update"}.get(difference.kind, "new")
    if endpoint is None or needed not in endpoint.operations:
        return Planned(difference, None, f"the endpoint does not take {needed}: a person has to see to it there")
    return Planned(difference, ACTIONS[difference.kind])


def _repair(ledger: LedgerSession, limits: Limits, identity: int, by: str) -> bool:
    """Repair one difference unless somebody has done so, or something about its record is under way."""
    difference = ledger.get_one(Difference, identity)
    outbox_id, key = difference.outbox_id, difference.record_key
    if difference.resolved_at is not None or difference.resolution is not None or outbox_id is None or key is None:
        return False
    if _is_withdrawn(ledger, difference) != (difference.kind == "still_there"):
        # Decided otherwise since the comparison: the next one says what there is to repair.
        return False
    rows = versions_owed(ledger, difference.category, key)[difference.endpoint]
    waiting = list(ledger.scalars(_unsettled(difference)))
    if any(row.package is not None or row.sent_at is not None or row.act for row in waiting):
        return False
    at = now()
    row = ledger.get_one(Outbox, outbox_id)
    match difference.kind:
        case "unknown_here":
            _note_accepted(ledger, row, difference.upper_id, at)
            difference.resolution = NOTED
        case "still_there":
            _note_accepted(ledger, row, difference.upper_id, at)
            difference.resolution = _withdraw_again(ledger, limits, difference, row, by, at)
        case "objection_differs":
            difference.resolution = _mark_again(ledger, limits, difference, version_there(rows), by, at)
        case _:
            difference.resolution = _send_again(ledger, limits, difference, rows, waiting, by, at)
    return True


def _unsettled(difference: Difference) -> Select[Outbox]:
    return select(Outbox).where(
        Outbox.endpoint == difference.endpoint,
        Outbox.category == difference.category,
        Outbox.record_key == difference.record_key,
        unsettled(),
    )


def _tombstone(difference: Difference) -> Select[Tombstone]:
    return select(Tombstone).where(
        Tombstone.category == difference.category, Tombstone.record_key == difference.record_key
    )


def _is_withdrawn(ledger: LedgerSession, difference: Difference) -> bool:
    return ledger.scalars(_tombstone(difference)).first() is not None


def _note_accepted(ledger: LedgerSession, row: Outbox, upper_id: str | None, at: datetime) -> None:
    """The endpoint shows this version, whatever its receipts said; those are kept beside a new one."""
    row.accepted_at = row.accepted_at or at
    row.rejected_at = row.withdrawn_at = row.withheld_at = row.withheld_reason = row.withheld_rule = None
    row.upper_id = upper_id or row.upper_id
    row.reconciled_at = at
    ledger.add(Receipt(outbox_id=row.id, at=at, result="accepted", upper_id=row.upper_id, message=ACCEPTED))


def _send_again(
    ledger: LedgerSession,
    limits: Limits,
    difference: Difference,
    rows: Sequence[Outbox],
    waiting: Sequence[Outbox],
    by: str,
    at: datetime,
) -> str:
    """Queue the version that the endpoint had accepted once more."""
    shown = version_there(rows)
    if difference.kind != "content_differs":
        for row in rows:
            if row.accepted_at is not None and row.withdrawn_at is None:
                row.withdrawn_at = at
    if any(row.family == "content" for row in waiting):
        return FOLLOWS
    act = _resend(ledger, difference, shown, shown.decision_date, by, at)
    queue(ledger, limits, act, "new", shown, at)
    if difference.kind != "content_differs" and has_objection(acts_on(ledger, act.category, act.record_key)):
        _mark_again(ledger, limits, difference, shown, by, at)
    return QUEUED.format(act=act.id)


def _withdraw_again(
    ledger: LedgerSession, limits: Limits, difference: Difference, version: Outbox, by: str, at: datetime
) -> str:
    tombstone = ledger.scalars(_tombstone(difference)).one()
    act = _resend(ledger, difference, version, tombstone.since, by, at)
    act.reason = tombstone.reason[:20]
    queue(ledger, limits, act, "withdraw", version, at)
    return QUEUED.format(act=act.id)


def _mark_again(
    ledger: LedgerSession, limits: Limits, difference: Difference, version: Outbox, by: str, at: datetime
) -> str:
    acts = acts_on(ledger, difference.category, version.record_key)
    decided = [act.effective_on for act in acts if act.kind in OBJECTIONS]
    act = _resend(ledger, difference, version, decided[-1] if decided else today_in_shanghai(), by, at)
    operation: Operation = "objection_on" if has_objection(acts) else "objection_off"
    queue(ledger, limits, act, operation, version, at)
    return QUEUED.format(act=act.id)


def _resend(
    ledger: LedgerSession, difference: Difference, version: Outbox, since: date, by: str, at: datetime
) -> RecordAct:
    """The act of a repair. Its clock has been running ``since`` what it repeats began: nothing starts anew."""
    act = RecordAct(
        category=difference.category,
        feed=version.feed,
        record_key=version.record_key,
        kind="resend",
        effective_on=since,
        by=by,
        at=at,
        note=RESENT.format(kind=difference.kind),
    )
    ledger.add(act)
    ledger.flush()
    return act
