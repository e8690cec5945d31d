"""The doctor looks at the home: whose it is, who may read it, how much fits, what its file system can do."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import func, select

from pipelines.ledger.models import Run
from pipelines.operations.doctor_findings import Finding, NotLookedAtError, Patient
from pipelines.settings import Settings

OPEN_TO_OTHERS = stat.S_IRWXG | stat.S_IRWXO
NIGHTS_PROBLEM, NIGHTS_WARNING = 2, 14
# A run leaves about a dozen files, a report some hundred.
FEWEST_INODES = 10_000


def check_home(patient: Patient) -> list[Finding]:
    """Home and its folders belong to us and can be written; what is not there yet is made when it is needed."""
    home = patient.settings.home_path
    if not home.exists():
        return [Finding("home", "warning", f"{home} is not there yet", "run 'guiji migrate', or set GUIJI_HOME")]
    foreign = [str(folder) for folder in _folders(patient.settings) if folder.stat().st_uid != os.geteuid()]
    if foreign:
        remedy = f"chown -R {os.geteuid()} {home}, or run guiji as the owner"
        return [Finding("home", "problem", f"not ours: {', '.join(foreign)}", remedy)]
    for folder in _folders(patient.settings):
        try:
            with tempfile.TemporaryFile(dir=folder) as attempt:
                attempt.write(b"doctor")
                attempt.flush()
        except OSError as error:
            remedy = f"mend the disk, or chmod u+rwx {folder}"
            return [Finding("home", "problem", f"{folder} cannot be written: {error.strerror}", remedy)]
    return [Finding("home", "ok", f"{home} is ours and can be written")]


def check_modes(patient: Patient) -> list[Finding]:
    """Nothing is open to anybody but its owner: nearly all of it holds personal data."""
    home = patient.settings.home_path
    count, first = 0, None
    for path in _everything(patient.settings):
        if stat.S_IMODE(path.lstat().st_mode) & OPEN_TO_OTHERS and not path.is_symlink():
            count, first = count + 1, first or path
    if first is not None:
        remedy = f"chmod -R go-rwx {home}, and find out who made them"
        return [Finding("modes", "problem", f"{count} files or folders are open to others, such as {first}", remedy)]
    return [Finding("modes", "ok", "files 600, folders 700")]


def check_disk(patient: Patient) -> list[Finding]:
    """Free space against the size of the last night, and free inodes."""
    home = _existing(patient.settings.home_path)
    free, night = shutil.disk_usage(home).free, _last_night(patient)
    found = f"{free / 1e9:.1f} GB free below {home}"
    findings = []
    remedy = (
        "free disk space, or move GUIJI_HOME to a larger disk (GUIJI_MIN_FREE_GB says from when on it is too little)"
    )
    if free < patient.settings.min_free_gb * 1e9 or free < NIGHTS_PROBLEM * night:
        findings.append(Finding("disk", "problem", f"{found}; the last night took {night / 1e9:.2f} GB", remedy))
    elif free < NIGHTS_WARNING * night:
        findings.append(Finding("disk", "warning", f"{found}, about {free // night} nights like the last", remedy))
    else:
        findings.append(Finding("disk", "ok", found))
    inodes = os.statvfs(home)
    if inodes.f_files and inodes.f_favail < FEWEST_INODES:
        left = f"only {inodes.f_favail} more files can be made below {home}"
        findings.append(Finding("disk", "problem", left, "delete small files, or use a file system with more inodes"))
    return findings


def check_file_system(patient: Patient) -> list[Finding]:
    """Rename replaces at once, locks hold, hard links exist: tried in a folder that goes again."""
    home = _existing(patient.settings.home_path)
    with tempfile.TemporaryDirectory(prefix=".doctor-", dir=home) as made:
        folder = Path(made)
        findings = [*_renames(folder), *_locks(folder), *_links(folder)]
    return findings or [Finding("file_system", "ok", "rename replaces, locks hold, hard links exist")]


def _renames(folder: Path) -> list[Finding]:
    old, new = folder / "old", folder / "new"
    old.write_bytes(b"old")
    new.write_bytes(b"new")
    new.replace(old)
    if old.read_bytes() == b"new" and not new.exists():
        return []
    return [Finding("file_system", "problem", "a rename does not replace", "move GUIJI_HOME to a local file system")]


def _locks(folder: Path) -> list[Finding]:
    remedy = "move GUIJI_HOME to a file system with flock (NFS: version 4, not mounted nolock)"
    with (folder / "lock").open("wb") as first, (folder / "lock").open("wb") as second:
        try:
            fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return [Finding("file_system", "problem", f"files cannot be locked: {error.strerror}", remedy)]
        try:
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return []
    return [Finding("file_system", "problem", "a lock does not keep others out", remedy)]


def _links(folder: Path) -> list[Finding]:
    (folder / "one").touch()
    try:
        (folder / "two").hardlink_to(folder / "one")
    except OSError:
        remedy = "nothing has to be done; findings are stored twice"
        return [Finding("file_system", "warning", "there are no hard links", remedy)]
    return []


def _folders(settings: Settings) -> list[Path]:
    """The home and those of its folders that are there."""
    inside = (
        settings.landing,
        settings.runs,
        settings.records,
        settings.findings,
        settings.reports,
        settings.answers,
        settings.notices,
        settings.data_docs,
        settings.locks,
        settings.scratch,
    )
    return [settings.home_path, *(folder for folder in inside if folder.is_dir())]


def _everything(settings: Settings) -> Iterator[Path]:
    home, *folders = _folders(settings) if settings.home_path.exists() else [settings.home_path]
    if home.exists():
        yield home
        yield from sorted(home.glob("ledger.sqlite*"))
    for folder in folders:
        yield folder
        for parent, names, files in os.walk(folder):
            for name in (*names, *files):
                path = Path(parent, name)
                # Whoever works here makes files and takes them away.
                if os.path.lexists(path):
                    yield path


def _last_night(patient: Patient) -> int:
    """Bytes of the run folders of the newest business date; 0 when there is none, or no ledger that could be asked."""
    if not patient.settings.runs.exists():
        return 0
    try:
        ledger = patient.ledger
    except NotLookedAtError:
        return 0
    with ledger.read() as session:
        newest = select(func.max(Run.business_date)).where(Run.state == "published").scalar_subquery()
        runs = list(session.scalars(select(Run.id).where(Run.business_date == newest)))
    folders = (patient.settings.runs / run for run in runs)
    return sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())


def _existing(folder: Path) -> Path:
    return next(parent for parent in (folder, *folder.parents) if parent.exists())
