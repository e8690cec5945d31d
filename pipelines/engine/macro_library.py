"""The macros of ``macros/`` for a session: kept ready in a file, because working them out takes longer than a query.

The file stands in the scratch folder under the hash of the macros and of DuckDB's version, and is attached for
reading; the first session that misses it writes it.
"""

from __future__ import annotations

import hashlib
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

import duckdb

MACRO_FOLDER = Path(__file__).parent / "macros"
_FILES = "macros-*.duckdb"


def macro_file(scratch: Path | None) -> Path:
    """The file to attach, written unless it is there; raises :class:`OSError` or a DuckDB error where it cannot be."""
    path = _path(scratch)
    if not path.exists():
        _write(path)
    return path


def forget_macro_file(scratch: Path | None) -> None:
    """Take a damaged file away: the next session writes it again."""
    with suppress(OSError):
        _path(scratch).unlink()


def create_macros(connection: duckdb.DuckDBPyConnection) -> None:
    """Work all macros out in a database."""
    for text in _texts():
        connection.execute(text)


def _path(scratch: Path | None) -> Path:
    return (scratch or Path(_scratch_of_process().name)) / _FILES.replace("*", _hash())


def _write(path: Path) -> None:
    """Write the file in one step, and take those of earlier versions away."""
    with tempfile.TemporaryDirectory(prefix="duck-", dir=path.parent) as folder:
        beside = Path(folder) / path.name
        with duckdb.connect(str(beside)) as connection:
            create_macros(connection)
        beside.replace(path)
    for other in path.parent.glob(_FILES):
        if other != path:
            other.unlink(missing_ok=True)


@cache
def _texts() -> tuple[str, ...]:
    return tuple(path.read_text(encoding="utf-8") for path in sorted(MACRO_FOLDER.glob("*.sql")))


@cache
def _hash() -> str:
    return hashlib.sha256("\n".join((duckdb.__version__, *_texts())).encode()).hexdigest()[:16]


@cache
def _scratch_of_process() -> tempfile.TemporaryDirectory[str]:
    # Not the common folder for temporary files: anybody may put a file there.
    return tempfile.TemporaryDirectory(prefix="guiji-macros-")
