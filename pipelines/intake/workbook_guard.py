"""Before a .xlsx is opened: is it one, can it be unpacked safely, and what does calamine not tell about it.

An .xlsx is a zip of XML. What its directory says about sizes can be a lie, so every part is unpacked here once,
in a stream and up to a limit, before a library that trusts the file loads it into memory.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pipelines.errors import ExtractError

# A full sheet (1,048,576 rows) of 30 short columns has about 1 GB of XML; more is no extract of records.
MAX_UNPACKED_BYTES = 1 << 30
# Sheets of records pack 5 to 30 times, sheets of one repeated value up to about 100 times; bombs 1000 times.
MAX_PACKING_RATIO = 200
RATIO_MATTERS_FROM = 16 << 20
# A workbook has a dozen parts and a few per sheet.
MAX_PARTS = 10_000
# The reader holds a sheet as a full grid of about 32 bytes per cell: 30 columns × 1,048,576 rows fit.
MAX_GRID_CELLS = 40_000_000

_CHUNK = 1 << 20
_SEAM = 512
_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_CELL_COLUMN = re.compile(rb'<(?:x:)?c [^>/]*?r="([A-Z]{1,3})\d+"[^>/]*>')
_ERROR_CELL = re.compile(rb'<c r="([A-Z]{1,3})(\d+)"[^>]*? t="e"[^>]*>(?:<f[^>]*/>|<f[^>]*>[^<]*</f>)?<v>([^<]*)</v>')
_LAST_ROW = re.compile(rb'<row [^>]*?r="(\d+)"')
_DATE_1904 = re.compile(rb'<workbookPr[^>]*\sdate1904="(?:1|true)"')

ErrorCells = dict[tuple[int, int], str]


@dataclass
class WorkbookFacts:
    """``error_cells``: per worksheet part, (row, column) 0-based → ``#REF!`` and the like."""

    date_system_1904: bool = False
    error_cells: dict[str, ErrorCells] = field(default_factory=dict)
    relations: bytes = b""
    workbook: bytes = b""

    def errors_of(self, sheet: str) -> ErrorCells:
        """Error cells of the sheet with this name."""
        for properties in re.findall(rb"<sheet\s([^>]*)>", self.workbook):
            named = re.search(rb'name="([^"]*)"', properties)
            relation = re.search(rb'r:id="([^"]*)"', properties)
            if named is None or relation is None or _unescaped(named[1]) != sheet:
                continue
            for target in re.findall(rb"<Relationship\s[^>]*>", self.relations):
                path = re.search(rb'Target="([^"]*)"', target)
                if path is not None and b'Id="' + relation[1] + b'"' in target:
                    return self.error_cells.get(path[1].decode().rsplit("/", 1)[-1], {})
        return {}


def inspect_workbook(path: Path, name: str) -> WorkbookFacts:
    """Unpack every part once without keeping it; :class:`ExtractError` for what is no safe workbook.

    ``name`` is what the department called the file.
    """
    facts = WorkbookFacts()
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as raw:
            parts = archive.infolist()
            if not any(part.filename == "xl/workbook.xml" for part in parts):
                raise _not_a_workbook(name, parts)
            if len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > MAX_UNPACKED_BYTES:
                raise _bomb(name)
            room = MAX_UNPACKED_BYTES
            for part in parts:
                room -= _look_into(part, raw, name, room, facts)
    except (zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, EOFError) as error:
        raise ExtractError(
            "the workbook is damaged and cannot be unpacked",
            remedy="ask the department to open it in Excel or WPS, save it again and send it again",
            file=name,
        ) from error
    return facts


def _look_into(part: zipfile.ZipInfo, raw: BinaryIO, name: str, room: int, facts: WorkbookFacts) -> int:
    """Unpack one part and note what matters in it; returns its true size."""
    base = part.filename.rsplit("/", 1)[-1]
    is_sheet = part.filename.startswith("xl/worksheets/") and base.endswith(".xml")
    keep = part.filename in {"xl/workbook.xml", "xl/_rels/workbook.xml.rels"}
    size, seam, last_row = 0, b"", 0
    columns: set[bytes] = set()
    kept = b""
    for chunk in _unpacked(part, raw):
        size += len(chunk)
        too_packed = size > RATIO_MATTERS_FROM and size > MAX_PACKING_RATIO * max(part.compress_size, 1)
        if size > room or too_packed:
            raise _bomb(name)
        text = seam + chunk
        if keep:
            kept += chunk
        if is_sheet:
            columns.update(_CELL_COLUMN.findall(text))
            rows = _LAST_ROW.findall(text[-_CHUNK // 16 :])
            last_row = max(last_row, int(rows[-1])) if rows else last_row
            if b't="e"' in text:
                cells = facts.error_cells.setdefault(base, {})
                for letters, row, value in _ERROR_CELL.findall(text):
                    cells[int(row) - 1, _column_number(letters)] = value.decode(errors="strict")
        seam = text[-_SEAM:]
    if columns and last_row * (max(map(_column_number, columns)) + 1) > MAX_GRID_CELLS:
        raise ExtractError(
            f"a sheet reaches to row {last_row:,} and column {max(columns, key=_column_number).decode()}: "
            "something stands far outside the table",
            remedy="ask the department to delete the rows and columns outside the table and to send it again",
            file=name,
        )
    if part.filename == "xl/workbook.xml":
        facts.workbook = kept
        facts.date_system_1904 = _DATE_1904.search(kept) is not None
    elif keep:
        facts.relations = kept
    return size


def _unpacked(part: zipfile.ZipInfo, raw: BinaryIO) -> Iterator[bytes]:
    """The part's content straight from its stream, whatever size the directory states."""
    raw.seek(part.header_offset)
    header = _LOCAL_HEADER.unpack(raw.read(_LOCAL_HEADER.size))
    raw.seek(header[9] + header[10], 1)
    remaining = part.compress_size
    if part.flag_bits & 1 or part.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise NotImplementedError("encrypted or unusual compression")
    inflater = zlib.decompressobj(-zlib.MAX_WBITS) if part.compress_type == zipfile.ZIP_DEFLATED else None
    while remaining > 0:
        packed = raw.read(min(_CHUNK, remaining))
        if not packed:
            raise EOFError("the part ends early")
        remaining -= len(packed)
        if inflater is None:
            yield packed
            continue
        while packed:
            yield inflater.decompress(packed, _CHUNK)
            packed = inflater.unconsumed_tail
    if inflater is not None:
        yield inflater.flush()
        if not inflater.eof:
            raise EOFError("the part ends early")


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number - 1


def _unescaped(text: bytes) -> str:
    plain = text.decode("utf-8")
    for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&apos;", "'"), ("&amp;", "&")):
        plain = plain.replace(entity, character)
    return plain


def _bomb(name: str) -> ExtractError:
    return ExtractError(
        "the workbook unpacks to far more than a table of records can be; it was not opened",
        remedy="ask the department what this file is; split it if it is really that large",
        file=name,
    )


def _not_a_workbook(name: str, parts: list[zipfile.ZipInfo]) -> ExtractError:
    is_ods = any(part.filename == "mimetype" for part in parts)
    what = "an OpenDocument file" if is_ods else "a zip archive without a workbook"
    return ExtractError(
        f"the file is {what}",
        remedy="ask for the table itself, saved as .xlsx or CSV",
        file=name,
    )
