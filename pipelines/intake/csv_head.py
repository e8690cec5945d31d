"""The first lines of a CSV: its encoding, its delimiter and its header."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

from pipelines.catalogue.formats import Format
from pipelines.errors import ExtractError
from pipelines.intake.decoding import Decoder, Encoding, byte_order_mark, dominant_encoding, other_encoding
from pipelines.intake.delimited import Trouble, parse
from pipelines.intake.header_search import SEARCH_ROWS, Header, KnownHeaders, find_header

DELIMITERS = {"comma": ",", "tab": "\t", "semicolon": ";", "pipe": "|"}
_HEAD_BYTES = 256 << 10
_SAMPLE_ROWS = 1_000
_MOST_LINES_OF_A_HEADER_CELL = 20


@dataclass(frozen=True)
class CsvHead:
    """Where the data of a CSV start and how they are to be read.

    ``data_line`` and ``data_offset`` (bytes) are the first line after the header; ``plain`` says that no record
    up to there spans several lines.
    """

    decoder: Decoder
    delimiter: str
    header: Header
    header_line: int
    data_line: int
    data_offset: int
    plain: bool


@dataclass(frozen=True)
class _HeadRecord:
    cells: list[str]
    line: int
    next_line: int
    next_offset: int


def read_head(path: Path, known: KnownHeaders, layout: Format, name: str) -> CsvHead:
    """Find encoding, delimiter and header of a file whose lines end with LF.

    Raises :class:`ExtractError` when no header is known, or when the file is in another encoding than declared.
    ``name`` is what the department called the file, for messages. UTF-16 must be transcoded before.
    """
    with path.open("rb") as reader:
        data = reader.read(_HEAD_BYTES)
        whole = not reader.read(1)
    marked, mark = byte_order_mark(data)
    if not whole and b"\n" in data:
        data = data[: data.rfind(b"\n") + 1]
    decoder = _decoder(data[mark:], marked, layout.encoding, name)
    candidates = DELIMITERS.values() if layout.delimiter == "auto" else (DELIMITERS[layout.delimiter],)
    best: tuple[int, int, str, Header, list[_HeadRecord]] | None = None
    widest = 0
    for delimiter in candidates:
        records = list(islice(_records(data, mark, 1, decoder, delimiter), SEARCH_ROWS))
        widest = max(widest, len(records[0].cells) if records else 0)
        fixed = _index_of_line(records, layout.header_row)
        if layout.header_row is not None and fixed is None:
            continue
        header = find_header([record.cells for record in records], known, layout, fixed=fixed)
        if header is None:
            continue
        found = (header.known, len(header.columns), delimiter, header, records)
        if best is None or found[:2] > best[:2]:
            best = found
    if best is None:
        raise unknown_header(name, widest, data, layout)
    _, _, delimiter, header, records = best
    last = records[header.last]
    below = islice(_records(data, last.next_offset, last.next_line, decoder, delimiter), _SAMPLE_ROWS)
    return CsvHead(
        decoder=decoder,
        delimiter=delimiter,
        header=_without_tail(header, [record.cells for record in records], [record.cells for record in below]),
        header_line=records[header.first].line,
        data_line=last.next_line,
        data_offset=last.next_offset,
        plain=all(record.next_line == record.line + 1 for record in records[: header.last + 1]),
    )


def _without_tail(header: Header, head_rows: list[list[str]], data_rows: list[list[str]]) -> Header:
    """The header without empty cells at its end, if they come from a delimiter at the end of the line.

    Then most rows of the sample do not have these cells, or none has anything in them. A column that is only not named
    keeps its place.
    """
    width = len(header.columns)
    named = max(len(_stripped(row)) for row in head_rows[header.first : header.last + 1])
    filled = max((len(_stripped(row)) for row in data_rows), default=0)
    shorter = sum(len(row) < width for row in data_rows)
    kept = named if 2 * shorter > len(data_rows) else max(named, filled)
    return replace(header, columns=header.columns[:kept]) if 0 < kept < width else header


def _stripped(row: list[str]) -> list[str]:
    while row and not row[-1].strip():
        row = row[:-1]
    return row


def unknown_header(name: str, cells: int, data: bytes, layout: Format, *, sheet: str | None = None) -> ExtractError:
    """The complaint about a header nobody knows; it shows no cell, since a first row may be somebody's data."""
    if data.count(b"\0") > len(data) // 10:
        return ExtractError(
            "the file is not text: many of its bytes are zero",
            remedy="ask the department to save it as CSV (UTF-8) or as a workbook (.xlsx)",
            file=name,
        )
    where = f"row {layout.header_row}" if layout.header_row is not None else f"the first {SEARCH_ROWS} rows"
    return ExtractError(
        f"no header that anybody knows in {where}; the first row has {cells} cell{'s' if cells != 1 else ''}",
        remedy="name the source's columns under columns: in the feed's YAML, or ask the department for the template",
        file=name,
        sheet=sheet,
    )


def _decoder(data: bytes, mark: Encoding | None, declared: Literal["auto", "utf-8", "gb18030"], name: str) -> Decoder:
    if declared != "auto":
        found: Encoding | None = mark if mark != declared else None
        found = found or other_encoding(data, declared)
        if found is not None:
            raise ExtractError(
                f"the file seems to be {found.upper()}, the feed declares {declared.upper()}",
                remedy=f"set format.encoding to {found} or auto in the feed's YAML, or ask for {declared.upper()}",
                file=name,
            )
        return Decoder(declared, strict=True)
    return Decoder(dominant_encoding(data))


def _index_of_line(records: list[_HeadRecord], line: int | None) -> int | None:
    return next((index for index, record in enumerate(records) if record.line == line), None)


def _records(data: bytes, offset: int, line: int, decoder: Decoder, delimiter: str) -> Iterator[_HeadRecord]:
    """Records with the lines they stand on. What cannot be read is an empty record: never a header."""
    while offset < len(data):
        cells, offset_after, lines = _cells(data, offset, decoder, delimiter)
        yield _HeadRecord(cells, line, line + lines, offset_after)
        offset, line = offset_after, line + lines


def _cells(data: bytes, start: int, decoder: Decoder, delimiter: str) -> tuple[list[str], int, int]:
    """Cells of the record at ``start``, the offset after it and the number of its lines."""
    stop = end = _end_of_line(data, start)
    for lines in range(1, _MOST_LINES_OF_A_HEADER_CELL + 1):
        decoded = decoder.line(data[start:stop].rstrip(b"\r\n"))
        if decoded is None:
            break
        parsed = parse(decoded[0], delimiter)
        if isinstance(parsed, list):
            return parsed, stop, lines
        if parsed is Trouble.MALFORMED or stop >= len(data):
            break
        stop = _end_of_line(data, stop)
    return [], end, 1


def _end_of_line(data: bytes, start: int) -> int:
    found = data.find(b"\n", start)
    return len(data) if found < 0 else found + 1
