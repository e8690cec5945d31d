"""What the system says when a disk does not do what it is asked, as an error that somebody can act on."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.errors import StorageError

OF_THE_DISK = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.EIO, errno.ESTALE)
)


@contextmanager
def disk_troubles(home: Path) -> Iterator[None]:
    """Raises :class:`StorageError` for a full, read-only or broken disk; the place is ``home`` if no file is named."""
    try:
        yield
    except OSError as error:
        if error.errno not in OF_THE_DISK:
            raise
        raise StorageError(
            f"the disk refuses: {error.strerror}",
            remedy="free disk space or mend permissions, then run again",
            file=error.filename or home,
        ) from error
