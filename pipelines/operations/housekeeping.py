"""Housekeeping: what processes left that died, and what crashed attempts of feeds left that have not run since.

A feed that runs clears up after its own crashed attempts; old Data Docs go when new ones are built. Files of published
runs are never touched: traces, rehearsals, figures and the audit read them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from pipelines.errors import RunConflictError
from pipelines.ledger.database import now
from pipelines.ledger.models import Run
from pipelines.operations.attempts import feed_lock, run_folder
from pipelines.operations.context import Context, open_context
from pipelines.records.sweep import UNFINISHED, sweep_crashed_runs

# Nothing works on one batch for so long, and no retry of Airflow waits for so long.
SETTLED = timedelta(days=1)
# Spill folders of DuckDB, of workbooks being written, of previews, of archives being unpacked; drafts of extracts that
# were being landed.
LEFT_IN_SCRATCH = ("duck-*", "workbook-*", "preview-*", "sources/*/day-*")
LEFT_IN_LANDING = (".landing-*",)


@dataclass(frozen=True)
class Removed:
    """What was removed: files and folders of dead processes with their bytes, crashed runs, left-over run folders."""

    leftovers: int
    bytes: int
    runs: tuple[str, ...]
    folders: int


def keep_house(context: Context, at: datetime) -> Removed:
    """Remove what has been lying about for a day at ``at`` (UTC without zone). Safe beside running batches."""
    leftovers = list(_leftovers(context, at - SETTLED))
    size = sum(_size(path) for path in leftovers)
    for path in leftovers:
        _remove(path)
    runs = tuple(run for feed in _feeds_at_rest(context, at - SETTLED) for run in _sweep(context, feed))
    return Removed(len(leftovers), size, runs, _remove_swept_folders(context, at - SETTLED))


def keep_house_nightly() -> dict[str, Any]:
    """For the DAG: the same now, with the installation's own settings."""
    return asdict(keep_house(open_context(), now()))


def _leftovers(context: Context, before: datetime) -> Iterator[Path]:
    places = ((context.settings.scratch, LEFT_IN_SCRATCH), (context.settings.landing, LEFT_IN_LANDING))
    for place, patterns in places:
        for pattern in patterns:
            yield from (path for path in sorted(place.glob(pattern)) if _last_change(path) < before)


def _feeds_at_rest(context: Context, before: datetime) -> list[str]:
    """Feeds that left something in the record store and have not begun an attempt since ``before``."""
    left = select(Run.feed).where(Run.state.in_(UNFINISHED), Run.swept.is_(False))
    query = select(Run.feed).where(Run.feed.in_(left)).group_by(Run.feed).having(func.max(Run.started_at) < before)
    with context.ledger.read() as session:
        return list(session.scalars(query.order_by(Run.feed)))


def _sweep(context: Context, feed: str) -> list[str]:
    try:
        with feed_lock(context, feed):
            swept = sweep_crashed_runs(context.ledger, context.stores, feed, context.findings)
            for run in swept:
                shutil.rmtree(run_folder(context, run), ignore_errors=True)
            return swept
    except RunConflictError:
        return []  # somebody has just begun to work on the feed, and clears up himself


def _remove_swept_folders(context: Context, before: datetime) -> int:
    """Folders of runs that were swept by a process that died before it came to their folder."""
    with context.ledger.read() as session:
        query = select(Run.id).where(Run.state.in_(UNFINISHED), Run.swept.is_(True), Run.finished_at < before)
        folders = [run_folder(context, run) for run in session.scalars(query)]
    left = [folder for folder in folders if folder.exists()]
    for folder in left:
        shutil.rmtree(folder, ignore_errors=True)
    return len(left)


def _last_change(path: Path) -> datetime:
    """When something in a file or folder was last written; what vanishes meanwhile has been written just now."""
    try:
        last = max(one.stat().st_mtime for one in (path, *path.rglob("*")))
    except FileNotFoundError:
        return now()
    return datetime.fromtimestamp(last, UTC).replace(tzinfo=None)


def _size(path: Path) -> int:
    return sum(one.stat().st_size for one in (path, *path.rglob("*")) if one.is_file())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
