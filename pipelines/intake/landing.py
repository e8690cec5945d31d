"""Landing: the bytes of an extract, kept as they came under their SHA-256."""

from __future__ import annotations

import hashlib
import os
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from io import FileIO
from itertools import cycle
from pathlib import Path

from pipelines.engine.drafts import workplace
from pipelines.errors import ExtractError, StorageError
from pipelines.plain_text import plain_name

_CHUNK = 1 << 20
_SYNCHRONISED_AT_ONCE = 32 << 20
_READ_ONLY_TO_ALL_BUT_US = 0o600


@dataclass(frozen=True)
class LandedExtract:
    """An extract in the landing: ``path`` is named by ``sha256``, ``name`` is what the department called it."""

    sha256: str
    name: str
    path: Path
    size: int


def landed_path(landing_folder: Path, sha256: str) -> Path:
    """Where the extract with this hash lies, or would lie."""
    return landing_folder / sha256[:2] / sha256


def land(path: Path, landing_folder: Path, *, name: str | None = None) -> LandedExtract:
    """Copy a file to ``landing/<first two hex digits>/<sha256>`` and say what its hash is.

    The hash is taken while copying, so that what is kept is what was hashed even if the department is still
    writing. ``name`` is what the department called it, where the file itself is called otherwise; it is kept without
    control characters. The same bytes again are a no-op. Raises :class:`ExtractError` when the file cannot be read,
    :class:`StorageError` when the landing cannot be written; then nothing of it stays behind.
    """
    called = plain_name(name or path.name)
    try:
        landing_folder.mkdir(parents=True, exist_ok=True)
        with workplace(landing_folder, ".landing-*"):
            return _land(path, landing_folder, called)
    except OSError as error:
        raise StorageError(
            f"the extract {called} cannot be kept: {error.strerror}",
            remedy="free disk space or mend permissions of the landing, then run again",
            file=landing_folder,
        ) from error


def _land(path: Path, landing_folder: Path, called: str) -> LandedExtract:
    beside: Path | None = None
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=".landing-", dir=landing_folder)
        beside = Path(temporary)
        with os.fdopen(descriptor, "wb") as target:
            digest, size = _copy(path, target.fileno())
            os.fsync(target.fileno())
        landed = landed_path(landing_folder, digest)
        landed.parent.mkdir(exist_ok=True)
        if not landed.exists() or landed.stat().st_size != size:
            beside.chmod(_READ_ONLY_TO_ALL_BUT_US)
            beside.rename(landed)
            _sync_folder(landed.parent)
    finally:
        if beside is not None:
            beside.unlink(missing_ok=True)
    return LandedExtract(digest, called, landed, size)


def _copy(path: Path, target: int) -> tuple[str, int]:
    """Copy into an open descriptor; returns the SHA-256 in hex and the number of bytes.

    Hashing a chunk, writing it and bringing what is written to the disk take about as long, and none of them needs the
    interpreter: two other threads hash and synchronise behind this one, which reads and writes.
    """
    digest = hashlib.sha256()
    size = unsynchronised = 0
    try:
        source = path.open("rb", buffering=0)
    except OSError as error:
        raise ExtractError(
            f"the file cannot be opened: {error.strerror}", remedy="check that it exists and may be read", file=path
        ) from error
    # Chunks are read into the same memory again and again: to ask the system for new memory takes longer than to hash.
    buffers = [memoryview(bytearray(_CHUNK)) for _ in range(2)]
    hashing: list[Future[None] | None] = [None, None]
    synchronising: Future[None] | None = None
    with source, _thread("landing-hash") as hasher, _thread("landing-sync") as synchroniser:
        for turn in cycle(range(2)):
            _wait(hashing[turn])
            read = _read(source, buffers[turn], path)
            if not read:
                break
            view = buffers[turn][:read]
            hashing[turn] = hasher.submit(digest.update, view)
            size += read
            unsynchronised += read
            while view:
                view = view[os.write(target, view) :]
            if unsynchronised >= _SYNCHRONISED_AT_ONCE and (synchronising is None or synchronising.done()):
                _wait(synchronising)
                synchronising = synchroniser.submit(os.fsync, target)
                unsynchronised = 0
        _wait(*hashing, synchronising)
    return digest.hexdigest(), size


def _thread(name: str) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)


def _wait(*started: Future[None] | None) -> None:
    for future in started:
        if future is not None:
            future.result()


def _read(source: FileIO, buffer: memoryview, path: Path) -> int:
    try:
        return source.readinto(buffer) or 0
    except OSError as error:
        raise ExtractError(
            f"the file cannot be read: {error.strerror}", remedy="check the disk or share it lies on", file=path
        ) from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
