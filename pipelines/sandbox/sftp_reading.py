"""A file of the file exchange as the receiver reads it: XML or the official template, into records to be judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lxml import etree
from python_calamine import CalamineError, CalamineWorkbook

from pipelines.catalogue.categories import Category
from pipelines.catalogue.endpoints import Endpoint
from pipelines.catalogue.headers import normalise_header
from pipelines.catalogue.protocols import SftpFile
from pipelines.sandbox.messages import SentPackage
from pipelines.sandbox.natural_key import content_hash, natural_record_id
from pipelines.sandbox.rules import LEGAL, PERSON, TRADER, TRADER_PREFIX

OPERATION = {
    "new": "NEW",
    "update": "UPDATE",
    "withdraw": "WITHDRAW",
    "objection_on": "OBJECTION_ON",
    "objection_off": "OBJECTION_OFF",
}


class UnreadableFileError(Exception):
    """A file that is not what was agreed."""


def read_file(path: Path, category: Category, kind: str, endpoint: Endpoint, section: SftpFile) -> SentPackage:
    """The records of a file, in its order, as one package that goes by the name of the file.

    ``kind`` is what the table is for, ``organisation`` or ``person``. Raises :class:`UnreadableFileError`, and
    ``ValueError`` when the records are not in the form of :class:`SentPackage`.
    """
    if section.format == "xlsx":
        records = [_imported(path.stem, line, data, category) for line, data in _rows(path, category, kind)]
    else:
        records = [_sent(path.stem, line, element, category, endpoint, section) for line, element in _elements(path)]
    return SentPackage.model_validate({"packageId": path.stem, "sentAt": datetime.now(UTC), "records": records})


def _elements(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        root = etree.fromstring(path.read_bytes(), etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError as error:
        raise UnreadableFileError("it is not well-formed") from error
    if root.tag != "DATAS":
        raise UnreadableFileError("its root is not DATAS")
    for line, element in enumerate(root.iterchildren("DATA"), start=1):
        yield line, {str(child.tag): child.text or "" for child in element}


def _sent(
    package: str, line: int, element: dict[str, str], category: Category, endpoint: Endpoint, section: SftpFile
) -> dict[str, Any]:
    identity = section.identity
    ours = {theirs: code for code, theirs in endpoint.fields.get(category.category, {}).items()}
    beside = set() if identity is None else set(identity.model_dump().values())
    data = {ours.get(name, name): text for name, text in element.items() if name not in beside}
    if identity is None:
        return _imported(package, line, data, category)
    operations = {code: OPERATION[operation] for operation, code in section.operations.items()}
    operation = operations.get(element.get(identity.operation, ""), "")
    if identity.key is None and operation == "UPDATE":
        # Without a key of its own an update that comes a second time could not be told from another one.
        operation = "IMPORT"
    return {
        "recordId": element.get(identity.record, ""),
        "operation": operation,
        "reason": element.get(identity.reason) if identity.reason else None,
        "idempotencyKey": element.get(identity.key, "") if identity.key else f"{package}-{line}",
        "contentHash": element.get(identity.content, ""),
        "data": data,
    }


def _imported(package: str, line: int, data: Mapping[str, str], category: Category) -> dict[str, Any]:
    return {
        "recordId": natural_record_id(category, data),
        "operation": "IMPORT",
        "idempotencyKey": f"{package}-{line}",
        "contentHash": content_hash(data),
        "data": data,
    }


def _rows(path: Path, category: Category, kind: str) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        rows = CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python()
    except (CalamineError, OSError) as error:
        raise UnreadableFileError("it is no workbook") from error
    known = category.headers()
    fields = [known.get(normalise_header(str(header))) for header in rows[0]] if rows else []
    if None in fields:
        raise UnreadableFileError("its first row is not that of the template")
    for line, row in enumerate(rows[1:], start=1):
        data = {str(field): str(cell) for field, cell in zip(fields, row, strict=True) if cell != ""}
        yield line, data | {category.roles.subject_kind: _kind(data, category, kind)}


def _kind(data: Mapping[str, str], category: Category, kind: str) -> str:
    """The template has no column for the kind of the subject: the table and the code tell it."""
    if kind == "person":
        return PERSON
    return TRADER if data.get(category.roles.subject_code, "").startswith(TRADER_PREFIX) else LEGAL
