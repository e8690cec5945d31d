"""Everything an installation has published, in a form that two installations can be compared by."""

from __future__ import annotations

import hashlib
import re
from datetime import date
from typing import Any

from sqlalchemy import select

from pipelines.ledger.models import Batch, Outbox, Run, WithdrawalSighting
from pipelines.ledger.quality_models import Fact, Measure, Task, TaskEvent
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
    """What is owed to whom, without instants and attempts.

    Of what acts owe, the place of the act among them stands for the key: that is made from the number of the act, and a
    database leaves out numbers where a transaction did not come to its end.
    """
    with context.ledger.read() as session:
        rows = session.scalars(select(Outbox)).all()
    places = {act: f"act {place}" for place, act in enumerate(sorted({row.act for row in rows if row.act}), start=1)}
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
            places.get(row.act, row.idempotency_key),
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


def facts(context: Context) -> list[tuple[Any, ...]]:
    """Every figure's two numbers, and every count of the runs that count."""
    counting = select(Batch.run).where(Batch.run.is_not(None))
    with context.ledger.read() as session:
        figures = session.scalars(select(Fact)).all()
        measures = session.execute(
            select(Run.feed, Run.business_date, Measure.name, Measure.item, Measure.value)
            .join(Run, Run.id == Measure.run)
            .where(Run.id.in_(counting))
        ).all()
    return sorted(
        (fact.feed, str(fact.business_date), fact.profile, fact.figure, fact.numerator, fact.denominator or 0)
        for fact in figures
    ) + sorted((feed, str(day), name, item, value) for feed, day, name, item, value in measures)


def sightings(context: Context) -> list[tuple[Any, ...]]:
    """What the batches say about withdrawals."""
    with context.ledger.read() as session:
        return sorted(
            (one.feed, str(one.business_date), one.record_key, one.reason)
            for one in session.scalars(select(WithdrawalSighting))
        )


def receipts(context: Context) -> list[tuple[Any, ...]]:
    """What every endpoint has answered in the end about what it was owed."""
    with context.ledger.read() as session:
        return sorted(
            (
                row.endpoint,
                row.feed,
                row.record_key,
                row.version,
                row.operation,
                row.accepted_at is not None,
                row.withdrawn_at is not None,
                row.withheld_reason or "",
            )
            for row in session.scalars(select(Outbox))
        )


def files(context: Context) -> set[str]:
    """Everything that lies in the home but the ledger and what a process works with, without numbers of attempts."""
    home = context.settings.home_path
    passing = {context.settings.locks, context.settings.scratch / "sources", *home.glob("ledger.sqlite*")}
    found = {path for path in home.rglob("*") if path.is_file() and "_delta_log" not in path.parts}
    return {
        re.sub(r"-(\d{8})-\d{3}\b", r"-\1", path.relative_to(home).as_posix())
        for path in found
        if not passing & {path, *path.parents}
    }
