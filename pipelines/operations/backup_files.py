"""Files of a backup: copied with their SHA-256, listed as ``sha256sum`` lists them, and compared with that list."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Container, Iterator
from pathlib import Path

from pipelines.errors import StorageError

SUMS = "files.sha256"
_CHUNK = 1 << 20
_DELTA_LOG = "_delta_log"
# Files that somebody is still writing, and a hint of Delta Lake at a file that may not be there yet.
_UNFINISHED = (".writing", ".part", ".utf8", ".unpiped", ".mended", ".both", ".tmp")
_HINT = "_last_checkpoint"


def files_below(folder: Path, runs: Container[str]) -> Iterator[Path]:
    """Every finished file below a folder of the home that belongs to no run or to one of ``runs``, as relative paths.

    The log of a table comes before its files: what it names was there already. What vanishes meanwhile is left out.
    """
    for parent, folders, names in os.walk(folder, onerror=_complain):
        here = Path(parent)
        if here == folder and folder.name == "runs":
            folders[:] = [name for name in folders if name in runs]
        folders.sort(key=lambda name: (name != _DELTA_LOG, name))
        for name in sorted(names):
            of_a_run = name.endswith(".parquet") and "=" in here.name
            if _is_finished(name) and (not of_a_run or name.removesuffix(".parquet") in runs):
                yield (here / name).relative_to(folder)


def _is_finished(name: str) -> bool:
    return not (name.startswith(".") or "#" in name or name == _HINT or name.endswith(_UNFINISHED))


def _complain(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def copy_file(source: Path, target: Path) -> str:
    """Copy a file to a new one that only its owner may read; the SHA-256 of what was copied, in hex."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as written, source.open("rb") as read:
        while chunk := read.read(_CHUNK):
            digest.update(chunk)
            written.write(chunk)
    return digest.hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_sums(folder: Path) -> tuple[int, int]:
    """List every file below a backup in ``files.sha256``; how many there are, and their bytes."""
    count = size = 0
    with (folder / SUMS).open("x", encoding="utf-8") as sums:
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SUMS):
            sums.write(f"{hash_file(path)}  {path.relative_to(folder).as_posix()}\n")
            count, size = count + 1, size + path.stat().st_size
    return count, size


def read_sums(folder: Path) -> dict[Path, str]:
    """Relative path → SHA-256, as the list of a backup has them."""
    listed = {}
    for line in (folder / SUMS).read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise StorageError(
                "the list of files names one outside the backup", remedy="use another backup", file=folder / SUMS
            )
        listed[Path(name)] = digest
    return listed


def compare(folder: Path, progress: Callable[[int, int], None]) -> list[str]:
    """What is wrong with the files of a backup, a sentence each; ``progress`` is told files done and of how many."""
    listed = read_sums(folder)
    present = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    wrong = [f"{name} is missing" for name in sorted(listed.keys() - present)]
    wrong += [f"{name} is not in the list" for name in sorted(present - listed.keys()) if len(name.parts) > 1]
    for number, name in enumerate(sorted(listed.keys() & present)):
        if hash_file(folder / name) != listed[name]:
            wrong.append(f"{name} has other bytes than when it was saved")
        progress(number + 1, len(listed))
    return wrong
