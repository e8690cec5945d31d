"""The full list of a table that a receiver writes for reconciliation."""

from __future__ import annotations

from lxml import etree

from pipelines.catalogue.categories import Category
from pipelines.catalogue.endpoints import Endpoint
from pipelines.catalogue.protocols import SftpFile
from pipelines.delivery.adapter import Holding
from pipelines.delivery.sftp_receipts import ReceiptFileError, strict_xml

OBJECTION = {"1": True, "0": False}


def listed(content: bytes, category: Category, endpoint: Endpoint, section: SftpFile) -> list[Holding]:
    """What a list of the form ``DATAS/DATA`` says is held; raises :class:`ReceiptFileError` for any other form.

    Beside the fields of a record and the elements of its identity it may hold ``UPPER_ID``, ``STATE`` (``withdrawn``
    for what is kept and not shown) and ``OBJECTION`` (1 or 0).
    """
    root = strict_xml(content)
    if root.tag != "DATAS":
        raise ReceiptFileError("its root is not DATAS")
    names = endpoint.fields.get(category.category, {})
    number, name = (names.get(code, code) for code in (category.roles.document_number, category.roles.subject_name))
    identity = section.identity
    return [
        Holding(
            upper_id=_text(element, "UPPER_ID"),
            record_key=_text(element, identity.record) if identity else None,
            content_hash=_text(element, identity.content) if identity else None,
            document_number=_text(element, number),
            subject_name=_text(element, name),
            state="withdrawn" if _text(element, "STATE") == "withdrawn" else "shown",
            objection=OBJECTION.get(_text(element, "OBJECTION") or ""),
        )
        for element in root.iterchildren("DATA")
    ]


def _text(element: etree._Element, name: str) -> str | None:
    return element.findtext(name) or None
