"""What every operation needs, opened once: settings, catalogue, ledger, record stores."""

# DuckDB and Delta Lake are imported when they are used: what only asks the ledger must answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from pipelines.catalogue.catalogue import Catalogue, load_catalogue
from pipelines.deadlines.policies import load_policies
from pipelines.ledger.database import Ledger, migrate, open_ledger
from pipelines.records.sealing import Keyring, read_keyring
from pipelines.settings import Settings

if TYPE_CHECKING:
    from pipelines.engine.duck import Session
    from pipelines.records.findings import FindingsTable
    from pipelines.records.store import RecordStore


@dataclass(frozen=True)
class Context:
    """One installation."""

    settings: Settings
    catalogue: Catalogue
    ledger: Ledger
    keyring: Keyring = field(default_factory=Keyring)

    @cached_property
    def stores(self) -> dict[str, RecordStore]:
        """Record store per category."""
        from pipelines.records.store import RecordStore

        return {
            code: RecordStore(self.settings.records, category, self.keyring)
            for code, category in self.catalogue.categories.items()
        }

    @cached_property
    def findings(self) -> FindingsTable:
        """Findings of all batches."""
        from pipelines.records.findings import FindingsTable

        return FindingsTable(self.settings.findings)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A DuckDB session with this installation's limits."""
        from pipelines.engine.duck import session

        with session(
            self.settings.scratch, threads=self.settings.threads, memory_limit=self.settings.memory_limit
        ) as opened:
            yield opened


def open_context(settings: Settings | None = None) -> Context:
    """Load the catalogue, check that the limits fit it, and open the ledger, creating or upgrading its tables.

    From here on the process writes files that only their owner may read: nearly all of them hold personal data.
    """
    chosen = settings or Settings()
    keyring = read_keyring(chosen)
    catalogue = load_catalogue(chosen)
    load_policies(chosen, catalogue)
    os.umask(0o077)
    # They log addresses, some of which open what they name, and on DEBUG the headers with the tokens.
    for library in ("httpx", "httpcore"):
        logging.getLogger(library).setLevel(logging.WARNING)
    migrate(chosen.ledger)
    return Context(chosen, catalogue, open_ledger(chosen.ledger), keyring)
