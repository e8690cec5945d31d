"""Everything an installation has published, in a form that two installations can be compared by."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Any

from sqlalchemy import select

from pipelines.ledger.models import Outbox, Run
from pipelines.ledger.quality_models import Task, TaskEvent
from pipelines.operations.context import Context
from pipelines.records.reading import hidden_runs

ATTEMPT = ("run",)


def records(context: Context) -> dict[str, list[tuple[Any, ...]]]:
    """All visible versions of every category, without the attempt that wrote them."""
    found = {}
    with context.session() as session:
        for code, store in context.stores.items():
            store.versions(session, "all_versions", hidden_runs(context.ledger))
            found[code] = session.rows(f"SELECT * EXCLUDE ({', '.join(ATTEMPT)}) FROM all_versions ORDER BY ALL")
    return found


def outbox(context: Context) -> list[tuple[Any, ...]]:
    """What is owed to whom, without instants and attempts."""
    with context.ledger.read() as session:
        rows = session.scalars(select(Outbox)).all()
    return sorted(
        (
            row.endpoint,
            row.feed,
            row.record_key,
            row.version,
            row.content_hash,
            row.operation,
            str(row.deadline),
            row.deadline_provisional,
            row.idempotency_key,
            row.withheld_reason,
        )
        for row in rows
    )


def tasks(context: Context) -> list[tuple[Any, ...]]:
    """Every task with its steps, without the attempts that took them."""
    query = select(Task, TaskEvent).join(TaskEvent, TaskEvent.task == Task.id)
    with context.ledger.read() as session:
        return sorted(
            (task.reference, task.state, task.rows, task.rows_ever, str(task.first_seen), event.event, event.rows)
            for task, event in session.execute(query)
        )


def findings(context: Context) -> list[tuple[Any, ...]]:
    """All visible findings, without the attempt that wrote them."""
    with context.session() as session:
        context.findings.create_view(session, context.ledger, "all_findings")
        return session.rows(f"SELECT * EXCLUDE ({', '.join(ATTEMPT)}) FROM all_findings ORDER BY ALL")


def counts(context: Context) -> list[tuple[Any, ...]]:
    """Figures of every published run."""
    with context.ledger.read() as session:
        runs = session.scalars(select(Run).where(Run.state == "published"))
        return sorted(
            (run.feed, str(run.business_date), run.rows_decoded, run.accepted, run.duplicate, run.quarantined, run.new)
            for run in runs
        )


def report(context: Context, day: date) -> dict[str, str]:
    """Hash of every file of a day's report."""
    folder = context.settings.reports / "batches" / day.isoformat()
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
