"""DuckDB sessions: one in-memory database per task, offline, with the macros of ``macros/``."""

from __future__ import annotations

import glob
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from duckdb.func import ARROW, SPECIAL

from pipelines.engine.drafts import workplace
from pipelines.engine.macro_library import create_macros, forget_macro_file, macro_file
from pipelines.errors import GuijiError, StorageError

_MISSING = ("No files found", "No such file")
_MEGABYTES = {"MiB": 1.05, "GiB": 1073.7, "TiB": 1_099_511.6}
# What a session, and whoever writes a workbook beside one, puts into the scratch folder for as long as it lasts.
DRAFTS = ("duck-*", "workbook-*")
Parameters = Sequence[Any] | Mapping[str, Any] | None
Texts = Sequence[str | None]
TextFunction = Callable[[Texts, Texts, Texts], list[str | None]]


class InputRefusedError(Exception):
    """DuckDB cannot read a file as it was told to; the caller knows another way, or what to say."""


class MemoryExhaustedError(StorageError):
    """What was asked for does not fit the memory that the session may use."""


class Session:
    """A DuckDB connection reduced to what the steps need.

    Steps pass relation *names* to each other inside one session; values always travel as parameters,
    identifiers through :func:`identifier`, file names through :func:`literal`.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, memory_limit: str) -> None:
        self.connection = connection
        self._memory_limit = memory_limit
        self._functions: dict[str, TextFunction] = {}
        self._refusal: GuijiError | None = None

    def execute(self, sql: str, parameters: Parameters = None) -> None:
        """Run statements; raises :class:`StorageError` when the scratch disk or the memory limit gives out."""
        try:
            with self._refusals():
                self.connection.execute(sql, parameters) if parameters is not None else self.connection.execute(sql)
        except duckdb.OutOfMemoryException as error:
            raise MemoryExhaustedError(
                "DuckDB ran out of memory",
                remedy="free disk space below the home folder or raise GUIJI_MEMORY_LIMIT, then run again",
            ) from error
        except duckdb.IOException as error:
            if any(words in str(error) for words in _MISSING):
                raise StorageError(
                    "a file of a run or of the record store is missing",
                    remedy="restore it from a backup, or run the batch again",
                ) from error
            raise StorageError(
                f"DuckDB ran out of memory or disk ({type(error).__name__})",
                remedy="free disk space below the home folder or raise GUIJI_MEMORY_LIMIT, then run again",
            ) from error

    def rows(self, sql: str, parameters: Parameters = None) -> list[tuple[Any, ...]]:
        """All result rows as tuples; for small results."""
        self.execute(sql, parameters)
        with self._refusals():
            return self.connection.fetchall()

    def one(self, sql: str, parameters: Parameters = None) -> tuple[Any, ...]:
        """The only result row."""
        found = self.rows(sql, parameters)
        if len(found) != 1:
            raise LookupError(f"expected one row, got {len(found)}")
        return found[0]

    def arrow(self, sql: str, parameters: Parameters = None) -> pa.Table:
        """The result as an Arrow table, in memory."""
        with self._refusals():
            table: pa.Table = self.connection.sql(sql, params=parameters).to_arrow_table()
        return table

    def batches(self, sql: str, parameters: Parameters = None) -> pa.RecordBatchReader:
        """The result as a stream of Arrow batches."""
        reader: pa.RecordBatchReader = self.connection.sql(sql, params=parameters).to_arrow_reader()
        return reader

    def register(self, name: str, table: pa.Table) -> None:
        """Make an Arrow table readable under ``name``."""
        self.connection.register(name, table)

    def add_text_function(self, name: str, function: TextFunction) -> None:
        """Give SQL a function of three texts. ``function`` gets a list of ``str`` or None for each and returns one.

        A :class:`GuijiError` that it raises comes out of the statement as it is. One of the same name is replaced.
        """
        if self._functions.get(name) == function:
            return
        if name in self._functions:
            self.connection.remove_function(name)

        # Without types: DuckDB would look into those of pyarrow, which exist for the type checker alone.
        def over_arrow(first: Any, second: Any, third: Any) -> Any:
            try:
                return pa.array(function(first.to_pylist(), second.to_pylist(), third.to_pylist()), pa.string())
            except GuijiError as error:
                self._refusal = error
                raise

        texts: list[Any] = ["VARCHAR"] * 3
        self.connection.create_function(name, over_arrow, texts, "VARCHAR", type=ARROW, null_handling=SPECIAL)
        self._functions[name] = function

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """What a function of ours refused, instead of DuckDB's report that some function failed."""
        try:
            yield
        except duckdb.InvalidInputException:
            refusal, self._refusal = self._refusal, None
            if refusal is not None:
                raise refusal from None
            raise

    def count(self, relation: str) -> int:
        return int(self.one(f"SELECT count(*) FROM {identifier(relation)}")[0])

    def columns(self, relation: str) -> list[str]:
        """Column names of a relation, in order."""
        described = self.rows(f"DESCRIBE {identifier(relation)}")
        return [str(row[0]) for row in described]

    def write_parquet(self, sql: str, path: Path, *, level: int = 1, group_rows: int | None = None) -> int:
        """Write a query to one zstd Parquet file, atomically; returns the rows written.

        ``group_rows`` is the number of rows of a row group where DuckDB's own choice is not the best.

        Raises :class:`StorageError` when the disk refuses, :class:`MemoryExhaustedError` when the memory does,
        :class:`InputRefusedError` when the query reads a file that is not what the query says.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".writing")
        options = f"FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL {level}"
        options += f", ROW_GROUP_SIZE {group_rows}" if group_rows else ""
        try:
            written = self.rows(f"COPY ({sql}) TO {literal(str(beside))} ({options})")[0][0]
        except duckdb.InvalidInputException as error:
            beside.unlink(missing_ok=True)
            raise InputRefusedError from error
        except MemoryExhaustedError:
            beside.unlink(missing_ok=True)
            raise
        except StorageError as error:
            beside.unlink(missing_ok=True)
            if error.__cause__ is None:
                # A function of ours refused: the disk is not to blame.
                raise
            raise StorageError(
                "cannot be written", file=path, remedy="free disk space or mend permissions, then run again"
            ) from error
        beside.rename(path)
        return int(written)

    @contextmanager
    def unoptimized(self) -> Iterator[None]:
        """Plans as they are written, for what runs inside: hundreds of expressions over the rows of one table.

        Looking for something better takes longer than such a statement over thousands of rows, and what is found (the
        common parts of expressions, worked out beforehand for every row) is slower over a million as well.
        """
        self.execute("PRAGMA disable_optimizer")
        try:
            yield
        finally:
            self.execute("PRAGMA enable_optimizer")

    @contextmanager
    def memory_at_most(self, megabytes: int) -> Iterator[None]:
        """Less memory for what runs inside, unless the session has less anyway.

        Whatever DuckDB may use it sooner or later does, as buffers that make nothing faster.
        """
        number, unit = str(self.one("SELECT current_setting('memory_limit')")[0]).split()
        if float(number) * _MEGABYTES.get(unit, 0.0) > megabytes:
            self.execute(f"SET memory_limit = '{megabytes}MB'")
        try:
            yield
        finally:
            self.execute(f"SET memory_limit = {literal(self._memory_limit)}")


def identifier(name: str) -> str:
    """A name quoted for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text constant quoted for SQL, for the places that take no parameter (COPY, file lists)."""
    return "'" + text.replace("'", "''") + "'"


def file_literal(path: Path) -> str:
    """A file to read, quoted for SQL: what DuckDB would take for a pattern in its name is taken as it is."""
    return literal(glob.escape(str(path)))


@contextmanager
def session(scratch: Path | None = None, *, threads: int = 2, memory_limit: str = "2GB") -> Iterator[Session]:
    """Open an in-memory session that spills to a folder of its own under ``scratch``.

    Extensions can neither be installed nor loaded on the side: no step fetches anything at run time.
    """
    with _spill(scratch) as spill, _connection(spill, threads, memory_limit) as connection:
        _load_macros(connection, scratch)
        yield Session(connection, memory_limit)


def _load_macros(connection: duckdb.DuckDBPyConnection, scratch: Path | None) -> None:
    try:
        connection.execute(f"ATTACH {literal(str(macro_file(scratch)))} AS macros (READ_ONLY)")
        connection.execute("SET search_path = 'memory.main,macros.main'")
    except (OSError, duckdb.Error):
        # A full disk or a damaged file: the session does without it.
        forget_macro_file(scratch)
        create_macros(connection)


@contextmanager
def _spill(scratch: Path | None) -> Iterator[Path]:
    with workplace(scratch, *DRAFTS) if scratch is not None else nullcontext():
        spill = Path(tempfile.mkdtemp(prefix="duck-", dir=scratch))
        try:
            yield spill
        finally:
            shutil.rmtree(spill, ignore_errors=True)


@contextmanager
def _connection(spill: Path, threads: int, memory_limit: str) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(
        config={
            "threads": threads,
            "memory_limit": memory_limit,
            "temp_directory": str(spill),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    try:
        yield connection
    finally:
        connection.close()
