"""A Delta table to which every run adds at most one file: written beside, committed later, swept when it crashed.

The table is plain Parquet plus a log, readable by Spark, Trino, DuckDB or pandas. What a run has committed counts
once the ledger has published the run: readers choose by runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable
from deltalake.transaction import AddAction, RemoveAction

from pipelines.engine.duck import Session, identifier
from pipelines.errors import StorageError

Partition = Mapping[str, str]


class RunTable:
    """One table below ``folder``; the columns ``partition_by`` of ``schema`` are its folders, of plain words.

    A partition is a mapping of these columns, in their order, to values.
    """

    def __init__(self, folder: Path, schema: pa.Schema, partition_by: tuple[str, ...]) -> None:
        self.folder = folder
        self.schema = schema
        self.partition_by = partition_by

    def prepare(self) -> None:
        """Create the table if it is not there yet."""
        if not DeltaTable.is_deltatable(str(self.folder)):
            self.folder.mkdir(parents=True, exist_ok=True)
            DeltaTable.create(str(self.folder), self.schema, mode="ignore", partition_by=list(self.partition_by))

    def file_of(self, partition: Partition, run: str) -> Path:
        """Where a run writes. The file is invisible until :meth:`commit` names it."""
        return self.folder.joinpath(*(f"{name}={partition[name]}" for name in self.partition_by), f"{run}.parquet")

    def write(self, session: Session, relation: str, partition: Partition, run: str) -> int:
        """Write what a run adds (all columns but those of the partition) beside the table; returns the rows."""
        names = [name for name in self.schema.names if name not in self.partition_by]
        columns = ", ".join(identifier(name) for name in names)
        sql = f"SELECT {columns} FROM {identifier(relation)}"
        return session.write_parquet(sql, self.file_of(partition, run))

    def commit(self, partition: Partition, run: str) -> bool:
        """Add a run's file to the table's log; repeating it changes nothing. False when the run wrote none.

        Raises :class:`StorageError` when the log cannot be written.
        """
        path = self.file_of(partition, run)
        if not path.exists():
            return False
        self.prepare()
        table = DeltaTable(str(self.folder))
        if self._listed(table, partition, path):
            return True
        action = AddAction(
            path=path.relative_to(self.folder).as_posix(),
            size=path.stat().st_size,
            partition_values=dict(partition),
            modification_time=int(path.stat().st_mtime * 1000),
            data_change=True,
            stats=json.dumps({"numRecords": pq.ParquetFile(path).metadata.num_rows}),
        )
        try:
            table.create_write_transaction(
                [action],
                mode="append",
                schema=self.schema,
                partition_by=list(self.partition_by),
                commit_properties=CommitProperties(custom_metadata={"run": run}),
            )
        except OSError as error:
            raise StorageError(
                "the table cannot be written", file=self.folder, remedy="free disk space, then run again"
            ) from error
        return True

    def sweep(self, partition: Partition, run: str) -> bool:
        """Take everything a crashed run left out of the table and off the disk; True when there was something."""
        path = self.file_of(partition, run)
        found = path.exists()
        if DeltaTable.is_deltatable(str(self.folder)):
            table = DeltaTable(str(self.folder))
            if self._listed(table, partition, path):
                found = True
                remove = RemoveAction(
                    path=path.relative_to(self.folder).as_posix(),
                    deletion_timestamp=int(path.stat().st_mtime * 1000) if path.exists() else 0,
                    data_change=True,
                    partition_values=dict(partition),
                )
                table.create_write_transaction(
                    [remove], mode="append", schema=self.schema, partition_by=list(self.partition_by)
                )
        path.unlink(missing_ok=True)
        path.with_suffix(".writing").unlink(missing_ok=True)
        return found

    def files(self, partition: Partition | None = None) -> list[Path]:
        """The files of the table, one per run, of those partitions that have the values of ``partition``."""
        if not DeltaTable.is_deltatable(str(self.folder)):
            return []
        uris = DeltaTable(str(self.folder)).file_uris(file_pruning_predicate=_predicate(partition or {}))
        # An address escapes the letters of the folder above; what lies below it is plain: feed=<feed>/<run>.
        depth = len(self.partition_by) + 1
        return [self.folder.joinpath(*uri.split("/")[-depth:]) for uri in uris]

    @staticmethod
    def _listed(table: DeltaTable, partition: Partition, path: Path) -> bool:
        return any(Path(uri).name == path.name for uri in table.file_uris(file_pruning_predicate=_predicate(partition)))


def _predicate(partition: Partition) -> list[tuple[str, str, str]] | None:
    return [(name, "=", value) for name, value in partition.items()] or None
