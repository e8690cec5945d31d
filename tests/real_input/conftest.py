"""One night over the real files, shared by all tests of this folder."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines.ledger.models import Run
from pipelines.operations.context import Context, open_context
from pipelines.operations.night import BatchResult, run_night
from pipelines.settings import PROJECT_ROOT, Settings
from tests.real_input.source_files import LISTS, TEMPLATES, RealFile

BUSINESS_DATE = date(2026, 11, 20)
FEEDS = Path(__file__).resolve().parent / "schemas"

Place = tuple[str, int]


@dataclass(frozen=True)
class Night:
    """What the night left: results by feed, and the files of each run as lists of rows."""

    context: Context
    results: dict[str, BatchResult]

    def run(self, file: RealFile) -> Run:
        result = self.results[file.feed]
        assert result.run is not None, result.problem
        with self.context.ledger.read() as session:
            return session.get_one(Run, result.run)

    def rows_as_sent(self, file: RealFile) -> list[dict[str, Any]]:
        """The decoded rows of all sheets, in the order of the run."""
        paths = sorted((self._folder(file) / "rows").glob("*.parquet"))
        return [row for path in paths for row in pq.read_table(path).to_pylist()]

    def outcomes(self, file: RealFile) -> list[dict[str, Any]]:
        return self._rows(file, "outcomes")

    def findings(self, file: RealFile) -> list[dict[str, Any]]:
        return self._rows(file, "findings")

    def repairs(self, file: RealFile) -> list[dict[str, Any]]:
        return self._rows(file, "repairs")

    def places(self, file: RealFile, outcome: str) -> set[Place]:
        """Sheet and line of all rows with an outcome."""
        return {(row["sheet"], row["line"]) for row in self.outcomes(file) if row["outcome"] == outcome}

    def accused(self, file: RealFile, *rules: str) -> set[Place]:
        """Sheet and line of all rows that break one of the rules."""
        return {(row["sheet"], row["line"]) for row in self.outcomes(file) if not set(rules).isdisjoint(row["reasons"])}

    def _folder(self, file: RealFile) -> Path:
        return self.context.settings.runs / self.run(file).id

    def _rows(self, file: RealFile, name: str) -> list[dict[str, Any]]:
        return _read(self._folder(file) / f"{name}.parquet")


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
        target.parent.mkdir(parents=True)
        shutil.copyfile(source, target)
    context = open_context(Settings(root=root, home=installation / "home", inbox=inbox))
    results = run_night(context, BUSINESS_DATE, [file.feed for file in files])
    return Night(context, {result.feed: result for result in results})
