"""What has a clock and is in no outbox yet: rows in quarantine, and batches that wait for a steward."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import func, select

from pipelines.deadlines.calendar import load_calendar
from pipelines.deadlines.clock import deadline
from pipelines.deadlines.policies import load_policies
from pipelines.engine.duck import file_literal
from pipelines.ledger.models import Batch, Run
from pipelines.operations.attempts import run_folder
from pipelines.operations.cases import CASES_FILE
from pipelines.operations.context import Context

QUARANTINE = "quarantine"
HELD = "held"


@dataclass(frozen=True)
class NotYetQueued:
    """Rows of one feed that never became records, or are not allowed to yet.

    ``waiting`` is ``quarantine`` (``owner`` has to mend them) or ``held`` (a steward has to decide). ``deadline`` is
    that of their decisions; None where it cannot be told. ``since`` is the business date of the batch.
    """

    feed: str
    department: str
    waiting: str
    owner: str
    deadline: date | None
    rows: int
    since: date


def not_yet_queued(context: Context) -> list[NotYetQueued]:
    """Rows with a legal clock that no endpoint is owed yet, by feed and deadline."""
    return sorted(
        [*_held(context), *_quarantined(context)],
        key=lambda one: (one.feed, one.waiting, one.deadline or date.max, one.owner),
    )


def _held(context: Context) -> list[NotYetQueued]:
    newest = select(Run.batch_id, func.max(Run.attempt).label("attempt")).group_by(Run.batch_id).subquery()
    query = (
        select(Run)
        .join(newest, (newest.c.batch_id == Run.batch_id) & (newest.c.attempt == Run.attempt))
        .where(Run.state == "held")
    )
    with context.ledger.read() as session:
        runs = list(session.scalars(query))
    return [
        NotYetQueued(
            run.feed,
            _department(context, run.feed),
            HELD,
            "steward",
            run.earliest_deadline,
            run.rows_decoded,
            run.business_date,
        )
        for run in runs
    ]


def _quarantined(context: Context) -> list[NotYetQueued]:
    """Rows with an open case that blocks them, from the cases of each feed's newest published batch."""
    latest = select(Batch.feed, func.max(Batch.business_date).label("day")).where(Batch.run.is_not(None))
    newest = latest.group_by(Batch.feed).subquery()
    query = select(Batch.feed, Batch.run).join(
        newest, (newest.c.feed == Batch.feed) & (newest.c.day == Batch.business_date)
    )
    with context.ledger.read() as ledger:
        runs = [(feed, run) for feed, run in ledger.execute(query) if run and feed in context.catalogue.feeds]
    policies, calendar = load_policies(context.settings), load_calendar(context.settings)
    found: list[NotYetQueued] = []
    with context.session() as session:
        for code, run in runs:
            file = run_folder(context, run) / CASES_FILE
            if not file.is_file():
                continue
            feed = context.catalogue.feed(code)
            rows = session.rows(
                f"""
                SELECT owner, decided, count(*), min(since) FROM (
                    SELECT row_key, if(bool_or(owner = 'department'), 'department', 'steward') AS owner,
                           min(TRY_CAST(decision_date AS DATE)) AS decided, min(opened_on) AS since
                    FROM read_parquet({file_literal(file)})
                    WHERE state = 'open' AND kind = 'row' AND severity = 'block' GROUP BY row_key
                ) GROUP BY owner, decided ORDER BY decided, owner
                """
            )
            for owner, decided, count, since in rows:
                last = None
                if decided is not None:
                    policy = policies.applying(category=feed.category, begins=decided, department=feed.department)
                    last = deadline(calendar, policy, decided).date
                found.append(NotYetQueued(code, feed.department, QUARANTINE, str(owner), last, int(count), since))
    return found


def _department(context: Context, feed: str) -> str:
    found = context.catalogue.feeds.get(feed)
    return "" if found is None else found.department
