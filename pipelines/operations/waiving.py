"""Waivers as the ledger keeps them: which are in force, which end soon, and how one is revoked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa
from sqlalchemy import ColumnElement, and_, select

from pipelines.errors import RunConflictError
from pipelines.ledger.database import now
from pipelines.ledger.quality_models import Waiver
from pipelines.operations.context import Context
from pipelines.operations.people import name_of, reason_of
from pipelines.quality.waivers import WAIVERS


@dataclass(frozen=True)
class ShownWaiver:
    """A waiver with its state on a day: ``in force``, ``expired``, ``revoked`` or ``not yet``."""

    waiver: Waiver
    state: str


def waivers_in_force(context: Context, feed: str, business_date: date) -> pa.Table:
    """The waivers that excuse records of a feed's batch of a date, in the columns of ``WAIVERS``."""
    query = (
        select(Waiver.content_hash, Waiver.rule, Waiver.rule_version)
        .where(Waiver.feed == feed, _in_force(business_date))
        .distinct()
        .order_by(Waiver.content_hash, Waiver.rule, Waiver.rule_version)
    )
    with context.ledger.read() as session:
        found = [dict(zip(WAIVERS.names, row, strict=True)) for row in session.execute(query)]
    return pa.Table.from_pylist(found, schema=WAIVERS)


def waiver_marks(context: Context, feed: str, business_date: date) -> list[str]:
    """One text per waiver in force: a batch whose waivers are others than last time has to be judged again."""
    found = waivers_in_force(context, feed, business_date).to_pylist()
    return [f"{waiver['content_hash']}:{waiver['rule']}:{waiver['rule_version']}" for waiver in found]


def list_waivers(
    context: Context, day: date, feed: str | None = None, *, in_force_only: bool = True
) -> list[ShownWaiver]:
    """Waivers with their state on a day, those that end first first."""
    query = select(Waiver).order_by(Waiver.until, Waiver.id)
    if feed is not None:
        query = query.where(Waiver.feed == feed)
    with context.ledger.read() as session:
        shown = [ShownWaiver(waiver, _state(waiver, day)) for waiver in session.scalars(query)]
    return [one for one in shown if one.state == "in force" or not in_force_only]


def expiring_waivers(context: Context, day: date, days: int) -> list[ShownWaiver]:
    """Waivers in force on a day that end within so many days after it."""
    return [one for one in list_waivers(context, day) if one.waiver.until <= day + timedelta(days=days)]


def revoke_waivers(context: Context, numbers: list[int], by: str, why: str) -> int:
    """End waivers at once; returns how many. What was published stays published.

    From now on no batch counts them, whatever its date: a batch that is run again is judged in full. Raises
    :class:`RunConflictError` for a number that does not exist or was revoked before; then none is revoked.
    """
    if not by.strip() or not why.strip():
        raise RunConflictError("who revokes a waiver, and why, has to be said", remedy="give --by and --why")
    with context.ledger.write() as session:
        for number in numbers:
            waiver = session.get(Waiver, number)
            if waiver is None:
                raise RunConflictError(f"there is no waiver {number}", remedy="list them with 'guiji waivers list'")
            if waiver.revoked_at is not None:
                raise RunConflictError(
                    f"the waiver {number} was revoked by {waiver.revoked_by} before", remedy="leave it out"
                )
            waiver.revoked_at, waiver.revoked_by, waiver.revoked_why = now(), name_of(by), reason_of(why)
    return len(numbers)


def _in_force(day: date) -> ColumnElement[bool]:
    return and_(Waiver.since <= day, Waiver.until >= day, Waiver.revoked_at.is_(None))


def _state(waiver: Waiver, day: date) -> str:
    if waiver.revoked_at is not None:
        return "revoked"
    if waiver.until < day:
        return "expired"
    return "in force" if waiver.since <= day else "not yet"
