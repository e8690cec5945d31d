"""The findings of all batches: one Delta table, a line per failing row and reason, partitioned by feed and month."""

from __future__ import annotations

import shutil
from collections.abc import Container
from datetime import date
from pathlib import Path

import pyarrow as pa
from sqlalchemy import select

from pipelines.engine.duck import Session, file_literal, identifier
from pipelines.ledger.database import Ledger
from pipelines.ledger.models import Batch, Run
from pipelines.records.run_table import Partition, RunTable

PARTITIONS = ("feed", "month")
_COLUMNS: dict[str, pa.DataType] = {
    "run": pa.string(),
    "business_date": pa.date32(),
    "department": pa.string(),
    "category": pa.string(),
    "extract": pa.string(),
    "sheet": pa.string(),
    "line": pa.int64(),
    "row_no": pa.int64(),
    "record_key": pa.string(),
    "content_hash": pa.string(),
    "row_key": pa.string(),
    "rule": pa.string(),
    "rule_version": pa.int32(),
    "severity": pa.string(),
    "owner": pa.string(),
    "dimension": pa.string(),
    "field": pa.string(),
    "observed": pa.string(),
    "waived": pa.bool_(),
    "feed": pa.string(),
    "month": pa.string(),
}
FINDING_SCHEMA = pa.schema(_COLUMNS)


class FindingsTable:
    """The table of findings in ``folder``. ``observed`` is masked; ``month`` is ``YYYY-MM`` of the business date."""

    def __init__(self, folder: Path) -> None:
        self._table = RunTable(folder, FINDING_SCHEMA, PARTITIONS)

    @property
    def folder(self) -> Path:
        """Where the table lies."""
        return self._table.folder

    def file_of(self, run: Run) -> Path:
        """Where the findings of a run are written. The file is invisible until :meth:`commit` names it."""
        return self._table.file_of(_partition(run), run.id)

    def files(self) -> list[Path]:
        """The files that the table's log names."""
        return self._table.files()

    def write(self, session: Session, relation: str, run: Run, copy: Path) -> int:
        """Write the findings of a run beside the table; returns how many.

        ``copy`` is where they shall lie in the run's folder: the same bytes under a second name where the file system
        has hard links.
        """
        written = self._table.write(session, relation, _partition(run), run.id)
        copy.unlink(missing_ok=True)
        source = self.file_of(run)
        try:
            copy.hardlink_to(source)
        except OSError:
            shutil.copyfile(source, copy)
        return written

    def commit(self, run: Run) -> bool:
        """Add a run's findings to the table's log; repeating it changes nothing."""
        return self._table.commit(_partition(run), run.id)

    def sweep(self, run: Run) -> bool:
        """Take everything a crashed run left out of the table and off the disk; True when there was something."""
        return self._table.sweep(_partition(run), run.id)

    def keep_only(self, runs: Container[str]) -> set[str]:
        """In the copy of a table: forget what other runs wrote; the runs that are left."""
        return self._table.keep_only(runs)

    def create_view(
        self,
        session: Session,
        ledger: Ledger,
        name: str,
        *,
        feed: str | None = None,
        since: date | None = None,
        until: date | None = None,
    ) -> None:
        """Create the view ``name`` over the findings of the runs that count: one per feed and business date.

        Optionally of one feed and of the business dates from ``since`` to ``until``, both included.
        """
        query = select(Run.id).join(Batch, Batch.run == Run.id).where(Run.state == "published")
        if feed is not None:
            query = query.where(Run.feed == feed)
        if since is not None:
            query = query.where(Run.business_date >= since)
        if until is not None:
            query = query.where(Run.business_date <= until)
        with ledger.read() as ledger_session:
            counting = set(ledger_session.scalars(query))
        files = [file for file in self._table.files({"feed": feed} if feed else None) if file.stem in counting]
        if not files:
            session.register(f"{name}_empty", FINDING_SCHEMA.empty_table())
            session.execute(f"CREATE OR REPLACE VIEW {identifier(name)} AS FROM {identifier(name + '_empty')}")
            return
        listed = ", ".join(file_literal(file) for file in files)
        columns = ", ".join(identifier(column) for column in FINDING_SCHEMA.names)
        session.execute(
            f"CREATE OR REPLACE VIEW {identifier(name)} AS SELECT {columns} "
            f"FROM read_parquet([{listed}], hive_partitioning = true, "
            "hive_types = {'feed': VARCHAR, 'month': VARCHAR}, union_by_name = true)"
        )


def _partition(run: Run) -> Partition:
    return {"feed": run.feed, "month": f"{run.business_date:%Y-%m}"}
