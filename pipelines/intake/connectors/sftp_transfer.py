"""One file from an SFTP server, continued where an earlier transfer of it broke off."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from paramiko.sftp_file import SFTPFile

from pipelines.errors import StorageError
from pipelines.intake.connectors.file_tree import SourceFile
from pipelines.intake.connectors.time_limit import time_limit
from pipelines.network.sftp_client import NamesAsBytes

# The block that every server must be able to send at once, and as many as fill a line with a long way to go.
_BLOCK = 32 << 10
_WINDOW = 64 * _BLOCK
# How much of what is there already is compared before it is continued.
_OVERLAP = 2 * _BLOCK
_FORGOTTEN_AFTER_SECONDS = 7 * 86_400


def transfer(
    client: NamesAsBytes,
    path: bytes,
    file: SourceFile,
    partial: Path,
    *,
    seconds: float,
    progress: Callable[[int], None],
) -> int | None:
    """Bring a file to ``partial``, whose name is to depend on path, size and time of the file.

    What lies there is continued if its end is what the server has at that place. Returns the number of bytes that were
    there already; None when the file turns out shorter than ``file`` says. Each window of bytes has ``seconds``.
    """
    with _disk(partial):
        partial.parent.mkdir(parents=True, exist_ok=True)
        for other in partial.parent.glob(f"{partial.name.partition('-')[0]}-*"):
            if other != partial:
                other.unlink()
    # Not closed when something breaks: that would wait for an answer on the broken connection.
    remote = client.reader(path)
    with time_limit(seconds, client.descriptor):
        start = _agreed(remote, partial, file.size)
    done = start
    with _disk(partial):
        target = partial.open("ab")
    with target:
        while done < file.size:
            with time_limit(seconds, client.descriptor):
                window = _window(remote, done, min(done + _WINDOW, file.size))
            with _disk(partial):
                target.write(window)
                target.flush()
            done += len(window)
            progress(done)
            if not window:
                break
    remote.close()
    return start if done >= file.size else None


def forget_old_transfers(folder: Path) -> None:
    """Delete what was begun a week ago and never continued."""
    for path in folder.glob("*-*"):
        if path.stat().st_mtime < time.time() - _FORGOTTEN_AFTER_SECONDS:
            path.unlink()


def _agreed(remote: SFTPFile, partial: Path, size: int) -> int:
    """How many bytes of ``partial`` can stay; the others are cut off."""
    if not partial.exists():
        return 0
    length = partial.stat().st_size
    begin = max(0, length - _OVERLAP)
    with _disk(partial), partial.open("rb") as kept:
        kept.seek(begin)
        tail = kept.read()
    if length <= size and _window(remote, begin, length) == tail:
        return length
    with _disk(partial):
        partial.unlink()
    return 0


def _window(remote: SFTPFile, begin: int, end: int) -> bytes:
    """The bytes from ``begin`` to ``end``, asked for in blocks at once; fewer when the file ends before."""
    blocks = [(at, min(_BLOCK, end - at)) for at in range(begin, end, _BLOCK)]
    found: list[bytes] = []
    for (_, length), block in zip(blocks, remote.readv(blocks), strict=True):
        found.append(block)
        if len(block) < length:
            break
    return b"".join(found)


@contextmanager
def _disk(partial: Path) -> Iterator[None]:
    """Trouble with our own disk is not trouble with the connection."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"what is transferred cannot be kept: {error.strerror}",
            remedy="free disk space or mend permissions, then run again",
            file=partial.parent,
        ) from error
