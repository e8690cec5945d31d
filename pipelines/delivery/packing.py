"""Packages with their records: due rows looked up in the record store, turned into messages, grouped by urgency."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import cast

from sqlalchemy.orm import Session

from pipelines.catalogue.categories import Category
from pipelines.catalogue.endpoints import Endpoint, Family, Operation
from pipelines.delivery import outbox, packages
from pipelines.delivery.adapter import Adapter, Message, OutgoingPackage
from pipelines.delivery.payload import PayloadError, record_data
from pipelines.errors import CatalogueError
from pipelines.ledger.database import Ledger
from pipelines.ledger.models import Outbox, Package

VersionKey = tuple[str, str, int]
"""Feed, record key, version."""
LoadRecords = Callable[[str, Sequence[VersionKey]], Mapping[VersionKey, Mapping[str, object]]]
"""Category code and version keys → the stored rows."""

NOT_IN_STORE = "信用记录库中没有该版本的数据，无法报送"
CANNOT_BE_SENT = "该字段的值无法报送：{problem}"
NOT_TAKEN = "接收方不受理“{operation}”操作，请人工办理"
BY_HAND = "MANUAL"
"""The rule of findings about operations that an endpoint does not take: a person has to see to it."""
OPERATION_ZH = {
    "new": "新增",
    "update": "更新",
    "withdraw": "撤回",
    "objection_on": "异议标注",
    "objection_off": "取消异议标注",
}

_Data = dict[int, dict[str, str]]
_Problems = dict[int, tuple[str | None, str]]


class Packer:
    """Forms packages for one endpoint.

    ``withheld`` counts the rows that could not be sent, ``needless`` those that need not be.
    """

    def __init__(
        self,
        ledger: Ledger,
        endpoint: Endpoint,
        adapter: Adapter,
        categories: Mapping[str, Category],
        load_records: LoadRecords,
        now: Callable[[], datetime],
    ) -> None:
        self.withheld = self.needless = 0
        self._ledger = ledger
        self._endpoint = endpoint
        self._adapter = adapter
        self._categories = categories
        self._load_records = load_records
        self._now = now
        self._size = min(endpoint.package_size, endpoint.rate or endpoint.package_size)
        self._built: _Data = {}
        self._formed: dict[str, Sequence[Outbox]] = {}

    def form(self, most: int) -> bool:
        """Form packages of up to ``most`` packages' worth of the rows that are most urgent; ``False`` when none is due.

        The record store is asked once for all of them. A row that cannot be sent is withheld and becomes a
        finding, so that it does not spoil its package.
        """
        size = self._size
        with self._ledger.read() as session:
            rows = outbox.due(session, self._endpoint.endpoint, most * size)
            pointless = outbox.settle_operations(session, rows)
        if not rows:
            return False
        wanted = [row for row in rows if row.id not in pointless]
        self._built, problems = self._build(wanted)
        not_taken = self._not_taken(wanted)
        stuck = {row.id: row.operation for row in wanted if row.id in problems or row.id in not_taken}
        shapes: dict[str, list[Outbox]] = {}
        for row in wanted:
            if row.id not in stuck:
                shape = self._adapter.shape(self._category(row.category), self._built[row.id])
                shapes.setdefault(shape, []).append(row)
        with self._ledger.write() as session:
            outbox.set_aside(session, pointless, self._now())
            outbox.withhold(session, not_taken, self._now(), BY_HAND)
            outbox.withhold(session, problems, self._now())
            outbox.note_operations(session, stuck)
            for shape, good in shapes.items():
                for start in range(0, len(good), size):
                    self._form(session, good[start : start + size], shape)
        self.withheld += len(not_taken.keys() | problems.keys())
        self.needless += len(pointless)
        return True

    def _form(self, session: Session, rows: Sequence[Outbox], shape: str) -> None:
        package = packages.form_package(session, rows, shape, self.name, self._now())
        if package is not None:
            self._formed[package.id] = [row for row in rows if row.package == package.id]

    def name(self, session: Session, package: Package) -> str:
        """What the receiver will know a new package by."""
        return self._adapter.reference(
            package.id,
            package.round,
            self._category(package.category),
            package.shape,
            package.created_at,
            lambda beginning: packages.references(session, package.endpoint, beginning),
        )

    def outgoing(self, package: Package) -> OutgoingPackage | None:
        """A package with its messages, or ``None`` when something in it must not travel any more.

        Such a package is taken apart, and what is good of it is due again: the idempotency keys of the records
        make it harmless should the receiver have got the package after all. What was withdrawn before the package ever
        left is never sent.
        """
        withdrawn: list[int] = []
        with self._ledger.read() as session:
            rows = self._formed.pop(package.id, ())
            if not rows or not packages.is_intact(session, package.id, len(rows)):
                rows = packages.rows_of(session, package.id)
                withdrawn = packages.withdrawn_before_leaving(session, package)
            upper_ids = outbox.upper_ids(session, rows)
        data = self._built
        problems: _Problems = {}
        if any(row.id not in data for row in rows):
            data, problems = self._build(rows)
        if problems or withdrawn or not rows or any(row.withheld_at is not None for row in rows):
            with self._ledger.write() as session:
                outbox.set_aside(session, dict.fromkeys(withdrawn, packages.RETRACTED), self._now())
                packages.dissolve(session, package.id, self._now())
            self.needless += len(withdrawn)
            return None
        return self._outgoing(package, rows, upper_ids, data)

    def without_data(self, session: Session, package: Package) -> OutgoingPackage:
        """A package as an adapter needs it to ask for receipts."""
        return self._outgoing(package, packages.rows_of(session, package.id), {}, {})

    def with_what_there_is(self, session: Session, package: Package) -> OutgoingPackage:
        """A package that was taken long ago, with the data that the record store still has of it, to be asked about."""
        rows = packages.rows_of(session, package.id)
        return self._outgoing(package, rows, outbox.upper_ids(session, rows), self._build(rows)[0])

    def _outgoing(
        self,
        package: Package,
        rows: Sequence[Outbox],
        upper_ids: Mapping[str, str],
        data: Mapping[int, Mapping[str, str]],
    ) -> OutgoingPackage:
        if package.reference is None:
            raise ValueError(f"the package {package.id} was never named")
        messages = [
            Message(
                line=row.line or position,
                record_key=row.record_key,
                operation=cast(Operation, row.operation),
                reason=row.reason,
                idempotency_key=row.idempotency_key,
                content_hash=row.content_hash,
                upper_id=upper_ids.get(row.record_key),
                data=data.get(row.id, {}),
            )
            for position, row in enumerate(rows, start=1)
        ]
        return OutgoingPackage(
            package_id=package.id,
            reference=package.reference,
            category=self._category(package.category),
            family=cast(Family, package.family),
            shape=package.shape,
            created_at=package.created_at,
            offered=package.offered_at is not None,
            records=package.records,
            messages=messages,
        )

    def _category(self, code: str) -> Category:
        category = self._categories.get(code)
        if category is None:
            raise CatalogueError(
                f"the outbox holds records of the unknown category {code}",
                remedy="put its description back under schemas/categories, then deliver again",
            )
        return category

    def _not_taken(self, rows: Sequence[Outbox]) -> _Problems:
        taken = self._endpoint.operations
        return {
            row.id: (None, NOT_TAKEN.format(operation=OPERATION_ZH[row.operation]))
            for row in rows
            if row.operation not in taken
        }

    def _build(self, rows: Sequence[Outbox]) -> tuple[_Data, _Problems]:
        data: _Data = {}
        problems: _Problems = {}
        if not rows:
            return data, problems
        category = self._category(rows[0].category)
        stored = self._load_records(category.category, [(row.feed, row.record_key, row.version) for row in rows])
        for row in rows:
            record = stored.get((row.feed, row.record_key, row.version))
            if record is None:
                problems[row.id] = (None, NOT_IN_STORE)
                continue
            try:
                data[row.id] = record_data(record, category, self._endpoint)
            except PayloadError as error:
                problems[row.id] = (error.field, CANNOT_BE_SENT.format(problem=error))
        return data, problems
