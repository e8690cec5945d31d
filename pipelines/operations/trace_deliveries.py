"""Where versions of a record and acts on it went: every call and every receipt."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.ledger.delivery_models import RecordAct
from pipelines.ledger.models import Attempt, Outbox, PackageRow, Receipt
from pipelines.operations.record_states import acts_on


@dataclass(frozen=True)
class Delivery:
    """One record version or one act at one endpoint, with every call and every receipt.

    Calls are those of all packages that it has travelled in.
    """

    outbox: Outbox
    attempts: list[Attempt]
    receipts: list[Receipt]


@dataclass(frozen=True)
class ActTrace:
    """Something decided about the record, and where it went."""

    act: RecordAct
    deliveries: list[Delivery]


def traced_acts(ledger: LedgerSession, category: str, record_key: str) -> list[ActTrace]:
    """All acts on a record, oldest first, each with its deliveries."""
    return [ActTrace(act, deliveries_of(ledger, act=act.id)) for act in acts_on(ledger, category, record_key)]


def deliveries_of(ledger: LedgerSession, **owed: object) -> list[Delivery]:
    """The deliveries of what the outbox owes with these values, each with its calls and receipts."""
    rows = ledger.scalars(select(Outbox).filter_by(**owed).order_by(Outbox.id)).all()
    return [
        Delivery(
            row,
            list(
                ledger.scalars(
                    select(Attempt)
                    .where(Attempt.package.in_(select(PackageRow.package).where(PackageRow.outbox_id == row.id)))
                    .order_by(Attempt.id)
                )
            ),
            list(ledger.scalars(select(Receipt).where(Receipt.outbox_id == row.id).order_by(Receipt.id))),
        )
        for row in rows
    ]
