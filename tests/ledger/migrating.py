"""Processes that migrate one ledger at the same moment; they import nothing but that."""

from __future__ import annotations

import multiprocessing
from multiprocessing.synchronize import Barrier

from pipelines.ledger.database import migrate

# Not forked from the test: connections must not be shared.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.ledger.migrating", "pipelines.ledger.migrating"])


def migrate_together(url: str, count: int) -> list[int | None]:
    """Bring the ledger to its head in so many processes; their exit codes."""
    together = PROCESSES.Barrier(count)
    started = [PROCESSES.Process(target=_migrate, args=(url, together)) for _ in range(count)]
    for process in started:
        process.start()
    for process in started:
        process.join(120)
    return [process.exitcode for process in started]


def _migrate(url: str, together: Barrier) -> None:
    together.wait(60)
    migrate(url)
