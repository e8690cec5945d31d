"""Facts: the figures of a published batch by every profile, stored with numerator and denominator."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.deadlines.calendar import load_calendar
from pipelines.ledger.database import now
from pipelines.ledger.models import Batch, Run
from pipelines.ledger.quality_models import Fact
from pipelines.operations.context import Context
from pipelines.reporting.figure_counts import by_clock, stored_counts


@dataclass(frozen=True)
class Recomputed:
    """How many batches have new facts; ``skipped``: (feed, business date, why) of those that could have none."""

    batches: int
    skipped: tuple[tuple[str, date, str], ...]


def store_facts(context: Context, ledger: LedgerSession, run: Run) -> bool:
    """Store the facts of a run in the transaction that publishes it; those of an earlier run of the batch go.

    False when the run was judged before measures were kept: it has no facts.
    """
    ledger.execute(delete(Fact).where(Fact.feed == run.feed, Fact.business_date == run.business_date))
    stored = stored_counts(ledger, run)
    if not stored:
        return False
    calendar, at = load_calendar(context.settings), now()
    department = context.catalogue.feed(run.feed).department
    facts = []
    for profile in context.catalogue.profiles.values():
        counts = by_clock(ledger, run, stored, profile.clock, calendar, at)
        for definition in profile.figures:
            numerator, denominator = counts.values(definition)
            facts.append(
                {
                    "department": department,
                    "feed": run.feed,
                    "category": run.category,
                    "business_date": run.business_date,
                    "run": run.id,
                    "profile": profile.profile,
                    "figure": definition.figure,
                    "numerator": numerator,
                    "denominator": denominator,
                    "final": counts.is_final(definition),
                }
            )
    if facts:
        ledger.execute(insert(Fact), facts)
    return True


def recompute(context: Context, since: date, until: date) -> Recomputed:
    """Compute the facts of all published batches of business dates ``since``..``until`` again.

    For a profile that was changed or added, a calendar that was amended, or batches that were published before.
    """
    with context.ledger.read() as ledger:
        query = select(Batch.id).where(Batch.run.is_not(None), Batch.business_date.between(since, until))
        batches = list(ledger.scalars(query.order_by(Batch.business_date, Batch.feed)))
    return _recompute(context, batches)


def recompute_open(context: Context) -> Recomputed:
    """Compute the facts again that are not final: receivers may have answered, deadlines may have passed."""
    with context.ledger.read() as ledger:
        query = select(Batch.id).join(Fact, Fact.run == Batch.run).where(Fact.final.is_(False)).distinct()
        batches = list(ledger.scalars(query.order_by(Batch.id)))
    return _recompute(context, batches)


def _recompute(context: Context, batches: list[int]) -> Recomputed:
    done: int = 0
    skipped: list[tuple[str, date, str]] = []
    for number in batches:
        with context.ledger.write() as ledger:
            # A batch that is published at the same time has the last word: whoever comes second sees its run.
            batch = ledger.scalars(select(Batch).where(Batch.id == number).with_for_update()).one()
            run = ledger.get_one(Run, batch.run)
            if run.feed not in context.catalogue.feeds:
                skipped.append((run.feed, run.business_date, "the feed is not described any more; its facts stay"))
            elif store_facts(context, ledger, run):
                done += 1
            else:
                skipped.append((run.feed, run.business_date, "judged before measures were kept; run the batch again"))
    return Recomputed(done, tuple(skipped))
