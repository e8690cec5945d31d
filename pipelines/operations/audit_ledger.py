"""Rows of the ledger against what the hash chain says about them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.ledger import chain
from pipelines.ledger.models import Batch, Extract, Run
from pipelines.ledger.operation_models import ChainEntry
from pipelines.operations.audit_entries import COUNTS, EXTRACT_FACTS, FACTS, Claim, extract_facts, facts_of
from pipelines.operations.audit_problems import LEDGER, Problem

_RUN = [getattr(Run, name) for name in ("id", "state", "business_date", "finished_at", *FACTS, *COUNTS)]
_EXTRACT = [getattr(Extract, name) for name in ("run", "name", *EXTRACT_FACTS)]


def row_problems(ledger: LedgerSession, claims: Sequence[Claim]) -> Iterator[Problem]:
    """What is told otherwise by the rows of some runs, their batches and their extracts."""
    names = [claim.run for claim in claims]
    batch = [Batch.feed.label("batch_feed"), Batch.business_date.label("batch_date")]
    query = select(*_RUN, *batch).outerjoin(Batch, Batch.id == Run.batch_id).where(Run.id.in_(names))
    runs = {row.id: row for row in ledger.execute(query)}
    extracts = defaultdict(list)
    ordered = select(*_EXTRACT).where(Extract.run.in_(names)).order_by(Extract.run, Extract.position)
    for row in ledger.execute(ordered):
        extracts[row.run].append(extract_facts(row))
    for claim in claims:
        if claim.run not in runs:
            yield _problem(claim, "run", "the ledger has no such run")
            continue
        run = runs[claim.run]
        told = {"state": "published", **claim.facts}
        found = {"state": run.state, **facts_of(run)}
        if run.batch_feed != run.feed or run.batch_date != run.business_date:
            yield _problem(claim, "run.batch_id", "it belongs to the batch of another feed or business date")
        yield from _differences(claim, "run", told, found)
        yield from _extract_problems(claim, extracts[claim.run])


def _extract_problems(claim: Claim, found: Sequence[dict[str, Any]]) -> Iterator[Problem]:
    if len(claim.extracts) != len(found):
        yield _problem(claim, "extract", f"expected {len(claim.extracts)} extracts, found {len(found)}")
    for told, row in zip(claim.extracts, found, strict=False):
        yield from _differences(claim, f"extract {told.get('position')}", told, row)


def _differences(claim: Claim, table: str, told: dict[str, Any], found: dict[str, Any]) -> Iterator[Problem]:
    for name, value in told.items():
        if found.get(name) != value:
            yield _problem(claim, f"{table}.{name}", f"expected {value}, found {found.get(name)}")


def _problem(claim: Claim, place: str, found: str) -> Problem:
    return Problem(claim.position, claim.run, place, found, LEDGER)


def chained_runs(ledger: LedgerSession) -> set[str]:
    """The runs that have an entry of their own."""
    return set(ledger.scalars(select(ChainEntry.subject).where(ChainEntry.kind == chain.RUN)))


def unchained_problems(ledger: LedgerSession, before_the_chain: Collection[str]) -> Iterator[Problem]:
    """Runs that the ledger has published and that have no entry.

    One statement, so that a run which is published meanwhile is seen with its entry or not at all.
    """
    entry = select(ChainEntry.position).where(ChainEntry.kind == chain.RUN, ChainEntry.subject == Run.id)
    query = select(Run.id).where(Run.state == "published", ~entry.exists()).order_by(Run.id)
    for run in ledger.scalars(query):
        if run not in before_the_chain:
            yield Problem(None, run, "chain_entry", "the ledger has published it, no entry tells of it", LEDGER)


def batch_problems(ledger: LedgerSession) -> Iterator[Problem]:
    """Batches that do not count the last of their published runs."""
    last = (
        select(Run.batch_id, func.max(Run.attempt).label("attempt"))
        .where(Run.state == "published")
        .group_by(Run.batch_id)
        .subquery()
    )
    query = (
        select(Batch.feed, Batch.business_date, Batch.run, Run.id)
        .outerjoin(last, last.c.batch_id == Batch.id)
        .outerjoin(Run, (Run.batch_id == Batch.id) & (Run.attempt == last.c.attempt))
        .where(Batch.run.is_distinct_from(Run.id))
        .order_by(Batch.feed, Batch.business_date)
    )
    for feed, day, counting, published in ledger.execute(query):
        found = (
            f"the batch of {feed} for {day.isoformat()} counts the run {counting}, the last published is {published}"
        )
        yield Problem(None, published, "batch.run", found, LEDGER)
