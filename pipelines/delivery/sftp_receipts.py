"""Receipt files (回执) as receivers write them, and what they say about the lines of a package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lxml import etree

from pipelines.catalogue.endpoints import ResultMeaning
from pipelines.delivery.adapter import Message, OutgoingPackage
from pipelines.delivery.replies import Meaning, ReceiptReply

LONGEST_CODE = 60
LONGEST_ID = 100
CONTRADICTION = "回执前后矛盾：同一条数据有不同的处理结果"


class ReceiptFileError(Exception):
    """A receipt file that cannot be believed; says why, never what stands in it."""


@dataclass(frozen=True)
class ReceiptLine:
    """What a file says about one record, by its line in the package, by its key, or by both."""

    line: int | None
    record_key: str | None
    result: str
    rule_code: str | None
    field: str | None
    message: str | None
    upper_id: str | None


def read_receipt_file(content: bytes, record_element: str) -> list[ReceiptLine]:
    """The receipts of one file; raises :class:`ReceiptFileError` for one that is half written or in another form."""
    root = strict_xml(content)
    if root.tag != "RECEIPTS":
        raise ReceiptFileError("its root is not RECEIPTS")
    return [_line(element, record_element) for element in root.iterchildren("RECEIPT")]


def strict_xml(content: bytes) -> etree._Element:
    """The root of a document without a document type; raises :class:`ReceiptFileError` for anything else."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise ReceiptFileError("it is not readable as XML, or not complete yet") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise ReceiptFileError("it has a document type")
    return root


def replies(package: OutgoingPackage, lines: Sequence[ReceiptLine], results: ResultMeaning) -> list[ReceiptReply]:
    """One reply for each record of the package that ``lines`` speak of.

    A line with a key that is not the record's is another record's, and left out. What is said twice counts once; what
    contradicts itself has no meaning that we could act on. A line that the package does not have raises
    :class:`ReceiptFileError`: then the file is about another package.
    """
    by_line = {message.line: message for message in package.messages}
    by_key = {message.record_key: message for message in package.messages}
    found: dict[int, list[ReceiptLine]] = {}
    for line in lines:
        if line.line is None:
            message = by_key.get(line.record_key or "")
        elif not 1 <= line.line <= package.records:
            raise ReceiptFileError(f"it speaks of line {line.line} of a package of {package.records}")
        else:
            message = by_line.get(line.line)
        if message is not None and line.record_key in {None, message.record_key}:
            found.setdefault(message.line, []).append(line)
    return [_reply(by_line[number], said, results) for number, said in sorted(found.items())]


def _reply(message: Message, said: Sequence[ReceiptLine], results: ResultMeaning) -> ReceiptReply:
    first = said[0]
    result, text, meaning = first.result, first.message, _meaning(first.result, results)
    if len({(line.result, line.upper_id) for line in said}) > 1:
        result, text, meaning = "/".join(sorted({line.result for line in said})), CONTRADICTION, "other"
    return ReceiptReply(
        record_id=message.record_key,
        idempotency_key=message.idempotency_key,
        result=result,
        meaning=meaning,
        rule_code=first.rule_code,
        field=first.field,
        message=text,
        upper_id=first.upper_id,
    )


def _meaning(result: str, results: ResultMeaning) -> Meaning:
    if result in results.accepted:
        return "accepted"
    if result in results.rejected:
        return "rejected"
    return "duplicate" if result in results.duplicate else "other"


def _line(element: etree._Element, record_element: str) -> ReceiptLine:
    number = _text(element, "LINE", 9)
    record_key = _text(element, record_element, LONGEST_ID)
    result = _text(element, "RESULT", LONGEST_CODE)
    if number is None and record_key is None:
        raise ReceiptFileError("a receipt says neither line nor record")
    if number is not None and not (number.isascii() and number.isdigit()):
        raise ReceiptFileError("a receipt has a line that is no number")
    if result is None:
        raise ReceiptFileError("a receipt has no result")
    return ReceiptLine(
        line=None if number is None else int(number),
        record_key=record_key,
        result=result,
        rule_code=_text(element, "RULE_CODE", LONGEST_CODE),
        field=_text(element, "FIELD", LONGEST_CODE),
        message=_text(element, "MESSAGE", None),
        upper_id=_text(element, "UPPER_ID", LONGEST_ID),
    )


def _text(element: etree._Element, name: str, longest: int | None) -> str | None:
    text = (element.findtext(name) or "").strip()
    if longest is not None and len(text) > longest:
        raise ReceiptFileError(f"{name} of a receipt has more than {longest} characters")
    return text or None
