"""Sending again what a receiver rejected by mistake or never answered: only the transport is repeated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session, aliased

from pipelines.delivery.outbox import unsettled
from pipelines.delivery.packages import note_attempts, release
from pipelines.ledger.models import DeliveryFinding, Outbox, Package


@dataclass(frozen=True)
class Chosen:
    """Which rejected rows of an endpoint: all conditions that are given hold.

    ``reference`` is a package's name at the receiver; ``since`` the instant of the rejection (UTC without zone);
    ``rule`` what the receiver rejected them by.
    """

    endpoint: str
    reference: str | None = None
    since: datetime | None = None
    rule: str | None = None

    @property
    def says_something(self) -> bool:
        return self.reference is not None or self.since is not None or self.rule is not None


def rejected_rows(session: Session, chosen: Chosen) -> Sequence[Outbox]:
    """The chosen rows that are still rejected, oldest first.

    A row with a later one about the same record is left out: the later one says more, and the receiver must not get an
    older state after a newer one. So is one that was set aside because another feed has reported the record.
    """
    later = aliased(Outbox)
    replaced = (
        select(later.id)
        .where(later.endpoint == Outbox.endpoint, later.record_key == Outbox.record_key, later.id > Outbox.id)
        .exists()
    )
    query = select(Outbox).where(
        Outbox.endpoint == chosen.endpoint,
        Outbox.rejected_at.is_not(None),
        Outbox.accepted_at.is_(None),
        Outbox.withheld_at.is_(None),
        ~replaced,
    )
    return session.scalars(query.where(*_conditions(chosen)).order_by(Outbox.deadline, Outbox.id)).all()


def unanswered_rows(session: Session, chosen: Chosen, taken_before: datetime) -> Sequence[Outbox]:
    """Rows of the package that ``chosen`` names which nothing settles any more, oldest first; none without a package.

    The receiver took the package before ``taken_before`` and has not said, or not in words that can be understood, what
    became of them. They block whatever is to be said later about their records, a withdrawal too.
    """
    if chosen.reference is None:
        return []
    query = (
        select(Outbox)
        .join(Package, Package.id == Outbox.package)
        .where(
            Package.endpoint == chosen.endpoint,
            Package.reference == chosen.reference,
            Package.sent_at <= taken_before,
            unsettled(),
        )
    )
    return session.scalars(query.order_by(Outbox.deadline, Outbox.id)).all()


def give_up_waiting(session: Session, rows: Sequence[Outbox], by: str, at: datetime) -> None:
    """Make rows due again that were never answered, in a package with a new name.

    The receiver may have them: that they were sent is kept, and explains why they may come back as duplicates.
    """
    packages: dict[str, list[int]] = {}
    for row in rows:
        if row.package is not None:
            packages.setdefault(row.package, []).append(row.id)
    for package, ids in packages.items():
        release(session, package, ids, at)
        text = f"{len(ids)} records without an answer are sent again, asked for by {by}"
        line = {"package": package, "at": at, "action": "resend", "outcome": "queued", "status": None, "text": text}
        note_attempts(session, [line])


def queue_again(session: Session, rows: Sequence[Outbox], by: str, at: datetime) -> None:
    """Make rejected rows due again under the same idempotency keys; receipts and attempts so far are kept.

    Each package that they travelled in gets a line about it. Their findings stay until the receiver accepts them.
    """
    packages: dict[str, int] = {}
    for row in rows:
        if row.package is not None:
            packages[row.package] = packages.get(row.package, 0) + 1
        # The receiver has nothing of what it rejected: the earlier sending explains no duplicate.
        row.rejected_at = row.package = row.line = row.packaged_at = row.sent_at = None
        row.reply_code = row.reply_text = None
    note_attempts(
        session,
        [
            {
                "package": package,
                "at": at,
                "action": "resend",
                "outcome": "queued",
                "status": None,
                "text": f"{count} rejected records are sent again, asked for by {by}",
            }
            for package, count in sorted(packages.items())
        ],
    )


def _conditions(chosen: Chosen) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if chosen.reference is not None:
        of_package = select(Package.id).where(
            Package.endpoint == chosen.endpoint, Package.reference == chosen.reference
        )
        conditions.append(Outbox.package.in_(of_package))
    if chosen.since is not None:
        conditions.append(Outbox.rejected_at >= chosen.since)
    if chosen.rule is not None:
        found = select(DeliveryFinding.outbox_id).where(DeliveryFinding.rule == chosen.rule)
        conditions.append(Outbox.id.in_(found))
    return conditions
