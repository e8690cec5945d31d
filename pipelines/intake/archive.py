"""Zip archives: which entries they have, whether they can be unpacked safely, and the entries one by one.

Nothing is ever unpacked under a name that the archive states, and nothing is believed that its directory says about
sizes. What no honest archive of tables has (a path that climbs out, a link) refuses the whole archive.
"""

from __future__ import annotations

import errno
import lzma
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from pipelines.errors import ExtractError, StorageError
from pipelines.intake.workbook_guard import MAX_PACKING_RATIO, RATIO_MATTERS_FROM

MAX_ENTRIES = 1_000
MAX_UNPACKED_BYTES = 4 << 30
# The list of entries is in memory before anything can be said about it.
_MAX_DIRECTORY_BYTES = 32 << 20
_CHUNK = 1 << 20
_ENCRYPTED = 0x1
_UTF8_NAME = 0x800
_UNICODE_PATH = 0x7075
# The end record, the longest comment behind it and what Zip64 puts before it.
_TAIL_BYTES = 22 + 0xFFFF + 20
_NEVER_IN_A_PATH = re.compile(r"[\x00-\x1f\x7f\\]|^[A-Za-z]:")
_JUNK = frozenset({".ds_store", "thumbs.db", "desktop.ini"})
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA})
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    ValueError,
    OverflowError,
    RuntimeError,
)


@dataclass(frozen=True)
class Entry:
    """One file of an archive: ``name`` as its sender sees it, with ``/`` between folders."""

    name: str
    info: zipfile.ZipInfo

    @property
    def is_junk(self) -> bool:
        """Whether an operating system or an editor left it there."""
        path = PurePosixPath(self.name)
        return path.parts[0] == "__MACOSX" or path.name.lower() in _JUNK or path.name.startswith(("~$", "._"))


class Archive:
    """An opened archive with its entries, sorted by name; folders are none."""

    def __init__(self, opened: zipfile.ZipFile, name: str, max_entries: int) -> None:
        self.name = name
        self._opened = opened
        self._room = MAX_UNPACKED_BYTES
        infos = opened.infolist()
        if len(infos) > max_entries:
            raise _too_many(name, f"{len(infos):,}")
        entries = [Entry(_name_of(info, name), info) for info in infos]
        for entry in entries:
            self._check(entry)
        self.entries = sorted((entry for entry in entries if not entry.name.endswith("/")), key=lambda each: each.name)
        names = {entry.name for entry in self.entries}
        if len(names) < len(self.entries):
            raise self._refused("two of its entries have the same name", "ask for each file once")

    def unpack(self, entry: Entry, target: Path, max_bytes: int) -> int:
        """Write one entry to ``target``; returns its size.

        Raises :class:`ExtractError` when it is encrypted, damaged or unpacks to more than ``max_bytes``.
        """
        where = f"{self.name}/{entry.name}"
        if entry.info.flag_bits & _ENCRYPTED:
            raise ExtractError(
                "the entry is encrypted with a password",
                remedy="ask the department for an archive without a password",
                file=where,
            )
        size = 0
        most_packed = MAX_PACKING_RATIO * max(entry.info.compress_size, 1)
        try:
            # A file that is cut to nothing and written again has to be on the disk before some file systems go on.
            target.unlink(missing_ok=True)
            with target.open("wb") as writer:
                for chunk in self._chunks(entry, where):
                    size += len(chunk)
                    self._room -= len(chunk)
                    if size > max_bytes or self._room < 0 or size > max(most_packed, RATIO_MATTERS_FROM):
                        raise ExtractError(
                            "the entry unpacks to far more than it should; it was not read",
                            remedy="ask the department what this file is; raise source.max_bytes if its size is right",
                            file=where,
                        )
                    writer.write(chunk)
        except OSError as error:
            raise StorageError(
                f"an entry of {self.name} cannot be unpacked: {error.strerror}",
                remedy="free disk space or mend permissions, then run again",
                file=target.parent,
            ) from error
        return size

    def _chunks(self, entry: Entry, where: str) -> Iterator[bytes]:
        if entry.info.compress_type not in _METHODS:
            raise ExtractError(
                f"the entry is packed in a way (method {entry.info.compress_type}) that is not read",
                remedy="ask the department for an ordinary zip archive",
                file=where,
            )
        with damage_named(where), self._opened.open(entry.info) as packed:
            while chunk := packed.read(_CHUNK):
                yield chunk

    def _check(self, entry: Entry) -> None:
        parts = entry.name.split("/")
        if parts[0] == "" or ".." in parts or _NEVER_IN_A_PATH.search(entry.name):
            raise self._refused("the path of an entry leads out of the archive", "ask for plain files in a zip archive")
        if stat.S_IFMT(entry.info.external_attr >> 16) not in {0, stat.S_IFREG, stat.S_IFDIR}:
            raise self._refused("an entry is a link or a device, no file", "ask for the files themselves")

    def _refused(self, problem: str, remedy: str) -> ExtractError:
        return ExtractError(problem, remedy=remedy, file=self.name)


@contextmanager
def open_archive(path: Path, name: str, *, max_entries: int = MAX_ENTRIES) -> Iterator[Archive]:
    """Open a zip; ``name`` is what the department called it.

    Raises :class:`ExtractError` for a damaged archive, for one without entries or with more than ``max_entries``, with
    a path that leads out of it, a link or two entries of one name.
    """
    with opened_zip(path, name) as opened:
        archive = Archive(opened, name, max_entries)
        if not archive.entries:
            raise ExtractError("the archive is empty", remedy="ask the department to send it again", file=name)
        yield archive


@contextmanager
def opened_zip(path: Path, name: str) -> Iterator[zipfile.ZipFile]:
    """A zip whose list of entries fits into memory; :class:`ExtractError` when it has none, or a longer one."""
    with path.open("rb") as stream:
        with damage_named(name):
            length = _directory_bytes(stream)
        if length > _MAX_DIRECTORY_BYTES:
            raise _too_many(name, "hundreds of thousands of")
        with damage_named(name):
            opened = zipfile.ZipFile(stream)
        with opened:
            yield opened


@contextmanager
def damage_named(where: str) -> Iterator[None]:
    """Whatever zipfile makes of a damaged archive becomes one :class:`ExtractError` about ``where``."""
    try:
        yield
    except _UNREADABLE as error:
        raise _damaged(where) from error
    except OSError as error:
        # Without a number it is bz2 that complains; an invalid argument is a place before the start of the file.
        if error.errno not in {None, errno.EINVAL}:
            raise
        raise _damaged(where) from error


def _directory_bytes(stream: BinaryIO) -> int:
    """The size of the list of entries as the end of the archive states it; more of it is never read."""
    size = stream.seek(0, 2)
    stream.seek(max(0, size - _TAIL_BYTES))
    tail = stream.read()
    end = tail.rfind(b"PK\x05\x06")
    stated: int = struct.unpack_from("<I", tail, end + 12)[0] if end >= 0 else 0
    if stated == 0xFFFFFFFF and tail[end - 20 : end - 16] == b"PK\x06\x07":
        # Zip64: the locator before the end says where the longer record is, which states the size (APPNOTE 4.3.14).
        stream.seek(struct.unpack_from("<Q", tail, end - 12)[0] + 40)
        stated = struct.unpack("<Q", stream.read(8))[0]
    return stated


def _name_of(info: zipfile.ZipInfo, archive: str) -> str:
    """The name of an entry: marked as UTF-8, given as such in an extra field, or else UTF-8 or GB18030 by its bytes."""
    if info.flag_bits & _UTF8_NAME:
        return info.orig_filename
    # Without the mark zipfile decodes as code page 437, which can be undone.
    raw = info.orig_filename.encode("cp437")
    extra = _unicode_path(info.extra, raw)
    for data, encoding in ((extra, "utf-8"), (raw, "utf-8"), (raw, "gb18030")):
        try:
            if data is not None:
                return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ExtractError(
        "the name of an entry is in no encoding that is known",
        remedy="ask the department to rename the file and to pack it again",
        file=archive,
    )


def _unicode_path(extra: bytes, raw: bytes) -> bytes | None:
    """The name in the extra field 0x7075 (PKWARE APPNOTE 4.6.9), if it belongs to this name."""
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        content = extra[4 : 4 + length]
        if kind == _UNICODE_PATH and len(content) > 5:
            version, checksum = struct.unpack_from("<BI", content)
            return content[5:] if version == 1 and checksum == zlib.crc32(raw) else None
        extra = extra[4 + length :]
    return None


def _too_many(name: str, count: str) -> ExtractError:
    return ExtractError(
        f"the archive has {count} entries, more than are read",
        remedy="ask the department to send its files in several archives",
        file=name,
    )


def _damaged(name: str) -> ExtractError:
    return ExtractError(
        "the archive is damaged and cannot be unpacked",
        remedy="ask the department to pack and send it again",
        file=name,
    )
