"""Workbooks that are written whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from pathlib import Path

from xlsxwriter import Workbook
from xlsxwriter.exceptions import XlsxFileError

from pipelines.errors import StorageError

_READ_ONLY_TO_ALL_BUT_US = 0o600


@contextmanager
def new_workbook(path: Path, scratch: Path, title: str, day: date) -> Iterator[Workbook]:
    """A workbook that appears under ``path`` when it is whole, and not at all when anything fails.

    It says that it was made on ``day``, whenever that was: the same content gives the same bytes. Raises
    :class:`StorageError` when the disk refuses.
    """
    folder: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(prefix="workbook-", dir=scratch)
        beside = path.with_name(f".{path.name}.writing")
        book = Workbook(
            str(beside),
            {
                "constant_memory": True,
                "tmpdir": folder,
                "strings_to_formulas": False,
                "strings_to_numbers": False,
                "strings_to_urls": False,
            },
        )
        book.set_properties(
            {
                "title": title,
                "author": "归集",
                "company": "",
                # Not the time of writing: the same batch gives the same bytes.
                "created": datetime.combine(day, time()),
            }
        )
        try:
            yield book
            book.close()
            beside.chmod(_READ_ONLY_TO_ALL_BUT_US)
            os.replace(beside, path)  # noqa: PTH105 - says what is meant: replace, on every platform
        finally:
            book.fileclosed = True
            beside.unlink(missing_ok=True)
    except (OSError, XlsxFileError) as error:
        raise StorageError(
            f"the workbook cannot be written ({type(error).__name__})",
            file=path,
            remedy="free disk space or mend permissions, then make the report again",
        ) from error
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
