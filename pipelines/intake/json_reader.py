"""JSON and JSON lines to records: one per object, with the line it starts on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from pipelines.errors import ExtractError
from pipelines.intake.decoding import UTF8_MARK, Decoder
from pipelines.intake.json_scanner import JsonScanner, NumberText
from pipelines.intake.rejects import NO_RECORD, UNDECODABLE, Reject

Records = Iterator[tuple[int, dict[str, str | None]]]
KeepReject = Callable[[Reject], None]

SEPARATOR = ";"
MAX_DEPTH = 32
MAX_LINE_BYTES = 32 << 20
_SEARCH_DEPTH = 3
_PLAIN = frozenset({str, NumberText, type(None)})
_KEY = json.JSONEncoder(ensure_ascii=False).encode


def json_records(chunks: Iterable[str], name: str, row_path: tuple[str, ...]) -> Records:
    """The objects of the array at ``row_path`` (keys from the root on) as line and column → text.

    A single object there counts as an array of one, null as an empty one. Objects inside objects become
    ``outer.inner``, scalars in an array are joined with ``;``, an array of objects becomes one JSON text. Raises
    :class:`ExtractError` with the line of anything malformed, of an element that is no object, and of an object that
    has one key twice with different values: which one holds nobody can say.
    """
    scanner = JsonScanner(chunks, name)
    yield from _descend(scanner, row_path, row_path)
    scanner.end()


def find_row_path(chunks: Iterable[str], name: str) -> tuple[tuple[str, ...], dict[str, int]]:
    """Where the rows are when nobody says so: in the root, or in the largest array of objects near it.

    Also returns the other arrays of objects with their sizes. Raises :class:`ExtractError` when there is none, or when
    two are equally large.
    """
    scanner = JsonScanner(chunks, name)
    if scanner.peek() == "[":
        return (), {}
    sizes: dict[tuple[str, ...], int] = {}
    _count(scanner, (), sizes)
    scanner.end()
    largest = max(sizes.values(), default=0)
    candidates = [path for path, size in sizes.items() if size == largest]
    if not candidates:
        raise scanner.error(
            "there are no rows: the JSON has no list of objects",
            "ask the department for its rows, or set format.kind to jsonl in the feed's YAML if each line is one",
        )
    if len(candidates) > 1 and largest > 0:
        raise scanner.error(
            f"several lists could be the rows: {', '.join('.'.join(path) for path in candidates)}",
            "name the right one as format.row_path in the feed's YAML",
        )
    return candidates[0], {".".join(path): size for path, size in sizes.items() if size and path != candidates[0]}


def json_line_records(lines: Iterable[tuple[bytes, bool]], decoder: Decoder, keep_reject: KeepReject) -> Records:
    """One record per line of :func:`json_lines`.

    A line that is no JSON object, has one key twice with different values or is too long goes to ``keep_reject``.
    """
    scanner = JsonScanner((), "")
    for number, (data, whole) in enumerate(lines, start=1):
        if not data.strip():
            continue
        decoded = decoder.line(data)
        if decoded is None:
            keep_reject(Reject(number, UNDECODABLE, data))
            continue
        record = _line_record(scanner, decoded[0]) if whole else None
        if record is None:
            keep_reject(Reject(number, NO_RECORD, data))
        else:
            yield number, record


def json_lines(path: Path) -> Iterator[tuple[bytes, bool]]:
    """The lines of a file without their ends, and whether each is whole: of a very long one only the start is kept."""
    with path.open("rb") as reader:
        first = True
        while data := reader.readline(MAX_LINE_BYTES):
            rest = data
            while len(rest) == MAX_LINE_BYTES and not rest.endswith(b"\n"):
                rest = reader.readline(MAX_LINE_BYTES)
            yield (data.removeprefix(UTF8_MARK) if first else data).rstrip(b"\r\n"), rest is data
            first = False


def _line_record(scanner: JsonScanner, text: str) -> dict[str, str | None] | None:
    scanner.start((text,))
    try:
        found = scanner.value()
        scanner.end()
        return _record(found, scanner) if isinstance(found, dict) and not scanner.repeated_key else None
    except ExtractError:
        return None


def _descend(scanner: JsonScanner, path: tuple[str, ...], whole: tuple[str, ...]) -> Records:
    if not path:
        yield from _rows(scanner, whole)
        return
    found = False
    if scanner.peek() == "{":
        for key in scanner.entries():
            if key != path[0]:
                scanner.value()
            elif found:
                raise scanner.malformed(f"{key} stands there twice")
            else:
                found = True
                yield from _descend(scanner, path[1:], whole)
    if not found:
        raise scanner.error(
            f"there are no rows: the JSON has no {'.'.join(whole)}",
            "mend format.row_path (or source.rows_path) in the feed's YAML, or ask the department what it sent",
        )


def _rows(scanner: JsonScanner, path: tuple[str, ...]) -> Records:
    start = scanner.peek()
    if start == "[":
        for line in scanner.elements():
            yield line, _row(scanner)
    elif start == "{":
        yield scanner.line, _row(scanner)
    elif scanner.value() is not None:
        raise scanner.error(f"there are no rows: {'.'.join(path) or 'the JSON'} is no list of objects")


def _row(scanner: JsonScanner) -> dict[str, str | None]:
    if scanner.peek() not in {"{", ""}:
        raise scanner.error("there are no rows in the JSON: an element of the list is no object")
    found = scanner.value()
    if scanner.repeated_key:
        raise scanner.error(
            "a record of the JSON has one key twice with different values",
            "ask the department to give each key once",
        )
    return _record(found, scanner)


def _count(scanner: JsonScanner, path: tuple[str, ...], sizes: dict[tuple[str, ...], int]) -> None:
    """Add the arrays below the object at the cursor that hold objects only."""
    for key in scanner.entries():
        start = scanner.peek()
        inner = (*path, key)
        if start == "{" and len(inner) < _SEARCH_DEPTH:
            _count(scanner, inner, sizes)
        elif start == "[":
            size = 0
            objects = True
            for _ in scanner.elements():
                objects = objects and scanner.peek() == "{"
                scanner.value()
                size += 1
            if objects:
                sizes[inner] = size
        else:
            scanner.value()


def _record(found: dict[str, Any], scanner: JsonScanner) -> dict[str, str | None]:
    record: dict[str, str | None] = {}
    if set(map(type, found.values())) <= _PLAIN and "" not in found.values():
        record = found
    else:
        _flatten(found, "", record, scanner, 0)
    if scanner.has_escapes:
        return {_writable(name): value and _writable(value) for name, value in record.items()}
    return record


def _flatten(
    found: dict[str, Any], prefix: str, record: dict[str, str | None], scanner: JsonScanner, depth: int
) -> None:
    if depth > MAX_DEPTH:
        raise scanner.error("the JSON is nested too deep")
    for key, value in found.items():
        column = f"{prefix}{key}" if prefix else key
        if column in record:
            raise scanner.error(f"a record of the JSON has {column} twice", "ask the department to give each key once")
        if isinstance(value, str):
            record[column] = value or None
        elif isinstance(value, dict) and value:
            _flatten(value, f"{column}.", record, scanner, depth + 1)
        else:
            record[column] = _text(value, scanner)


def _text(value: Any, scanner: JsonScanner) -> str | None:
    """A scalar or a list as text; nothing when there is nothing in it."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if not value:
        return None
    if any(isinstance(item, (dict, list)) for item in value):
        return _json_text(value, scanner, 0)
    return SEPARATOR.join(text for item in value if (text := _text(item, scanner)) is not None) or None


def _json_text(value: Any, scanner: JsonScanner, depth: int) -> str:
    """A value as JSON again, its numbers as they were."""
    if depth > MAX_DEPTH:
        raise scanner.error("the JSON is nested too deep")
    if isinstance(value, NumberText):
        return str(value)
    if isinstance(value, dict):
        inner = (f"{_KEY(key)}: {_json_text(item, scanner, depth + 1)}" for key, item in value.items())
        return f"{{{', '.join(inner)}}}"
    if isinstance(value, list):
        return f"[{', '.join(_json_text(item, scanner, depth + 1) for item in value)}]"
    return _KEY(value)


def _writable(text: str) -> str:
    """Half characters (a cut emoji) and NUL are no text: they stay as the escapes that JSON writes for them."""
    if text.isascii() and "\0" not in text:
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-8", "backslashreplace").decode()
    return text.replace("\0", "\\u0000")
