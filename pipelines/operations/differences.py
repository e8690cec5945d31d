"""Differences between us and an endpoint: found, found again, gone."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pyarrow as pa
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session as LedgerSession

from pipelines.engine.duck import Session
from pipelines.ledger.delivery_models import Difference, Reconciliation
from pipelines.operations.holdings import KINDS

CHUNK = 10_000
AGREES_AGAIN = "再次对账时已一致"
DETAILS = {
    "missing_there": "接收方曾接受该记录，现已没有",
    "unknown_here": "接收方公示该记录，本方没有其接受回执",
    "content_differs": "接收方的内容（{content_hash}）与其接受的内容（{shown_hash}）不同",
    "still_there": "该记录已撤回，接收方仍在公示",
    "withdrawn_there": "接收方已撤下该记录，本方没有要求撤回，请与接收方核实",
    "objection_differs": "异议标注不一致，接收方：{objection}",
}
FOREIGN = "接收方公示该记录，不是本方报送的"
_OPEN: dict[str, pa.DataType] = {
    "id": pa.int64(),
    "kind": pa.string(),
    "identity": pa.string(),
    "record_key": pa.string(),
}


def store_differences(ledger: LedgerSession, session: Session, found_by: Reconciliation, at: datetime) -> None:
    """Store what ``compared`` says: new differences, and those that are gone as resolved.

    One that was repaired and is still there, may be repaired again. What is under way is neither found nor gone.
    """
    known = ledger.execute(
        select(Difference.id, Difference.kind, Difference.record_key, Difference.upper_id).where(
            Difference.endpoint == found_by.endpoint,
            Difference.category == found_by.category,
            Difference.resolved_at.is_(None),
        )
    ).all()
    columns = {
        "id": [row.id for row in known],
        "kind": [row.kind for row in known],
        "identity": [row.record_key or row.upper_id for row in known],
        "record_key": [row.record_key for row in known],
    }
    session.register("open_differences", pa.table(columns, schema=pa.schema(list(_OPEN.items()))))
    session.execute(
        """
        CREATE OR REPLACE TABLE differing AS
        SELECT *, coalesce(record_key, left(upper_id, 100)) AS identity FROM compared
        WHERE list_contains($kinds, verdict)
        """,
        {"kinds": list(KINDS)},
    )
    _insert_new(ledger, session, found_by, at)
    again = "SELECT o.id FROM open_differences o JOIN differing d ON d.verdict = o.kind AND d.identity = o.identity"
    _update(ledger, session, again, {"resolution": None})
    gone = f"""
        SELECT id FROM open_differences WHERE id NOT IN ({again})
        AND coalesce(record_key, '') NOT IN (
            SELECT record_key FROM compared WHERE verdict = 'pending' AND record_key IS NOT NULL
        )
    """
    ids = [row[0] for row in session.rows(gone)]
    for start in range(0, len(ids), CHUNK):
        for difference in ledger.scalars(select(Difference).where(Difference.id.in_(ids[start : start + CHUNK]))):
            difference.resolved_at = at
            difference.resolution = difference.resolution or AGREES_AGAIN


def _insert_new(ledger: LedgerSession, session: Session, found_by: Reconciliation, at: datetime) -> None:
    fresh = session.batches(
        """
        SELECT verdict, feed, record_key, left(upper_id, 100) AS upper_id, outbox_id, objection,
               left(content_hash, 12) AS content_hash, left(shown_hash, 12) AS shown_hash
        FROM differing d
        WHERE NOT EXISTS (FROM open_differences o WHERE o.kind = d.verdict AND o.identity = d.identity)
        ORDER BY verdict, d.identity
        """
    )
    for batch in fresh:
        rows = [_row(found, found_by, at) for found in batch.to_pylist()]
        for start in range(0, len(rows), CHUNK):
            ledger.execute(insert(Difference), rows[start : start + CHUNK])


def _row(found: dict[str, Any], found_by: Reconciliation, at: datetime) -> dict[str, Any]:
    detail = FOREIGN if found["feed"] is None else DETAILS[found["verdict"]]
    marked = {True: "有", False: "无", None: "未知"}[found["objection"]]
    return {
        "reconciliation": found_by.id,
        "endpoint": found_by.endpoint,
        "category": found_by.category,
        "kind": found["verdict"],
        "feed": found["feed"],
        "record_key": found["record_key"],
        "upper_id": found["upper_id"],
        "outbox_id": found["outbox_id"],
        "detail": detail.format(**{**found, "objection": marked}),
        "found_at": at,
    }


def _update(ledger: LedgerSession, session: Session, query: str, values: dict[str, Any]) -> None:
    ids = [row[0] for row in session.rows(query)]
    for start in range(0, len(ids), CHUNK):
        chosen = Difference.id.in_(ids[start : start + CHUNK])
        ledger.execute(update(Difference).where(chosen).values(values))
