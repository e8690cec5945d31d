"""One night over the real files, shared by all tests of this folder."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from pipelines.ledger.models import Extract, Run
from pipelines.operations.context import Context, open_context
from pipelines.operations.night import BatchResult, run_night
from pipelines.settings import PROJECT_ROOT, Settings
from tests.real_input.source_files import LISTS, TEMPLATES, RealFile

BUSINESS_DATE = date(2026, 11, 20)
FEEDS = Path(__file__).resolve().parent / "schemas"

Place = tuple[str, int]


@dataclass(frozen=True)
class Night:
    """What the night left: results by feed, and for each file the rows that its run has of it."""

    context: Context
    results: dict[str, BatchResult]
    hashes: dict[RealFile, str]

    def run(self, file: RealFile) -> Run:
        result = self.results[file.feed]
        assert result.run is not None, result.problem
        with self.context.ledger.read() as session:
            return session.get_one(Run, result.run)

    def extract(self, file: RealFile) -> Extract:
        """What the ledger keeps about the file."""
        query = select(Extract).where(Extract.run == self.run(file).id, Extract.sha256 == self.hashes[file])
        with self.context.ledger.read() as session:
            return session.scalars(query).one()

    def rows_as_sent(self, file: RealFile) -> list[dict[str, Any]]:
        """The decoded rows of all sheets of the file, in the order of the run."""
        parts = (self.run(file).manifest or {})["parts"]
        paths = [self.folder(file) / "rows" / part["path"] for part in parts if part["extract"] == self.hashes[file]]
        return [row for path in paths for row in pq.read_table(path).to_pylist()]

    def outcomes(self, file: RealFile) -> list[dict[str, Any]]:
        return [row for row in self._rows(file, "outcomes") if row["extract"] == self.hashes[file]]

    def findings(self, file: RealFile) -> list[dict[str, Any]]:
        """Findings about rows; those about the file as a whole are :meth:`file_findings`."""
        found = self._rows(file, "findings")
        return [row for row in found if row["extract"] == self.hashes[file] and row["row_no"] is not None]

    def file_findings(self, file: RealFile) -> set[str]:
        found = self._rows(file, "findings")
        return {row["rule"] for row in found if row["extract"] == self.hashes[file] and row["row_no"] is None}

    def repairs(self, file: RealFile) -> list[dict[str, Any]]:
        own = {row["row_no"] for row in self.outcomes(file)}
        return [row for row in self._rows(file, "repairs") if row["row_no"] in own]

    def counts(self, file: RealFile) -> Counter[str]:
        """How many rows of the file had each outcome."""
        return Counter(row["outcome"] for row in self.outcomes(file))

    def missing_fields(self, file: RealFile) -> list[str]:
        found: list[str] = (self.run(file).manifest or {})["missing_fields"]
        return found

    def places(self, file: RealFile, outcome: str) -> set[Place]:
        """Sheet and line of all rows with an outcome."""
        return {(row["sheet"], row["line"]) for row in self.outcomes(file) if row["outcome"] == outcome}

    def accused(self, file: RealFile, *rules: str) -> set[Place]:
        """Sheet and line of all rows that break one of the rules."""
        return {(row["sheet"], row["line"]) for row in self.outcomes(file) if not set(rules).isdisjoint(row["reasons"])}

    def folder(self, file: RealFile) -> Path:
        """Where the run keeps its files."""
        return self.context.settings.runs / self.run(file).id

    def _rows(self, file: RealFile, name: str) -> list[dict[str, Any]]:
        return _read(self.folder(file) / f"{name}.parquet")


@cache
def _read(path: Path) -> list[dict[str, Any]]:
    return pq.read_table(path).to_pylist()


@pytest.fixture(scope="session")
def night(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Night:
    """The project's own configuration with the departments of this folder added, run over copies of the files."""
    installation = tmp_path_factory.mktemp("real_input")
    root, inbox = installation / "root", installation / "inbox"
    for part in ("schemas", "expectations"):
        shutil.copytree(PROJECT_ROOT / part, root / part)
    shutil.copytree(FEEDS, root / "schemas", dirs_exist_ok=True)
    files = (*LISTS, *TEMPLATES)
    for file in files:
        source = shared / "real" / file.path
        target = inbox / file.feed / BUSINESS_DATE.isoformat() / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    context = open_context(Settings(root=root, home=installation / "home", inbox=inbox))
    results = run_night(context, BUSINESS_DATE, list(dict.fromkeys(file.feed for file in files)))
    hashes = {file: hashlib.sha256((shared / "real" / file.path).read_bytes()).hexdigest() for file in files}
    return Night(context, {result.feed: result for result in results}, hashes)
