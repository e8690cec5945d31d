"""Tables of the ledger about deliveries and deadlines: acts, breakers, reconciliation, audited changes, digests."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Date, DateTime, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pipelines.ledger.models import Base, Hash


class RecordAct(Base):
    """Something decided about a published record other than its content.

    ``kind``: ``withdraw`` (with a ``reason``: ``revoked``, ``repaired``, ``expired`` or ``error``), ``reinstate`` (a
    withdrawal was wrong), ``objection_on``, ``objection_off``; ``resend`` tells one endpoint again what it has lost
    or holds otherwise. ``effective_on`` begins the clock of the act. Each act is queued for every endpoint that was
    ever owed the record, in the transaction that stores it. ``feed`` is the one whose record counts.
    """

    __tablename__ = "record_act"
    __table_args__ = (Index("ix_record_act_record", "category", "record_key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    category: Mapped[str] = mapped_column(String(60))
    feed: Mapped[str] = mapped_column(String(100), index=True)
    record_key: Mapped[str] = mapped_column(Hash)
    kind: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str | None] = mapped_column(String(20))
    effective_on: Mapped[date] = mapped_column(Date)
    by: Mapped[str] = mapped_column(String(100))
    at: Mapped[datetime] = mapped_column(DateTime)
    note: Mapped[str] = mapped_column(Text)


class EndpointState(Base):
    """The circuit breaker of one endpoint: ``opened_at`` while it is left alone, ``retry_at`` when one call may try."""

    __tablename__ = "endpoint_state"

    endpoint: Mapped[str] = mapped_column(String(60), primary_key=True)
    failures: Mapped[int] = mapped_column(default=0)
    opened_at: Mapped[datetime | None] = mapped_column(DateTime)
    retry_at: Mapped[datetime | None] = mapped_column(DateTime)
    reason: Mapped[str | None] = mapped_column(String(200))
    answered_at: Mapped[datetime | None] = mapped_column(DateTime)


class Reconciliation(Base):
    """One comparison of what we believe an endpoint holds of a category with what it says that it holds.

    ``ours`` and ``theirs`` count records, ``agreed`` those that both sides tell alike. ``problem`` says why nothing
    could be compared: the endpoint cannot be asked, or did not answer.
    """

    __tablename__ = "reconciliation"
    __table_args__ = (Index("ix_reconciliation_of", "endpoint", "category", "started_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    endpoint: Mapped[str] = mapped_column(String(60))
    category: Mapped[str] = mapped_column(String(60))
    started_at: Mapped[datetime] = mapped_column(DateTime)
    finished_at: Mapped[datetime | None] = mapped_column(DateTime)
    ours: Mapped[int] = mapped_column(default=0)
    theirs: Mapped[int] = mapped_column(default=0)
    agreed: Mapped[int] = mapped_column(default=0)
    differences: Mapped[int] = mapped_column(default=0)
    by: Mapped[str] = mapped_column(String(100))
    problem: Mapped[str | None] = mapped_column(String(200))


class Difference(Base):
    """Something that we and an endpoint tell differently, from the comparison that found it until it is resolved.

    ``kind``: ``missing_there`` (we believe it accepted, it has it not), ``unknown_here`` (it has it, we never sent it
    or do not know that it was accepted), ``content_differs``, ``still_there`` (withdrawn here, shown there),
    ``withdrawn_there``, ``objection_differs``. ``resolution`` says what was done about it, and how it ended.
    """

    __tablename__ = "difference"
    __table_args__ = (Index("ix_difference_open", "endpoint", "resolved_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    reconciliation: Mapped[int] = mapped_column(ForeignKey("reconciliation.id"), index=True)
    endpoint: Mapped[str] = mapped_column(String(60))
    category: Mapped[str] = mapped_column(String(60))
    kind: Mapped[str] = mapped_column(String(30))
    feed: Mapped[str | None] = mapped_column(String(100))
    record_key: Mapped[str | None] = mapped_column(Hash)
    upper_id: Mapped[str | None] = mapped_column(String(100))
    outbox_id: Mapped[int | None] = mapped_column(ForeignKey("outbox.id"))
    detail: Mapped[str] = mapped_column(Text)
    found_at: Mapped[datetime] = mapped_column(DateTime)
    resolved_at: Mapped[datetime | None] = mapped_column(DateTime)
    resolution: Mapped[str | None] = mapped_column(String(200))


class DeadlineChange(Base):
    """The audit line of one recomputation of all open deadlines, after a calendar or a policy changed.

    ``before`` and ``after`` are fingerprints of calendar and policies; ``details`` lists policy, decision date, old and
    new deadline and how many records that concerns.
    """

    __tablename__ = "deadline_change"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(DateTime)
    by: Mapped[str] = mapped_column(String(100))
    why: Mapped[str] = mapped_column(Text)
    before: Mapped[str | None] = mapped_column(String(40))
    after: Mapped[str] = mapped_column(String(40))
    examined: Mapped[int]
    changed: Mapped[int]
    details: Mapped[list[dict[str, Any]]] = mapped_column(JSON)


class ClockNotice(Base):
    """One digest about deadlines: at most one per day, receiver of the digest, level and channel.

    ``addressee`` is a department's code or ``credit_office``. ``level``: how near the deadline is (``T+3``, ``T+5``,
    ``T+6``, ``due``, ``overdue``) or ``stalled`` when the clock itself does not run. ``records`` and ``digest`` say
    what was told; ``sent_at`` stays empty until the channel has taken it, ``problem`` is why it has not.
    """

    __tablename__ = "clock_notice"
    __table_args__ = (UniqueConstraint("day", "addressee", "level", "channel"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(Date)
    addressee: Mapped[str] = mapped_column(String(100))
    level: Mapped[str] = mapped_column(String(20))
    channel: Mapped[str] = mapped_column(String(20))
    records: Mapped[int]
    digest: Mapped[str] = mapped_column(Hash)
    created_at: Mapped[datetime] = mapped_column(DateTime)
    attempts: Mapped[int] = mapped_column(default=0)
    sent_at: Mapped[datetime | None] = mapped_column(DateTime)
    problem: Mapped[str | None] = mapped_column(String(200))
