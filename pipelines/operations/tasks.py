"""Tasks: open cases grouped by feed, rule and field, with an owner, a reference and a life cycle."""

from __future__ import annotations

from datetime import UTC, date

import pyarrow as pa
from sqlalchemy import delete, select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.deadlines.clock import BEIJING_TIME
from pipelines.engine.duck import Session, file_literal
from pipelines.ledger.models import Run
from pipelines.ledger.quality_models import Closing, Task
from pipelines.operations.attempts import run_folder
from pipelines.operations.cases import CASES_FILE
from pipelines.operations.context import Context
from pipelines.operations.delivery_tasks import store_delivery_tasks
from pipelines.operations.task_life import Standing, update_task

# A case that was over before anybody could see it is nobody's work.
_SHOWN = "(first_run <> closed_run OR closed_run IS NULL OR how = 'waived')"


def store_tasks(context: Context, ledger: LedgerSession, session: Session, run: Run) -> None:
    """Bring the tasks of a feed up to date with the cases of a run, in the transaction that publishes it.

    The rows that the batch closed are stored with the days that they were open; the same batch run again replaces them.
    """
    cases = f"read_parquet({file_literal(run_folder(context, run.id) / CASES_FILE)})"
    feed = context.catalogue.feed(run.feed)
    found = session.rows(
        f"""
        SELECT rule, coalesce(field, ''), max(rule_version), max_by(severity, last_seen), max_by(owner, last_seen),
               count(*) FILTER (state = 'open'), count(*) FILTER (state = 'waived'),
               count(*) FILTER (first_run = $run), count(*) FILTER (state = 'open' AND run = $run),
               count(*) FILTER (corrected_run = $run), count(*) FILTER (corrected_run = $run AND state = 'open'),
               min(first_seen), max(last_seen), min(opened_on) FILTER (state = 'open'),
               max(closed_on)
        FROM {cases} WHERE {_SHOWN} GROUP BY 1, 2 ORDER BY 1, 2
        """,
        {"run": run.id},
    )
    for row in found:
        update_task(ledger, feed, Standing(*row), run.id, run.business_date, by=run.id)
    ledger.flush()
    _store_closings(ledger, session, run, cases)
    store_delivery_tasks(context, ledger, run.feed, by=run.id)


def _store_closings(ledger: LedgerSession, session: Session, run: Run, cases: str) -> None:
    """Store what the batch closed, and for how long it was open.

    A case ends with the business date of the batch that shows it mended. Where that is the very batch that had shown it
    broken, run again with a workbook or a mended file, it ends on the day in China on which that was published.
    """
    of_batch = select(Run.id).where(Run.feed == run.feed, Run.business_date == run.business_date)
    ledger.execute(delete(Closing).where(Closing.run.in_(of_batch)))
    tasks = {
        (rule, field): number
        for number, rule, field in ledger.execute(select(Task.id, Task.rule, Task.field).where(Task.feed == run.feed))
    }
    session.register("published_days", _published_days(ledger, run))
    closed = session.rows(
        f"""
        SELECT rule, coalesce(field, ''), how, count(*),
               sum(if(closed_on = last_seen, greatest(closed_on, coalesce(p.day, closed_on)), closed_on) - opened_on)
        FROM {cases} LEFT JOIN published_days p ON p.run = closed_run
        WHERE closed_on = $day AND first_run <> closed_run GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        """,
        {"day": run.business_date},
    )
    ledger.add_all(
        Closing(
            task=tasks[rule, field], run=run.id, closed_on=run.business_date, how=how, rows=int(rows), days=int(days)
        )
        for rule, field, how, rows, days in closed
    )


def _published_days(ledger: LedgerSession, run: Run) -> pa.Table:
    """The runs of a batch, in the columns ``run`` and ``day``: on which day in China each was published."""
    query = select(Run.id, Run.finished_at).where(Run.batch_id == run.batch_id, Run.state == "published")
    days: dict[str, date] = {}
    for name, instant in ledger.execute(query):
        if instant is not None:
            days[name] = instant.replace(tzinfo=UTC).astimezone(BEIJING_TIME).date()
    return pa.table([pa.array(list(days), pa.string()), pa.array(list(days.values()), pa.date32())], ["run", "day"])
