"""The files that the hash chain names, as they are on the disk and in the logs of the Delta tables."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.ledger import chain
from pipelines.ledger.models import Run
from pipelines.ledger.operation_models import ChainEntry
from pipelines.operations.audit_entries import Claim, store_files
from pipelines.operations.audit_files import FileMark, file_hash, place_of
from pipelines.operations.audit_problems import FILES, LOG, Problem
from pipelines.operations.context import Context

_MISSING = "it is missing"


@dataclass(frozen=True)
class Removal:
    """A file that was taken away on purpose: by which entry, and what it held then."""

    position: int
    sha256: str


@dataclass
class Lake:
    """The files of an installation below ``home``; ``removed`` and ``logged`` are named as marks name them.

    ``logged`` are the files that the logs of the Delta tables name. ``intact`` collects what was hashed before: runs
    of the same bytes share a file of the landing.
    """

    home: Path
    tables: tuple[str, ...]
    logged: frozenset[str]
    removed: dict[str, Removal]
    quick: bool = False
    intact: set[str] = field(default_factory=set)

    def check(self, claim: Claim) -> list[Problem]:
        """What is wrong with the files of one run."""
        hashes: dict[tuple[int, int], str] = {}
        return [problem for mark in claim.files for problem in self._check(claim, mark, hashes)]

    def _check(self, claim: Claim, mark: FileMark, hashes: dict[tuple[int, int], str]) -> Iterator[Problem]:
        removal = self.removed.get(mark.path)
        if removal is not None and removal.position > claim.position:
            if removal.sha256 != mark.sha256:
                altered = f"entry {removal.position} removed it with SHA-256 {removal.sha256}, not {mark.sha256}"
                yield Problem(claim.position, claim.run, mark.path, altered, FILES)
            return
        if mark.path in self.intact:
            return
        found = self._difference(mark, hashes)
        if found is not None:
            missing = mark.path if found == _MISSING else None
            yield Problem(claim.position, claim.run, mark.path, found, FILES, missing)
        elif mark.path.startswith("landing/"):
            self.intact.add(mark.path)
        if mark.path.startswith(self.tables) and mark.path not in self.logged:
            yield Problem(claim.position, claim.run, mark.path, "the log of its table does not name it", LOG, mark.path)

    def _difference(self, mark: FileMark, hashes: dict[tuple[int, int], str]) -> str | None:
        path = self.home / mark.path
        try:
            found = path.stat()
            if found.st_size != mark.bytes:
                return f"expected {mark.bytes} bytes, found {found.st_size}"
            if self.quick:
                return None
            # The findings of a run are one file under two names.
            same = found.st_dev, found.st_ino
            if same not in hashes:
                hashes[same] = file_hash(path)
        except FileNotFoundError:
            return _MISSING
        except OSError as error:
            return f"it cannot be read: {error.strerror}"
        return None if hashes[same] == mark.sha256 else f"expected SHA-256 {mark.sha256}, found {hashes[same]}"


def open_lake(context: Context, ledger: LedgerSession, *, quick: bool) -> Lake:
    """The lake as its logs and the chain's removals describe it now."""
    tables = (*(store.folder for store in context.stores.values()), context.findings.folder)
    return Lake(
        home=context.settings.home_path,
        tables=tuple(f"{place_of(context, folder)}/" for folder in tables),
        logged=logged_files(context),
        removed=removed_files(ledger),
        quick=quick,
    )


def logged_files(context: Context) -> frozenset[str]:
    """Every file that the log of a Delta table names."""
    files = [file for store in context.stores.values() for file in store.files()]
    return frozenset(place_of(context, file) for file in (*files, *context.findings.files()))


def removed_files(ledger: LedgerSession, after: int = 0) -> dict[str, Removal]:
    """Files that entries after a position say were removed, with the last entry that says so."""
    query = select(ChainEntry.position, ChainEntry.content).where(
        ChainEntry.kind == chain.REMOVAL, ChainEntry.position > after
    )
    return {
        mark.path: Removal(position, mark.sha256)
        for position, content in ledger.execute(query.order_by(ChainEntry.position))
        for mark in _removal_marks(content)
    }


def _removal_marks(content: str) -> list[FileMark]:
    try:
        return [FileMark.from_json(mark) for mark in json.loads(content)["files"]]
    except (ValueError, KeyError, TypeError):
        # Somebody altered the entry, which its hash tells; it excuses nothing.
        return []


def unknown_files(context: Context, ledger: LedgerSession, lake: Lake, claimed: Collection[str]) -> Iterator[Problem]:
    """Files that a log names and that are no run's: of those in the ledger each has one place in each table.

    ``claimed`` are files that entries name. A run that is under way, or crashed and is not swept yet, may be in a log.
    """
    strangers = lake.logged.difference(claimed)
    own: set[str] = set()
    for run in ledger.execute(select(Run.id, Run.feed, Run.category, Run.business_date).where(Run.swept.is_(False))):
        own.update(place_of(context, file) for file in store_files(context, run))
    strangers -= own
    # A run that was swept meanwhile is out of the log before the ledger says so.
    for file in sorted(strangers & logged_files(context)) if strangers else ():
        yield Problem(None, None, file, "the log of its table names it, no entry knows it", LOG)
