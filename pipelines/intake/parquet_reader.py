"""What the database connector lands: Parquet whose columns are text already, so that the file itself is the rows."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import ExtractError, StorageError
from pipelines.intake.header_search import unique_names
from pipelines.intake.landing import LandedExtract


def read_landed_parquet(landed: LandedExtract, target: Path) -> tuple[tuple[str, ...], int]:
    """Put the rows of a landed table to ``target``; returns its columns and the number of rows.

    The landed file is linked, not copied. Raises :class:`ExtractError` when it is not what was landed, when a column
    is no text, and when DuckDB, for which case does not count, could not tell two columns apart.
    """
    try:
        with landed.path.open("rb") as reader:
            digest = hashlib.file_digest(reader, "sha256").hexdigest()
        if digest != landed.sha256:
            raise _refused(landed, "is not what was landed", "restore the landing from a backup, or pull again")
        with pq.ParquetFile(landed.path) as opened:
            schema, rows = opened.schema_arrow, opened.metadata.num_rows
        target.parent.mkdir(parents=True, exist_ok=True)
        _link(landed.path, target)
    except pa.ArrowInvalid as error:
        raise _refused(landed, "is damaged", "pull it again") from error
    except OSError as error:
        raise StorageError(
            f"{landed.name} cannot be read or linked: {error.strerror}",
            remedy="free disk space or mend permissions, then run again",
            file=target.parent,
        ) from error
    columns = tuple(schema.names)
    if any(not pa.types.is_string(kind) and not pa.types.is_large_string(kind) for kind in schema.types):
        raise _refused(landed, "has columns that are no text", "pull it again with this version")
    if unique_names(columns) != columns:
        raise _refused(
            landed,
            "has columns whose names are empty, reserved or differ in case only",
            "name the columns that matter as source.columns in the feed's YAML",
        )
    return columns, rows


def _link(landed: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.link(landed, target)
    except OSError:
        # Landing and runs may lie on different file systems.
        shutil.copyfile(landed, target)


def _refused(landed: LandedExtract, problem: str, remedy: str) -> ExtractError:
    return ExtractError(f"the landed table {problem}", remedy=remedy, file=landed.name)
