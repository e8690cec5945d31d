"""Rows of a receipt table read as the receipts of one package."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipelines.catalogue.endpoints import ResultMeaning
from pipelines.deadlines.clock import BEIJING_TIME
from pipelines.delivery.adapter import OutgoingPackage
from pipelines.delivery.replies import Meaning, ReceiptReply, Trouble

LONGEST_UPPER_ID = 100
LONGEST_CODE = 60
CONTRADICTION = "接收方对该记录同时给出了互相矛盾的回执"


@dataclass(frozen=True)
class ReceiptRow:
    """One row of the receipt table. ``issued_at``: Chinese time without zone, ``None`` when the receiver gives none."""

    record: str
    result: str
    rule_code: str | None
    field: str | None
    message: str | None
    upper_id: str | None
    issued_at: datetime | None


def receipt_row(columns: Mapping[str, Any]) -> ReceiptRow:
    """A row as the database gives it: columns of fixed width come padded, codes perhaps as numbers."""
    upper_id = text_of(columns["upper_id"])
    if upper_id is not None and len(upper_id) > LONGEST_UPPER_ID:
        raise Trouble("broken", f"an upper-level id in the receipt table is longer than {LONGEST_UPPER_ID} characters")
    return ReceiptRow(
        record=text_of(columns["record"]) or "",
        result=text_of(columns["result"]) or "",
        rule_code=(text_of(columns["rule_code"]) or "")[:LONGEST_CODE] or None,
        field=(text_of(columns["field"]) or "")[:LONGEST_CODE] or None,
        message=text_of(columns["message"]),
        upper_id=upper_id,
        issued_at=moment_of(columns["issued_at"]),
    )


def read_receipts(
    rows: Iterable[ReceiptRow], package: OutgoingPackage, results: ResultMeaning
) -> dict[str, ReceiptReply]:
    """Record key → its receipt.

    What is about no record of the package is passed over. A later receipt replaces an earlier one, as when a doubt
    (疑问) was settled. Receipts of the same moment that say different things settle nothing: the record stays under way
    until the receiver says which of them is right.
    """
    keys = {message.record_key: message.idempotency_key for message in package.messages}
    by_record: dict[str, list[ReceiptRow]] = {}
    for row in rows:
        if row.record in keys:
            by_record.setdefault(row.record, []).append(row)
    return {record: _reply(said, keys[record], results) for record, said in by_record.items()}


def _reply(rows: list[ReceiptRow], idempotency_key: str, results: ResultMeaning) -> ReceiptReply:
    latest = max(_order(row) for row in rows)
    last = [row for row in rows if _order(row) == latest]
    said = sorted({row.result for row in last})
    row = last[0]
    if len({(row.result, row.upper_id) for row in last}) > 1:
        return ReceiptReply(
            row.record, idempotency_key, "/".join(said)[:20], "other", None, None, CONTRADICTION, upper_id=None
        )
    return ReceiptReply(
        row.record,
        idempotency_key,
        row.result,
        _meaning(row.result, results),
        row.rule_code,
        row.field,
        row.message,
        row.upper_id,
    )


def _order(row: ReceiptRow) -> datetime:
    return row.issued_at or datetime.min  # noqa: DTZ901 - Chinese time without zone, like the column


def _meaning(result: str, results: ResultMeaning) -> Meaning:
    if result in results.accepted:
        return "accepted"
    if result in results.rejected:
        return "rejected"
    return "duplicate" if result in results.duplicate else "other"


def text_of(value: Any) -> str | None:
    """A column as text without blanks around it; ``None`` for nothing."""
    text = "" if value is None else str(value).strip()
    return text or None


def moment_of(value: Any) -> datetime | None:
    """A column as Chinese time without zone; ``None`` when it holds no instant."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value.astimezone(BEIJING_TIME).replace(tzinfo=None) if value.tzinfo else value
