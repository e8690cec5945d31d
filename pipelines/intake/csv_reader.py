"""CSV to rows: the quick way when it can be proved right, the careful way otherwise; both give the same rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.catalogue.formats import Format
from pipelines.engine.duck import Session
from pipelines.errors import StorageError
from pipelines.intake.csv_careful import read_careful
from pipelines.intake.csv_counts import Counted
from pipelines.intake.csv_head import DELIMITERS, CsvHead, read_head
from pipelines.intake.csv_mended import read_mended
from pipelines.intake.csv_sources import CsvSource, csv_source, without_pipes_in_characters
from pipelines.intake.header_search import Header, KnownHeaders
from pipelines.intake.rejects import Reject

KeepReject = Callable[[Reject], None]


@dataclass(frozen=True)
class CsvRows:
    """The rows of a CSV in Parquet: ``first_line`` when lines are consecutive, else the lines stand in a column."""

    header: Header
    row_count: int
    reject_count: int
    first_line: int | None
    manifest: dict[str, Any]


def read_csv(
    session: Session,
    path: Path,
    name: str,
    known: KnownHeaders,
    layout: Format,
    target: Path,
    keep_reject: KeepReject,
    *,
    fast: bool = True,
) -> CsvRows:
    """Write the rows of a CSV to ``target``; what is no row goes to ``keep_reject``, in order.

    ``name`` is what the department called the file. Raises :class:`ExtractError` when no header is known and
    :class:`StorageError` when the disk is full. ``fast=False`` forces the careful way (tests compare both).
    """
    beside, unpiped = target.with_suffix(".utf8"), target.with_suffix(".unpiped")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        source = csv_source(path, beside, name, layout)
        head = read_head(source.path, known, source.layout, name)
        source, head = without_pipes_in_characters(source, head, unpiped)
        found = _read(session, source, head, target, keep_reject, fast=fast)
    except OSError as error:
        raise StorageError(
            f"{name} cannot be read or rewritten: {error.strerror}",
            remedy="free disk space or mend permissions, then run again",
            file=target.parent,
        ) from error
    finally:
        beside.unlink(missing_ok=True)
        unpiped.unlink(missing_ok=True)
    manifest = {**found.manifest(head.data_line), "encoding": source.encoding(head), **_described(head)}
    return CsvRows(head.header, found.row_count, found.reject_count, found.first_line, manifest)


def _read(
    session: Session, source: CsvSource, head: CsvHead, target: Path, keep_reject: KeepReject, *, fast: bool
) -> Counted:
    keep = source.keeping(keep_reject)
    found = read_mended(session, source.path, head, target, keep) if fast else None
    if found is None:
        found = read_careful(source.path, head, target, keep)
    if source.decoded_from is not None:
        found.encodings = {source.decoded_from: found.row_count} if found.row_count else {}
    return found


def _described(head: CsvHead) -> dict[str, Any]:
    names = {delimiter: name for name, delimiter in DELIMITERS.items()}
    return {
        "delimiter": names[head.delimiter],
        "header_line": head.header_line,
        "header_rows": head.header.last - head.header.first + 1,
        "lines_before_header": head.header_line - 1,
        "columns": list(head.header.columns),
        "known_columns": head.header.known,
    }
