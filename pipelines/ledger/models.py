"""Tables of the ledger: who did what, when, with how many rows and which hash.

All instants are UTC, stored without zone; business dates, decision dates and deadlines are calendar days in
Asia/Shanghai.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Date, DateTime, ForeignKey, Index, MetaData, String, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Hash = String(64)
LATER_ROWS = "version > 1 OR act > 0"


class Base(DeclarativeBase):
    """Common base; constraint names are fixed so that migrations can name them on every database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Batch(Base):
    """One feed for one business date. ``run`` is the published run that counts, if any."""

    __tablename__ = "batch"
    __table_args__ = (UniqueConstraint("feed", "business_date"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    feed: Mapped[str] = mapped_column(String(100))
    business_date: Mapped[date] = mapped_column(Date)
    run: Mapped[str | None] = mapped_column(String(140))


class Run(Base):
    """One attempt at a batch.

    ``state``: ``running`` → ``published``, ``unchanged`` (same bytes and same rules as the published run: a
    recorded no-op), ``failed``, ``held`` or ``abandoned`` (replaced by a newer attempt after a crash). ``swept`` says
    that nothing of an unpublished run is left in the record store. ``fingerprint`` hashes what decides the
    result: extract hashes, feed, schema, rules. ``held`` is a run that waits for somebody: its extract is not what
    the feed describes, or a gate says that it is unlike the batches before it. ``rules_hash`` hashes the rules alone,
    so that batches judged under older ones can be listed. ``settled_at``: when the source was told what was taken;
    empty while that is still owed. ``publication`` counts the published runs of a feed in the order in which they were
    published, which instants of clocks that are set back do not tell.
    """

    __tablename__ = "run"
    __table_args__ = (
        UniqueConstraint("batch_id", "attempt"),
        UniqueConstraint("feed", "publication"),
        # What a feed published last, without reading years of runs.
        Index("ix_run_feed_state", "feed", "state", "finished_at"),
        # The few whose source was not told yet what was taken.
        Index(
            "ix_run_owed",
            "feed",
            sqlite_where=text("settled_at IS NULL"),
            postgresql_where=text("settled_at IS NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(String(140), primary_key=True)
    batch_id: Mapped[int] = mapped_column(ForeignKey("batch.id"), index=True)
    feed: Mapped[str] = mapped_column(String(100))
    category: Mapped[str] = mapped_column(String(60))
    business_date: Mapped[date] = mapped_column(Date)
    attempt: Mapped[int]
    state: Mapped[str] = mapped_column(String(20), index=True)
    stage: Mapped[str] = mapped_column(String(20))
    swept: Mapped[bool] = mapped_column(default=False)
    fingerprint: Mapped[str | None] = mapped_column(Hash)
    rules_hash: Mapped[str | None] = mapped_column(Hash)
    started_at: Mapped[datetime] = mapped_column(DateTime)
    finished_at: Mapped[datetime | None] = mapped_column(DateTime)
    rows_decoded: Mapped[int] = mapped_column(default=0)
    lines_undecoded: Mapped[int] = mapped_column(default=0)
    accepted: Mapped[int] = mapped_column(default=0)
    duplicate: Mapped[int] = mapped_column(default=0)
    quarantined: Mapped[int] = mapped_column(default=0)
    blocked: Mapped[int] = mapped_column(default=0)
    excluded: Mapped[int] = mapped_column(default=0)
    new: Mapped[int] = mapped_column(default=0)
    changed: Mapped[int] = mapped_column(default=0)
    unchanged: Mapped[int] = mapped_column(default=0)
    outdated: Mapped[int] = mapped_column(default=0)
    late: Mapped[int] = mapped_column(default=0)
    repairs: Mapped[int] = mapped_column(default=0)
    earliest_deadline: Mapped[date | None] = mapped_column(Date)
    settled_at: Mapped[datetime | None] = mapped_column(DateTime)
    publication: Mapped[int | None]
    problem: Mapped[str | None] = mapped_column(Text)
    manifest: Mapped[dict[str, Any] | None] = mapped_column(JSON)


class Extract(Base):
    """The bytes pulled for a run, as they came; the file lies in the landing under its SHA-256."""

    __tablename__ = "extract"
    __table_args__ = (UniqueConstraint("run", "position"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    run: Mapped[str] = mapped_column(ForeignKey("run.id"), index=True)
    position: Mapped[int]
    sha256: Mapped[str] = mapped_column(Hash, index=True)
    name: Mapped[str] = mapped_column(String(255))
    bytes: Mapped[int]
    rows_decoded: Mapped[int]
    lines_undecoded: Mapped[int]
    manifest: Mapped[dict[str, Any]] = mapped_column(JSON)


class RuleCount(Base):
    """How many rows of a run a rule was applied to and how many broke it.

    ``waived`` of the ``failed`` rows are excused by a waiver. Rows to which the rule does not apply are those of the
    run that are neither excluded nor ``applied``.
    """

    __tablename__ = "rule_count"
    __table_args__ = (UniqueConstraint("run", "rule"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    run: Mapped[str] = mapped_column(ForeignKey("run.id"), index=True)
    rule: Mapped[str] = mapped_column(String(60))
    severity: Mapped[str] = mapped_column(String(10))
    version: Mapped[int] = mapped_column(default=1)
    applied: Mapped[int]
    failed: Mapped[int]
    waived: Mapped[int] = mapped_column(default=0)


class Package(Base):
    """What is sent to an endpoint in one go. ``id`` is derived from the idempotency keys inside.

    All rows of a package are of one category, one ``family`` and one ``shape`` (what the protocol cannot mix, for
    example the tables of organisations and of persons). ``reference`` is what the receiver knows the package by: an
    id, a batch number, a file name. ``round`` counts how often it was formed anew, because the receiver lost receipts
    of the round before. ``offers`` counts submissions, and ``offered_at`` is noted before the first byte of the first
    one leaves: a package that was offered and not acknowledged is asked about before it is offered again.
    """

    __tablename__ = "package"
    __table_args__ = (UniqueConstraint("endpoint", "reference"),)

    id: Mapped[str] = mapped_column(Hash, primary_key=True)
    endpoint: Mapped[str] = mapped_column(String(60), index=True)
    category: Mapped[str] = mapped_column(String(60))
    family: Mapped[str] = mapped_column(String(12), default="content")
    shape: Mapped[str] = mapped_column(String(40), default="")
    reference: Mapped[str | None] = mapped_column(String(200))
    round: Mapped[int] = mapped_column(default=0)
    offers: Mapped[int] = mapped_column(default=0)
    records: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(DateTime)
    offered_at: Mapped[datetime | None] = mapped_column(DateTime)
    sent_at: Mapped[datetime | None] = mapped_column(DateTime)
    settled_at: Mapped[datetime | None] = mapped_column(DateTime)


class Outbox(Base):
    """One thing owed to one endpoint about one record. Facts have separate instants, not one status.

    ``family`` is ``content`` for a record version, else what an act asks for (``withdrawal``, ``objection``); ``act``
    is then the act, and 0 for content. ``operation`` of content is settled when its package is formed: new or update.
    ``withdrawn_at``: the endpoint has confirmed that it no longer shows this version. ``reconciled_at``: the last
    time that the endpoint was seen to hold what is said here. ``policy`` is the limit that ``deadline`` comes from.
    ``line`` is the place in the package, from 1; it stays when other rows leave the package.

    ``withheld_rule`` is the rule of the endpoint's acceptance profile that keeps a right record back from it;
    ``acceptance`` is the hash of the profile that said so, so that a changed profile is asked again.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("endpoint", "feed", "record_key", "version", "act"),
        Index("ix_outbox_due", "endpoint", "accepted_at", "rejected_at", "withheld_at", "deadline"),
        Index("ix_outbox_withheld", "feed", "withheld_rule"),
        # The few rows that are not the first of their record: the clock looks from them at the ones before.
        Index("ix_outbox_later", "record_key", sqlite_where=text(LATER_ROWS), postgresql_where=text(LATER_ROWS)),
        # Whose an upper-level id is; rows that were never accepted cost nothing.
        Index(
            "ix_outbox_upper_id",
            "endpoint",
            "upper_id",
            sqlite_where=text("upper_id IS NOT NULL"),
            postgresql_where=text("upper_id IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    endpoint: Mapped[str] = mapped_column(String(60))
    category: Mapped[str] = mapped_column(String(60))
    feed: Mapped[str] = mapped_column(String(100))
    run: Mapped[str] = mapped_column(ForeignKey("run.id"), index=True)
    record_key: Mapped[str] = mapped_column(Hash, index=True)
    version: Mapped[int]
    content_hash: Mapped[str] = mapped_column(Hash)
    act: Mapped[int] = mapped_column(default=0)
    family: Mapped[str] = mapped_column(String(12), default="content")
    operation: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str | None] = mapped_column(String(20))
    business_date: Mapped[date] = mapped_column(Date)
    decision_date: Mapped[date] = mapped_column(Date)
    deadline: Mapped[date] = mapped_column(Date)
    deadline_provisional: Mapped[bool]
    policy: Mapped[str | None] = mapped_column(String(60))
    idempotency_key: Mapped[str] = mapped_column(Hash, unique=True)
    queued_at: Mapped[datetime] = mapped_column(DateTime)
    packaged_at: Mapped[datetime | None] = mapped_column(DateTime)
    sent_at: Mapped[datetime | None] = mapped_column(DateTime)
    accepted_at: Mapped[datetime | None] = mapped_column(DateTime)
    rejected_at: Mapped[datetime | None] = mapped_column(DateTime)
    withdrawn_at: Mapped[datetime | None] = mapped_column(DateTime)
    reconciled_at: Mapped[datetime | None] = mapped_column(DateTime)
    withheld_at: Mapped[datetime | None] = mapped_column(DateTime)
    withheld_reason: Mapped[str | None] = mapped_column(String(200))
    withheld_rule: Mapped[str | None] = mapped_column(String(60))
    acceptance: Mapped[str | None] = mapped_column(Hash)
    package: Mapped[str | None] = mapped_column(ForeignKey("package.id"), index=True)
    line: Mapped[int | None]
    upper_id: Mapped[str | None] = mapped_column(String(100))
    reply_code: Mapped[str | None] = mapped_column(String(40))
    reply_text: Mapped[str | None] = mapped_column(Text)


class PackageRow(Base):
    """A row that has travelled in a package, be it in another one since: whose calls are part of its history."""

    __tablename__ = "package_row"

    package: Mapped[str] = mapped_column(ForeignKey("package.id"), primary_key=True)
    outbox_id: Mapped[int] = mapped_column(ForeignKey("outbox.id"), primary_key=True, index=True)


class Attempt(Base):
    """One call to an endpoint: what was tried and what came back. Never holds a secret or a record."""

    __tablename__ = "attempt"

    id: Mapped[int] = mapped_column(primary_key=True)
    package: Mapped[str] = mapped_column(ForeignKey("package.id"), index=True)
    at: Mapped[datetime] = mapped_column(DateTime)
    action: Mapped[str] = mapped_column(String(20))
    outcome: Mapped[str] = mapped_column(String(20))
    status: Mapped[int | None]
    text: Mapped[str | None] = mapped_column(Text)


class Receipt(Base):
    """What an endpoint said about one record version (回执)."""

    __tablename__ = "receipt"

    id: Mapped[int] = mapped_column(primary_key=True)
    outbox_id: Mapped[int] = mapped_column(ForeignKey("outbox.id"), index=True)
    at: Mapped[datetime] = mapped_column(DateTime)
    result: Mapped[str] = mapped_column(String(20))
    upper_id: Mapped[str | None] = mapped_column(String(100))
    rule: Mapped[str | None] = mapped_column(String(60))
    field: Mapped[str | None] = mapped_column(String(60))
    message: Mapped[str | None] = mapped_column(Text)


class DeliveryFinding(Base):
    """A rejection by an endpoint, as a finding for the steward; rows' own findings lie in the run's folder."""

    __tablename__ = "delivery_finding"
    __table_args__ = (UniqueConstraint("outbox_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    outbox_id: Mapped[int] = mapped_column(ForeignKey("outbox.id"))
    endpoint: Mapped[str] = mapped_column(String(60))
    feed: Mapped[str] = mapped_column(String(100), index=True)
    record_key: Mapped[str] = mapped_column(Hash)
    rule: Mapped[str | None] = mapped_column(String(60))
    field: Mapped[str | None] = mapped_column(String(60))
    message: Mapped[str] = mapped_column(Text)
    found_at: Mapped[datetime] = mapped_column(DateTime)


class Consolidation(Base):
    """Two feeds reported one decision: which feed's record survives, and why."""

    __tablename__ = "consolidation"
    __table_args__ = (UniqueConstraint("category", "record_key", "losing_feed"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    category: Mapped[str] = mapped_column(String(60))
    record_key: Mapped[str] = mapped_column(Hash)
    surviving_feed: Mapped[str] = mapped_column(String(100))
    losing_feed: Mapped[str] = mapped_column(String(100), index=True)
    reason: Mapped[str] = mapped_column(String(200))
    decided_at: Mapped[datetime] = mapped_column(DateTime)


class ConsolidatedRun(Base):
    """A published run whose keys have been compared with those of the other feeds."""

    __tablename__ = "consolidated_run"

    run: Mapped[str] = mapped_column(ForeignKey("run.id"), primary_key=True)
    at: Mapped[datetime] = mapped_column(DateTime)


class Tombstone(Base):
    """A withdrawn record that must never come back from a stale full dump."""

    __tablename__ = "tombstone"
    __table_args__ = (UniqueConstraint("category", "record_key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    category: Mapped[str] = mapped_column(String(60))
    record_key: Mapped[str] = mapped_column(Hash)
    reason: Mapped[str] = mapped_column(String(200))
    since: Mapped[date] = mapped_column(Date)


class WithdrawalSighting(Base):
    """A batch after which a record of the feed should no longer exist.

    ``reason``: ``absent`` from a full dump, or ``revoked`` by the row itself; ``unclear`` where a dump cannot say
    whether a record that was absent still is, ``restored`` where a revoked record is reported as valid again. Whether
    the withdrawal is believed follows from the sightings of successive batches; nothing else is stored about it.
    """

    __tablename__ = "withdrawal_sighting"
    __table_args__ = (UniqueConstraint("feed", "business_date", "record_key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    feed: Mapped[str] = mapped_column(String(100), index=True)
    category: Mapped[str] = mapped_column(String(60))
    business_date: Mapped[date] = mapped_column(Date)
    record_key: Mapped[str] = mapped_column(Hash, index=True)
    run: Mapped[str] = mapped_column(ForeignKey("run.id"), index=True)
    reason: Mapped[str] = mapped_column(String(20))


class Heartbeat(Base):
    """The last sign of life of something that must not die silently."""

    __tablename__ = "heartbeat"

    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    at: Mapped[datetime] = mapped_column(DateTime)
    examined: Mapped[int]
