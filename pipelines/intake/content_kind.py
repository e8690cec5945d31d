"""What a file really is, told from its first bytes; names lie."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pipelines.errors import ExtractError

Kind = Literal["csv", "xlsx", "xls"]

_HEAD = 4096
_OLE = bytes.fromhex("D0CF11E0A1B11AE1")
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_EXTENSIONS: dict[Kind, frozenset[str]] = {
    "csv": frozenset({".csv", ".txt", ".tsv"}),
    "xlsx": frozenset({".xlsx", ".xlsm"}),
    "xls": frozenset({".xls", ".et"}),
}
_NO_TABLES = {
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"Rar!": "a compressed archive",
    b"7z\xbc\xaf": "a compressed archive",
    b"\x1f\x8b": "a compressed file",
}
_MARKUP = (b"<html", b"<!doctype", b"<table", b"<?xml", b"<meta", b"<style")


def content_kind(path: Path, name: str) -> Kind:
    """CSV, .xlsx or .xls; :class:`ExtractError` for an empty file and for what is no table.

    ``name`` is what the department called the file.
    """
    with path.open("rb") as reader:
        head = reader.read(_HEAD)
    if not head.strip(b"\xef\xbb\xbf \t\r\n"):
        raise ExtractError("the file is empty", remedy="ask the department to send it again", file=name)
    if head.startswith(b"PK\x03\x04"):
        return "xlsx"
    if head.startswith(_OLE):
        _not_encrypted(path, name)
        return "xls"
    for start, what in _NO_TABLES.items():
        if head.startswith(start):
            raise ExtractError(f"the file is {what}", remedy="ask for the table, saved as .xlsx or CSV", file=name)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_MARKUP):
        raise ExtractError(
            "the file is a web page or XML under a table's name",
            remedy="ask the department to open it in Excel or WPS, save it as .xlsx and send it again",
            file=name,
        )
    return "csv"


def extension_fits(kind: Kind, name: str) -> bool:
    """Whether the file's name says what the file is."""
    return Path(name).suffix.lower() in _EXTENSIONS[kind]


def _not_encrypted(path: Path, name: str) -> None:
    """A protected .xlsx is an OLE file whose directory, near its start or end, names an encrypted package."""
    if _ENCRYPTED in path.read_bytes():
        raise ExtractError(
            "the workbook is protected with a password",
            remedy="ask the department to remove the password and to send it again",
            file=name,
        )
