"""What the receiver keeps, in an SQLite file of its own, so that it survives a restart."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    DateTime,
    Engine,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    false,
    inspect,
)
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker
from sqlalchemy.schema import CreateColumn

from pipelines.errors import StorageError


class Base(DeclarativeBase):
    """Tables of the receiver, separate from the sender's ledger."""


class ReceivedPackage(Base):
    """A package as it came in."""

    __tablename__ = "package"

    package_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    idempotency_key: Mapped[str] = mapped_column(String(64), unique=True)
    category: Mapped[str] = mapped_column(String(60))
    protocol: Mapped[str] = mapped_column(String(20), server_default="rest")
    digest: Mapped[str] = mapped_column(String(64))
    received: Mapped[int]
    received_at: Mapped[datetime] = mapped_column(DateTime)


class IssuedReceipt(Base):
    """What was decided about one record of a package (回执)."""

    __tablename__ = "receipt"

    id: Mapped[int] = mapped_column(primary_key=True)
    package_id: Mapped[str] = mapped_column(ForeignKey("package.package_id"), index=True)
    position: Mapped[int]
    record_id: Mapped[str] = mapped_column(String(64))
    idempotency_key: Mapped[str] = mapped_column(String(64))
    result: Mapped[str] = mapped_column(String(1))
    rule_code: Mapped[str | None] = mapped_column(String(20))
    field: Mapped[str | None] = mapped_column(String(60))
    message: Mapped[str | None] = mapped_column(Text)
    upper_id: Mapped[str | None] = mapped_column(String(20))


class HeldRecord(Base):
    """A record that was accepted. ``updates`` counts accepted UPDATEs; the upper-level id never changes."""

    __tablename__ = "record"
    __table_args__ = (
        UniqueConstraint("category", "record_id"),
        Index("ix_record_document", "category", "document_number", "subject_name"),
        Index("ix_record_category", "category"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    category: Mapped[str] = mapped_column(String(60))
    record_id: Mapped[str] = mapped_column(String(64))
    content_hash: Mapped[str] = mapped_column(String(64))
    document_number: Mapped[str] = mapped_column(Text)
    subject_name: Mapped[str] = mapped_column(Text)
    data: Mapped[dict[str, Any]] = mapped_column(JSON)
    updates: Mapped[int] = mapped_column(default=0)
    accepted_at: Mapped[datetime] = mapped_column(DateTime)
    updated_at: Mapped[datetime | None] = mapped_column(DateTime)
    withdrawn_at: Mapped[datetime | None] = mapped_column(DateTime)
    withdrawn_reason: Mapped[str | None] = mapped_column(String(20))
    objection: Mapped[bool] = mapped_column(default=False, server_default=false())

    @property
    def upper_id(self) -> str:
        """The id that the upper level gives this record."""
        return upper_id(self.id)


class AcceptedKey(Base):
    """An idempotency key that led to an acceptance, and the record it belongs to."""

    __tablename__ = "accepted_key"

    idempotency_key: Mapped[str] = mapped_column(String(64), primary_key=True)
    record: Mapped[int] = mapped_column(ForeignKey("record.id"))


def upper_id(number: int) -> str:
    """The upper-level id of the record with this number."""
    return f"SJ{number:012d}"


def record_number(upper: str) -> int:
    """The number of the record with this upper-level id; 0, which no record has, for an empty one."""
    return int(upper.removeprefix("SJ") or 0)


def open_store(path: Path) -> sessionmaker[Any]:
    """Open or create the store; a :class:`StorageError` names the file when that cannot be done."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        engine: Engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30}, hide_parameters=True)
        event.listen(engine, "connect", _prepare)
        Base.metadata.create_all(engine)
        _add_new_columns(engine)
    except (OSError, OperationalError) as error:
        raise StorageError(
            "the store of the receiver cannot be opened",
            remedy="check disk space and permissions, or name another file",
            file=path,
        ) from error
    return sessionmaker(engine, expire_on_commit=False)


def _add_new_columns(engine: Engine) -> None:
    """A store of an earlier version gets the columns that came since; what it holds stays."""
    there = inspect(engine)
    with engine.begin() as connection:
        for table in Base.metadata.sorted_tables:
            known = {column["name"] for column in there.get_columns(table.name)}
            for column in table.columns:
                if column.name not in known:
                    described = CreateColumn(column).compile(dialect=engine.dialect)
                    connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {described}")


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA foreign_keys=ON")
