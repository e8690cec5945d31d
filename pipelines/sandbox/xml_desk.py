"""What the receiver's web service does with a call: import, remove and query, each with the answer as text.

Rows carry no id of the sender's, so a record is known by category, document number, subject name and subject code: with
another number or name it is another record.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal
from uuid import uuid4

from sqlalchemy import select

from pipelines.catalogue.categories import Category
from pipelines.sandbox.desk import Desk, NotWholeError
from pipelines.sandbox.judge import DUPLICATE
from pipelines.sandbox.messages import MOST_RECORDS, SentPackage, SentRecord
from pipelines.sandbox.natural_key import content_hash, natural_record_id
from pipelines.sandbox.soap_envelopes import Question, UnreadableError, answer, held_rows, read_rows
from pipelines.sandbox.store import HeldRecord

OK, REPEATED, UNREADABLE = "00", "04", "99"
ID, FLAG, SHOWN, REMOVED = "ID", "FLAG", "1", "2"
LONGEST_PAGE = 1000

Row = Mapping[str, str]


class XmlDesk:
    """The web service of one category at the one desk of the receiver."""

    def __init__(self, desk: Desk, category: Category) -> None:
        self._desk = desk
        self._category = category

    def submit(self, text: str) -> str:
        """Take all rows, new or changed, or none."""
        return self._take(text, "IMPORT")

    def remove(self, text: str) -> str:
        """Withdraw all records that the rows name by id, or by number and name, or none."""
        return self._take(text, "WITHDRAW")

    def query(self, text: str) -> str:
        """What is held under the names of the rows; without rows a page of all that is held."""
        try:
            question = read_rows(text)
        except UnreadableError:
            return answer(UNREADABLE, line=0)
        if question.rows:
            found = [record for row in question.rows for record in self._held(row)]
        else:
            limit = min(question.limit, LONGEST_PAGE)
            found = list(self._desk.held(self._category, question.offset, limit))
        return held_rows(OK, [_as_row(record) for record in found])

    def _take(self, text: str, operation: Literal["IMPORT", "WITHDRAW"]) -> str:
        try:
            question = read_rows(text)
        except UnreadableError:
            return answer(UNREADABLE, line=0)
        if not 0 < len(question.rows) <= MOST_RECORDS:
            return answer(UNREADABLE, line=0)
        package = self._package(question, operation)
        try:
            self._desk.receive(self._category, package, package.package_id, "xml_service", whole=True)
        except NotWholeError as error:
            code = REPEATED if error.receipt.result == DUPLICATE else error.receipt.rule_code or UNREADABLE
            return self._told(code, [], error.receipt.position + 1, len(package.records))
        receipts = self._desk.receipts(package.package_id) or ()
        return self._told(OK, [receipt.upper_id or "" for receipt in receipts], None, len(package.records))

    def _told(self, code: str, ids: list[str], line: int | None, rows: int) -> str:
        """The answer, spoiled if so asked: none at all, an id too few, every id twice, a line that nobody sent."""
        behaviour = self._desk.misbehaviour
        if behaviour.takes("lost_receipt"):
            return ""
        if behaviour.takes("wrong_receipt"):
            ids, line = ids[:-1], line and line + rows
        if behaviour.takes("duplicate_receipt"):
            ids *= 2
        return answer(code, line=line, ids=ids if line is None else None)

    def _package(self, question: Question, operation: Literal["IMPORT", "WITHDRAW"]) -> SentPackage:
        # Every call is judged by what is held now, however often the same rows came before: the service knows no
        # packages and no keys of the sender.
        call = uuid4().hex
        records = [
            SentRecord(
                recordId=natural_record_id(self._category, row) if operation == "IMPORT" else self._named_id(row),
                operation=operation,
                idempotencyKey=f"{call}-{line}",
                contentHash=content_hash(row),
                data=dict(row),
            )
            for line, row in enumerate(question.rows, start=1)
        ]
        return SentPackage(packageId=call, sentAt=datetime.now(UTC), records=tuple(records))

    def _named_id(self, row: Row) -> str:
        held = self._held(row)
        return held[0].record_id if held else natural_record_id(self._category, row)

    def _held(self, row: Row) -> Sequence[HeldRecord]:
        """The records that a row names, shown ones first."""
        roles = self._category.roles
        query = select(HeldRecord).where(HeldRecord.category == self._category.category)
        if ID in row:
            number = re.fullmatch(r"SJ(\d{12})", row[ID])
            query = query.where(HeldRecord.id == (int(number[1]) if number else 0))
        else:
            query = query.where(
                HeldRecord.document_number == row.get(roles.document_number, ""),
                HeldRecord.subject_name == row.get(roles.subject_name, ""),
            )
        with self._desk.sessions() as session:
            return list(session.scalars(query.order_by(HeldRecord.withdrawn_at.is_not(None), HeldRecord.id)))


def _as_row(record: HeldRecord) -> dict[str, str]:
    fields = {code: text for code, text in record.data.items() if text}
    return {ID: record.upper_id, FLAG: REMOVED if record.withdrawn_at else SHOWN} | fields
