"""What stands in a file: records as ``DATAS/DATA`` in XML, or in the official template as a workbook."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable

import xlsxwriter
from lxml import etree

from pipelines.catalogue.categories import Category, Template
from pipelines.catalogue.endpoints import Endpoint
from pipelines.catalogue.headers import normalise_header
from pipelines.catalogue.protocols import SftpFile
from pipelines.delivery.adapter import Message, OutgoingPackage
from pipelines.delivery.payload import renamed
from pipelines.delivery.replies import PackageRefusedError
from pipelines.errors import DeliveryError

LONGEST_CELL = 32_767
"""Characters that a cell can hold (ECMA-376, part 1, annex of the limits of Excel)."""
FORMULA_STARTS = ("=", "+", "-", "@")
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_file(package: OutgoingPackage, endpoint: Endpoint, section: SftpFile) -> bytes:
    """The package as XML in UTF-8: one ``DATA`` per record, in the order of its lines; the same bytes every time."""
    root = etree.Element("DATAS")
    for message in package.messages:
        data = etree.SubElement(root, "DATA")
        for name, text in _identity(message, section):
            etree.SubElement(data, name).text = legal(text)
        for name, text in renamed(message.data, package.category, endpoint).items():
            etree.SubElement(data, name).text = legal(text)
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


def xlsx_file(package: OutgoingPackage) -> bytes:
    """The package in the official template: a row of headers, then a row of text cells per record; no formula ever.

    What the template has no column for does not travel. Raises :class:`PackageRefusedError` when a text is longer than
    a cell can hold.
    """
    template = template_of(package.category, package.shape)
    fields = columns(package.category, template)
    buffer = io.BytesIO()
    plain = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False, "in_memory": True}
    with xlsxwriter.Workbook(buffer, plain) as workbook:
        # The date in the properties would make each writing another file.
        workbook.set_properties({"created": package.created_at})
        text_cell = workbook.add_format({"num_format": "@"})
        # With this mark a text remains one when somebody opens the workbook and edits the cell.
        guarded_cell = workbook.add_format({"num_format": "@", "quote_prefix": True})
        sheet = workbook.add_worksheet(template.name_zh)
        for place, header in enumerate(template.columns):
            sheet.write_string(0, place, header, text_cell)
        for message in package.messages:
            for place, field in enumerate(fields):
                text = _one_break(legal(message.data.get(field, "")))
                if len(text) > LONGEST_CELL:
                    raise PackageRefusedError("TOO LONG FOR A CELL")
                if text:
                    guarded = text.startswith(FORMULA_STARTS)
                    sheet.write_string(message.line, place, text, guarded_cell if guarded else text_cell)
    return buffer.getvalue()


def template_of(category: Category, shape: str) -> Template:
    """The official template for organisations or for persons."""
    for template in category.templates:
        if (template.subject_kind is not None) == (shape == "person"):
            return template
    raise DeliveryError(
        f"{category.category} has no upload template for {shape}",
        remedy=f"add it under templates in schemas/categories/{category.category}.yaml, or set format: xml",
    )


def columns(category: Category, template: Template) -> list[str]:
    """The field that stands in each column of a template."""
    known = category.headers()
    return [known[normalise_header(header)] for header in template.columns]


def legal(text: str) -> str:
    """The text without the characters that XML 1.0 does not allow: control characters, halves of pairs."""
    return _ILLEGAL.sub("", text)


def _one_break(text: str) -> str:
    """The text with line feeds for all line breaks: a cell knows no other, and would show the rest as characters."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _identity(message: Message, section: SftpFile) -> Iterable[tuple[str, str]]:
    identity = section.identity
    if identity is None:
        return
    yield identity.record, message.record_key
    yield identity.operation, section.operations[message.operation]
    yield identity.content, message.content_hash
    if identity.key is not None:
        yield identity.key, message.idempotency_key
    if identity.reason is not None and message.reason is not None:
        yield identity.reason, message.reason
