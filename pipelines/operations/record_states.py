"""What has been decided about a record, and what may be decided about it next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.errors import CatalogueError, RunConflictError
from pipelines.ledger.delivery_models import RecordAct
from pipelines.ledger.models import Tombstone
from pipelines.operations.clock import today_in_shanghai

Kind = Literal["withdraw", "reinstate", "objection_on", "objection_off"]
REASONS = {
    "revoked": "决定已撤销或变更",
    "repaired": "信用修复",
    "expired": "公示期满",
    "error": "误报",
}
OBJECTIONS = ("objection_on", "objection_off")


@dataclass(frozen=True)
class Decision:
    """What is decided about a record, by whom and why; a withdrawal has one of ``REASONS``."""

    kind: Kind
    effective_on: date
    by: str
    note: str
    reason: str | None = None


def open_objections(ledger: LedgerSession, category: str) -> dict[str, RecordAct]:
    """Record key → the objection that is open. While it is, the record is on no list of punishments."""
    latest = (
        select(func.max(RecordAct.id))
        .where(RecordAct.category == category, RecordAct.kind.in_((*OBJECTIONS, "withdraw")))
        .group_by(RecordAct.record_key)
    )
    query = select(RecordAct).where(RecordAct.id.in_(latest), RecordAct.kind == "objection_on")
    return {act.record_key: act for act in ledger.scalars(query)}


def acts_on(ledger: LedgerSession, category: str, record_key: str) -> list[RecordAct]:
    """All acts on a record, oldest first."""
    query = select(RecordAct).where(RecordAct.category == category, RecordAct.record_key == record_key)
    return list(ledger.scalars(query.order_by(RecordAct.id)))


def has_objection(acts: Iterable[RecordAct]) -> bool:
    """Whether an objection is open after these acts; a withdrawal ends it."""
    kinds = [act.kind for act in acts if act.kind in {*OBJECTIONS, "withdraw"}]
    return bool(kinds) and kinds[-1] == "objection_on"


def require_possible(decision: Decision) -> None:
    """Raise :class:`CatalogueError` for a decision that cannot be, whatever it is about."""
    if (decision.kind == "withdraw") != (decision.reason is not None) or decision.reason not in {None, *REASONS}:
        raise CatalogueError(
            f"{decision.reason or 'nothing'} is no reason to {decision.kind}",
            remedy=f"a withdrawal has one of {', '.join(REASONS)}, other acts have none",
        )
    if decision.effective_on > today_in_shanghai():
        raise CatalogueError(
            f"{decision.effective_on} has not come yet", remedy="store the act on the day on which it takes effect"
        )
    if not decision.by.strip() or not decision.note.strip():
        raise CatalogueError("an act needs who decides it and why", remedy="say so with --by and --note")


def require_allowed(ledger: LedgerSession, category: str, record_key: str, kind: Kind) -> None:
    """Raise :class:`RunConflictError` where the state of a record does not allow an act of this kind."""
    tombstone = ledger.scalar(
        select(Tombstone).where(Tombstone.category == category, Tombstone.record_key == record_key)
    )
    name = f"the record {record_key[:12]}"
    if kind == "reinstate":
        if tombstone is None:
            raise RunConflictError(f"{name} is not withdrawn", remedy="there is nothing to reinstate")
        return
    if tombstone is not None:
        raise RunConflictError(
            f"{name} has been withdrawn since {tombstone.since}", remedy="reinstate it first if that was wrong"
        )
    is_open = has_objection(acts_on(ledger, category, record_key))
    if kind == "objection_on" and is_open:
        raise RunConflictError(f"{name} has an open objection already", remedy="see 'guiji trace'")
    if kind == "objection_off" and not is_open:
        raise RunConflictError(f"{name} has no open objection", remedy="see 'guiji trace'")
