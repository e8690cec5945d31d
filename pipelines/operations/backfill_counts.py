"""What a batch changes, in numbers: as a run has changed it, and as the last good batches of a feed usually do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median_low

from sqlalchemy import func, select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.engine.duck import Session, file_literal
from pipelines.ledger.models import Batch, Outbox, Run, WithdrawalSighting
from pipelines.operations.attempts import run_folder
from pipelines.operations.cases import OUTCOMES_FILE
from pipelines.operations.context import Context
from pipelines.operations.streaks import ABSENT, REVOKED

CHANGES = ("new", "changed", "unchanged", "outdated")
COUNTS = (*CHANGES, "lost", "withdrawn", "outbox")
"""Records by what the batch does to the store; ``lost``: records that the batch brought before and does not any more;
``withdrawn``: records that it says should no longer exist (proposals); ``outbox``: rows queued for endpoints."""

_GOOD_BATCHES = 10
_ACCEPTED = "SELECT DISTINCT record_key FROM {rows} WHERE outcome = 'accepted' AND record_key IS NOT NULL"


def no_change() -> dict[str, int]:
    """The counts of a recorded no-op."""
    return dict.fromkeys(COUNTS, 0)


def counts_of_run(context: Context, run: Run) -> dict[str, int]:
    """What a run that has ended changed when it was published."""
    counts = no_change()
    if run.state != "published":
        return counts
    counts |= {name: getattr(run, name) for name in CHANGES}
    with context.ledger.read() as ledger:
        counts["outbox"] = _outbox(ledger, [run.id]).get(run.id, 0)
        counts["withdrawn"] = (
            ledger.scalar(
                select(func.count()).where(
                    WithdrawalSighting.run == run.id,
                    WithdrawalSighting.business_date == run.business_date,
                    WithdrawalSighting.reason.in_((ABSENT, REVOKED)),
                )
            )
            or 0
        )
        before = ledger.scalar(
            select(Run.id)
            .where(Run.batch_id == run.batch_id, Run.state == "published", Run.attempt < run.attempt)
            .order_by(Run.attempt.desc())
            .limit(1)
        )
    if before is not None:
        outcomes = f"read_parquet({file_literal(run_folder(context, run.id) / OUTCOMES_FILE)})"
        with context.session() as session:
            counts["lost"] = count_lost(session, run_folder(context, before) / OUTCOMES_FILE, outcomes)
    return counts


def count_lost(session: Session, before: Path, rows: str) -> int:
    """Records accepted in the outcomes file ``before`` that no row of the relation ``rows`` (SQL) is accepted for.

    None are known to be lost when the file is gone.
    """
    if not before.is_file():
        return 0
    earlier = _ACCEPTED.format(rows=f"read_parquet({file_literal(before)})")
    return int(session.one(f"SELECT count(*) FROM ({earlier} EXCEPT {_ACCEPTED.format(rows=rows)})")[0])


def usual_counts(context: Context, feed: str) -> dict[str, int] | None:
    """The medians of the feed's last good batches; None for a feed without any."""
    query = (
        select(Run)
        .join(Batch, Batch.run == Run.id)
        .where(Batch.feed == feed)
        .order_by(Batch.business_date.desc())
        .limit(_GOOD_BATCHES)
    )
    with context.ledger.read() as ledger:
        runs = list(ledger.scalars(query))
        if not runs:
            return None
        queued = _outbox(ledger, [run.id for run in runs])
    usual = no_change() | {name: median_low([getattr(run, name) for run in runs]) for name in CHANGES}
    return usual | {"outbox": median_low([queued.get(run.id, 0) for run in runs])}


def _outbox(ledger: LedgerSession, runs: list[str]) -> Mapping[str, int]:
    query = select(Outbox.run, func.count()).where(Outbox.run.in_(runs), Outbox.act == 0).group_by(Outbox.run)
    return {str(run): int(count) for run, count in ledger.execute(query)}
