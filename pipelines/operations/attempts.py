"""Attempts at a batch: who holds a feed, which attempt counts, what became of the ones that crashed."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.catalogue.feeds import Feed
from pipelines.errors import GuijiError, RunConflictError
from pipelines.ledger.database import now
from pipelines.ledger.models import Batch, Run
from pipelines.ledger.quality_models import GateDecision
from pipelines.operations.context import Context
from pipelines.records.sweep import sweep_crashed_runs


@contextmanager
def feed_lock(context: Context, feed: str) -> Iterator[None]:
    """Hold a feed for the length of a stage; the operating system lets go when the process dies.

    Raises :class:`RunConflictError` when somebody else works on the feed right now.
    """
    context.settings.locks.mkdir(parents=True, exist_ok=True)
    path = context.settings.locks / f"{feed}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunConflictError(
                f"another process is working on the feed {feed}", remedy="wait until it has ended, then run again"
            ) from error
        yield
    finally:
        os.close(descriptor)


def run_folder(context: Context, run: str) -> Path:
    """Where the files of a run lie."""
    return context.settings.runs / run


def begin_run(context: Context, feed: Feed, business_date: date) -> Run:
    """Open a new attempt at a batch; unfinished earlier attempts are abandoned and swept.

    Call with the feed's lock held: an attempt that is still ``running`` then belongs to a dead process, or to
    a night whose next stage will find that it was replaced.
    """
    with context.ledger.write() as session:
        batch = session.scalar(select(Batch).where(Batch.feed == feed.feed, Batch.business_date == business_date))
        if batch is None:
            batch = Batch(feed=feed.feed, business_date=business_date)
            session.add(batch)
            session.flush()
        for stale in session.scalars(select(Run).where(Run.batch_id == batch.id, Run.state == "running")):
            stale.state, stale.finished_at = "abandoned", now()
        last = session.scalar(select(func.max(Run.attempt)).where(Run.batch_id == batch.id)) or 0
        run = Run(
            id=f"{feed.feed}-{business_date:%Y%m%d}-{last + 1:03d}",
            batch_id=batch.id,
            feed=feed.feed,
            category=feed.category,
            business_date=business_date,
            attempt=last + 1,
            state="running",
            stage="pulling",
            started_at=now(),
        )
        session.add(run)
    for swept in sweep_crashed_runs(context.ledger, context.stores, feed.feed, context.findings):
        shutil.rmtree(run_folder(context, swept), ignore_errors=True)
    return run


def load_run(context: Context, run: str) -> Run:
    """The run with this id; raises :class:`RunConflictError` for an unknown one."""
    with context.ledger.read() as session:
        found = session.get(Run, run)
    if found is None:
        raise RunConflictError(f"there is no run {run}", remedy="list the runs with 'guiji status'")
    return found


def resume(context: Context, run: str) -> Run:
    """The run, to work on: it is running, or it failed and is tried again before anything replaced it.

    Raises :class:`RunConflictError` for an attempt that no longer counts, and for one that a steward has refused.
    """
    with context.ledger.write() as session:
        found = session.get_one(Run, run)
        if session.scalar(select(GateDecision.decision).where(GateDecision.run == run)) == "refuse":
            raise RunConflictError(f"the run {run} was refused", remedy="start the batch again")
        newest = session.scalar(select(func.max(Run.attempt)).where(Run.batch_id == found.batch_id))
        if found.state in {"failed", "held"} and found.attempt == newest and not found.swept:
            found.state, found.problem, found.finished_at = "running", None, None
            found.manifest = {name: value for name, value in (found.manifest or {}).items() if name != "failure"}
        require_running(found)
    return found


def require_running(run: Run) -> None:
    """A stage may only work for an attempt that still counts."""
    if run.state != "running":
        raise RunConflictError(
            f"the run {run.id} is {run.state}",
            remedy="a newer attempt has replaced it or it ended; start the batch again",
        )


def mark_held(context: Context, run: str, problem: GuijiError | str) -> None:
    """Record why a run waits for somebody; only a run that was still running."""
    _end(context, run, "held", problem)


def mark_failed(context: Context, run: str, problem: GuijiError | str) -> None:
    """Record why a run ended; only a run that was still running.

    Of an error its kind is kept too, under ``failure`` in the manifest, so that a page can say in Chinese what to do.
    """
    _end(context, run, "failed", problem)


def _end(context: Context, run: str, state: str, problem: GuijiError | str) -> None:
    with context.ledger.write() as session:
        found = session.get_one(Run, run)
        if found.state == "running":
            found.state, found.problem, found.finished_at = state, str(problem), now()
            if isinstance(problem, GuijiError):
                found.manifest = {**(found.manifest or {}), "failure": type(problem).__name__}


def published_run(session: LedgerSession, feed: str, business_date: date) -> Run | None:
    """The run that counts for a batch, if one was published."""
    batch = session.scalar(select(Batch).where(Batch.feed == feed, Batch.business_date == business_date))
    return session.get(Run, batch.run) if batch is not None and batch.run is not None else None


def last_published(session: LedgerSession, feed: str) -> str | None:
    """The feed's run that was published last; what a batch was compared with."""
    query = select(Run.id).where(Run.feed == feed, Run.state == "published")
    return session.scalar(query.order_by(Run.finished_at.desc(), Run.id.desc()).limit(1))
