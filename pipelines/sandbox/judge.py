"""One package judged and stored in one transaction: record by record, so that none blocks its neighbours."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from pipelines.catalogue.categories import Category
from pipelines.sandbox import rules
from pipelines.sandbox.messages import SentPackage, SentRecord
from pipelines.sandbox.rules import Refusal
from pipelines.sandbox.store import AcceptedKey, HeldRecord, IssuedReceipt, ReceivedPackage
from pipelines.sandbox.subjects import Subjects

ACCEPTED, REJECTED, DUPLICATE = "1", "2", "4"


class Judge:
    """Decides about the records of one package against everything held already.

    What is held is looked up once per package, not per record; records of the same package see each other.
    """

    def __init__(
        self, session: Session, category: Category, subjects: Subjects | None, today: date, at: datetime
    ) -> None:
        self._session = session
        self._category = category
        self._subjects = subjects
        self._today = today
        self._at = at
        self._by_key: dict[str, HeldRecord] = {}
        self._by_record: dict[str, HeldRecord] = {}
        self._by_document: dict[tuple[str, str], HeldRecord] = {}
        self._accepted_keys: list[dict[str, object]] = []
        self._next_number = (session.scalar(select(func.max(HeldRecord.id))) or 0) + 1

    def receive(
        self, package: SentPackage, idempotency_key: str, protocol: str, *, some_are_refused: bool = False
    ) -> ReceivedPackage:
        """Store the package, what it changes and a receipt for each of its records.

        ``some_are_refused``: every other record, from the first one, is refused for no reason of its own.
        """
        stored = ReceivedPackage(
            package_id=package.package_id,
            idempotency_key=idempotency_key,
            category=self._category.category,
            protocol=protocol,
            digest=package.digest(),
            received=len(package.records),
            received_at=self._at,
        )
        self._session.add(stored)
        self._session.flush()
        self._look_up(package.records)
        receipts = [
            self._receipt(stored.package_id, position, record, spoiled=some_are_refused and position % 2 == 0)
            for position, record in enumerate(package.records)
        ]
        self._session.flush()
        self._session.execute(insert(IssuedReceipt), receipts)
        if self._accepted_keys:
            self._session.execute(insert(AcceptedKey), self._accepted_keys)
        return stored

    def _look_up(self, records: Iterable[SentRecord]) -> None:
        records = tuple(records)
        same_category = HeldRecord.category == self._category.category
        keys = {record.idempotency_key for record in records}
        known = select(AcceptedKey.idempotency_key, HeldRecord).join(HeldRecord, HeldRecord.id == AcceptedKey.record)
        for key, held in self._session.execute(known.where(AcceptedKey.idempotency_key.in_(keys))):
            self._by_key[key] = held
        ids = {record.record_id for record in records}
        for held in self._session.scalars(select(HeldRecord).where(same_category, HeldRecord.record_id.in_(ids))):
            self._by_record[held.record_id] = held
        documents = {self._document(record)[0] for record in records}
        for held in self._session.scalars(
            select(HeldRecord).where(same_category, HeldRecord.document_number.in_(documents))
        ):
            self._by_document[held.document_number, held.subject_name] = held

    def _document(self, record: SentRecord) -> tuple[str, str]:
        roles = self._category.roles
        return record.data.get(roles.document_number) or "", record.data.get(roles.subject_name) or ""

    def _receipt(self, package_id: str, position: int, record: SentRecord, *, spoiled: bool) -> dict[str, object]:
        result, held, why = self._decide(record, spoiled=spoiled)
        return {
            "package_id": package_id,
            "position": position,
            "record_id": record.record_id,
            "idempotency_key": record.idempotency_key,
            "result": result,
            "rule_code": why.rule if why else None,
            "field": why.field if why else None,
            "message": why.message if why else None,
            "upper_id": held.upper_id if held else None,
        }

    def _decide(self, record: SentRecord, *, spoiled: bool) -> tuple[str, HeldRecord | None, Refusal | None]:
        repeated = self._by_key.get(record.idempotency_key) or self._held_so(record)
        if repeated is not None:
            return DUPLICATE, repeated, None
        if spoiled:
            return REJECTED, None, rules.no_reason()
        if record.operation in {"WITHDRAW", "OBJECTION_ON", "OBJECTION_OFF"}:
            return self._act(record)
        why = rules.check(self._category, record.data, self._subjects, self._today)
        if why is not None:
            return REJECTED, None, why
        document = self._document(record)
        twin = self._by_document.get(document)
        if twin is not None and twin.record_id != record.record_id and twin.withdrawn_at is None:
            number = self._category.roles.document_number
            return REJECTED, None, rules.refusal(rules.SAME_DOCUMENT, number, "文书号和行政相对人名称相同的数据已存在")
        held = self._by_record.get(record.record_id)
        if held is not None and held.withdrawn_at is not None:
            # What was withdrawn comes back as new only: an update of it is a mistake of the sender.
            if record.operation == "UPDATE":
                return REJECTED, None, rules.refusal(rules.RECORD_UNKNOWN, None, "该数据已撤回，不能更新")
            return ACCEPTED, self._accept(record, held, document), None
        if record.operation == "NEW" and held is not None:
            return (
                REJECTED,
                None,
                rules.refusal(rules.NOT_ALLOWED, None, "该数据已上报，不得重复推送，变更请使用更新操作"),
            )
        if record.operation == "UPDATE" and held is None:
            return REJECTED, None, rules.refusal(rules.RECORD_UNKNOWN, None, "未查询到需要更新的数据")
        return ACCEPTED, self._accept(record, held, document), None

    def _held_so(self, record: SentRecord) -> HeldRecord | None:
        """The record, if it is held just as it is sent: not every protocol brings the idempotency key."""
        held = self._by_record.get(record.record_id)
        if held is None:
            return None
        if record.operation == "WITHDRAW":
            return held if held.withdrawn_at is not None else None
        if held.withdrawn_at is not None:
            return None
        if record.operation in {"OBJECTION_ON", "OBJECTION_OFF"}:
            return held if held.objection == (record.operation == "OBJECTION_ON") else None
        return held if held.content_hash == record.content_hash else None

    def _act(self, record: SentRecord) -> tuple[str, HeldRecord | None, Refusal | None]:
        held = self._by_record.get(record.record_id)
        if held is None:
            return REJECTED, None, rules.refusal(rules.RECORD_UNKNOWN, None, "未查询到需要办理的数据")
        if record.operation == "WITHDRAW":
            held.withdrawn_at, held.withdrawn_reason = self._at, record.reason
            held.objection = False
        else:
            if held.withdrawn_at is not None:
                return REJECTED, None, rules.refusal(rules.RECORD_UNKNOWN, None, "该数据已撤回")
            held.objection = record.operation == "OBJECTION_ON"
        self._by_key[record.idempotency_key] = held
        self._accepted_keys.append({"idempotency_key": record.idempotency_key, "record": held.id})
        return ACCEPTED, held, None

    def _accept(self, record: SentRecord, held: HeldRecord | None, document: tuple[str, str]) -> HeldRecord:
        if held is None:
            held = HeldRecord(
                id=self._next_number,
                category=self._category.category,
                record_id=record.record_id,
                content_hash=record.content_hash,
                document_number=document[0],
                subject_name=document[1],
                data=record.data,
                updates=0,
                accepted_at=self._at,
            )
            self._next_number += 1
            self._session.add(held)
        else:
            self._by_document.pop((held.document_number, held.subject_name), None)
            held.document_number, held.subject_name = document
            held.content_hash = record.content_hash
            held.data = record.data
            held.updates += 1
            held.updated_at = self._at
            held.withdrawn_at = held.withdrawn_reason = None
        self._by_key[record.idempotency_key] = held
        self._by_record[record.record_id] = held
        self._by_document[document] = held
        self._accepted_keys.append({"idempotency_key": record.idempotency_key, "record": held.id})
        return held
