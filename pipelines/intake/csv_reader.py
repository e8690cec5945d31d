"""CSV to rows: the fast way when it can be proved right, the careful way otherwise; both give the same rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.catalogue.formats import Format
from pipelines.engine.duck import Session
from pipelines.errors import ExtractError, StorageError
from pipelines.intake.csv_fast import read_fast
from pipelines.intake.csv_head import CsvHead, encoding_name, read_head
from pipelines.intake.csv_mended import read_mended
from pipelines.intake.csv_scanner import CsvScanner
from pipelines.intake.decoding import byte_order_mark, utf16_to_utf8
from pipelines.intake.header_search import Header, KnownHeaders
from pipelines.intake.rejects import Reject
from pipelines.intake.rows_writer import RowsWriter
from pipelines.intake.text_facts import text_facts

KeepReject = Callable[[Reject], None]


@dataclass(frozen=True)
class CsvRows:
    """The rows of a CSV in Parquet: ``first_line`` when lines are consecutive, else the file has a line column."""

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
    """Write the rows of a CSV to ``target``; what is no row goes to ``keep_reject``.

    ``name`` is what the department called the file. Raises :class:`ExtractError` when no header is known and
    :class:`StorageError` when the disk is full. ``fast=False`` forces the careful way (tests compare both).
    """
    with path.open("rb") as reader:
        mark, _ = byte_order_mark(reader.read(4))
    beside = target.with_suffix(".utf8")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if mark == "utf-16":
            path = _from_utf16(path, beside, name, layout)
        head = read_head(path, known, layout, name)
        found = _quick(session, path, head, target, keep_reject) if fast else None
        if found is None:
            found = _careful(path, head, target, keep_reject)
    except OSError as error:
        raise StorageError(
            f"{name} cannot be read or rewritten: {error.strerror}",
            remedy="free disk space or mend permissions, then run again",
            file=target.parent,
        ) from error
    finally:
        beside.unlink(missing_ok=True)
    return CsvRows(
        header=head.header,
        row_count=found.row_count,
        reject_count=found.reject_count,
        first_line=found.first_line,
        manifest={**found.manifest, "encoding": encoding_name(head, mark), **_described(head)},
    )


def _quick(session: Session, path: Path, head: CsvHead, target: Path, keep_reject: KeepReject) -> CsvRows | None:
    """The fast way, or the mended one where single lines need care; None when neither can be proved right."""
    if head.decoder.dominant != "utf-8":
        return None
    facts = text_facts(path)
    count = read_fast(session, path, head, facts, target)
    if count is not None:
        manifest = {
            "way": "fast",
            "physical_lines": facts.lines,
            "blank_lines": facts.blank_lines_at_end,
            "rows_by_encoding": {"utf-8": count},
        }
        return CsvRows(head.header, count, 0, head.data_line, manifest)
    mended = read_mended(session, path, head, facts, target)
    if mended is None:
        return None
    total, rejects = mended
    for reject in rejects:
        keep_reject(reject)
    manifest = {
        "way": "mended",
        "physical_lines": head.data_line - 1 + total.lines_read,
        "blank_lines": total.blank_lines,
        "rows_by_encoding": total.encodings,
    }
    return CsvRows(head.header, sum(total.encodings.values()), len(rejects), None, manifest)


def _careful(path: Path, head: CsvHead, target: Path, keep_reject: KeepReject) -> CsvRows:
    carriage_return = head.carriage_return and text_facts(path).line_ends == "cr"
    scanner = CsvScanner(head.decoder, head.delimiter, len(head.header.columns), carriage_return=carriage_return)
    rejects = blank_lines = lines = 0
    encodings: dict[str, int] = {}
    with path.open("rb") as stream, RowsWriter(target, head.header.columns) as writer:
        stream.seek(head.data_offset)
        for batch in scanner.scan(stream, head.data_line):
            if batch.columns is not None:
                writer.add_columns(batch.columns, batch.lines)
            else:
                writer.add(batch.rows, batch.lines)
            for reject in batch.rejects:
                keep_reject(reject)
            rejects += len(batch.rejects)
            blank_lines += batch.blank_lines
            lines += batch.lines_read
            for encoding, count in batch.encodings.items():
                encodings[encoding] = encodings.get(encoding, 0) + count
    manifest = {
        "way": "careful",
        "physical_lines": head.data_line - 1 + lines,
        "blank_lines": blank_lines,
        "rows_by_encoding": encodings,
    }
    return CsvRows(head.header, writer.row_count, rejects, None, manifest)


def _from_utf16(path: Path, beside: Path, name: str, layout: Format) -> Path:
    if layout.encoding != "auto":
        raise ExtractError(
            f"the file is UTF-16, the feed declares {layout.encoding}",
            remedy="ask for UTF-8, or set format.encoding to auto in the feed's YAML",
            file=name,
        )
    if not utf16_to_utf8(path, beside):
        raise ExtractError(
            "the file starts as UTF-16 and cannot be read to its end",
            remedy="ask the department to save it as CSV (UTF-8) and send it again",
            file=name,
        )
    return beside


def _described(head: CsvHead) -> dict[str, Any]:
    return {
        "delimiter": {",": "comma", "\t": "tab", ";": "semicolon"}[head.delimiter],
        "header_line": head.header_line,
        "header_rows": head.header.last - head.header.first + 1,
        "lines_before_header": head.header_line - 1,
        "columns": list(head.header.columns),
        "known_columns": head.header.known,
    }
