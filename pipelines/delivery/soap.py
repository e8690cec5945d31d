"""SOAP 1.1 around one call: an envelope with the named parameters of an operation, and the text that comes back.

The payload of these services is one text in one parameter, so an envelope is all there is to it. What comes back is
read without entities, without document types and without the network.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from lxml import etree

ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
HEADERS = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '""'}
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class NotXmlError(Exception):
    """An answer that is not the XML it should be; says in what way and repeats nothing of it."""


class SoapFault(Exception):
    """The receiver says that a call failed. ``code`` is Client, Server … without prefix, ``text`` its own words."""

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(f"SOAP fault {code}")


def sendable(text: str) -> str:
    """``text`` without the characters that XML 1.0 cannot carry in any spelling; nothing else is changed."""
    return _ILLEGAL.sub("", text)


def envelope(namespace: str, operation: str, parameters: Mapping[str, str]) -> bytes:
    """The body of a call (document/literal wrapped, parameters without namespace)."""
    root = etree.Element(f"{{{ENVELOPE}}}Envelope", nsmap={"soapenv": ENVELOPE, "ser": namespace})
    call = etree.SubElement(etree.SubElement(root, f"{{{ENVELOPE}}}Body"), f"{{{namespace}}}{operation}")
    for name, text in parameters.items():
        etree.SubElement(call, name).text = text
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


def returned_text(content: bytes) -> str:
    """The text that an operation returned; :class:`SoapFault` or :class:`NotXmlError` when there is none."""
    root = parsed(content)
    body = root.find(f"{{{ENVELOPE}}}Body")
    if root.tag != f"{{{ENVELOPE}}}Envelope" or body is None or len(body) == 0:
        raise NotXmlError("the answer is no SOAP envelope")
    answer = body[0]
    if answer.tag == f"{{{ENVELOPE}}}Fault":
        code = (answer.findtext("faultcode") or "").rpartition(":")[2].strip()
        raise SoapFault(code if re.fullmatch(r"[A-Za-z.]{1,40}", code) else "without code", _words(answer))
    # Whatever its name: return, importPermissionXmlReturn and others were seen.
    text = answer[0].text if len(answer) else answer.text
    if not text or not text.strip():
        raise NotXmlError("the answer is empty")
    return text


def parsed(content: bytes, encoding: str | None = None) -> etree._Element:
    """The root element; ``encoding`` overrules what the text says of itself."""
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        encoding=encoding,
    )
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError:
        # Without "from": the error may repeat a piece of the text.
        raise NotXmlError("the answer is no XML") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise NotXmlError("the answer has a document type")
    return root


def _words(fault: etree._Element) -> str:
    return " ".join(text.strip() for text in fault.itertext() if isinstance(text, str) and text.strip())
