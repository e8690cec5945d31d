"""Receipts applied to the outbox: what is accepted, what comes back as a finding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.orm import Session

from pipelines.delivery.outbox import add_finding, update_rows
from pipelines.delivery.packages import look_at_rows, was_called_before
from pipelines.delivery.replies import ReceiptReply
from pipelines.ledger.models import Outbox, Package, Receipt

LONGEST_MESSAGE = 1000
UNRECONCILED = "接收方答复为重复数据，但未给出可核对的上级编号，请与接收方核对"
CONTRADICTORY = "contradictory"
CONTRADICTION = "接收方的回执相互矛盾，或与台账中的上级编号不符，请与接收方核对"
UNEXPLAINED = "接收方退回，未说明原因"

_Row = Row[*tuple[Any, ...]]
"""Of the outbox, as :func:`look_at_rows` gives it."""


@dataclass
class Tally:
    """What one or more packages came to.

    ``missing`` are the rows without receipt; ``unclear`` have one whose result is unknown, or several that contradict
    each other or the ledger; ``strange`` are receipts about what was not in the package.
    """

    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0
    missing: list[int] = field(default_factory=list)
    unclear: int = 0
    strange: int = 0

    @property
    def settled(self) -> int:
        return self.accepted + self.duplicate + self.rejected

    def add(self, other: Tally) -> None:
        """Add what was settled according to another tally."""
        self.accepted += other.accepted
        self.duplicate += other.duplicate
        self.rejected += other.rejected


def apply_receipts(session: Session, package: Package, replies: Iterable[ReceiptReply], at: datetime) -> Tally:
    """Settle the rows of a package by its receipts; the package is settled when all its rows are.

    A duplicate counts as accepted when its upper-level id is known, from the receipt or from an earlier
    acceptance of the same content that is still shown, and belongs to no other record; without any id, when an earlier
    call of ours explains it. An accepted
    withdrawal takes back every version that the endpoint has shown. A receipt counts for the record that it names with
    its own key and for no other; receipts about one record that contradict each other settle nothing. Applying the same
    receipts again, in any order, changes nothing.
    """
    tally = Tally()
    rows = look_at_rows(session, package.id)
    by_key = _by_key(rows, replies, tally)
    known = _known_ids(session, package.endpoint, rows, by_key)
    receipts: list[dict[str, object]] = []
    accepted: list[dict[str, object]] = []
    withdrawn: list[_Row] = []
    bare = any(_is_bare_duplicate(reply) for reply in by_key.values())
    called_before = bare and was_called_before(session, package)
    for row in rows:
        if row.accepted_at is not None or row.rejected_at is not None or row.withdrawn_at is not None:
            continue
        reply = by_key.get(row.idempotency_key)
        if reply is None:
            if row.withheld_at is None:
                tally.missing.append(row.id)
            continue
        if known.contradicts(row, reply):
            reply = _contradiction(row)
        if reply.meaning == "other" and row.reply_code == _code(reply):
            tally.unclear += 1
            continue
        upper_id = reply.upper_id or known.of_row.get(row.id)
        offered_before = called_before or _was_sent_before(package, row)
        if _is_accepted(row, reply, known, upper_id, offered_before):
            accepted.append(_accept(row, reply, upper_id, tally, at))
            if row.family == "withdrawal":
                withdrawn.append(row)
        else:
            _settle(session, session.get_one(Outbox, row.id), reply, tally, at)
        receipts.append(_receipt(row, reply, at))
    update_rows(session, accepted)
    if receipts:
        session.execute(insert(Receipt), receipts)
    _withdraw_versions(session, withdrawn, at)
    if not tally.missing and not tally.unclear:
        package.settled_at = at
    return tally


def _by_key(rows: Sequence[_Row], replies: Iterable[ReceiptReply], tally: Tally) -> dict[str, ReceiptReply]:
    """Idempotency key → what was said about that row; what was said about others is counted and not believed."""
    records = {row.idempotency_key: row for row in rows}
    by_key: dict[str, ReceiptReply] = {}
    for reply in replies:
        row = records.get(reply.idempotency_key)
        if row is None or reply.record_id != row.record_key:
            tally.strange += 1
            continue
        earlier = by_key.setdefault(reply.idempotency_key, reply)
        if not _agree(earlier, reply):
            by_key[reply.idempotency_key] = _contradiction(row)
    return by_key


def _agree(one: ReceiptReply, other: ReceiptReply) -> bool:
    if one.meaning != other.meaning:
        return {one.meaning, other.meaning} == {"accepted", "duplicate"} and one.upper_id == other.upper_id
    return one.upper_id == other.upper_id and one.result == other.result


def _contradiction(row: _Row) -> ReceiptReply:
    return ReceiptReply(row.record_key, row.idempotency_key, CONTRADICTORY, "other", None, None, CONTRADICTION, None)


def reject(session: Session, row: Outbox, rule: str | None, field: str | None, message: str, at: datetime) -> None:
    """Mark a row rejected and turn it into a finding."""
    row.rejected_at = at
    add_finding(session, row, rule, field, message, at)


@dataclass(frozen=True)
class _KnownIds:
    """Upper-level ids of an endpoint: of rows called duplicates without one, whose each id is, and those that one
    answer gives to several.
    """

    of_row: dict[int, str]
    owner: dict[str, str]
    shared: frozenset[str]

    def contradicts(self, row: _Row, reply: ReceiptReply) -> bool:
        """Whether a receipt says that a record was accepted under the id of another one."""
        if reply.meaning not in {"accepted", "duplicate"} or reply.upper_id is None:
            return False
        return reply.upper_id in self.shared or (reply.meaning == "accepted" and self.belongs_to_another(row, reply))

    def belongs_to_another(self, row: _Row, reply: ReceiptReply) -> bool:
        """Whether the ledger knows the id of a receipt as that of another record."""
        key: str = row.record_key
        return self.owner.get(reply.upper_id or "", key) != key


def _known_ids(session: Session, endpoint: str, rows: Sequence[_Row], by_key: Mapping[str, ReceiptReply]) -> _KnownIds:
    accepted = select(Outbox.record_key, Outbox.upper_id).where(
        Outbox.endpoint == endpoint, Outbox.accepted_at.is_not(None), Outbox.upper_id.is_not(None)
    )
    given: dict[str, str] = {}
    shared: set[str] = set()
    for reply in by_key.values():
        if reply.upper_id is not None and given.setdefault(reply.upper_id, reply.record_id) != reply.record_id:
            shared.add(reply.upper_id)
    duplicates = [row for row in rows if _is_bare_duplicate(by_key.get(row.idempotency_key))]
    by_id = session.execute(accepted.where(Outbox.upper_id.in_(given))) if given else ()
    return _KnownIds(
        _ids_of_duplicates(session, endpoint, duplicates),
        {upper: key for key, upper in by_id if upper},
        frozenset(shared),
    )


def _ids_of_duplicates(session: Session, endpoint: str, duplicates: Sequence[_Row]) -> dict[int, str]:
    """Row id → the id under which the endpoint shows the record; of a version, under which it shows that content.

    That an older version was accepted does not say that the newer one is there, nor does one that was withdrawn.
    """
    if not duplicates:
        return {}
    query = select(Outbox.record_key, Outbox.content_hash, Outbox.upper_id).where(
        Outbox.endpoint == endpoint,
        Outbox.record_key.in_([row.record_key for row in duplicates]),
        Outbox.family == "content",
        Outbox.accepted_at.is_not(None),
        Outbox.withdrawn_at.is_(None),
        Outbox.upper_id.is_not(None),
    )
    shown: dict[tuple[str, str | None], str] = {}
    for key, content_hash, upper_id in session.execute(query.order_by(Outbox.id)):
        if upper_id:
            shown[key, content_hash] = shown[key, None] = upper_id
    wanted = {row.id: (row.record_key, row.content_hash if row.family == "content" else None) for row in duplicates}
    return {row: shown[name] for row, name in wanted.items() if name in shown}


def _is_bare_duplicate(reply: ReceiptReply | None) -> bool:
    return reply is not None and reply.meaning == "duplicate" and reply.upper_id is None


def _code(reply: ReceiptReply) -> str:
    return ":".join(part for part in (reply.result, reply.rule_code) if part)[:40]


def _withdraw_versions(session: Session, withdrawals: Sequence[_Row], at: datetime) -> None:
    for row in withdrawals:
        session.execute(
            update(Outbox)
            .where(
                Outbox.endpoint == row.endpoint,
                Outbox.record_key == row.record_key,
                Outbox.family == "content",
                Outbox.id < row.id,
                Outbox.accepted_at.is_not(None),
                Outbox.withdrawn_at.is_(None),
            )
            .values(withdrawn_at=at)
        )


def _was_sent_before(package: Package, row: _Row) -> bool:
    """Whether an earlier package may have brought the row to the receiver."""
    return row.sent_at is not None and package.offered_at is not None and row.sent_at < package.offered_at


def _is_accepted(row: _Row, reply: ReceiptReply, known: _KnownIds, upper_id: str | None, offered_before: bool) -> bool:
    if reply.meaning != "duplicate":
        return reply.meaning == "accepted"
    return not known.belongs_to_another(row, reply) and (upper_id is not None or offered_before)


def _accept(row: _Row, reply: ReceiptReply, upper_id: str | None, tally: Tally, at: datetime) -> dict[str, object]:
    """The columns of a row that the receiver has accepted."""
    if reply.meaning == "accepted":
        tally.accepted += 1
    else:
        tally.duplicate += 1
    return {
        "id": row.id,
        "accepted_at": at,
        "upper_id": upper_id,
        "reply_code": _code(reply),
        "reply_text": _message(reply),
        # Whatever was to keep it back came too late: it is there.
        "withheld_at": None,
        "withheld_reason": None,
        "withheld_rule": None,
    }


def _settle(session: Session, row: Outbox, reply: ReceiptReply, tally: Tally, at: datetime) -> None:
    """A row that the receiver has not accepted."""
    row.reply_code, row.reply_text = _code(reply), _message(reply)
    if reply.meaning == "other":
        tally.unclear += 1
        return
    unsaid = UNRECONCILED if reply.meaning == "duplicate" else UNEXPLAINED
    reject(session, row, reply.rule_code, reply.field, row.reply_text or unsaid, at)
    tally.rejected += 1


def _receipt(row: _Row, reply: ReceiptReply, at: datetime) -> dict[str, object]:
    return {
        "outbox_id": row.id,
        "at": at,
        "result": reply.meaning,
        "upper_id": reply.upper_id,
        "rule": reply.rule_code,
        "field": reply.field,
        "message": _message(reply),
    }


def _message(reply: ReceiptReply) -> str | None:
    return reply.message[:LONGEST_MESSAGE] if reply.message else None
