"""How many batches this machine has room for at the same time."""

from __future__ import annotations

import os

from pydantic import ByteSize, TypeAdapter, ValidationError

from pipelines.errors import CatalogueError
from pipelines.settings import Settings

# What one batch takes beside the rows in DuckDB: the interpreter, Great Expectations, buffers of the ledger.
BESIDE_DUCKDB = 512 * 2**20
FOR_BATCHES = 0.75


def batches_at_once(settings: Settings) -> int:
    """``GUIJI_BATCHES_AT_ONCE``, else one per core as far as three quarters of the memory hold them; at least 1.

    Raises :class:`CatalogueError` when ``GUIJI_MEMORY_LIMIT`` is no size.
    """
    if settings.batches_at_once is not None:
        return settings.batches_at_once
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    one = _bytes_of(settings.memory_limit) + BESIDE_DUCKDB
    return max(1, min(len(os.sched_getaffinity(0)), int(memory * FOR_BATCHES) // one))


def _bytes_of(size: str) -> int:
    try:
        return int(TypeAdapter(ByteSize).validate_python(size))
    except ValidationError:
        raise CatalogueError(
            f"the memory limit {size!r} is no size", remedy="set GUIJI_MEMORY_LIMIT to a number with its unit, as 2GB"
        ) from None
