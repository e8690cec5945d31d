"""The record store: one Delta table of versions per category, append-only, partitioned by feed.

A version is written beside what is published and counts once the ledger has published its run: readers name
the runs that do not count. The table is plain Parquet plus a log, readable by Spark, Trino, DuckDB or pandas. With a
key in the keyring the restricted fields are sealed in it; this module alone writes and reads them.
"""

from __future__ import annotations

import os
from collections.abc import Container, Sequence
from pathlib import Path

import pyarrow as pa

from pipelines.catalogue.categories import Category
from pipelines.engine.duck import Session, file_literal, identifier, literal
from pipelines.records.run_table import RunTable
from pipelines.records.sealing import MARK, Keyring

AMOUNT = pa.decimal128(18, 6)
# Ids of the keys with which versions were sealed; tables leave out of account what begins with an underscore.
_KEYS_FILE = "_sealed_with"
_SEAL, _UNSEAL = "seal_restricted", "unseal_restricted"
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

    def __init__(self, folder: Path, category: Category, keyring: Keyring | None = None) -> None:
        self.category = category
        self.keyring = keyring or Keyring()
        self._restricted = [field.code for field in category.fields if field.exposure == "restricted"]
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

    def files(self) -> list[Path]:
        """The files that the table's log names."""
        return self._table.files()

    def write(self, session: Session, relation: str, feed: str, run: str) -> int:
        """Write the versions of a run (all columns but ``feed``) beside the table; returns how many.

        Raises :class:`StorageError` when a key is missing with which records of this category were sealed before.
        """
        sealed: dict[str, str] = {}
        used = self._keys_used()
        self.keyring.require(used)
        if self.keyring.current is not None:
            self._note_keys(used | {self.keyring.current})
            session.add_text_function(_SEAL, self.keyring.seal)
            sealed = {code: f"{_SEAL}(record_key, {literal(code)}, {identifier(code)})" for code in self._restricted}
        return self._table.write(session, relation, {"feed": feed}, run, sealed)

    def commit(self, feed: str, run: str) -> bool:
        """Add a run's file to the table's log; repeating it changes nothing. False when the run wrote none."""
        return self._table.commit({"feed": feed}, run)

    def sweep(self, feed: str, run: str) -> bool:
        """Take everything a crashed run left out of the table and off the disk; True when there was something."""
        return self._table.sweep({"feed": feed}, run)

    def keep_only(self, runs: Container[str]) -> set[str]:
        """In the copy of a table: forget what other runs wrote; the runs that are left."""
        return self._table.keep_only(runs)

    def versions(self, session: Session, name: str, hidden_runs: Sequence[str], feed: str | None = None) -> None:
        """Create the view ``name`` over all published versions, optionally of one feed.

        ``hidden_runs`` are the runs that the ledger has not published.
        """
        # The file of a hidden run may be swept while the view is read, so it is not even named.
        unseen = set(hidden_runs)
        files = [file for file in self._table.files({"feed": feed} if feed else None) if file.stem not in unseen]
        if not files:
            self._empty_view(session, name)
            return
        hidden = ", ".join(literal(run) for run in hidden_runs)
        self._create_view(session, name, files, f"WHERE run NOT IN ({hidden})" if hidden else "")

    def versions_of_run(self, session: Session, name: str, feed: str, run: str) -> bool:
        """Create the view ``name`` over what one run wrote, committed or not. False when it wrote nothing."""
        path = self.file_of(feed, run)
        if not path.exists():
            return False
        self._create_view(session, name, [path], "")
        return True

    def _keys_used(self) -> set[str]:
        noted = self.folder / _KEYS_FILE
        return set(noted.read_text(encoding="ascii").split()) if noted.exists() else set()

    def _note_keys(self, used: set[str]) -> None:
        if used == self._keys_used():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        beside = self.folder / f"{_KEYS_FILE}.{os.getpid()}.writing"
        beside.write_text("\n".join(sorted(used)), encoding="ascii")
        beside.rename(self.folder / _KEYS_FILE)

    def _create_view(self, session: Session, name: str, files: Sequence[Path], condition: str) -> None:
        session.add_text_function(_UNSEAL, self.keyring.unseal)
        listed = ", ".join(file_literal(file) for file in files)
        columns = ", ".join(
            _unsealed(code) if code in self._restricted else identifier(code) for code in self.schema.names
        )
        session.execute(
            f"CREATE OR REPLACE VIEW {identifier(name)} AS SELECT {columns} "
            f"FROM read_parquet([{listed}], hive_partitioning = true, hive_types = {{'feed': VARCHAR}}, "
            f"union_by_name = true) {condition}"
        )

    def _empty_view(self, session: Session, name: str) -> None:
        session.register(f"{name}_empty", self.schema.empty_table())
        session.execute(f"CREATE OR REPLACE VIEW {identifier(name)} AS FROM {identifier(name + '_empty')}")


def _unsealed(code: str) -> str:
    """SQL of a restricted field in clear. The function is called for sealed values alone, and only where it is read."""
    column = identifier(code)
    return (
        f"CASE WHEN starts_with({column}, {literal(MARK)}) THEN {_UNSEAL}(record_key, {literal(code)}, {column}) "
        f"ELSE {column} END AS {column}"
    )
