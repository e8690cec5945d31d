"""The files of a published run, as relations that a DuckDB session can read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from pipelines.engine.duck import file_literal, identifier, literal
from pipelines.engine.rows import RowsPart
from pipelines.errors import StorageError
from pipelines.ledger.models import Run
from pipelines.settings import Settings


@dataclass(frozen=True)
class RunFiles:
    """Where a run's rows, rejects, repairs, findings and outcomes lie.

    The relation properties are SQL table expressions; they raise :class:`StorageError` when the file is gone.
    """

    folder: Path
    parts: tuple[RowsPart, ...]

    @property
    def is_kept(self) -> bool:
        """Whether the run's folder is still there: housekeeping may clear old ones."""
        return self.folder.is_dir()

    @property
    def findings(self) -> str:
        """What somebody has to look at: without the rules that a waiver excuses a row from."""
        relation = self._relation("findings.parquet")
        # Runs from before there were waivers have no such column.
        has_waived = "waived" in pq.read_schema(self.folder / "findings.parquet").names
        return f"(SELECT * FROM {relation} WHERE NOT waived)" if has_waived else relation

    @property
    def outcomes(self) -> str:
        return self._relation("outcomes.parquet")

    @property
    def rejects(self) -> str:
        return self._relation("rejects.parquet")

    @property
    def repairs(self) -> str:
        return self._relation("repairs.parquet")

    @property
    def has_suggestions(self) -> bool:
        """Whether the run was judged since there are suggestions."""
        return (self.folder / "suggestions.parquet").is_file()

    @property
    def suggestions(self) -> str:
        return self._relation("suggestions.parquet")

    def source_columns(self) -> tuple[str, ...]:
        """The headers of all parts, each once, in the order in which they first appear."""
        return tuple(dict.fromkeys(column for part in self.parts for column in part.columns))

    def source_rows(self) -> str:
        """All rows as they were sent: row_no, extract_name and ``c0``, ``c1`` … in the order of ``source_columns``."""
        positions = {column: f"c{index}" for index, column in enumerate(self.source_columns())}
        selects = []
        self.check_rows()
        for part in self.parts:
            known = set(part.columns)
            cells = ", ".join(
                f"{identifier(column) if column in known else 'NULL::VARCHAR'} AS {alias}"
                for column, alias in positions.items()
            )
            selects.append(
                f"SELECT {part.row_offset} + file_row_number AS row_no, {literal(part.extract_name)} AS extract_name, "
                f"{cells} FROM read_parquet({file_literal(part.path)}, file_row_number = true)"
            )
        return "(" + " UNION ALL ".join(selects) + ")"

    def check_rows(self) -> None:
        """Raises :class:`StorageError` when a rows file is gone."""
        for part in self.parts:
            if not part.path.is_file():
                raise _gone(part.path)

    def _relation(self, name: str) -> str:
        path = self.folder / name
        if not path.is_file():
            raise _gone(path)
        return f"read_parquet({file_literal(path)})"


def run_files(settings: Settings, run: Run) -> RunFiles:
    """The files of a run, by its manifest."""
    folder = settings.runs / run.id
    parts = (run.manifest or {}).get("parts", [])
    return RunFiles(folder, tuple(RowsPart.from_json(part, folder / "rows") for part in parts))


def _gone(path: Path) -> StorageError:
    return StorageError("a file of the run is missing", file=path, remedy="run the batch again to write it anew")
