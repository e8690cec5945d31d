"""What the doctor says, and what the doctor may look at."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from pipelines.catalogue.catalogue import Catalogue, load_catalogue
from pipelines.errors import GuijiError, StorageError
from pipelines.ledger.database import Ledger, open_ledger
from pipelines.ledger.revisions import current_revision, known_revisions
from pipelines.operations.context import Context
from pipelines.settings import Settings

State = Literal["ok", "warning", "problem"]
MEND_THE_LEDGER = "mend first what 'guiji doctor --only ledger' names"


class NotLookedAtError(GuijiError):
    """What a check looks at cannot be opened; another check says why."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: how it is, what was found, and what to do unless it is well."""

    check: str
    state: State
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class Patient:
    """An installation that may be ill: everything is opened when a check asks for it, and nothing is changed.

    ``connect``: endpoints may be called.
    """

    settings: Settings
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    connect: bool = False

    @cached_property
    def catalogue(self) -> Catalogue:
        """Raises :class:`CatalogueError` when ``schemas/`` cannot be loaded."""
        return load_catalogue(self.settings)

    @cached_property
    def opened_ledger(self) -> Ledger | None:
        """The ledger as it is, of whatever revision; None when there is none yet."""
        return open_ledger(self.settings.ledger) if _is_there(self.settings.ledger) else None

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger when it answers and is of our revision; :class:`NotLookedAtError` otherwise."""
        ledger = self.opened_ledger
        if ledger is None:
            raise NotLookedAtError("there is no ledger yet", remedy=MEND_THE_LEDGER)
        try:
            with ledger.engine.connect() as connection:
                revision = current_revision(connection, ledger.place)
        except (SQLAlchemyError, StorageError) as error:
            raise NotLookedAtError("the ledger does not answer or is not ours", remedy=MEND_THE_LEDGER) from error
        if revision != known_revisions()[-1]:
            raise NotLookedAtError("the ledger has tables of another time", remedy=MEND_THE_LEDGER)
        return ledger

    @property
    def context(self) -> Context:
        return Context(self.settings, self.catalogue, self.ledger)


def _is_there(url: str) -> bool:
    """Whether there is anything to open: opening a SQLite file that is not there would make it."""
    parsed = make_url(url)
    return parsed.get_backend_name() != "sqlite" or Path(parsed.database or "").is_file()


Check = Callable[[Patient], list[Finding]]
