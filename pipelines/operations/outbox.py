"""Fills the outbox in the transaction that publishes a run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy.orm import Session as LedgerSession

from pipelines.catalogue.endpoints import Endpoint
from pipelines.deadlines.calendar import load_calendar
from pipelines.deadlines.clock import assigned_deadlines
from pipelines.deadlines.policies import load_policies
from pipelines.engine.duck import Session, file_literal
from pipelines.ledger.bulk import insert_rows
from pipelines.ledger.models import Outbox, Run
from pipelines.operations.context import Context
from pipelines.operations.deadline_changes import hold_deadlines

# In the order of the query's columns.
COLUMNS = (
    "endpoint", "category", "feed", "run", "record_key", "version", "content_hash", "act", "family", "operation",
    "business_date", "decision_date", "deadline", "deadline_provisional", "policy", "idempotency_key", "queued_at",
)  # fmt: skip
_DEADLINES = "owed_deadlines"
# The key is :func:`idempotency_key`, worked out by DuckDB. Days are texts: that is how rows are loaded.
_ROWS = """
SELECT d.endpoint, $category AS category, $feed AS feed, $run AS run, v.record_key, v.version, v.content_hash,
       0 AS act, 'content' AS family, CASE v.change WHEN 'new' THEN 'new' ELSE 'update' END AS operation,
       $business_date AS business_date, v.decision_date::VARCHAR AS decision_date, d.deadline::VARCHAR AS deadline,
       d.provisional, d.policy,
       sha256(concat_ws(chr(31), d.endpoint, $category, $feed, v.record_key, v.version, v.content_hash)) AS key,
       $queued_at AS queued_at
FROM read_parquet({versions}) v JOIN {deadlines} d USING (decision_date)
WHERE v.change IN ('new', 'changed')
ORDER BY d.deadline, v.record_key, d.endpoint
"""


def idempotency_key(endpoint: str, run: Run, record_key: str, version: int, content_hash: str) -> str:
    """One key per record version and endpoint, the same in every attempt at the batch."""
    text = "\x1f".join((endpoint, run.category, run.feed, record_key, str(version), content_hash))
    return hashlib.sha256(text.encode()).hexdigest()


def fill_outbox(
    context: Context,
    ledger_session: LedgerSession,
    session: Session,
    versions: Path,
    run: Run,
    endpoints: list[Endpoint],
    queued_at: datetime,
) -> int:
    """Queue every new and changed version of a run for every endpoint of its feed; returns the rows queued.

    ``versions`` is the Parquet file of the run's versions. Outdated versions are kept in the store and not sent. Each
    row has the limit of its category, endpoint, department and decision date, by the calendar of this moment.
    """
    # First of all, also where nothing is queued: what follows in the transaction writes to the outbox as well.
    hold_deadlines(ledger_session)
    batches = owed_rows(context, session, versions, run, endpoints, queued_at)
    return insert_rows(ledger_session, Outbox, COLUMNS, _rows(batches)) if batches is not None else 0


def owed_rows(
    context: Context, session: Session, versions: Path, run: Run, endpoints: list[Endpoint], queued_at: datetime
) -> pa.RecordBatchReader | None:
    """The rows, in :data:`COLUMNS`, that the versions of a run are owed as; None where nothing is owed."""
    taking = [endpoint.endpoint for endpoint in endpoints if run.category in endpoint.categories]
    if not taking or not versions.exists():
        return None
    first, last = session.one(
        "SELECT min(decision_date), max(decision_date) "
        f"FROM read_parquet({file_literal(versions)}) WHERE change IN ('new', 'changed')"
    )
    if first is None:
        return None
    session.register(_DEADLINES, _deadlines(context, run, taking, first, last))
    return session.batches(
        _ROWS.format(versions=file_literal(versions), deadlines=_DEADLINES),
        {
            "category": run.category,
            "feed": run.feed,
            "run": run.id,
            "business_date": run.business_date.isoformat(),
            "queued_at": queued_at.isoformat(" ", "microseconds"),
        },
    )


def _deadlines(context: Context, run: Run, endpoints: list[str], first: date, last: date) -> pa.Table:
    """Per endpoint and decision date: deadline, provisional, policy."""
    calendar = load_calendar(context.settings)
    policies = load_policies(context.settings, context.catalogue)
    department = context.catalogue.feed(run.feed).department
    parts = []
    for endpoint in endpoints:
        table = assigned_deadlines(
            calendar, policies, first, last, category=run.category, endpoint=endpoint, department=department
        )
        parts.append(table.append_column("endpoint", pa.array([endpoint] * table.num_rows, pa.string())))
    return pa.concat_tables(parts)


def _rows(batches: pa.RecordBatchReader) -> Iterator[tuple[Any, ...]]:
    for batch in batches:
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
