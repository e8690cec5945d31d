"""The first lines of a CSV: its encoding, its delimiter and its header."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipelines.catalogue.formats import Format
from pipelines.errors import ExtractError
from pipelines.intake.decoding import Decoder, Encoding, byte_order_mark, dominant_encoding
from pipelines.intake.delimited import Trouble, parse
from pipelines.intake.header_search import SEARCH_ROWS, Header, KnownHeaders, find_header

DELIMITERS = {"comma": ",", "tab": "\t", "semicolon": ";"}
_HEAD_BYTES = 256 << 10
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
    carriage_return: bool
    plain: bool


@dataclass(frozen=True)
class _HeadRecord:
    cells: list[str]
    line: int
    next_line: int
    next_offset: int


def read_head(path: Path, known: KnownHeaders, layout: Format, name: str) -> CsvHead:
    """Find encoding, delimiter and header; :class:`ExtractError` when no header is known.

    ``name`` is what the department called the file, for messages. UTF-16 must be transcoded before.
    """
    with path.open("rb") as reader:
        data = reader.read(_HEAD_BYTES)
        whole = not reader.read(1)
    _, mark = byte_order_mark(data)
    carriage_return = b"\n" not in data and b"\r" in data
    line_end = b"\r" if carriage_return else b"\n"
    if not whole and line_end in data:
        data = data[: data.rfind(line_end) + 1]
    decoder = _decoder(data[mark:], layout.encoding)
    candidates = DELIMITERS.values() if layout.delimiter == "auto" else (DELIMITERS[layout.delimiter],)
    best: tuple[int, int, str, Header, list[_HeadRecord]] | None = None
    widest = 0
    for delimiter in candidates:
        records = _records(data, mark, line_end, decoder, delimiter)
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
    plain = all(record.next_line == record.line + 1 for record in records[: header.last + 1])
    return CsvHead(
        decoder=decoder,
        delimiter=delimiter,
        header=header,
        header_line=records[header.first].line,
        data_line=last.next_line,
        data_offset=last.next_offset,
        carriage_return=carriage_return,
        plain=plain,
    )


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


def _decoder(data: bytes, declared: str) -> Decoder:
    if declared == "utf-8":
        return Decoder("utf-8", strict=True)
    if declared == "gb18030":
        return Decoder("gb18030", strict=True)
    return Decoder(dominant_encoding(data))


def encoding_name(head: CsvHead, mark: Encoding | None) -> str:
    """How a manifest calls the encoding."""
    return f"{mark} with mark" if mark else head.decoder.dominant


def _index_of_line(records: list[_HeadRecord], line: int | None) -> int | None:
    return next((index for index, record in enumerate(records) if record.line == line), None)


def _records(data: bytes, mark: int, line_end: bytes, decoder: Decoder, delimiter: str) -> list[_HeadRecord]:
    """The first records with the lines they stand on. What cannot be read is an empty record: never a header."""
    records: list[_HeadRecord] = []
    offset, line = mark, 1
    while offset < len(data) and len(records) < SEARCH_ROWS:
        end = _end_of_line(data, offset, line_end)
        cells, consumed_end, consumed = _cells(data, offset, end, line_end, decoder, delimiter)
        records.append(_HeadRecord(cells, line, line + consumed, consumed_end))
        offset, line = consumed_end, line + consumed
    return records


def _cells(
    data: bytes, start: int, end: int, line_end: bytes, decoder: Decoder, delimiter: str
) -> tuple[list[str], int, int]:
    """Cells of the record at ``start``, the offset after it and the number of its lines."""
    stop = end
    for consumed in range(1, _MOST_LINES_OF_A_HEADER_CELL + 1):
        decoded = decoder.line(data[start:stop].rstrip(b"\r\n"))
        if decoded is None:
            break
        parsed = parse(decoded[0], delimiter)
        if isinstance(parsed, list):
            return parsed, stop, consumed
        if parsed is Trouble.MALFORMED or stop >= len(data):
            break
        stop = _end_of_line(data, stop, line_end)
    return [], end, 1


def _end_of_line(data: bytes, start: int, line_end: bytes) -> int:
    found = data.find(line_end, start)
    return len(data) if found < 0 else found + 1
