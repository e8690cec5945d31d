"""The hash chain: entries that name the one before them, so that nothing can be altered or taken out unnoticed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pipelines.ledger.operation_models import ChainEntry, ChainHead

START, RUN, REMOVAL = "start", "run", "removal"
# What the first entry names as the one before it; the migration writes the same into the empty chain's head.
BEFORE_THE_FIRST = "0" * 64
CHUNK = 1_000


@dataclass(frozen=True)
class Link:
    """One entry as it is found in the ledger, and what is wrong with its place in the chain, a sentence each."""

    entry: ChainEntry
    problems: list[str] = field(default_factory=list)


def canonical(content: Any) -> str:
    """The only JSON text for a value: sorted names, no blanks, ASCII; it reads the same on every database."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def entry_hash(position: int, kind: str, subject: str, at: datetime, content: str, previous: str) -> str:
    """SHA-256 in hex over the canonical form of everything an entry says; ``at`` is UTC without zone."""
    parts = [position, kind, subject, at.isoformat(timespec="microseconds"), content, previous]
    return hashlib.sha256(canonical(parts).encode("ascii")).hexdigest()


def head(session: Session) -> tuple[int, str]:
    """Position and hash of the last entry; 0 and 64 zeros while there is none."""
    found = session.scalars(select(ChainHead)).one()
    return found.position, found.hash


def lock(session: Session) -> ChainHead:
    """The head, locked until the transaction of the caller is over: whoever else appends waits."""
    query = select(ChainHead).with_for_update()
    return session.scalars(query.execution_options(populate_existing=True)).one()


def append(session: Session, kind: str, subject: str, content: Mapping[str, Any], at: datetime) -> ChainEntry:
    """Add an entry in the transaction of the caller, to be called as late in it as can be.

    The head is locked until that transaction is over, so that positions have no gap and follow the order of the
    commits.
    """
    end = lock(session)
    text, position = canonical(content), end.position + 1
    entry = ChainEntry(
        position=position,
        kind=kind,
        subject=subject,
        at=at,
        content=text,
        previous=end.hash,
        hash=entry_hash(position, kind, subject, at, text, end.hash),
    )
    session.add(entry)
    end.position, end.hash = position, entry.hash
    session.flush()
    return entry


def end_of(session: Session) -> tuple[int, str, list[str]]:
    """Position and hash of the last entry, and what is wrong between it and the head that the ledger keeps.

    Asked in one statement, so that somebody who appends meanwhile is no problem.
    """
    newest = select(func.max(ChainEntry.position)).scalar_subquery()
    query = select(ChainHead, ChainEntry).select_from(ChainHead).outerjoin(ChainEntry, ChainEntry.position == newest)
    told, last = session.execute(query).one()
    position, found = (last.position, last.hash) if last is not None else (0, BEFORE_THE_FIRST)
    if (position, found) == (told.position, told.hash):
        return position, found, []
    wrong = f"the chain ends at {position} with {found}, its head says {told.position} with {told.hash}"
    return position, found, [wrong]


def walk(session: Session, first: int, last: int) -> Iterator[Link]:
    """Every entry between two positions, both included, compared with the one before; a chunk of them is in memory.

    The entry before ``first`` is taken as it is found. After a problem the chain is followed from what is stored, so
    that one altered entry is one problem.
    """
    position = first - 1
    before = session.get(ChainEntry, position)
    previous = before.hash if before is not None else BEFORE_THE_FIRST if first == 1 else None
    while position < last:
        query = select(ChainEntry).where(ChainEntry.position.between(position + 1, last))
        entries = list(session.scalars(query.order_by(ChainEntry.position).limit(CHUNK)))
        for entry in entries:
            yield Link(entry, list(_problems(entry, position, previous)))
            position, previous = entry.position, entry.hash
        session.expunge_all()
        if not entries:
            return


def _problems(entry: ChainEntry, position: int, previous: str | None) -> Iterator[str]:
    missing = entry.position - position - 1
    if missing:
        which = f"entry {position + 1} is" if missing == 1 else f"entries {position + 1} to {entry.position - 1} are"
        yield f"{which} missing before it"
    elif previous is not None and entry.previous != previous:
        yield f"it names {entry.previous} as the hash of the entry before it, which has {previous}"
    told = entry_hash(entry.position, entry.kind, entry.subject, entry.at, entry.content, entry.previous)
    if told != entry.hash:
        yield f"its hash is stored as {entry.hash}, what it says has {told}"
