"""Tables of the ledger about operations: the chain that proves what was published, and backfills."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Date, DateTime, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pipelines.ledger.models import Base, Hash


class ChainEntry(Base):
    """One link of the hash chain, appended in the transaction that makes visible what it tells of.

    ``position`` counts from 1 without a gap. ``kind``: ``start`` (what an installation held when its chain began),
    ``run`` (a published run, named by ``subject``) or ``removal`` (files that housekeeping took away). ``content`` is
    canonical JSON text, kept as the bytes that were hashed; ``hash`` is SHA-256 over position, kind, subject, instant,
    content and ``previous``, the hash of the entry before.
    """

    __tablename__ = "chain_entry"
    __table_args__ = (Index("ix_chain_entry_subject", "subject"),)

    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(20))
    subject: Mapped[str] = mapped_column(String(140))
    at: Mapped[datetime] = mapped_column(DateTime)
    content: Mapped[str] = mapped_column(Text)
    previous: Mapped[str] = mapped_column(Hash)
    hash: Mapped[str] = mapped_column(Hash, unique=True)


class ChainHead(Base):
    """The single row that tells where the chain ends; whoever appends holds it until the transaction is over.

    There from the start, with position 0 and 64 zeros for a chain without entries.
    """

    __tablename__ = "chain_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    position: Mapped[int]
    hash: Mapped[str] = mapped_column(Hash)


class BackfillPlan(Base):
    """What somebody intends to run again, and what it was expected to change.

    ``replay``: ``pull`` (the source was mended) or ``judge`` (rules or mappings were, stored rows are judged again).
    ``reprocess``, in Airflow's words: ``missing``, ``missing_and_errored`` or ``all``. ``state``: ``planned``,
    ``running``, ``done`` (each slice ended), ``cancelled``. ``basis`` is what the expectation rests on: fingerprints
    by feed, so that a plan whose configuration has changed since is noticed.
    """

    __tablename__ = "backfill_plan"

    id: Mapped[int] = mapped_column(primary_key=True)
    replay: Mapped[str] = mapped_column(String(10))
    reprocess: Mapped[str] = mapped_column(String(20))
    first_day: Mapped[date] = mapped_column(Date)
    last_day: Mapped[date] = mapped_column(Date)
    state: Mapped[str] = mapped_column(String(12), index=True)
    by: Mapped[str] = mapped_column(String(100))
    why: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime)
    ended_at: Mapped[datetime | None] = mapped_column(DateTime)
    basis: Mapped[dict[str, Any]] = mapped_column(JSON)


class BackfillSlice(Base):
    """One batch of a backfill: the unit that runs, ends, is tried again and is counted.

    ``reason`` is why it is in the plan: ``missing``, ``failed``, ``held``, ``stale`` or ``all``. ``expected`` and
    ``actual`` hold counts by name (new, changed, unchanged, outdated, outbox). ``state``: ``waiting``, ``running``,
    ``done`` or ``failed``. ``attempts_before`` is how many attempts at the batch there were when the slice began: what
    became of a slice whose process died is told by the attempts after these.
    """

    __tablename__ = "backfill_slice"
    __table_args__ = (UniqueConstraint("plan", "feed", "business_date"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    plan: Mapped[int] = mapped_column(ForeignKey("backfill_plan.id"), index=True)
    feed: Mapped[str] = mapped_column(String(100))
    business_date: Mapped[date] = mapped_column(Date)
    reason: Mapped[str] = mapped_column(String(20))
    state: Mapped[str] = mapped_column(String(12))
    tries: Mapped[int] = mapped_column(default=0)
    attempts_before: Mapped[int] = mapped_column(default=0)
    run: Mapped[str | None] = mapped_column(String(140))
    expected: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    actual: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    problem: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[datetime | None] = mapped_column(DateTime)
    ended_at: Mapped[datetime | None] = mapped_column(DateTime)
