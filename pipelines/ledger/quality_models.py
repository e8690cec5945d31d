"""Tables of the ledger about quality: measures and facts, gates, tasks, waivers, corrected workbooks."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Date, DateTime, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pipelines.ledger.models import Base, Hash


class Measure(Base):
    """One additive count of a judged run; every figure is a quotient of sums of these.

    ``item`` says what is counted where the name alone does not (a field, a value of a code list); empty otherwise.
    """

    __tablename__ = "measure"
    __table_args__ = (UniqueConstraint("run", "name", "item"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    run: Mapped[str] = mapped_column(ForeignKey("run.id"), index=True)
    name: Mapped[str] = mapped_column(String(40))
    item: Mapped[str] = mapped_column(String(200), default="")
    value: Mapped[int] = mapped_column(BigInteger)


class Fact(Base):
    """One figure of one feed on one business date, by the definitions of one profile; months and departments add up.

    Written when the batch is published; a batch that is run again replaces its facts. A fact that is not ``final``
    hangs on what receivers have yet to say, and is computed again every night until it does not.
    """

    __tablename__ = "fact"
    __table_args__ = (UniqueConstraint("feed", "business_date", "profile", "figure"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    department: Mapped[str] = mapped_column(String(60), index=True)
    feed: Mapped[str] = mapped_column(String(100))
    category: Mapped[str] = mapped_column(String(60))
    business_date: Mapped[date] = mapped_column(Date, index=True)
    run: Mapped[str] = mapped_column(ForeignKey("run.id"), index=True)
    profile: Mapped[str] = mapped_column(String(40))
    figure: Mapped[str] = mapped_column(String(40))
    numerator: Mapped[int] = mapped_column(BigInteger)
    denominator: Mapped[int | None] = mapped_column(BigInteger)
    final: Mapped[bool]


class GateResult(Base):
    """What one gate said about one run: ``outcome`` is ``pass``, ``fail`` or ``not_applicable``.

    ``observed`` lies between ``low`` and ``high`` when the gate passes; ``usual`` is the median of the ``batches`` good
    batches that the run was compared with. Shares are per 1, counts are counts. ``reason`` says why a gate is not
    applicable: ``off``, ``few_batches`` or ``nothing`` (no rows to be looked at).
    """

    __tablename__ = "gate_result"
    __table_args__ = (UniqueConstraint("run", "gate", "item"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    run: Mapped[str] = mapped_column(ForeignKey("run.id"), index=True)
    gate: Mapped[str] = mapped_column(String(60))
    item: Mapped[str] = mapped_column(String(200), default="")
    outcome: Mapped[str] = mapped_column(String(20))
    observed: Mapped[float | None]
    usual: Mapped[float | None]
    low: Mapped[float | None]
    high: Mapped[float | None]
    batches: Mapped[int] = mapped_column(default=0)
    reason: Mapped[str] = mapped_column(String(20), default="")


class GateDecision(Base):
    """A held run was released (``release``) or refused (``refuse``), once: by whom, when and why."""

    __tablename__ = "gate_decision"
    __table_args__ = (UniqueConstraint("run"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    run: Mapped[str] = mapped_column(ForeignKey("run.id"))
    decision: Mapped[str] = mapped_column(String(20))
    by: Mapped[str] = mapped_column(String(100))
    at: Mapped[datetime] = mapped_column(DateTime)
    why: Mapped[str] = mapped_column(Text)


class GateThreshold(Base):
    """Limits of a gate that somebody has accepted for a feed; the newest of a gate and item counts.

    Learned from ``batches`` good batches; 0 takes back what was accepted before.
    """

    __tablename__ = "gate_threshold"

    id: Mapped[int] = mapped_column(primary_key=True)
    feed: Mapped[str] = mapped_column(String(100), index=True)
    gate: Mapped[str] = mapped_column(String(60))
    item: Mapped[str] = mapped_column(String(200), default="")
    low: Mapped[float | None]
    high: Mapped[float | None]
    batches: Mapped[int]
    by: Mapped[str] = mapped_column(String(100))
    at: Mapped[datetime] = mapped_column(DateTime)
    why: Mapped[str] = mapped_column(Text)


class Task(Base):
    """Findings of one feed, rule and field that one owner mends in one go.

    ``state``: ``open`` → ``acknowledged`` → ``fixed`` (corrections came in for all of it) → ``verified`` (judged again,
    nothing left); ``waived`` when waivers excuse all that is left; ``reopened`` when it comes back after that.
    ``rows`` is what is open now and ``waived`` what is excused, ``rows_ever`` how many different rows it has had; the
    oldest open one has been open since ``open_since``. ``reference`` never changes. The ``rule`` of a receiver is
    written ``endpoint:rule``.
    """

    __tablename__ = "task"
    __table_args__ = (UniqueConstraint("reference"), UniqueConstraint("feed", "rule", "field"))

    id: Mapped[int] = mapped_column(primary_key=True)
    reference: Mapped[str] = mapped_column(String(20))
    department: Mapped[str] = mapped_column(String(60), index=True)
    feed: Mapped[str] = mapped_column(String(100))
    category: Mapped[str] = mapped_column(String(60))
    rule: Mapped[str] = mapped_column(String(130))
    rule_version: Mapped[int]
    field: Mapped[str] = mapped_column(String(60), default="")
    severity: Mapped[str] = mapped_column(String(10))
    owner: Mapped[str] = mapped_column(String(20))
    state: Mapped[str] = mapped_column(String(20), index=True)
    rows: Mapped[int]
    waived: Mapped[int] = mapped_column(default=0)
    rows_ever: Mapped[int]
    first_seen: Mapped[date] = mapped_column(Date)
    last_seen: Mapped[date] = mapped_column(Date)
    open_since: Mapped[date | None] = mapped_column(Date)
    run: Mapped[str] = mapped_column(ForeignKey("run.id"))
    closed_on: Mapped[date | None] = mapped_column(Date)


class TaskEvent(Base):
    """A step in the life of a task, by a run (``by`` is then the run) or by a person."""

    __tablename__ = "task_event"

    id: Mapped[int] = mapped_column(primary_key=True)
    task: Mapped[int] = mapped_column(ForeignKey("task.id"), index=True)
    at: Mapped[datetime] = mapped_column(DateTime)
    business_date: Mapped[date] = mapped_column(Date)
    event: Mapped[str] = mapped_column(String(20))
    state: Mapped[str] = mapped_column(String(20))
    rows: Mapped[int]
    by: Mapped[str] = mapped_column(String(140))
    why: Mapped[str | None] = mapped_column(Text)


class Closing(Base):
    """Findings of a task that a run closed: how many rows, and the sum of the calendar days they were open."""

    __tablename__ = "closing"
    __table_args__ = (UniqueConstraint("run", "task", "how"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    task: Mapped[int] = mapped_column(ForeignKey("task.id"), index=True)
    run: Mapped[str] = mapped_column(ForeignKey("run.id"), index=True)
    closed_on: Mapped[date] = mapped_column(Date)
    how: Mapped[str] = mapped_column(String(20))
    rows: Mapped[int]
    days: Mapped[int]


class Waiver(Base):
    """One record is excused from one rule until a day: the same content, the same version of the rule, nothing else.

    It counts for batches of the business dates ``since`` to ``until``, both included, unless it was revoked.
    ``granted_for`` is the row or task that it was granted for.
    """

    __tablename__ = "waiver"
    __table_args__ = (Index("ix_waiver_feed_until", "feed", "until"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    feed: Mapped[str] = mapped_column(String(100))
    content_hash: Mapped[str] = mapped_column(Hash)
    rule: Mapped[str] = mapped_column(String(60))
    rule_version: Mapped[int]
    granted_for: Mapped[str] = mapped_column(String(400))
    approver: Mapped[str] = mapped_column(String(100))
    why: Mapped[str] = mapped_column(Text)
    since: Mapped[date] = mapped_column(Date)
    until: Mapped[date] = mapped_column(Date)
    created_at: Mapped[datetime] = mapped_column(DateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime)
    revoked_by: Mapped[str | None] = mapped_column(String(100))
    revoked_why: Mapped[str | None] = mapped_column(Text)


class Resubmission(Base):
    """A corrected workbook that came back for a batch; its bytes lie in the landing under their SHA-256.

    Every later run of the batch applies the workbooks of the batch in order of ``position``.
    """

    __tablename__ = "resubmission"
    __table_args__ = (
        UniqueConstraint("feed", "business_date", "sha256"),
        UniqueConstraint("feed", "business_date", "position"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    feed: Mapped[str] = mapped_column(String(100))
    business_date: Mapped[date] = mapped_column(Date)
    position: Mapped[int]
    sha256: Mapped[str] = mapped_column(Hash)
    name: Mapped[str] = mapped_column(String(255))
    bytes: Mapped[int]
    by: Mapped[str] = mapped_column(String(100))
    received_at: Mapped[datetime] = mapped_column(DateTime)
    corrections: Mapped[int]
    refused: Mapped[int]
    manifest: Mapped[dict[str, Any]] = mapped_column(JSON)
