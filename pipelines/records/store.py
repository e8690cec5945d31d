"""The record store: one Delta table of versions per category, append-only, partitioned by feed.

A version is written beside what is published and counts once the ledger has published its run: readers name
the runs that do not count. The table is plain Parquet plus a log, readable by Spark, Trino, DuckDB or pandas.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable
from deltalake.transaction import AddAction, RemoveAction

from pipelines.catalogue.categories import Category
from pipelines.engine.duck import Session, file_literal, identifier, literal
from pipelines.errors import StorageError

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
        self.folder = folder / category.category
        self.category = category
        self.schema = version_schema(category)

    def prepare(self) -> None:
        """Create the table if it is not there yet."""
        if not DeltaTable.is_deltatable(str(self.folder)):
            self.folder.mkdir(parents=True, exist_ok=True)
            DeltaTable.create(str(self.folder), self.schema, mode="ignore", partition_by=["feed"])

    def file_of(self, feed: str, run: str) -> Path:
        """Where the versions of a run are written. The file is invisible until :meth:`commit` names it."""
        return self.folder / f"feed={feed}" / f"{run}.parquet"

    def write(self, session: Session, relation: str, feed: str, run: str) -> int:
        """Write the versions of a run (all columns but ``feed``) beside the table; returns how many."""
        names = [name for name in self.schema.names if name != "feed"]
        columns = ", ".join(identifier(name) for name in names)
        sql = f"SELECT {columns} FROM {identifier(relation)}"
        return session.write_parquet(sql, self.file_of(feed, run))

    def commit(self, feed: str, run: str) -> bool:
        """Add a run's file to the table's log; repeating it changes nothing. False when the run wrote none."""
        path = self.file_of(feed, run)
        if not path.exists():
            return False
        self.prepare()
        table = DeltaTable(str(self.folder))
        relative = path.relative_to(self.folder).as_posix()
        if any(Path(uri).name == path.name for uri in table.file_uris()):
            return True
        action = AddAction(
            path=relative,
            size=path.stat().st_size,
            partition_values={"feed": feed},
            modification_time=int(path.stat().st_mtime * 1000),
            data_change=True,
            stats=json.dumps({"numRecords": pq.ParquetFile(path).metadata.num_rows}),
        )
        try:
            table.create_write_transaction(
                [action],
                mode="append",
                schema=self.schema,
                partition_by=["feed"],
                commit_properties=CommitProperties(custom_metadata={"run": run}),
            )
        except OSError as error:
            raise StorageError(
                "the record store cannot be written", file=self.folder, remedy="free disk space, then run again"
            ) from error
        return True

    def sweep(self, feed: str, run: str) -> bool:
        """Take everything a crashed run left out of the table and off the disk; True when there was something."""
        path = self.file_of(feed, run)
        found = path.exists()
        if DeltaTable.is_deltatable(str(self.folder)):
            table = DeltaTable(str(self.folder))
            listed = [uri for uri in table.file_uris() if Path(uri).name == path.name]
            if listed:
                found = True
                remove = RemoveAction(
                    path=path.relative_to(self.folder).as_posix(),
                    deletion_timestamp=int(path.stat().st_mtime * 1000) if path.exists() else 0,
                    data_change=True,
                    partition_values={"feed": feed},
                )
                table.create_write_transaction([remove], mode="append", schema=self.schema, partition_by=["feed"])
        path.unlink(missing_ok=True)
        path.with_suffix(".writing").unlink(missing_ok=True)
        return found

    def versions(self, session: Session, name: str, hidden_runs: Sequence[str], feed: str | None = None) -> None:
        """Create the view ``name`` over all published versions, optionally of one feed.

        ``hidden_runs`` are the runs that the ledger has not published.
        """
        files: list[str] = []
        if DeltaTable.is_deltatable(str(self.folder)):
            chosen = [("feed", "=", feed)] if feed else None
            uris = DeltaTable(str(self.folder)).file_uris(file_pruning_predicate=chosen)
            # An address escapes the letters of the folder above; the two parts below it are plain: feed=<feed>/<run>.
            files = [str(self.folder.joinpath(*uri.split("/")[-2:])) for uri in uris]
        if not files:
            self._empty_view(session, name)
            return
        listed = ", ".join(file_literal(Path(file)) for file in files)
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
