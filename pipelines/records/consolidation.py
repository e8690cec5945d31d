"""The nightly consolidation: one decision reported by two feeds is delivered once.

Only the keys of runs that have not been looked at yet are compared with the stock of the other feeds, so the
cost grows with the night and not with what is stored. The feed with the lower ``priority`` survives; between
equals the one that had the record first, then the one whose code sorts first.

Feeds may owe their records to different endpoints: the losing feed goes on delivering where the surviving one does not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import pyarrow as pa
from sqlalchemy import ColumnElement, Row, Select, and_, bindparam, or_, select, text, update
from sqlalchemy.orm import Session as LedgerSession

from pipelines.engine.duck import Session
from pipelines.ledger.database import Ledger, now
from pipelines.ledger.models import ConsolidatedRun, Consolidation, Outbox, Run
from pipelines.records.reading import hidden_runs
from pipelines.records.store import RecordStore

REPORTED_BY_ANOTHER = "rejected, and reported by another feed, which delivers it"
_AT_ONCE = 500
T = TypeVar("T")


@dataclass(frozen=True)
class Settled:
    """One decision that several feeds reported."""

    record_key: str
    surviving_feed: str
    losing_feed: str
    reason: str


def consolidate(session: Session, store: RecordStore, ledger: Ledger, priorities: Mapping[str, int]) -> list[Settled]:
    """Settle the keys of all published, not yet consolidated runs of one category; returns what was settled.

    In one ledger transaction the losing feeds' outbox rows that have not been sent are withheld, where the surviving
    feed owes the record to the same endpoint, and the runs are marked. Repeating it finds nothing new.
    """
    category = store.category.category
    with ledger.read() as ledger_session:
        done = select(ConsolidatedRun.run)
        query = select(Run.id).where(Run.category == category, Run.state == "published", Run.id.not_in(done))
        runs = list(ledger_session.scalars(query.order_by(Run.id)))
    if not runs:
        return []
    settled = _settle(session, store, ledger, runs, priorities)
    instant = now()
    with ledger.write() as ledger_session:
        _take_turn(ledger_session)
        looked_at = set(ledger_session.scalars(select(ConsolidatedRun.run).where(ConsolidatedRun.run.in_(runs))))
        _keep(ledger_session, category, settled, instant)
        for part in _parts(settled):
            _set_aside(ledger_session, category, part, instant)
        ledger_session.add_all(ConsolidatedRun(run=run, at=instant) for run in runs if run not in looked_at)
    return settled


def set_rejected_aside(ledger: Ledger, category: str, endpoints: Iterable[str]) -> int:
    """Set aside what these endpoints rejected of losing feeds of a category; returns how many rows of the outbox.

    It may have been under way when the feeds were compared. The surviving feed owes the record: the losing one has
    nothing to mend, and its version must not be sent again after the other.
    """
    is_rejected = and_(Outbox.accepted_at.is_(None), Outbox.rejected_at.is_not(None))
    wanted = and_(is_rejected, Outbox.family == "content", _is_not_set_aside())
    found: list[int] = []
    with ledger.read() as ledger_session:
        for endpoint in endpoints:
            of_endpoint = and_(Outbox.endpoint == endpoint, Outbox.category == category)
            for part in _parts(ledger_session.execute(_rows().where(of_endpoint, wanted)).all()):
                known = _known(ledger_session, category, {row.record_key for row in part})
                lost = {loser: noted.surviving_feed for loser, noted in known.items()}
                found.extend(row.id for row in _owed_by_another(ledger_session, part, lost))
    if not found:
        return 0
    values = {"withheld_at": now(), "withheld_reason": REPORTED_BY_ANOTHER, "withheld_rule": None}
    with ledger.write() as ledger_session:
        for ids in _parts(found):
            ledger_session.execute(update(Outbox).where(Outbox.id.in_(ids), wanted).values(values))
    return len(found)


def _keep(ledger_session: LedgerSession, category: str, settled: Sequence[Settled], instant: datetime) -> None:
    """Note who survives; what was noted before, under other priorities or of fewer feeds, holds no more."""
    survivors = {one.record_key: one.surviving_feed for one in settled}
    # All of them before the first is added: of a table that grows meanwhile, PostgreSQL knows no size.
    known: dict[tuple[str, str], Consolidation] = {}
    for keys in _parts(list(survivors)):
        known |= _known(ledger_session, category, keys)
    for key, survivor in survivors.items():
        if (key, survivor) in known:
            ledger_session.delete(known[key, survivor])
    for one in settled:
        noted = known.get((one.record_key, one.losing_feed))
        if noted is None:
            noted = Consolidation(category=category, record_key=one.record_key, losing_feed=one.losing_feed)
            ledger_session.add(noted)
        elif noted.surviving_feed == one.surviving_feed:
            continue
        noted.surviving_feed, noted.reason, noted.decided_at = one.surviving_feed, one.reason, instant
    ledger_session.flush()


def _set_aside(ledger_session: LedgerSession, category: str, settled: Sequence[Settled], instant: datetime) -> None:
    """Withhold content of the losing feeds that has not left; a withdrawal is about the record, whoever reported it."""
    by_loser = {(one.record_key, one.losing_feed): one for one in settled}
    waiting = _rows().where(
        Outbox.category == category,
        Outbox.record_key.in_({one.record_key for one in settled}),
        Outbox.family == "content",
        Outbox.packaged_at.is_(None),
        # What an acceptance profile keeps back could be released one day, and must not be any more.
        _is_not_set_aside(),
    )
    lost = {loser: one.surviving_feed for loser, one in by_loser.items()}
    values = []
    for row in _owed_by_another(ledger_session, ledger_session.execute(waiting).all(), lost):
        one = by_loser[row.record_key, row.feed]
        values.append({"row": row.id, "why": f"reported by {one.surviving_feed}: {one.reason}"})
    if values:
        statement = update(Outbox).where(Outbox.id == bindparam("row"))
        aside = {"withheld_at": instant, "withheld_reason": bindparam("why"), "withheld_rule": None}
        ledger_session.connection().execute(statement.values(aside), values)


def _rows() -> Select[int, str, str, str]:
    return select(Outbox.id, Outbox.endpoint, Outbox.feed, Outbox.record_key)


def _owed_by_another(
    ledger_session: LedgerSession, rows: Sequence[Row[int, str, str, str]], lost: Mapping[tuple[str, str], str]
) -> list[Row[int, str, str, str]]:
    """Those of the rows that are a losing feed's, where the surviving one owes the record to the same endpoint.

    ``lost``: record key and losing feed → surviving feed. A row that was set aside itself owes nothing: when priorities
    are changed, each of two feeds has lost once. Nor does one that was withdrawn before the record was reinstated.
    Looked up by keys, not joined: without statistics of a table that has just been filled, PostgreSQL compares
    everything with everything.
    """
    losing = [row for row in rows if (row.record_key, row.feed) in lost]
    keys = {row.record_key for row in losing}
    content = _rows().where(
        Outbox.record_key.in_(keys),
        Outbox.family == "content",
        Outbox.withdrawn_at.is_(None),
        _is_not_set_aside(),
    )
    owed = {(row.record_key, row.feed, row.endpoint) for row in ledger_session.execute(content)} if keys else set()
    return [row for row in losing if (row.record_key, lost[row.record_key, row.feed], row.endpoint) in owed]


def _known(
    ledger_session: LedgerSession, category: str, record_keys: Collection[str]
) -> dict[tuple[str, str], Consolidation]:
    """What is noted about these records: record key and losing feed → who survives."""
    query = select(Consolidation).where(Consolidation.category == category, Consolidation.record_key.in_(record_keys))
    return {(noted.record_key, noted.losing_feed): noted for noted in ledger_session.scalars(query)}


def _is_not_set_aside() -> ColumnElement[bool]:
    return or_(Outbox.withheld_at.is_(None), Outbox.withheld_rule.is_not(None))


def _parts(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    return (rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE))


def _take_turn(ledger_session: LedgerSession) -> None:
    """Two deliveries may find the same runs at once: the second one waits here, and finds them done."""
    if ledger_session.get_bind().dialect.name == "postgresql":
        ledger_session.execute(text("LOCK TABLE consolidated_run IN SHARE ROW EXCLUSIVE MODE"))


def _settle(
    session: Session, store: RecordStore, ledger: Ledger, runs: list[str], priorities: Mapping[str, int]
) -> list[Settled]:
    store.versions(session, "all_versions", hidden_runs(ledger))
    session.register("fresh_runs", pa.table({"run": pa.array(runs, pa.string())}))
    shared = session.rows(
        """
        WITH fresh AS (SELECT DISTINCT record_key FROM all_versions SEMI JOIN fresh_runs USING (run))
        SELECT record_key, feed, min(business_date)
        FROM all_versions SEMI JOIN fresh USING (record_key)
        GROUP BY record_key, feed
        QUALIFY count(*) OVER (PARTITION BY record_key) > 1
        ORDER BY record_key, feed
        """
    )
    by_key: dict[str, list[tuple[int, object, str]]] = {}
    for key, feed, first_day in shared:
        by_key.setdefault(key, []).append((priorities.get(feed, 100), first_day, feed))
    settled = []
    for key, claims in by_key.items():
        ranked = sorted(claims, key=lambda claim: (claim[0], str(claim[1]), claim[2]))
        best = ranked[0]
        for other in ranked[1:]:
            if other[0] != best[0]:
                reason = f"priority {best[0]} before {other[0]}"
            elif other[1] != best[1]:
                reason = f"first reported on {best[1]}"
            else:
                reason = "same priority and day; feed code decides"
            settled.append(Settled(key, best[2], other[2], reason))
    return settled
