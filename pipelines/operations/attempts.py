"""Attempts at a batch: who holds a feed, which attempt counts, what became of the ones that crashed."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import date
from pathlib import Path
from time import perf_counter

from sqlalchemy import func, select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.catalogue.feeds import Feed
from pipelines.errors import BatchHeldError, FeedBusyError, GuijiError, RunConflictError, StorageError
from pipelines.ledger import locks
from pipelines.ledger.database import now
from pipelines.ledger.locks import HeldElsewhereError, held
from pipelines.ledger.models import Batch, Run
from pipelines.ledger.quality_models import GateDecision
from pipelines.logs import Log
from pipelines.operations.context import Context
from pipelines.operations.troubles import disk_troubles
from pipelines.records.sweep import sweep_crashed_runs

log = Log("run")
# What is counted at the end of each stage.
_LOGGED: dict[str, tuple[str, ...]] = {
    "run.pulled": ("rows_decoded", "lines_undecoded"),
    "run.judged": ("accepted", "duplicate", "quarantined", "blocked", "excluded"),
    "run.published": ("new", "changed", "unchanged", "outdated", "late"),
    "run.unchanged": (),
}
# How long anybody waits for a stage of a backfill that was under way first, in seconds, and how often it looks.
PATIENCE, LOOK = 600.0, 0.1


@contextmanager
def feed_lock(context: Context, feed: str) -> Iterator[None]:
    """Hold a feed for the length of a stage; the operating system or the database lets go when the process dies.

    Who gives way (``Settings.gives_way``: a backfill) begins no stage while anybody else works on the feed or waits for
    it; everybody else waits for a stage of a backfill to end. Where the ledger is in PostgreSQL several machines may
    share it, so the feed is held there as well. Raises :class:`FeedBusyError` when somebody works on the feed right now
    and does not give way.
    """
    busy = FeedBusyError(
        f"another process is working on the feed {feed}", remedy="wait until it has ended, then run again"
    )
    # Shared by those who come first, also while they wait; whoever gives way needs it for himself.
    turn = context.settings.locks / f"{feed}.turn.lock"
    # Held by those who come first from before they wait: whoever gives way looks here before each stage, and does not
    # keep it, so that nobody is kept from asking.
    asked = context.settings.locks / f"{feed}.asked.lock"
    with disk_troubles(context.settings.home_path), ExitStack() as taken:
        context.settings.locks.mkdir(parents=True, exist_ok=True)
        kind, patience = (fcntl.LOCK_EX, 0.0) if context.settings.gives_way else (fcntl.LOCK_SH, PATIENCE)
        with ExitStack() as asking:
            if not (
                take_lock(asking if context.settings.gives_way else taken, asked, kind, patience)
                and take_lock(taken, turn, kind, patience)
                and take_lock(taken, context.settings.locks / f"{feed}.lock", fcntl.LOCK_EX)
            ):
                raise busy
        if context.ledger.engine.dialect.name == "postgresql":
            try:
                with context.ledger.troubles("locked"):
                    taken.enter_context(held(context.ledger.engine, f"guiji feed {feed}"))
            except HeldElsewhereError as error:
                raise busy from error
        yield


def take_lock(held: ExitStack, path: Path, kind: int, patience: float = 0.0) -> bool:
    """Lock a file until ``held`` is closed or the process dies; False when others have it for longer than patience.

    ``kind`` is ``LOCK_EX`` or ``LOCK_SH``, ``patience`` in seconds.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    held.callback(os.close, descriptor)
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(LOOK)
        else:
            return True


@contextmanager
def attempt(context: Context, run: str) -> Iterator[None]:
    """Work on a run: a problem marks it failed, or held when somebody has to look, and is raised again."""
    try:
        with disk_troubles(context.settings.home_path):
            yield
    except BatchHeldError as error:
        mark_held(context, run, error)
        raise
    except StorageError as error:
        # The ledger may be what is in trouble. An attempt that stays ``running`` is abandoned by the next one.
        with suppress(StorageError):
            mark_failed(context, run, error)
        raise
    except GuijiError as error:
        mark_failed(context, run, error)
        raise


def take_turn(session: LedgerSession, feed: str) -> None:
    """From here to the end of its transaction, nobody else changes which attempt at a batch of the feed counts.

    The lock of the feed may be lost under a living process, with the connection that holds it.
    """
    locks.take_turn(session, f"guiji runs {feed}")


def run_folder(context: Context, run: str) -> Path:
    """Where the files of a run lie."""
    return context.settings.runs / run


def begin_run(context: Context, feed: Feed, business_date: date) -> Run:
    """Open a new attempt at a batch; unfinished earlier attempts are abandoned and swept.

    Call with the feed's lock held: an attempt that is still ``running`` then belongs to a dead process, or to
    a night whose next stage will find that it was replaced.
    """
    with context.ledger.write() as session:
        take_turn(session, feed.feed)
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
    log.info("run.begun", run=run.id, feed=run.feed, business_date=business_date, attempt=run.attempt)
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
        take_turn(session, found.feed)
        session.refresh(found)
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


def log_stage(context: Context, run_id: str, began: float) -> None:
    """Log what a stage has come to; ``began`` is when it did, by :func:`time.perf_counter`."""
    run = load_run(context, run_id)
    event = f"run.{run.state if run.state in {'published', 'unchanged'} else run.stage}"
    rows = {name: getattr(run, name) for name in _LOGGED[event]}
    log.info(event, run=run.id, feed=run.feed, seconds=round(perf_counter() - began, 3), **rows)


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
        take_turn(session, found.feed)
        session.refresh(found)
        if found.state != "running":
            return
        found.state, found.problem, found.finished_at = state, str(problem), now()
        if isinstance(problem, GuijiError):
            found.manifest = {**(found.manifest or {}), "failure": type(problem).__name__}
    kind = type(problem).__name__ if isinstance(problem, GuijiError) else None
    log.warning(f"run.{state}", run=run, feed=found.feed, stage=found.stage, kind=kind, problem=problem)


def published_run(session: LedgerSession, feed: str, business_date: date) -> Run | None:
    """The run that counts for a batch, if one was published."""
    batch = session.scalar(select(Batch).where(Batch.feed == feed, Batch.business_date == business_date))
    return session.get(Run, batch.run) if batch is not None and batch.run is not None else None


def last_published(session: LedgerSession, feed: str) -> str | None:
    """The feed's run that was published last, whatever the clocks said; what a batch was compared with."""
    query = select(Run.id).where(Run.feed == feed, Run.publication.is_not(None))
    return session.scalar(query.order_by(Run.publication.desc()).limit(1))


def next_publication(session: LedgerSession, feed: str) -> int:
    """The number of the publication that this transaction makes; call :func:`take_turn` first."""
    return (session.scalar(select(func.max(Run.publication)).where(Run.feed == feed)) or 0) + 1
