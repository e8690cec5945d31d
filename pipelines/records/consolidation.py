"""The nightly consolidation: one decision reported by two feeds is delivered once.

Only the keys of runs that have not been looked at yet are compared with the stock of the other feeds, so the
cost grows with the night and not with what is stored. The feed with the lower ``priority`` survives; between
equals the one that had the record first, then the one whose code sorts first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
from sqlalchemy import or_, select, text, update
from sqlalchemy.orm import Session as LedgerSession

from pipelines.engine.duck import Session
from pipelines.ledger.database import Ledger, now
from pipelines.ledger.models import ConsolidatedRun, Consolidation, Outbox, Run
from pipelines.records.reading import hidden_runs
from pipelines.records.store import RecordStore


@dataclass(frozen=True)
class Settled:
    """One decision that several feeds reported."""

    record_key: str
    surviving_feed: str
    losing_feed: str
    reason: str


def consolidate(session: Session, store: RecordStore, ledger: Ledger, priorities: Mapping[str, int]) -> list[Settled]:
    """Settle the keys of all published, not yet consolidated runs of one category; returns what was settled.

    In one ledger transaction the losing feeds' outbox rows that have not been sent are withheld and the runs
    are marked. Repeating it finds nothing new.
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
        for one in settled:
            query_known = select(Consolidation).where(
                Consolidation.category == category,
                Consolidation.record_key == one.record_key,
                Consolidation.losing_feed == one.losing_feed,
            )
            known = ledger_session.scalar(query_known)
            if known is None:
                ledger_session.add(
                    Consolidation(
                        category=category,
                        record_key=one.record_key,
                        surviving_feed=one.surviving_feed,
                        losing_feed=one.losing_feed,
                        reason=one.reason,
                        decided_at=instant,
                    )
                )
            ledger_session.execute(
                update(Outbox)
                .where(
                    Outbox.category == category,
                    Outbox.record_key == one.record_key,
                    Outbox.feed == one.losing_feed,
                    Outbox.packaged_at.is_(None),
                    # What an acceptance profile keeps back could be released one day, and must not be any more.
                    or_(Outbox.withheld_at.is_(None), Outbox.withheld_rule.is_not(None)),
                )
                .values(
                    withheld_at=instant,
                    withheld_reason=f"reported by {one.surviving_feed}: {one.reason}",
                    withheld_rule=None,
                )
            )
        ledger_session.add_all(ConsolidatedRun(run=run, at=instant) for run in runs if run not in looked_at)
    return settled


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
