"""The XML text of the national web service: ``ROWDATA/ROW`` out, one ``row`` with a code back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lxml import etree

from pipelines.delivery.soap import NotXmlError, parsed

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
_CODE = re.compile(r"[0-9A-Za-z_.-]{1,20}")
_LINE = re.compile(r"-?[0-9]{1,9}")
LONGEST_ID = 100


@dataclass(frozen=True)
class Answer:
    """What the service says about one call.

    ``line``: the first row, counted from 1, that it does not take; 0 when it could not read the text. ``ids``: one per
    row, in the order of the rows. ``rows``: of a query, what it holds, as element name → text.
    """

    code: str
    line: int | None = None
    ids: tuple[str, ...] = ()
    rows: tuple[Mapping[str, str], ...] = ()


def rows_text(rows: Iterable[Mapping[str, str]], **page: str) -> str:
    """Rows of element name → text as the service reads them; ``page`` are attributes of the root (queries only).

    Raises ``ValueError`` for characters that XML cannot carry.
    """
    root = etree.Element("ROWDATA", page)
    for row in rows:
        element = etree.SubElement(root, "ROW")
        for name, text in row.items():
            etree.SubElement(element, name).text = text
    return DECLARATION + etree.tostring(root, encoding="unicode")


def read_answer(text: str) -> Answer:
    """Read what an operation returned; raises :class:`NotXmlError` for anything but the form of :class:`Answer`."""
    root = parsed(text.strip().encode(), encoding="utf-8")
    row = root if root.tag == "row" else root.find(".//row")
    if row is None:
        raise NotXmlError("the answer has no row")
    code = (row.findtext("code") or "").strip()
    line = (row.findtext("line") or "").strip()
    if not _CODE.fullmatch(code) or (line and not _LINE.fullmatch(line)):
        raise NotXmlError("the answer has no readable code or line")
    ids = [(child.text or "").strip() for child in row.iterfind("ids/*")]
    if any(len(identity) > LONGEST_ID for identity in ids):
        raise NotXmlError("the answer has an id that is too long")
    rows = [{str(child.tag): child.text or "" for child in held} for held in row.iterfind("rows/ROW")]
    return Answer(code, int(line) if line else None, tuple(ids), tuple(rows))
