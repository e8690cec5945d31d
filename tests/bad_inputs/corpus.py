"""Bad inputs, made on demand: each is one thing that a department has sent or could send.

``python tests/bad_inputs/corpus.py FOLDER`` writes them all, to be tried by hand.
"""

from __future__ import annotations

import io
import random
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import xlsxwriter

HEAD = "行政相对人名称,行政处罚决定书文号,处罚内容\n"
ROW = "某市示例有限公司,示罚〔2026〕1号,警告\n"


@dataclass(frozen=True)
class BadInput:
    """``expected`` is a regular expression for the message; None: it is read, with ``rows`` and ``rejects``."""

    name: str
    content: Callable[[], bytes]
    expected: str | None
    rows: int = 0
    rejects: int = 0


def _workbook(*rows: list[str]) -> bytes:
    data = io.BytesIO()
    with xlsxwriter.Workbook(data, {"in_memory": True}) as workbook:
        sheet = workbook.add_worksheet("数据")
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)
    return data.getvalue()


def _bomb() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        archive.writestr("xl/worksheets/sheet1.xml", b" " * (32 << 20))
    return data.getvalue()


def _binary_halfway() -> bytes:
    noise = random.Random(58).randbytes(20_000).replace(b"\n", b"\xff")
    return (HEAD + ROW * 50).encode() + noise + b"\n" + (ROW * 50).encode()


def _no_workbook() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("readme.txt", "x")
    return data.getvalue()


BAD_INPUTS = (
    BadInput("empty.csv", lambda: b"", "the file is empty"),
    BadInput("only_a_mark.csv", lambda: b"\xef\xbb\xbf\r\n", "the file is empty"),
    BadInput("header_only.csv", HEAD.encode, "a header and no rows"),
    BadInput("header_only.xlsx", lambda: _workbook(HEAD.strip().split(",")), "a header and no rows"),
    BadInput("unknown_header.csv", lambda: b"p,q\n1,2\n", "no header that anybody knows"),
    BadInput("no_header.csv", ROW.encode, "no header that anybody knows"),
    BadInput("unknown_header.xlsx", lambda: _workbook(["p", "q", "r"], ["1"]), "no header that anybody knows"),
    BadInput("bomb.xlsx", _bomb, "unpacks to far more"),
    BadInput("zip_without_workbook.xlsx", _no_workbook, "a zip archive without a workbook"),
    BadInput("cut_in_half.xlsx", lambda: _workbook(["a"] * 40, ["b"] * 40)[:2500], "damaged"),
    BadInput("text_named.xls", lambda: bytes.fromhex("D0CF11E0A1B11AE1") + b"\0" * 600, "damaged"),
    BadInput(
        "protected.xlsx",
        lambda: bytes.fromhex("D0CF11E0A1B11AE1") + b"\0" * 600 + "EncryptedPackage".encode("utf-16-le"),
        "protected with a password",
    ),
    BadInput("web_page.xls", lambda: b"\r\n<html><table><tr><td>1</td></tr></table></html>", "a web page or XML"),
    BadInput("scan.csv", lambda: b"%PDF-1.7\n" + b"\0" * 100, "the file is a PDF"),
    BadInput("packed.csv", lambda: b"\x1f\x8b\x08" + b"\0" * 100, "a compressed file"),
    BadInput(
        "utf16_without_mark.csv", lambda: (HEAD + ROW).encode("utf-16-le"), "many of its bytes are zero|no header"
    ),
    BadInput("utf16_cut.csv", lambda: (HEAD + ROW * 3).encode("utf-16")[:-1], "starts as UTF-16"),
    BadInput("binary_halfway.csv", _binary_halfway, None, rows=100, rejects=1),
    BadInput("cut_off.csv", lambda: (HEAD + ROW * 3).encode("gb18030")[:-2], None, rows=2, rejects=1),
    BadInput("quote_never_closed.csv", (HEAD + '"' + ROW * 4).encode, None, rows=3, rejects=1),
    BadInput("ragged.csv", (HEAD + ROW + "x,y\n" + ROW).encode, None, rows=2, rejects=1),
)


def write_corpus(folder: Path) -> list[Path]:
    """Write every bad input to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for bad in BAD_INPUTS:
        path = folder / bad.name
        path.write_bytes(bad.content())
        written.append(path)
    return written


if __name__ == "__main__":
    write_corpus(Path(sys.argv[1]))
