"""The protocol of the national web service: rows of XML in one SOAP call, taken as a whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import httpx

from pipelines.catalogue.categories import Category
from pipelines.catalogue.endpoints import Endpoint
from pipelines.catalogue.protocols import XmlCalls
from pipelines.delivery.adapter import Adapter, Holding, Message, OutgoingPackage
from pipelines.delivery.payload import renamed
from pipelines.delivery.replies import (
    Inquiry,
    Meaning,
    PackageRefusedError,
    PackageUnknownError,
    ReceiptReply,
    Receipts,
    SubmitReply,
    Trouble,
)
from pipelines.delivery.rowdata import Answer, rows_text
from pipelines.delivery.soap import sendable
from pipelines.delivery.xml_calls import XmlServiceClient
from pipelines.delivery.xml_held import Row, is_named, is_removed, shown_as
from pipelines.errors import DeliveryError

PAGE = 500
LINE_REFUSED = "接收方拒收数据包中的第{line}行（代码{code}），未说明原因"


class XmlServiceAdapter(Adapter):
    """One endpoint over SOAP.

    A call stores all of its rows or none. An answer that names a line takes that row out, and the others are sent again
    in the same submission: every call has a row less than the one before it, so there are never more calls than rows.
    Characters that XML 1.0 cannot carry are left out of what is sent; nothing else is changed.
    """

    def __init__(self, endpoint: Endpoint, url: str, token: str) -> None:
        if endpoint.xml_service is None:
            raise DeliveryError(
                f"{endpoint.endpoint} does not speak xml_service", remedy="give it a section xml_service"
            )
        self._endpoint = endpoint
        self._service = endpoint.xml_service
        self.place = url
        self._client = XmlServiceClient(endpoint, endpoint.xml_service, url, token)

    def close(self) -> None:
        self._client.close()

    def submit(self, package: OutgoingPackage) -> SubmitReply:
        calls = self._calls(package.category)
        operation = self._operation(package, calls)
        rest = list(package.messages)
        receipts: list[ReceiptReply] = []
        while rest:
            text = rows_text(self._row(package.category, message) for message in rest)
            answer = self._client.call(calls.path, operation, text)
            if answer.code in self._endpoint.results.accepted:
                receipts += self._accepted(rest, answer)
                break
            message = rest.pop(self._offending_line(answer, len(rest)) - 1)
            receipts.append(self._taken_out(message, answer.code))
        return SubmitReply(len(package.messages), httpx.codes.OK, receipts)

    def receipts(self, package: OutgoingPackage) -> Receipts:
        """Never any: the answer to the call was the receipt, and the service keeps none."""
        raise PackageUnknownError

    def inquire(self, package: OutgoingPackage) -> Inquiry:
        """Ask for every record by its document number and subject name; what is held counts by its content.

        A record that is held in an older version is not there yet, and importing it again is harmless.
        """
        calls = self._calls(package.category)
        if calls.query is None:
            return Inquiry("unanswerable")
        there: list[ReceiptReply] = []
        for start in range(0, len(package.messages), PAGE):
            messages = package.messages[start : start + PAGE]
            asked = [self._named(package.category, message) for message in messages]
            held = self._query(calls.path, calls.query, rows_text(asked))
            for message, name in zip(messages, asked, strict=True):
                row = self._proof(package.category, message, [row for row in held if is_named(row, name)])
                if row is not None:
                    there.append(self._settled(message, row.get(self._service.id_name) or message.upper_id))
        if not there:
            return Inquiry("unknown")
        return Inquiry("taken" if len(there) == len(package.messages) else "partly", there)

    def holdings(self, category: Category) -> Iterator[Holding] | None:
        calls = self._calls(category)
        return None if calls.query is None else self._pages(calls.path, calls.query, category)

    # What is sent

    def _calls(self, category: Category) -> XmlCalls:
        return self._service.calls[category.category]

    def _operation(self, package: OutgoingPackage, calls: XmlCalls) -> str:
        operation = {"content": calls.submit, "withdrawal": calls.remove}.get(package.family)
        if operation is None:
            name = self._endpoint.endpoint
            raise DeliveryError(
                f"{name} has no call for a package of {package.category.category} ({package.family})",
                remedy=f"complete calls or take it out of operations in schemas/endpoints/{name}.yaml",
            )
        return operation

    def _row(self, category: Category, message: Message) -> Row:
        return self._named(category, message) if message.operation == "withdraw" else self._fields(category, message)

    def _fields(self, category: Category, message: Message) -> Row:
        return {name: sendable(text) for name, text in renamed(message.data, category, self._endpoint).items()}

    def _named(self, category: Category, message: Message) -> Row:
        """What tells the receiver which record is meant: its own id for a withdrawal, else number and name."""
        if message.operation == "withdraw" and message.upper_id is not None:
            return {self._service.id_name: message.upper_id}
        fields = self._fields(category, message)
        return {name: fields.get(name, "") for name in self._names(category)}

    def _names(self, category: Category) -> tuple[str, str]:
        names = self._endpoint.fields.get(category.category, {})
        number, subject = category.roles.document_number, category.roles.subject_name
        return names.get(number, number), names.get(subject, subject)

    # What is answered

    def _accepted(self, messages: Sequence[Message], answer: Answer) -> list[ReceiptReply]:
        ids: Sequence[str | None] = answer.ids
        if not ids and all(message.operation == "withdraw" for message in messages):
            ids = [message.upper_id for message in messages]
        elif answer.line is not None or len(ids) != len(messages) or len(set(ids)) != len(ids) or not all(ids):
            # They are stored, but nobody knows under which ids.
            raise Trouble("ambiguous", f"the answer has not one id for each of {len(messages)} rows ({len(ids)})")
        return [self._settled(message, upper_id) for message, upper_id in zip(messages, ids, strict=True)]

    def _offending_line(self, answer: Answer, rows: int) -> int:
        if answer.line is None:
            if answer.code in self._endpoint.results.rejected:
                raise PackageRefusedError(f"code {answer.code}")
            raise Trouble("broken", f"the answer has the code {answer.code} and names no line")
        if answer.line == 0:
            # Our text is well formed, so something in a record is too much for the receiver's reader.
            raise PackageRefusedError(f"code {answer.code} line 0")
        if not 0 < answer.line <= rows:
            raise Trouble("broken", f"the answer names line {answer.line} of {rows}")
        return answer.line

    def _taken_out(self, message: Message, code: str) -> ReceiptReply:
        duplicate = code in self._endpoint.results.duplicate
        text = None if duplicate else LINE_REFUSED.format(line=message.line, code=code)
        return self._receipt(message, code, "duplicate" if duplicate else "rejected", text, None)

    def _settled(self, message: Message, upper_id: str | None) -> ReceiptReply:
        return self._receipt(message, self._endpoint.results.accepted[0], "accepted", None, upper_id)

    def _receipt(
        self, message: Message, code: str, meaning: Meaning, text: str | None, upper_id: str | None
    ) -> ReceiptReply:
        return ReceiptReply(
            record_id=message.record_key,
            idempotency_key=message.idempotency_key,
            result=code,
            meaning=meaning,
            rule_code=code if meaning == "rejected" else None,
            field=None,
            message=text,
            upper_id=upper_id,
        )

    # What is held

    def _query(self, path: str, operation: str, text: str) -> Sequence[Row]:
        try:
            answer = self._client.call(path, operation, text)
        except PackageRefusedError as refused:
            # Said about the question: it must not count as said about the records.
            raise Trouble("broken", f"the query is refused ({refused})") from None
        if answer.code not in self._endpoint.results.accepted:
            raise Trouble("broken", f"the query is answered with the code {answer.code}")
        return answer.rows

    def _proof(self, category: Category, message: Message, held: Sequence[Row]) -> Row | None:
        """What shows that the receiver has done as ``message`` says, among what it holds under its name."""
        if message.operation == "withdraw":
            return held[-1] if held and all(is_removed(row) for row in held) else None
        return shown_as(
            held,
            self._fields(category, message),
            self._names(category),
            self._service.id_name,
            is_new=message.operation == "new",
        )

    def _pages(self, path: str, operation: str, category: Category) -> Iterator[Holding]:
        number, subject = self._names(category)
        offset, first = 0, None
        while page := self._query(path, operation, rows_text([], offset=str(offset), limit=str(PAGE))):
            if page[0] == first:
                raise Trouble("broken", "the query gives the same page again")
            for row in page:
                yield Holding(
                    upper_id=row.get(self._service.id_name) or None,
                    record_key=None,
                    content_hash=None,
                    document_number=row.get(number),
                    subject_name=row.get(subject),
                    state="withdrawn" if is_removed(row) else "shown",
                )
            first = page[0]
            offset += len(page)
