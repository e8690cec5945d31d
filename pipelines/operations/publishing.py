"""Last stage of a batch: one ledger transaction makes its versions visible and fills the outbox."""

from __future__ import annotations

from time import perf_counter

from sqlalchemy import select

from pipelines.errors import BatchHeldError, RunConflictError, StorageError
from pipelines.ledger.database import now
from pipelines.ledger.models import Batch, Run
from pipelines.operations import record_acts
from pipelines.operations.acceptance import withhold_unaccepted
from pipelines.operations.attempts import (
    attempt,
    feed_lock,
    last_published,
    load_run,
    log_stage,
    next_publication,
    require_running,
    resume,
    take_turn,
)
from pipelines.operations.audit_entries import append_run, prepare_entry
from pipelines.operations.context import Context
from pipelines.operations.figures import store_facts
from pipelines.operations.gates import is_released, require_open_gates
from pipelines.operations.judging import judge_batch
from pipelines.operations.outbox import fill_outbox
from pipelines.operations.settling import settle_what_is_owed
from pipelines.operations.sightings import store_sightings
from pipelines.operations.tasks import store_tasks
from pipelines.quality import conservation


def publish_batch(context: Context, run_id: str) -> str:
    """Publish a judged run; returns the run.

    The versions are committed to the record store first, where nobody sees them, and become visible with the
    ledger transaction that also queues them for the endpoints. When another batch of the feed was published
    since this one was judged, it is judged again first. A run that a gate holds is published once it was released.
    """
    run = load_run(context, run_id)
    if run.state in {"unchanged", "published"}:
        return run_id
    if run.state == "held" and not _is_released(context, run_id):
        raise BatchHeldError(f"the run {run_id} is held: {run.problem}", remedy="start the batch again after that")
    if _is_outrun(context, run):
        judge_batch(context, run_id)
    with feed_lock(context, run.feed):
        began = perf_counter()
        run = resume(context, run_id)
        with attempt(context, run_id):
            _publish(context, run)
        log_stage(context, run_id, began)
        settle_what_is_owed(context, context.catalogue.feed(run.feed))
    return run_id


def _is_released(context: Context, run_id: str) -> bool:
    with context.ledger.read() as ledger:
        return is_released(ledger, run_id)


def _is_outrun(context: Context, run: Run) -> bool:
    with context.ledger.read() as session:
        return last_published(session, run.feed) != (run.manifest or {}).get("compared_with")


def _publish(context: Context, run: Run) -> None:
    if run.stage != "judged":
        raise RunConflictError(f"the run {run.id} has not been judged", remedy="judge it before publishing")
    with context.ledger.read() as reading:
        require_open_gates(context, reading, run)
    outcomes = {name: getattr(run, name) for name in ("accepted", "duplicate", "quarantined", "blocked", "excluded")}
    conservation.check(run.id, run.rows_decoded, run.lines_undecoded, outcomes)
    store = context.stores[run.category]
    if not store.commit(run.feed, run.id):
        raise StorageError(
            f"the records of the run {run.id} are not there any more",
            file=store.file_of(run.feed, run.id),
            remedy="start the batch again; it was judged before a restore or a clean-up that took them away",
        )
    context.findings.commit(run)
    prepared = prepare_entry(context, run)
    endpoints = [context.catalogue.endpoints[name] for name in context.catalogue.feed(run.feed).endpoints]
    with context.session() as session, context.ledger.write() as ledger:
        take_turn(ledger, run.feed)
        found = ledger.get_one(Run, run.id)
        require_running(found)
        if last_published(ledger, run.feed) != (found.manifest or {}).get("compared_with"):
            raise RunConflictError(
                f"another batch of {run.feed} was published while {run.id} was waiting", remedy="publish it again"
            )
        found.state, found.stage, found.finished_at = "published", "published", now()
        found.publication = next_publication(ledger, run.feed)
        batch = ledger.scalars(select(Batch).where(Batch.id == found.batch_id)).one()
        batch.run = run.id
        store_sightings(context, ledger, session, found)
        fill_outbox(context, ledger, session, store.file_of(run.feed, run.id), found, endpoints, now())
        # The batch may have been judged before somebody withdrew a record of it.
        record_acts.take_turn(ledger, run.category, publishing=True)
        record_acts.set_withdrawn_aside(ledger, run.category, run=run.id)
        withhold_unaccepted(context, ledger, session, found)
        store_tasks(context, ledger, session, found)
        store_facts(context, ledger, found)
        # Last: the end of the chain is locked from here on, and with it every other publication.
        append_run(ledger, found, prepared)
