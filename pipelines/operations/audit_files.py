"""Files as the hash chain knows them: where they lie, their SHA-256, their size."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session as LedgerSession

from pipelines.errors import RunConflictError, StorageError
from pipelines.ledger import chain
from pipelines.ledger.database import now
from pipelines.operations.context import Context
from pipelines.operations.people import name_of, reason_of

HALF_WRITTEN = ".writing"


@dataclass(frozen=True)
class FileMark:
    """A file: ``path`` below the installation's home with ``/`` between folders, SHA-256 in hex, size in bytes."""

    path: str
    sha256: str
    bytes: int

    def as_json(self) -> dict[str, Any]:
        """The form in which an entry of the chain keeps it."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FileMark:
        return cls(data["path"], data["sha256"], data["bytes"])


def file_hash(path: Path) -> str:
    """SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def marks_of(context: Context, paths: Iterable[Path]) -> list[FileMark]:
    """Marks of files, and of all files below folders, as they are now; what does not exist has none.

    Reads every byte, once for files that are one under several names: not to be called within a ledger transaction.
    Raises :class:`StorageError` when a file cannot be read.
    """
    hashes: dict[tuple[int, int], str] = {}
    marks = []
    for path in _files(paths):
        try:
            found = path.stat()
            same = found.st_dev, found.st_ino
            if same not in hashes:
                hashes[same] = file_hash(path)
        except OSError as error:
            raise StorageError(
                f"the file cannot be read: {error.strerror}",
                remedy="mend the disk, run again",
                file=path,
            ) from error
        marks.append(FileMark(place_of(context, path), hashes[same], found.st_size))
    return marks


def place_of(context: Context, path: Path) -> str:
    """The path of a file below the installation's home, as marks name it."""
    return path.relative_to(context.settings.home_path).as_posix()


def record_removal(ledger: LedgerSession, files: Sequence[FileMark], by: str, why: str) -> int:
    """Note in the chain that files are removed on purpose, and by whom; returns the position of the entry.

    ``files`` are the marks of :func:`marks_of`, taken before the transaction. Commit first, then remove: a file that
    is missing without an entry is a problem, one that is still there is none. The head of the chain is locked until
    the transaction of ``ledger`` is over.
    """
    content = {"by": name_of(by), "why": reason_of(why), "files": [mark.as_json() for mark in files]}
    return chain.append(ledger, chain.REMOVAL, "", content, now()).position


def announce_removal(context: Context, paths: Sequence[Path], by: str, why: str) -> tuple[int, int]:
    """Note that files, and all files below folders, are about to be removed; position of the entry, number of files.

    Raises :class:`StorageError` for a path that does not exist below the installation's home, and
    :class:`RunConflictError` before anything was published: nothing is noted then.
    """
    home = context.settings.home_path
    places = [path.resolve() for path in paths]
    for place in places:
        if not place.is_relative_to(home) or not place.exists():
            raise StorageError(
                "it is no file or folder of this installation", remedy=f"name something below {home}", file=place
            )
    marks = marks_of(context, places)
    with context.ledger.write() as ledger:
        if chain.head(ledger)[0] == 0:
            # The first entry lists what was published before there was a chain; it comes with a publication.
            raise RunConflictError("the hash chain has not begun yet", remedy="run a batch first")
        return record_removal(ledger, marks, by, why), len(marks)


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (one for one in found if one.is_file() and one.suffix != HALF_WRITTEN)
