"""A Delta table to which every run adds at most one file: written beside, committed later, swept when it crashed.

The table is plain Parquet plus a log, readable by Spark, Trino, DuckDB or pandas. What a run has committed counts
once the ledger has published the run: readers choose by runs.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import DeltaError
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
            with self._writing():
                self.folder.mkdir(parents=True, exist_ok=True)
                try:
                    DeltaTable.create(
                        str(self.folder), self.schema, mode="ignore", partition_by=list(self.partition_by)
                    )
                except DeltaError:
                    # Another feed's run made it at the same moment.
                    if not DeltaTable.is_deltatable(str(self.folder)):
                        raise

    def file_of(self, partition: Partition, run: str) -> Path:
        """Where a run writes. The file is invisible until :meth:`commit` names it."""
        return self.folder.joinpath(*(f"{name}={partition[name]}" for name in self.partition_by), f"{run}.parquet")

    def write(
        self,
        session: Session,
        relation: str,
        partition: Partition,
        run: str,
        instead: Mapping[str, str] | None = None,
    ) -> int:
        """Write what a run adds (all columns but those of the partition) beside the table; returns the rows.

        ``instead`` gives the SQL of columns that are not written as they stand in ``relation``.
        """
        names = [name for name in self.schema.names if name not in self.partition_by]
        written = instead or {}
        columns = ", ".join(f"{written.get(name, identifier(name))} AS {identifier(name)}" for name in names)
        sql = f"SELECT {columns} FROM {identifier(relation)}"
        path = self.file_of(partition, run)
        if path.exists():
            # Judged again: what the log may say about the file of before would be wrong of this one.
            self.sweep(partition, run)
        return session.write_parquet(sql, path)

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
        with self._writing():
            table.create_write_transaction(
                [action],
                mode="append",
                schema=self.schema,
                partition_by=list(self.partition_by),
                commit_properties=CommitProperties(custom_metadata={"run": run}),
            )
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
                with self._writing():
                    table.create_write_transaction(
                        [remove], mode="append", schema=self.schema, partition_by=list(self.partition_by)
                    )
        with self._writing():
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

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """What the disk refuses; the library does not tell why in a form that could be shown."""
        try:
            yield
        except (OSError, DeltaError) as error:
            raise StorageError(
                "the table cannot be written",
                file=self.folder,
                remedy="free disk space or mend permissions, then run again",
            ) from error

    def keep_only(self, runs: Container[str]) -> set[str]:
        """Take out of the table's log what other runs wrote, and files that are gone; the runs that are left.

        For the copy of a table, which nobody else writes. Raises :class:`StorageError` when the log has a gap.
        """
        try:
            files = self.files()
            here = {path for path in files if path.stem in runs and path.exists()}
            removals: list[AddAction | RemoveAction] = [
                RemoveAction(
                    path=path.relative_to(self.folder).as_posix(),
                    deletion_timestamp=0,
                    data_change=True,
                    partition_values={
                        name: value
                        for name, _, value in (part.partition("=") for part in path.relative_to(self.folder).parts[:-1])
                    },
                )
                for path in files
                if path not in here
            ]
            if removals:
                DeltaTable(str(self.folder)).create_write_transaction(
                    removals, mode="append", schema=self.schema, partition_by=list(self.partition_by)
                )
        except DeltaError as error:
            raise StorageError(
                "the log of the table is not whole", file=self.folder, remedy="copy the table once more"
            ) from error
        return {path.stem for path in here}

    @staticmethod
    def _listed(table: DeltaTable, partition: Partition, path: Path) -> bool:
        return any(Path(uri).name == path.name for uri in table.file_uris(file_pruning_predicate=_predicate(partition)))


def _predicate(partition: Partition) -> list[tuple[str, str, str]] | None:
    return [(name, "=", value) for name, value in partition.items()] or None
