"""What an answer says: its rows, the total, where the next page is, and whether it is an answer at all.

Paths lead through JSON with points (``data.list``; a number counts in a list) and through XML with slashes, beginning
with the root (``ROWDATA/ROW``; ``@name`` at the end is an attribute). XML names are compared without namespace.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from lxml import etree

from pipelines.catalogue.sources import HttpSource
from pipelines.errors import SourceError
from pipelines.intake.connectors.patience import Trouble

_NUMBER = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?")
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,40}")
_BROKEN = "ask the operators of the source; source.format may be wrong as well"


@dataclass(frozen=True)
class Answer:
    """One page. ``digest`` is that of its rows, ``watermark`` the largest one among them."""

    body: bytes
    rows: int
    digest: str
    watermark: str | None
    total: int | None
    cursor: str | None
    link: str | None


class _Parsed(Protocol):
    def rows(self, path: str) -> Sequence[Any]: ...

    def text(self, path: str) -> str | None: ...

    def text_in(self, row: Any, path: str) -> str | None: ...

    def written(self, row: Any) -> bytes: ...


def read_answer(source: HttpSource, body: bytes, place: str) -> Answer:
    """Parse a page.

    Raises :class:`Trouble` for a body that is not whole, and :class:`SourceError` for one that is something else than
    the feed describes, or that says that it is an error.
    """
    parsed: _Parsed = _Json(body, place) if source.format == "json" else _Xml(body, place)
    _check_code(source, parsed, place)
    rows = parsed.rows(source.rows_path)
    digest = hashlib.sha256()
    for row in rows:
        written = parsed.written(row)
        digest.update(len(written).to_bytes(8))
        digest.update(written)
    marks: Iterable[str | None] = ()
    if source.watermark_path is not None:
        path = source.watermark_path
        marks = (parsed.text_in(row, path) for row in rows)
    return Answer(
        body,
        len(rows),
        digest.hexdigest(),
        largest(marks),
        _total(source, parsed, place),
        parsed.text(source.paging.cursor_path) if source.paging.cursor_path else None,
        parsed.text(source.paging.link_path) if source.paging.link_path else None,
    )


def largest(marks: Iterable[str | None]) -> str | None:
    """The largest watermark: as numbers when all are, else as text (times must be written to sort so)."""
    known = [mark for mark in marks if mark]
    if known and all(_NUMBER.fullmatch(mark) for mark in known):
        return max(known, key=Decimal)
    return max(known, default=None)


class _Json:
    def __init__(self, body: bytes, place: str) -> None:
        self._place = place
        try:
            # Numbers stay the text they are.
            self._data = json.loads(_json_text(body), parse_int=str, parse_float=str)
        except (ValueError, RecursionError):
            raise Trouble("the answer is no JSON, or not all of it", remedy=_BROKEN) from None

    def rows(self, path: str) -> Sequence[Any]:
        found = self._data if path in {"", "."} else _step_into(self._data, path)
        if found is None:
            return ()
        if not isinstance(found, list):
            what = "nothing" if found is _MISSING else "no list"
            raise SourceError(
                f"the answer has {what} at {path}",
                remedy="mend source.rows_path in the feed's YAML; where errors come as answers, set source.ok_path",
                file=self._place,
            )
        return found

    def text(self, path: str) -> str | None:
        return self.text_in(self._data, path)

    def text_in(self, row: Any, path: str) -> str | None:
        found = _step_into(row, path)
        if isinstance(found, bool):
            return "true" if found else "false"
        return found if isinstance(found, str) else None

    def written(self, row: Any) -> bytes:
        return json.dumps(row).encode()


class _Xml:
    def __init__(self, body: bytes, place: str) -> None:
        self._place = place
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
        try:
            self._root = etree.fromstring(body, parser)
        except (etree.XMLSyntaxError, ValueError):
            raise Trouble("the answer is no XML, or not all of it", remedy=_BROKEN) from None
        described: Any = self._root.getroottree().docinfo
        if described.doctype:
            raise SourceError(
                "the answer declares a document type, which may hold entities",
                remedy="ask the department for XML without DOCTYPE",
                file=place,
            )

    def rows(self, path: str) -> Sequence[Any]:
        parents, last = self._elements(path.split("/")[:-1]), path.rsplit("/", maxsplit=1)[-1]
        if "/" not in path:
            return [self._root] if _name(self._root) == path else []
        if not parents:
            raise SourceError(
                f"the answer has nothing at {path}",
                remedy="mend source.rows_path in the feed's YAML; where errors come as answers, set source.ok_path",
                file=self._place,
            )
        return [child for parent in parents for child in parent if _name(child) == last]

    def text(self, path: str) -> str | None:
        steps = path.split("/")
        if steps[0] != _name(self._root):
            return None
        return _text_at(self._root, steps[1:])

    def text_in(self, row: Any, path: str) -> str | None:
        return _text_at(row, path.split("/"))

    def written(self, row: Any) -> bytes:
        return etree.tostring(row, method="c14n")

    def _elements(self, steps: Sequence[str]) -> list[Any]:
        if not steps or _name(self._root) != steps[0]:
            return []
        found: list[Any] = [self._root]
        for step in steps[1:]:
            found = [child for parent in found for child in parent if _name(child) == step]
        return found


class _Missing:
    """Nothing there, as opposed to null."""


_MISSING = _Missing()


def _step_into(data: Any, path: str) -> Any:
    for step in path.split("."):
        if isinstance(data, dict) and step in data:
            data = data[step]
        elif isinstance(data, list) and step.isdigit() and int(step) < len(data):
            data = data[int(step)]
        else:
            return _MISSING
    return data


def _json_text(body: bytes) -> str:
    """JSON is UTF-8, UTF-16 or UTF-32 (RFC 8259, RFC 4627); some interfaces write GB18030."""
    encoding = json.detect_encoding(body)
    try:
        return body.decode(encoding)
    except UnicodeDecodeError:
        return body.decode("gb18030")


def _name(element: Any) -> str:
    # Comments and processing instructions have no name.
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def _text_at(element: Any, steps: Sequence[str]) -> str | None:
    for step in steps:
        if step.startswith("@"):
            found: str | None = element.get(step[1:])
            return found
        element = next((child for child in element if _name(child) == step), None)
        if element is None:
            return None
    return (element.text or "").strip() or None


def _check_code(source: HttpSource, parsed: _Parsed, place: str) -> None:
    if source.ok_path is None:
        return
    code = parsed.text(source.ok_path)
    if code in source.ok_values:
        return
    # The message beside a code may name a person.
    told = "no code" if code is None else f"code {code}" if _CODE.fullmatch(code) else "another text"
    raise SourceError(
        f"the interface answers with an error of its own ({told} at {source.ok_path})",
        remedy="look the code up in the interface's manual, or mend source.ok_values in the feed's YAML",
        file=place,
    )


def _total(source: HttpSource, parsed: _Parsed, place: str) -> int | None:
    if source.total_path is None:
        return None
    text = parsed.text(source.total_path)
    if text is None or not text.isascii() or not text.isdigit():
        raise SourceError(
            f"the answer has no number of rows at {source.total_path}",
            remedy="mend source.total_path in the feed's YAML, or ask the department what became of its total",
            file=place,
        )
    return int(text)
