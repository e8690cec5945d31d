"""The full list of a table of the file exchange: what the receiver holds, for its sender to compare."""

from __future__ import annotations

from lxml import etree

from pipelines.catalogue.categories import Category
from pipelines.catalogue.endpoints import Endpoint
from pipelines.catalogue.protocols import SftpFile
from pipelines.sandbox.desk import Desk
from pipelines.sandbox.rules import PERSON


def full_list(desk: Desk, category: Category, kind: str, endpoint: Endpoint, section: SftpFile) -> bytes:
    """``DATAS/DATA`` with every record of a category and kind of subject, withdrawn ones among them."""
    names = endpoint.fields.get(category.category, {})
    root = etree.Element("DATAS")
    for record in desk.held(category):
        if (record.data.get(category.roles.subject_kind) == PERSON) != (kind == "person"):
            continue
        texts = {
            "UPPER_ID": record.upper_id,
            "STATE": "withdrawn" if record.withdrawn_at else "shown",
            "OBJECTION": "1" if record.objection else "0",
        }
        if section.identity is not None:
            texts |= {section.identity.record: record.record_id, section.identity.content: record.content_hash}
        texts |= {names.get(code, code): text for code, text in record.data.items() if text}
        data = etree.SubElement(root, "DATA")
        for name, text in texts.items():
            etree.SubElement(data, name).text = text
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)
