"""Drafts that killed processes left behind: taken away by the first one that finds nobody else at work."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipelines.errors import StorageError


@contextmanager
def workplace(folder: Path, *drafts: str) -> Iterator[None]:
    """Work in a folder, which is made if need be, together with whoever else does.

    ``drafts`` are patterns, relative to the folder, of files and folders that exist only while somebody works. Those
    that are there although nobody does are removed first. Who works is told by a lock on the folder, which a process
    cannot leave behind; where folders cannot be locked, drafts stay. Raises :class:`StorageError` when the folder can
    be neither made nor opened.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise StorageError(
            f"the folder cannot be used: {error.strerror}",
            remedy="free disk space or mend permissions, then run again",
            file=folder,
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            # Somebody is at work, or might be.
            pass
        else:
            for draft in [draft for pattern in drafts for draft in folder.glob(pattern)]:
                shutil.rmtree(draft) if draft.is_dir() else draft.unlink(missing_ok=True)
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)
