"""Backups: the ledger first, then the files that it knows, each with its SHA-256.

Files are written before the ledger publishes them and are never changed after. So whatever the saved ledger knows is
still there when the files are copied, and what came later is left out: runs that the saved ledger does not know would
come back with a number that the next run gets again.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipelines.errors import StorageError
from pipelines.ledger.database import now
from pipelines.operations.backup_files import SUMS, compare, copy_file, files_below, hash_file, write_sums
from pipelines.operations.backup_ledger import SavedLedger, check_ledger, save_ledger
from pipelines.operations.context import Context
from pipelines.records.findings import FindingsTable
from pipelines.records.store import RecordStore
from pipelines.settings import Settings

MANIFEST = "manifest.json"
FORMAT = 1
Progress = Callable[[str, int, int], None]
"""What is being done, files done and of how many; 0 of 0 while that is not known."""


@dataclass(frozen=True)
class Backup:
    """A finished backup. ``lost`` are published files that were not in the lake any more when they were to be saved."""

    folder: Path
    created_at: str
    database: str
    revision: str
    files: int
    bytes: int
    runs: int
    lost: tuple[str, ...]


def saved_folders(settings: Settings) -> tuple[Path, ...]:
    """The folders of a home that cannot be made anew from others, in the order in which they are saved."""
    return (
        settings.records,
        settings.findings,
        settings.runs,
        settings.landing,
        settings.answers,
        settings.notices,
        settings.reports,
    )


def create_backup(context: Context, folder: Path, progress: Progress) -> Backup:
    """Save ledger and lake into a new folder while others go on working; the backup that was made.

    Raises :class:`StorageError` when the folder is not new or lies in the home, when the disk is full, or when the
    ledger cannot be saved. An unfinished backup has no manifest and is taken for none.
    """
    settings = context.settings
    _require_new(folder, settings)
    _require_space(folder, settings)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        created_at = now()
        progress("saving the ledger", 0, 0)
        saved = save_ledger(context.ledger, folder)
        _copy_lake(settings, folder, {run.id for run in saved.runs}, progress)
        lost = _take_out_unknown(context, folder, saved)
        progress("listing what was saved", 0, 0)
        files, size = write_sums(folder)
        # The list of files vouches for them: all have to be on the disk before the manifest vouches for the list.
        os.sync()
    except OSError as error:
        raise StorageError(
            f"the backup cannot be written: {error.strerror or type(error).__name__}",
            remedy="free disk space or mend permissions, delete the unfinished folder and make it again",
            file=folder,
        ) from error
    about = {
        "format": FORMAT,
        "guiji": version("guiji"),
        "created_at": created_at.isoformat(" ", "seconds"),
        "database": saved.database,
        "revision": saved.revision,
        "files": files,
        "bytes": size,
        "runs": len(saved.runs),
        "lost": lost,
        "list": hash_file(folder / SUMS),
    }
    (folder / MANIFEST).write_text(json.dumps(about, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return _backup(folder, about)


def read_backup(folder: Path) -> Backup:
    """What a backup says about itself; :class:`StorageError` for a folder that is no finished backup."""
    try:
        about = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        known = about["format"] == FORMAT and about["list"] == hash_file(folder / SUMS)
    except FileNotFoundError as error:
        raise StorageError(
            "this is no finished backup", file=folder, remedy=f"name a folder that holds {MANIFEST} and {SUMS}"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(
            "the manifest cannot be read", file=folder / MANIFEST, remedy="use another backup"
        ) from error
    if not known:
        raise StorageError(
            "the list of files is not the one that the manifest was written for",
            file=folder / SUMS,
            remedy="use another backup, or the guiji that made this one",
        )
    return _backup(folder, about)


def check_backup(folder: Path, progress: Progress) -> tuple[Backup, list[str]]:
    """Read every byte of a backup again; what is wrong with it, a sentence each."""
    backup = read_backup(folder)
    wrong = compare(folder, lambda done, total: progress("reading what was saved", done, total))
    if not wrong and (damage := check_ledger(folder, backup.database)) is not None:
        wrong.append(damage)
    return backup, wrong


def _backup(folder: Path, about: dict[str, Any]) -> Backup:
    names = ("created_at", "database", "revision", "files", "bytes", "runs")
    return Backup(folder=folder, lost=tuple(about["lost"]), **{name: about[name] for name in names})


def _require_new(folder: Path, settings: Settings) -> None:
    if folder.resolve().is_relative_to(settings.home_path):
        raise StorageError(
            "a backup inside the home would be lost with it", file=folder, remedy="name a folder on another disk"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StorageError("this is no empty folder", file=folder, remedy="name a new folder for each backup")


def _require_space(folder: Path, settings: Settings) -> None:
    """Full disks are better noticed before than after an hour; the ledger itself is small beside the files."""
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    needed = sum(
        (Path(parent) / name).lstat().st_size
        for saved in saved_folders(settings)
        for parent, _folders, names in os.walk(saved)
        for name in names
        if (Path(parent) / name).exists()
    )
    free = shutil.disk_usage(there).free
    if free < needed:
        raise StorageError(
            f"the backup needs {needed / 1e9:.1f} GB and there are {free / 1e9:.1f} GB free",
            file=there,
            remedy="free disk space or name a folder on another disk",
        )


def _copy_lake(settings: Settings, folder: Path, runs: set[str], progress: Progress) -> None:
    count = 0
    for source in saved_folders(settings):
        for name in files_below(source, runs):
            try:
                copy_file(source / name, folder / source.name / name)
            except FileNotFoundError:
                # Swept, or written anew under another name: the saved ledger has published neither.
                (folder / source.name / name).unlink(missing_ok=True)
                continue
            count += 1
            progress(f"saving {source.name}", count, 0)


def _take_out_unknown(context: Context, folder: Path, saved: SavedLedger) -> list[str]:
    """Take out of the copied tables what the saved ledger does not know; published files that are not there."""
    known = {run.id for run in saved.runs}
    FindingsTable(folder / context.settings.findings.name).keep_only(known)
    present: set[str] = set()
    for category in context.catalogue.categories.values():
        present |= RecordStore(folder / context.settings.records.name, category).keep_only(known)
    return [
        f"records/{run.category}/feed={run.feed}/{run.id}.parquet"
        for run in saved.runs
        if run.state == "published" and run.category in context.catalogue.categories and run.id not in present
    ]
