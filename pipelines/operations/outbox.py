"""Fills the outbox in the transaction that publishes a run."""

from __future__ import annotations

import hashlib
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session as LedgerSession

from pipelines.catalogue.endpoints import Endpoint
from pipelines.engine.duck import Session, file_literal
from pipelines.ledger.models import Outbox, Run

OPERATIONS = {"new": "new", "changed": "update"}
CHUNK = 10_000


def idempotency_key(endpoint: str, run: Run, record_key: str, version: int, content_hash: str) -> str:
    """One key per record version and endpoint, the same in every attempt at the batch."""
    text = "\x1f".join((endpoint, run.category, run.feed, record_key, str(version), content_hash))
    return hashlib.sha256(text.encode()).hexdigest()


def fill_outbox(
    ledger_session: LedgerSession,
    session: Session,
    versions: Path,
    run: Run,
    endpoints: list[Endpoint],
    queued_at: datetime,
) -> int:
    """Queue every new and changed version of a run for every endpoint of its feed; returns the rows queued.

    ``versions`` is the Parquet file of the run's versions. Outdated versions are kept in the store and not sent.
    """
    taking = [endpoint for endpoint in endpoints if run.category in endpoint.categories]
    if not taking or not versions.exists():
        return 0
    batches = session.batches(
        "SELECT record_key, version, content_hash, change, decision_date, deadline, deadline_provisional "
        f"FROM read_parquet({file_literal(versions)}) WHERE change IN ('new', 'changed') ORDER BY deadline, record_key"
    )
    queued = 0
    for batch in batches:
        rows = iter(
            _row(endpoint.endpoint, run, version, queued_at) for version in batch.to_pylist() for endpoint in taking
        )
        while chunk := list(islice(rows, CHUNK)):
            ledger_session.execute(insert(Outbox), chunk)
            queued += len(chunk)
    return queued


def _row(endpoint: str, run: Run, version: dict[str, Any], queued_at: datetime) -> dict[str, Any]:
    return {
        "endpoint": endpoint,
        "category": run.category,
        "feed": run.feed,
        "run": run.id,
        "record_key": version["record_key"],
        "version": version["version"],
        "content_hash": version["content_hash"],
        "operation": OPERATIONS[version["change"]],
        "business_date": run.business_date,
        "decision_date": version["decision_date"],
        "deadline": version["deadline"],
        "deadline_provisional": version["deadline_provisional"],
        "idempotency_key": idempotency_key(
            endpoint, run, version["record_key"], version["version"], version["content_hash"]
        ),
        "queued_at": queued_at,
    }
