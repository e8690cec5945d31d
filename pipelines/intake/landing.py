"""Landing: the bytes of an extract, kept as they came under their SHA-256."""

from __future__ import annotations

import hashlib
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import ExtractError, StorageError

_CHUNK = 4 << 20
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


def land(path: Path, landing_folder: Path) -> LandedExtract:
    """Copy a file to ``landing/<first two hex digits>/<sha256>`` and say what its hash is.

    The hash is taken while copying, so that what is kept is what was hashed even if the department is still
    writing. The same bytes again are a no-op. Raises :class:`ExtractError` when the file cannot be read,
    :class:`StorageError` when the landing cannot be written; then nothing of it stays behind.
    """
    beside: Path | None = None
    try:
        landing_folder.mkdir(parents=True, exist_ok=True)
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
    except OSError as error:
        raise StorageError(
            f"the extract {path.name} cannot be kept: {error.strerror}",
            remedy="free disk space or mend permissions of the landing, then run again",
            file=landing_folder,
        ) from error
    finally:
        if beside is not None:
            beside.unlink(missing_ok=True)
    return LandedExtract(digest, path.name, landed, size)


def _copy(path: Path, target: int) -> tuple[str, int]:
    """Copy into an open descriptor; returns the SHA-256 in hex and the number of bytes."""
    digest = hashlib.sha256()
    size = 0
    try:
        source = path.open("rb")
    except OSError as error:
        raise ExtractError(
            f"the file cannot be opened: {error.strerror}", remedy="check that it exists and may be read", file=path
        ) from error
    # Hashing and writing a chunk take about as long, and neither needs the interpreter.
    with source, ThreadPoolExecutor(max_workers=1, thread_name_prefix="landing-hash") as hasher:
        while chunk := _read(source.fileno(), path):
            hashed = hasher.submit(digest.update, chunk)
            size += len(chunk)
            view = memoryview(chunk)
            while view:
                view = view[os.write(target, view) :]
            hashed.result()
    return digest.hexdigest(), size


def _read(source: int, path: Path) -> bytes:
    try:
        return os.read(source, _CHUNK)
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
