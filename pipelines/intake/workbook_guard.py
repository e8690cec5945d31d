"""Before a zipped workbook (.xlsx, .ods) is opened: can it be unpacked safely?

What a zip's directory says about sizes can be a lie, so every part is unpacked by us, in a stream and up to a limit,
before a library that trusts the file loads it into memory.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from lxml import etree

from pipelines.errors import ExtractError

# A full sheet (1,048,576 rows) of 30 short columns has about 1 GB of XML; more is no extract of records.
MAX_UNPACKED_BYTES = 1 << 30
# Sheets of records pack 5 to 30 times, sheets of one repeated value up to about 100 times; bombs 1000 times.
MAX_PACKING_RATIO = 200
RATIO_MATTERS_FROM = 16 << 20
# A workbook has a dozen parts and a few per sheet.
MAX_PARTS = 10_000
# A reader holds a sheet as a full grid of about 32 bytes per cell: 38 columns × 1,048,576 rows fit.
MAX_GRID_CELLS = 40_000_000
# Cells share their text in the file (by number, by repetition); each has its own in memory.
MAX_TEXT_BYTES = 4 << 30

_MAX_SMALL_PART = 64 << 20
_CHUNK = 1 << 20
_LOCAL_HEADER = struct.Struct("<4s5H3L2H")


class Package:
    """The parts of a zipped workbook by name, without regard to case and kind of slash, as its readers take them.

    Raises :class:`ExtractError` for what is no zip, has two parts of one name, is encrypted, or unpacks to too much.
    ``name`` is what the department called the file.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self._sizes: dict[str, int] = {}
        self._raw = path.open("rb")
        try:
            with zipfile.ZipFile(self._raw) as archive:
                entries = archive.infolist()
            self.parts = {_key(entry.filename): entry for entry in entries}
            stated = sum(entry.file_size for entry in entries)
            packed = any(_is_too_packed(entry.file_size, entry) for entry in entries)
            if len(entries) > MAX_PARTS or stated > MAX_UNPACKED_BYTES or packed:
                raise _bomb(name)
            if len(self.parts) != len(entries) or any(entry.flag_bits & 1 for entry in entries):
                raise damaged(name)
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            self._raw.close()
            raise damaged(name) from error
        except BaseException:
            self._raw.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._raw.close()

    def unpack(self, part: str) -> Iterator[bytes]:
        """The content of a part in pieces, whatever size the directory states."""
        entry = self.parts.get(_key(part))
        if entry is None:
            raise damaged(self.name)
        room = MAX_UNPACKED_BYTES - sum(size for other, size in self._sizes.items() if other != _key(part))
        size = checksum = 0
        try:
            for piece in self._inflate(entry):
                size += len(piece)
                checksum = zlib.crc32(piece, checksum)
                if size > room or _is_too_packed(size, entry):
                    raise _bomb(self.name)
                yield piece
        except (zlib.error, struct.error, EOFError, OSError) as error:
            raise damaged(self.name) from error
        if checksum != entry.CRC:
            raise damaged(self.name)
        self._sizes[_key(part)] = size

    def unpack_ahead(self, part: str) -> Iterator[bytes]:
        """The same; the next piece is unpacked, in another thread, while the caller looks at this one."""
        pieces = self.unpack(part)
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="workbook-unpacking") as pool:
            coming = pool.submit(next, pieces, None)
            while (piece := coming.result()) is not None:
                coming = pool.submit(next, pieces, None)
                yield piece

    def tree(self, part: str) -> etree._Element:
        """A small part (workbook, relations, settings) as XML."""
        content = b""
        for piece in self.unpack(part):
            content += piece
            if len(content) > _MAX_SMALL_PART:
                raise _bomb(self.name)
        refuse_entities(content, self.name)
        try:
            return etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True))
        except etree.XMLSyntaxError as error:
            raise damaged(self.name) from error

    def try_out(self, part: str) -> None:
        """Unpack a part and look at nothing but its size."""
        for _ in self.unpack(part):
            pass

    def _inflate(self, entry: zipfile.ZipInfo) -> Iterator[bytes]:
        self._raw.seek(entry.header_offset)
        header = _LOCAL_HEADER.unpack(self._raw.read(_LOCAL_HEADER.size))
        self._raw.seek(header[9] + header[10], 1)
        remaining = entry.compress_size
        if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise damaged(self.name)
        inflater = zlib.decompressobj(-zlib.MAX_WBITS) if entry.compress_type == zipfile.ZIP_DEFLATED else None
        while remaining > 0:
            packed = self._raw.read(min(_CHUNK, remaining))
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


def refuse_entities(content: bytes, name: str) -> None:
    """A workbook's XML declares no entities; one that does means harm."""
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise ExtractError(
            "the workbook's XML declares entities, as no spreadsheet program does; it was not opened",
            remedy="ask the department what made this file; ask for the table saved by Excel or WPS",
            file=name,
        )


def refuse_giant_grid(last_row: int, last_column: int, sheet: str, name: str) -> None:
    """Refuse a sheet whose grid, up to its last filled row and column (both from 1), no reader can hold."""
    if last_row * last_column > MAX_GRID_CELLS:
        raise ExtractError(
            f"sheet {sheet} reaches to row {last_row:,} and column {column_letters(last_column)}: "
            "something stands far outside the table",
            remedy="ask the department to delete the rows and columns outside the table and to send it again",
            file=name,
        )


def column_number(letters: str) -> int:
    """``A`` → 1, ``XFD`` → 16384."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number


def column_letters(number: int) -> str:
    """1 → ``A``."""
    letters = ""
    while number:
        number, letter = divmod(number - 1, 26)
        letters = chr(65 + letter) + letters
    return letters


def damaged(name: str) -> ExtractError:
    """What to say of a workbook that its reader cannot make sense of."""
    return ExtractError(
        "the workbook is damaged and cannot be read",
        remedy="ask the department to open it in Excel or WPS, save it again and send it again",
        file=name,
    )


def protected(name: str) -> ExtractError:
    """What to say of a workbook that asks for a password."""
    return ExtractError(
        "the workbook is protected with a password",
        remedy="ask the department to remove the password and to send it again",
        file=name,
    )


def refuse_too_much_text(name: str) -> NoReturn:
    """One long text that many cells share: small in the file, far too large once each cell has its own."""
    raise _bomb(name)


def _bomb(name: str) -> ExtractError:
    return ExtractError(
        "the workbook unpacks to far more than a table of records can be; it was not opened",
        remedy="ask the department what this file is; split it if it is really that large",
        file=name,
    )


def _is_too_packed(size: int, entry: zipfile.ZipInfo) -> bool:
    return size > RATIO_MATTERS_FROM and size > MAX_PACKING_RATIO * max(entry.compress_size, 1)


def _key(part: str) -> str:
    return part.replace("\\", "/").lstrip("/").lower()
