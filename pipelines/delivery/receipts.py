"""Receipts applied to the outbox: what is accepted, what comes back as a finding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from pipelines.delivery.outbox import add_finding, rows_of
from pipelines.delivery.replies import ReceiptReply
from pipelines.ledger.models import Outbox, Package, Receipt

LONGEST_MESSAGE = 1000
UNRECONCILED = "接收方答复为重复数据，但未给出可核对的上级编号，请与接收方核对"
UNEXPLAINED = "接收方退回，未说明原因"


@dataclass
class Tally:
    """What one or more packages came to; ``missing`` have no receipt, ``unclear`` one with an unknown result."""

    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0
    missing: int = 0
    unclear: int = 0

    def add(self, other: Tally) -> None:
        """Add the counts of another tally."""
        self.accepted += other.accepted
        self.duplicate += other.duplicate
        self.rejected += other.rejected
        self.missing += other.missing
        self.unclear += other.unclear


def apply_receipts(session: Session, package: Package, replies: Iterable[ReceiptReply], at: datetime) -> Tally:
    """Settle the rows of a package by its receipts; the package is settled when all its rows are.

    A duplicate counts as accepted when its upper-level id is known, from the receipt or from an earlier
    acceptance, and belongs to no other record. Applying the same receipts again changes nothing.
    """
    tally = Tally()
    rows = rows_of(session, package.id)
    by_key = {reply.idempotency_key: reply for reply in replies}
    known = _known_ids(session, package.endpoint, rows, by_key.values())
    receipts: list[dict[str, object]] = []
    for row in rows:
        if row.accepted_at is not None or row.rejected_at is not None:
            continue
        reply = by_key.get(row.idempotency_key)
        if reply is None or reply.record_id != row.record_key:
            tally.missing += 1
            continue
        if reply.meaning == "other" and row.reply_code == _code(reply):
            tally.unclear += 1
            continue
        receipts.append(_settle(session, row, reply, known, tally, at))
    if receipts:
        session.execute(insert(Receipt), receipts)
    if not tally.missing and not tally.unclear:
        package.settled_at = at
    return tally


def reject(session: Session, row: Outbox, rule: str | None, field: str | None, message: str, at: datetime) -> None:
    """Mark a row rejected and turn it into a finding."""
    row.rejected_at = at
    add_finding(session, row, rule, field, message, at)


@dataclass(frozen=True)
class _KnownIds:
    """Upper-level ids of an endpoint that the ledger knows: by record, and whose each id is."""

    of_record: dict[str, str]
    owner: dict[str, str]


def _known_ids(session: Session, endpoint: str, rows: Sequence[Outbox], replies: Iterable[ReceiptReply]) -> _KnownIds:
    accepted = select(Outbox.record_key, Outbox.upper_id).where(
        Outbox.endpoint == endpoint, Outbox.accepted_at.is_not(None), Outbox.upper_id.is_not(None)
    )
    keys = [row.record_key for row in rows]
    ids = [reply.upper_id for reply in replies if reply.meaning == "duplicate" and reply.upper_id]
    by_record = session.execute(accepted.where(Outbox.record_key.in_(keys)))
    by_id = session.execute(accepted.where(Outbox.upper_id.in_(ids)))
    return _KnownIds({key: upper for key, upper in by_record if upper}, {upper: key for key, upper in by_id if upper})


def _code(reply: ReceiptReply) -> str:
    return ":".join(part for part in (reply.result, reply.rule_code) if part)[:40]


def _settle(
    session: Session, row: Outbox, reply: ReceiptReply, known: _KnownIds, tally: Tally, at: datetime
) -> dict[str, object]:
    message = reply.message[:LONGEST_MESSAGE] if reply.message else None
    row.reply_code = _code(reply)
    row.reply_text = message
    if reply.meaning == "accepted":
        row.accepted_at = at
        row.upper_id = reply.upper_id
        tally.accepted += 1
    elif reply.meaning == "duplicate":
        upper_id = reply.upper_id or known.of_record.get(row.record_key)
        if upper_id is None or known.owner.get(upper_id, row.record_key) != row.record_key:
            reject(session, row, reply.rule_code, reply.field, message or UNRECONCILED, at)
            tally.rejected += 1
        else:
            row.accepted_at = at
            row.upper_id = upper_id
            tally.duplicate += 1
    elif reply.meaning == "rejected":
        reject(session, row, reply.rule_code, reply.field, message or UNEXPLAINED, at)
        tally.rejected += 1
    else:
        tally.unclear += 1
    return {
        "outbox_id": row.id,
        "at": at,
        "result": reply.meaning,
        "upper_id": reply.upper_id,
        "rule": reply.rule_code,
        "field": reply.field,
        "message": message,
    }
