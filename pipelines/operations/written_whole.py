"""Files that others read while we write them: always the old content or the new one, never half of it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pipelines.errors import StorageError


def write_whole(path: Path, content: str, mode: int = 0o600) -> None:
    """Replace a file in one step. ``mode`` are its permissions.

    Raises :class:`StorageError` when it cannot be written; the old file is then untouched.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The dot and the missing suffix keep it from collectors that look for *.prom.
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise StorageError(
            f"the file cannot be written: {error.strerror}", remedy="check the folder and the disk", file=path
        ) from error
