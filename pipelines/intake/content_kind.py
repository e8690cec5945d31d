"""What a file really is, told from its first bytes; names lie."""

from __future__ import annotations

import codecs
import json
import re
import zipfile
from pathlib import Path
from typing import Literal

from pipelines.catalogue import formats
from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.sources import HttpSource
from pipelines.errors import ExtractError
from pipelines.intake.archive import damage_named, opened_zip
from pipelines.intake.decoding import Decoder, byte_order_mark, dominant_encoding

Kind = formats.Kind | Literal["zip"]

_HEAD = 4096
_LONGEST_FIRST_LINE = 1 << 20
_OLE = bytes.fromhex("D0CF11E0A1B11AE1")
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_EXTENSIONS: dict[Kind, frozenset[str]] = {
    "csv": frozenset({".csv", ".txt", ".tsv"}),
    "xlsx": frozenset({".xlsx", ".xlsm"}),
    "xls": frozenset({".xls", ".et"}),
    "ods": frozenset({".ods"}),
    "xml": frozenset({".xml"}),
    "json": frozenset({".json"}),
    "jsonl": frozenset({".jsonl", ".ndjson"}),
    "zip": frozenset({".zip"}),
    "parquet": frozenset({".parquet"}),
}
TABLE_EXTENSIONS = frozenset(extension for known in _EXTENSIONS.values() for extension in known)
_NO_TABLES = {
    b"%PDF": "a PDF",
    b"{\\rtf": "a text document",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"Rar!": "a compressed archive",
    b"7z\xbc\xaf": "a compressed archive",
    b"\xfd7zXZ": "a compressed file",
    b"\x1f\x8b": "a compressed file",
}
# What marks a zip of XML parts as a document of some program.
_DOCUMENTS = {"word/document.xml": "a text document", "ppt/presentation.xml": "a presentation", "OFD.xml": "a document"}
_OPEN_DOCUMENT = b"application/vnd.oasis.opendocument."
_MARKUP = re.compile(r"<[A-Za-z_!?\u0080-\uffff]")
_BEFORE_ROOT = re.compile(r"(?:\s+|<\?[^>]*\?>|<!--.*?-->)+", re.DOTALL)
_WEB_PAGE = re.compile(r"<(?:html|!doctype\s+html)\b", re.IGNORECASE)
_PART_OF_A_PAGE = re.compile(r"<(?:head|body|meta|style|script|div|table|tr)\b", re.IGNORECASE)
_OFFICE = re.compile(r"<\?mso-application|urn:schemas-microsoft-com:office", re.IGNORECASE)
_JSON = re.compile(r"""\{\s*["'}]|\[\s*[\[{\]]""")


def content_kind(path: Path, name: str, feed: Feed | None = None) -> Kind:
    """What a file is; :class:`ExtractError` for an empty file and for what is no table.

    ``name`` is what the department called the file. Parquet is only what our own database connector writes, so that
    it is accepted for a ``feed`` with such a source only.
    """
    with path.open("rb") as reader:
        head = reader.read(_HEAD)
    if not head.strip(b"\xef\xbb\xbf \t\r\n"):
        raise ExtractError("the file is empty", remedy="ask the department to send it again", file=name)
    if head.startswith(_ZIP):
        return _zip_kind(path, name)
    if head.startswith(_OLE):
        _not_encrypted(path, name)
        return "xls"
    if head.startswith(b"PAR1"):
        if feed is not None and feed.source.kind == "database":
            return "parquet"
        raise _no_table("a Parquet file", name)
    for start, what in _NO_TABLES.items():
        if head.startswith(start):
            raise _no_table(what, name)
    text = _text(head).lstrip("\ufeff \t\r\n")
    if _MARKUP.match(text):
        return _markup_kind(text, name)
    declared = _declared(feed)
    if _JSON.match(text) or (text[0] in "{[" and _is_json_by_name(name, declared)):
        return _json_kind(path, name, declared)
    return "csv"


def extension_fits(kind: Kind, name: str) -> bool:
    """Whether the file's name says what the file is."""
    return Path(name).suffix.lower() in _EXTENSIONS[kind]


def _zip_kind(path: Path, name: str) -> Kind:
    """A workbook, an OpenDocument spreadsheet or an archive; which reader shall say how a damaged one is damaged."""
    try:
        with opened_zip(path, name) as opened, damage_named(name):
            names = set(opened.namelist())
            kind = _start_of(opened, "mimetype") if "mimetype" in names else b""
    except ExtractError:
        return next((kind for kind in ("xlsx", "ods") if extension_fits(kind, name)), "zip")
    if "xl/workbook.xml" in names:
        return "xlsx"
    if "xl/workbook.bin" in names:
        raise _no_table("a binary workbook (.xlsb)", name)
    if kind.startswith(_OPEN_DOCUMENT):
        if kind.startswith(_OPEN_DOCUMENT + b"spreadsheet"):
            return "ods"
        raise _no_table("an OpenDocument text or drawing", name)
    for part, what in _DOCUMENTS.items():
        if part in names:
            raise _no_table(what, name)
    return "zip"


def _start_of(opened: zipfile.ZipFile, part: str) -> bytes:
    with opened.open(part) as packed:
        return packed.read(100)


def _text(head: bytes) -> str:
    """The first bytes as text, as far as they matter: markup and JSON begin with ASCII characters."""
    mark, _ = byte_order_mark(head)
    encoding: str | None = mark if mark == "utf-16" else None
    if encoding is None and b"\0" in head[:2]:
        encoding = "utf-16-be" if head.startswith(b"\0") else "utf-16-le"
    if encoding is None:
        return head.removeprefix(codecs.BOM_UTF8).decode("latin-1")
    return codecs.getincrementaldecoder(encoding)("replace").decode(head)


def _markup_kind(text: str, name: str) -> Kind:
    root = _BEFORE_ROOT.sub("", text, count=1) if text.startswith(("<?", "<!--")) else text
    is_page = _WEB_PAGE.match(root) or (not text.startswith("<?xml") and _PART_OF_A_PAGE.match(root))
    if is_page or _OFFICE.search(text):
        raise ExtractError(
            "the file is a web page or XML spreadsheet under a table's name",
            remedy="ask the department to open it in Excel or WPS, save it as .xlsx and send it again",
            file=name,
        )
    return "xml"


def _declared(feed: Feed | None) -> str:
    if feed is None:
        return "auto"
    return feed.source.format if isinstance(feed.source, HttpSource) else feed.format.kind


def _is_json_by_name(name: str, declared: str) -> bool:
    return declared in {"json", "jsonl"} or extension_fits("json", name) or extension_fits("jsonl", name)


def _json_kind(path: Path, name: str, declared: str) -> Kind:
    """JSON lines when the first line is an object and not the last, or when the feed or the name says so."""
    if declared in {"json", "jsonl"}:
        return "json" if declared == "json" else "jsonl"
    if extension_fits("jsonl", name):
        return "jsonl"
    with path.open("rb") as reader:
        sample = reader.read(_LONGEST_FIRST_LINE)
    mark, length = byte_order_mark(sample)
    if mark == "utf-16":
        text = codecs.getincrementaldecoder("utf-16")("replace").decode(sample)
        first, _, rest = text.lstrip().partition("\n")
    else:
        line, _, more = sample[length:].lstrip().partition(b"\n")
        decoded = Decoder(dominant_encoding(line)).line(line)
        first, rest = (decoded[0] if decoded else "", "x" if more.strip() else "")
    try:
        return "jsonl" if isinstance(json.loads(first, strict=False), dict) and rest.strip() else "json"
    except (json.JSONDecodeError, RecursionError):
        return "json"


def _no_table(what: str, name: str) -> ExtractError:
    return ExtractError(f"the file is {what}", remedy="ask for the table, saved as .xlsx or CSV", file=name)


def _not_encrypted(path: Path, name: str) -> None:
    """A protected .xlsx is an OLE file whose directory, near its start or end, names an encrypted package."""
    if _ENCRYPTED in path.read_bytes():
        raise ExtractError(
            "the workbook is protected with a password",
            remedy="ask the department to remove the password and to send it again",
            file=name,
        )
