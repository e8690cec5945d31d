"""A backup put back in a new home: the files, the ledger, and what must be looked at before anything is delivered."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from sqlalchemy import func, select, update

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.errors import StorageError
from pipelines.ledger.database import now, open_ledger
from pipelines.ledger.models import Outbox, Run
from pipelines.operations.backup import Backup, Progress, read_backup, saved_folders
from pipelines.operations.backup_files import copy_file, read_sums
from pipelines.operations.backup_ledger import load_ledger
from pipelines.operations.context import Context, open_context
from pipelines.operations.restored import hold_deliveries
from pipelines.settings import Settings


def restore_backup(folder: Path, home: Path, progress: Progress) -> tuple[Backup, int]:
    """Put a backup into a home that is not there yet; the backup, and how many things its ledger still owes.

    The ledger is that of the settings: SQLite in the new home, or the empty database that ``GUIJI_LEDGER_URL`` names.
    Nothing is delivered from there until somebody has reconciled. Raises :class:`StorageError` when a file of the
    backup has changed, or when home or database are not empty; then nothing is left of the new home.
    """
    backup = read_backup(folder)
    home = home.resolve()
    load_catalogue(Settings())
    _require_absent(home)
    os.umask(0o077)
    # Under a name of its own until all of it is there: half a home must not be taken for one.
    unfinished = home.with_name(f"{home.name}.unfinished")
    if unfinished.exists():
        raise StorageError(
            "a restore did not end", file=unfinished, remedy="delete this folder if none is running, then restore again"
        )
    try:
        _put_back(folder, unfinished, progress)
        progress("restoring the ledger", 0, 0)
        settings = Settings(home=unfinished)
        load_ledger(folder, backup.database, settings.ledger)
        owed = _settle_in(open_context(settings), backup)
        open_ledger(settings.ledger).engine.dispose()
        if home.exists():
            home.rmdir()
        unfinished.rename(home)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return backup, owed


def _require_absent(home: Path) -> None:
    if home.is_mount():
        raise StorageError("the home is a mount point", file=home, remedy="name a folder below it")
    if home.exists() and any(home.iterdir()):
        raise StorageError(
            "the home is not empty", file=home, remedy="restore into a new one; nothing is ever overwritten"
        )


def _put_back(folder: Path, home: Path, progress: Progress) -> None:
    names = {path.name for path in saved_folders(Settings(home=home))}
    listed = {name: digest for name, digest in read_sums(folder).items() if name.parts[0] in names}
    try:
        home.mkdir(parents=True)
        for number, (name, digest) in enumerate(sorted(listed.items())):
            if copy_file(folder / name, home / name) != digest:
                raise StorageError(
                    "a file of the backup has other bytes than when it was saved",
                    file=folder / name,
                    remedy="use another backup; 'guiji backup check' lists all that is wrong with this one",
                )
            progress("restoring files", number + 1, len(listed))
    except OSError as error:
        raise StorageError(
            f"the home cannot be restored: {error.strerror or type(error).__name__}",
            file=home,
            remedy="check that the backup is whole ('guiji backup check') and that there is space, then restore again",
        ) from error


def _settle_in(context: Context, backup: Backup) -> int:
    """End what was running when the backup was made, and hold deliveries; how many things are owed."""
    with context.ledger.write() as session:
        # Their processes are elsewhere or dead, and their files may have been saved half written.
        session.execute(update(Run).where(Run.state == "running").values(state="abandoned", finished_at=now()))
        hold_deliveries(session, context.catalogue.endpoints.values(), backup.created_at)
        open_rows = (Outbox.accepted_at.is_(None), Outbox.rejected_at.is_(None), Outbox.withheld_at.is_(None))
        return session.scalar(select(func.count()).select_from(Outbox).where(*open_rows)) or 0
