"""What every operation needs, opened once: settings, catalogue, ledger, record stores."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from pipelines.catalogue.catalogue import Catalogue, load_catalogue
from pipelines.engine.duck import Session, session
from pipelines.ledger.database import Ledger, migrate, open_ledger
from pipelines.records.findings import FindingsTable
from pipelines.records.store import RecordStore
from pipelines.settings import Settings


@dataclass(frozen=True)
class Context:
    """One installation."""

    settings: Settings
    catalogue: Catalogue
    ledger: Ledger

    @cached_property
    def stores(self) -> dict[str, RecordStore]:
        """Record store per category."""
        return {
            code: RecordStore(self.settings.records, category) for code, category in self.catalogue.categories.items()
        }

    @cached_property
    def findings(self) -> FindingsTable:
        """Findings of all batches."""
        return FindingsTable(self.settings.findings)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A DuckDB session with this installation's limits."""
        with session(
            self.settings.scratch, threads=self.settings.threads, memory_limit=self.settings.memory_limit
        ) as opened:
            yield opened


def open_context(settings: Settings | None = None) -> Context:
    """Load the catalogue and open the ledger, creating or upgrading its tables.

    From here on the process writes files that only their owner may read: nearly all of them hold personal data.
    """
    chosen = settings or Settings()
    catalogue = load_catalogue(chosen)
    os.umask(0o077)
    migrate(chosen.ledger)
    return Context(chosen, catalogue, open_ledger(chosen.ledger))
