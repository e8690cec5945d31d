"""The record store: one Delta table of versions per category, append-only, partitioned by feed.

A version is written beside what is published and counts once the ledger has published its run: readers name
the runs that do not count. The table is plain Parquet plus a log, readable by Spark, Trino, DuckDB or pandas.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from pipelines.catalogue.categories import Category
from pipelines.engine.duck import Session, file_literal, identifier, literal
from pipelines.records.run_table import RunTable

AMOUNT = pa.decimal128(18, 6)
BOOKKEEPING: tuple[tuple[str, pa.DataType], ...] = (
    ("record_key", pa.string()),
    ("version", pa.int32()),
    ("content_hash", pa.string()),
    ("change", pa.string()),
    ("business_date", pa.date32()),
    ("run", pa.string()),
    ("extract", pa.string()),
    ("sheet", pa.string()),
    ("line", pa.int64()),
    ("document_key", pa.string()),
    ("subject_key", pa.string()),
    ("decision_date", pa.date32()),
    ("deadline", pa.date32()),
    ("deadline_provisional", pa.bool_()),
    ("flags", pa.list_(pa.string())),
)


def version_schema(category: Category) -> pa.Schema:
    """Columns of a category's table: bookkeeping, then every field of the category in its type, then ``feed``."""
    types: dict[str, pa.DataType] = {"date": pa.date32(), "amount": AMOUNT}
    fields = [(field.code, types.get(field.type, pa.string())) for field in category.fields]
    return pa.schema([*BOOKKEEPING, *fields, ("feed", pa.string())])


class RecordStore:
    """Versions of one category below ``folder``."""

    def __init__(self, folder: Path, category: Category) -> None:
        self.category = category
        self.schema = version_schema(category)
        self._table = RunTable(folder / category.category, self.schema, ("feed",))

    @property
    def folder(self) -> Path:
        """Where the table lies."""
        return self._table.folder

    def prepare(self) -> None:
        """Create the table if it is not there yet."""
        self._table.prepare()

    def file_of(self, feed: str, run: str) -> Path:
        """Where the versions of a run are written. The file is invisible until :meth:`commit` names it."""
        return self._table.file_of({"feed": feed}, run)

    def write(self, session: Session, relation: str, feed: str, run: str) -> int:
        """Write the versions of a run (all columns but ``feed``) beside the table; returns how many."""
        return self._table.write(session, relation, {"feed": feed}, run)

    def commit(self, feed: str, run: str) -> bool:
        """Add a run's file to the table's log; repeating it changes nothing. False when the run wrote none."""
        return self._table.commit({"feed": feed}, run)

    def sweep(self, feed: str, run: str) -> bool:
        """Take everything a crashed run left out of the table and off the disk; True when there was something."""
        return self._table.sweep({"feed": feed}, run)

    def versions(self, session: Session, name: str, hidden_runs: Sequence[str], feed: str | None = None) -> None:
        """Create the view ``name`` over all published versions, optionally of one feed.

        ``hidden_runs`` are the runs that the ledger has not published.
        """
        files = self._table.files({"feed": feed} if feed else None)
        if not files:
            self._empty_view(session, name)
            return
        listed = ", ".join(file_literal(file) for file in files)
        hidden = ", ".join(literal(run) for run in hidden_runs)
        condition = f"WHERE run NOT IN ({hidden})" if hidden else ""
        columns = ", ".join(identifier(column) for column in self.schema.names)
        session.execute(
            f"CREATE OR REPLACE VIEW {identifier(name)} AS SELECT {columns} "
            f"FROM read_parquet([{listed}], hive_partitioning = true, hive_types = {{'feed': VARCHAR}}, "
            f"union_by_name = true) {condition}"
        )

    def _empty_view(self, session: Session, name: str) -> None:
        session.register(f"{name}_empty", self.schema.empty_table())
        session.execute(f"CREATE OR REPLACE VIEW {identifier(name)} AS FROM {identifier(name + '_empty')}")
