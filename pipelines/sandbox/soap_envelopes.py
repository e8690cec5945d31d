"""What the receiver's web service reads and writes: SOAP 1.1 envelopes, rows of XML, and its own description.

It does not share its sender's code, because a receiver never does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lxml import etree

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
NAMESPACE = "http://service.sandbox.guiji/"
MEDIA_TYPE = "text/xml; charset=utf-8"


class UnreadableError(Exception):
    """A call or a text that is not what it should be; says in what way."""


@dataclass(frozen=True)
class Call:
    """One call: the operation, the token and the XML text that came with it."""

    operation: str
    token: str
    text: str


@dataclass(frozen=True)
class Question:
    """The rows of a text, as element name → text; ``offset`` and ``limit`` of a query without rows."""

    rows: Sequence[Mapping[str, str]]
    offset: int
    limit: int


def read_call(content: bytes) -> Call:
    """The call in an envelope; the first parameter is the token, the second the text."""
    root = _parsed(content)
    body = root.find(f"{{{SOAP}}}Body")
    if root.tag != f"{{{SOAP}}}Envelope" or body is None or len(body) != 1 or len(body[0]) != 2:
        raise UnreadableError("no envelope with one call of two parameters")
    call = body[0]
    name = etree.QName(call)
    if name.namespace != NAMESPACE:
        raise UnreadableError("the call is in another namespace")
    token, text = (parameter.text or "" for parameter in call)
    return Call(name.localname, token, text)


def read_rows(text: str) -> Question:
    """The rows of a ``ROWDATA`` text; elements within a field, or a field twice, make it unreadable."""
    root = _parsed(text.encode())
    if root.tag != "ROWDATA":
        raise UnreadableError("the root is not ROWDATA")
    rows = []
    for element in root:
        fields = {str(field.tag): field.text or "" for field in element}
        if element.tag != "ROW" or len(fields) != len(element) or any(len(field) for field in element):
            raise UnreadableError("a ROW is not flat")
        rows.append(fields)
    try:
        return Question(rows, max(int(root.get("offset", "0")), 0), max(int(root.get("limit", "0")), 0))
    except ValueError:
        raise UnreadableError("offset or limit is no number") from None


def _parsed(content: bytes) -> etree._Element:
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise UnreadableError("no well-formed XML") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise UnreadableError("a document type is not taken")
    return root


def answer(code: str, *, line: int | None = None, ids: Sequence[str] | None = None) -> str:
    """The text of an answer: a code with the ids of all rows, or with the line that is not taken."""
    root = etree.Element("ROOT")
    row = etree.SubElement(root, "row")
    etree.SubElement(row, "code").text = code
    if line is not None:
        etree.SubElement(row, "line").text = str(line)
    if ids is not None:
        listed = etree.SubElement(row, "ids")
        for identity in ids:
            etree.SubElement(listed, "id").text = identity
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True).decode()


def held_rows(code: str, rows: Iterable[Mapping[str, str]]) -> str:
    """The text of the answer to a query."""
    root = etree.Element("ROOT")
    row = etree.SubElement(root, "row")
    etree.SubElement(row, "code").text = code
    listed = etree.SubElement(row, "rows")
    for held in rows:
        element = etree.SubElement(listed, "ROW")
        for name, text in held.items():
            etree.SubElement(element, name).text = text
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True).decode()


def returned(operation: str, text: str) -> bytes:
    """The envelope of an answer."""
    root = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"soap": SOAP})
    body = etree.SubElement(root, f"{{{SOAP}}}Body")
    response = etree.SubElement(body, f"{{{NAMESPACE}}}{operation}Response", nsmap={"ns2": NAMESPACE})
    etree.SubElement(response, "return").text = text
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


def fault(code: str, words: str) -> bytes:
    """The envelope of a failure; ``code`` is Client or Server."""
    root = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"soap": SOAP})
    told = etree.SubElement(etree.SubElement(root, f"{{{SOAP}}}Body"), f"{{{SOAP}}}Fault")
    etree.SubElement(told, "faultcode").text = f"soap:{code}"
    etree.SubElement(told, "faultstring").text = words
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)
