"""The outbox: what is due to an endpoint, what it has to be sent as, and what is taken out of the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, func, select, update
from sqlalchemy.orm import Session, aliased, load_only
from sqlalchemy.orm.attributes import set_committed_value

from pipelines.ledger.models import ConsolidatedRun, DeliveryFinding, Outbox, Package

# What a delivery looks at; the rest of a row is not read for every one of a package.
COLUMNS = (
    Outbox.endpoint,
    Outbox.category,
    Outbox.feed,
    Outbox.record_key,
    Outbox.version,
    Outbox.content_hash,
    Outbox.family,
    Outbox.operation,
    Outbox.reason,
    Outbox.idempotency_key,
    Outbox.package,
    Outbox.line,
    Outbox.sent_at,
    Outbox.accepted_at,
    Outbox.rejected_at,
    Outbox.withdrawn_at,
    Outbox.withheld_at,
    Outbox.reply_code,
)
NOT_SHOWN = "接收方没有公示该记录，无需办理"


def unsettled(row: type[Outbox] = Outbox) -> ColumnElement[bool]:
    """Neither accepted nor rejected nor withheld."""
    return and_(row.accepted_at.is_(None), row.rejected_at.is_(None), row.withheld_at.is_(None))


def is_unsettled(row: Outbox) -> bool:
    """The same about one row."""
    return row.accepted_at is None and row.rejected_at is None and row.withheld_at is None


def due(session: Session, endpoint: str, limit: int) -> list[Outbox]:
    """The most urgent rows in no package: earliest deadline first, of one category and family, at most ``limit``.

    A row waits until its run has been compared with the other feeds (consolidated): a feed may be published while
    a delivery is under way. A version waits until the earlier ones of its record are settled: what it must be sent as
    depends on them.
    """
    earlier = aliased(Outbox)
    overtakes = (
        select(earlier.id)
        .where(
            earlier.endpoint == Outbox.endpoint,
            earlier.record_key == Outbox.record_key,
            earlier.id < Outbox.id,
            unsettled(earlier),
        )
        .exists()
    )
    query = (
        select(Outbox)
        .where(
            Outbox.endpoint == endpoint,
            Outbox.run.in_(select(ConsolidatedRun.run)),
            unsettled(),
            Outbox.package.is_(None),
            ~overtakes,
        )
        .order_by(Outbox.deadline, Outbox.id)
    )
    first = session.scalars(query.limit(1)).first()
    if first is None:
        return []
    alike = and_(Outbox.category == first.category, Outbox.family == first.family)
    return list(session.scalars(query.where(alike).limit(limit).options(load_only(*COLUMNS))))


def is_anything_open(session: Session, endpoint: str) -> bool:
    """Whether the endpoint is owed anything, or owes us receipts."""
    owed = select(Outbox.id).where(Outbox.endpoint == endpoint, unsettled()).limit(1)
    begun = select(Package.id).where(Package.endpoint == endpoint, Package.settled_at.is_(None)).limit(1)
    return session.scalar(owed) is not None or session.scalar(begun) is not None


def update_rows(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Set columns of many outbox rows in one go. ``rows``: ``id`` and the columns, the same in all of them."""
    if not rows:
        return
    columns: dict[str, Any] = {name: bindparam(f"new_{name}") for name in rows[0] if name != "id"}
    statement = update(Outbox).where(Outbox.id == bindparam("row")).values(columns)
    values = [{"row" if name == "id" else f"new_{name}": value for name, value in row.items()} for row in rows]
    # On the connection: these are plain statements, ten times faster than objects of the session.
    session.flush()
    session.connection().execute(statement, values)


def set_values(row: Outbox, values: Mapping[str, Any]) -> None:
    """Let an object say what :func:`update_rows` has stored."""
    for name, value in values.items():
        set_committed_value(row, name, value)


def settle_operations(session: Session, rows: Sequence[Outbox]) -> dict[int, str]:
    """Say what each row has to be sent as; returns what need not be sent at all: row id → why.

    A record is an update when the endpoint shows it, else it is new, whatever became of its earlier versions. What the
    endpoint does not show, it need not withdraw.
    """
    if not rows:
        return {}
    shown = shown_records(session, rows[0].endpoint, [row.record_key for row in rows])
    pointless: dict[int, str] = {}
    for row in rows:
        if row.family == "content":
            row.operation = "update" if row.record_key in shown else "new"
        elif row.record_key not in shown:
            pointless[row.id] = NOT_SHOWN
    return pointless


def shown_records(session: Session, endpoint: str, keys: Sequence[str]) -> set[str]:
    """Those of the records that the endpoint shows: it accepted a version, and is not known to show it no longer."""
    query = select(Outbox.record_key).where(
        Outbox.endpoint == endpoint,
        Outbox.record_key.in_(keys),
        Outbox.family == "content",
        Outbox.accepted_at.is_not(None),
        Outbox.withdrawn_at.is_(None),
    )
    return set(session.scalars(query))


def note_operations(session: Session, operations: Mapping[int, str]) -> None:
    """Keep what rows have to be sent as. ``operations``: row id → operation."""
    for row in session.scalars(select(Outbox).where(Outbox.id.in_(list(operations)))):
        row.operation = operations[row.id]


def upper_ids(session: Session, rows: Sequence[Outbox]) -> dict[str, str]:
    """Record key → the id that the endpoint of the rows gave the record last."""
    if not rows:
        return {}
    query = select(Outbox.record_key, Outbox.upper_id).where(
        Outbox.endpoint == rows[0].endpoint,
        Outbox.record_key.in_([row.record_key for row in rows]),
        Outbox.accepted_at.is_not(None),
        Outbox.upper_id.is_not(None),
    )
    return {key: upper_id for key, upper_id in session.execute(query.order_by(Outbox.id)) if upper_id}


def reopen_marks(session: Session, endpoint: str) -> None:
    """Make objections due that were set aside because the endpoint showed nothing, now that it shows the record.

    A version that was rejected may be corrected and accepted later: the record must not stand there unmarked then.
    """
    content, later = aliased(Outbox), aliased(Outbox)
    shown = select(content.id).where(
        content.endpoint == Outbox.endpoint,
        content.record_key == Outbox.record_key,
        content.family == "content",
        content.accepted_at.is_not(None),
        content.withdrawn_at.is_(None),
    )
    replaced = select(later.id).where(
        later.endpoint == Outbox.endpoint,
        later.record_key == Outbox.record_key,
        later.family != "content",
        later.id > Outbox.id,
    )
    session.execute(
        update(Outbox)
        .where(
            Outbox.endpoint == endpoint,
            Outbox.family == "objection",
            Outbox.operation == "objection_on",
            Outbox.withheld_reason == NOT_SHOWN,
            shown.exists(),
            ~replaced.exists(),
        )
        .values(withheld_at=None, withheld_reason=None)
    )


def set_aside(session: Session, reasons: Mapping[int, str], at: datetime) -> None:
    """Take rows out of the way that need not be sent: no finding, nobody has to act. ``reasons``: row id → why."""
    for row in session.scalars(select(Outbox).where(Outbox.id.in_(list(reasons)), unsettled())):
        row.withheld_at = at
        row.withheld_reason = reasons[row.id]


def withhold(
    session: Session, problems: Mapping[int, tuple[str | None, str]], at: datetime, rule: str | None = None
) -> None:
    """Take rows that cannot be sent out of the way; each becomes a finding. ``problems``: row id → field, message."""
    for row in session.scalars(select(Outbox).where(Outbox.id.in_(list(problems)), unsettled())):
        field, message = problems[row.id]
        row.withheld_at = at
        row.withheld_reason = message[:200]
        add_finding(session, row, rule, field, message, at)


def add_finding(session: Session, row: Outbox, rule: str | None, field: str | None, message: str, at: datetime) -> None:
    """A finding for the steward about one outbox row; the latest word replaces an earlier one."""
    finding = session.scalars(select(DeliveryFinding).where(DeliveryFinding.outbox_id == row.id)).first()
    if finding is None:
        finding = DeliveryFinding(
            outbox_id=row.id, endpoint=row.endpoint, feed=row.feed, record_key=row.record_key, message=message
        )
        session.add(finding)
    finding.rule = rule
    finding.field = field
    finding.message = message
    finding.found_at = at


def count_unsettled(session: Session, endpoint: str) -> int:
    """How many record versions the endpoint still has to settle, queued or under way."""
    query = select(func.count()).select_from(Outbox).where(Outbox.endpoint == endpoint, unsettled())
    return session.scalar(query) or 0
