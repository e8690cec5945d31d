"""Packages with their records: due rows looked up in the record store, turned into messages, grouped by urgency."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pipelines.catalogue.categories import Category
from pipelines.catalogue.endpoints import Endpoint
from pipelines.delivery import outbox
from pipelines.delivery.payload import PayloadError, record_data, record_message
from pipelines.errors import CatalogueError
from pipelines.ledger.database import Ledger
from pipelines.ledger.models import Outbox, Package

VersionKey = tuple[str, str, int]
"""Feed, record key, version."""
LoadRecords = Callable[[str, Sequence[VersionKey]], Mapping[VersionKey, Mapping[str, object]]]
"""Category code and version keys → the stored rows."""

NOT_IN_STORE = "信用记录库中没有该版本的数据，无法报送"
CANNOT_BE_SENT = "该字段的值无法报送：{problem}"

_Data = dict[int, dict[str, str]]
_Problems = dict[int, tuple[str | None, str]]


class Packer:
    """Forms packages for one endpoint. ``withheld`` counts the rows it had to take out of the way."""

    def __init__(
        self,
        ledger: Ledger,
        endpoint: Endpoint,
        categories: Mapping[str, Category],
        load_records: LoadRecords,
        now: Callable[[], datetime],
    ) -> None:
        self.withheld = 0
        self._ledger = ledger
        self._endpoint = endpoint
        self._categories = categories
        self._load_records = load_records
        self._now = now
        self._built: _Data = {}

    def form(self, most: int) -> bool:
        """Form up to ``most`` packages of the rows that are most urgent; ``False`` when nothing is due.

        The record store is asked once for all of them. A row that cannot be sent is withheld and becomes a
        finding, so that it does not spoil its package.
        """
        size = self._endpoint.package_size
        with self._ledger.read() as session:
            rows = outbox.due(session, self._endpoint.endpoint, most * size)
        if not rows:
            return False
        self._built, problems = self._build(rows)
        good = [row.id for row in rows if row.id not in problems]
        with self._ledger.write() as session:
            outbox.withhold(session, problems, self._now())
            for start in range(0, len(good), size):
                outbox.form_package(session, good[start : start + size], self._now())
        self.withheld += len(problems)
        return True

    def messages(self, package: Package) -> list[dict[str, Any]] | None:
        """The messages of a package, or ``None`` when something in it must not travel any more.

        Such a package is taken apart, and what is good of it is due again: the idempotency keys of the records
        make it harmless should the receiver have got the package after all.
        """
        with self._ledger.read() as session:
            rows = outbox.rows_of(session, package.id)
        data = self._built
        problems: _Problems = {}
        if any(row.id not in data for row in rows):
            data, problems = self._build(rows)
        if problems or not rows or any(row.withheld_at is not None for row in rows):
            with self._ledger.write() as session:
                outbox.dissolve(session, package.id, self._now())
            return None
        return [
            record_message(
                record_key=row.record_key,
                operation=row.operation,
                idempotency_key=row.idempotency_key,
                content_hash=row.content_hash,
                data=data[row.id],
            )
            for row in rows
        ]

    def _build(self, rows: Sequence[Outbox]) -> tuple[_Data, _Problems]:
        data: _Data = {}
        problems: _Problems = {}
        if not rows:
            return data, problems
        category = self._categories.get(rows[0].category)
        if category is None:
            raise CatalogueError(
                f"the outbox holds records of the unknown category {rows[0].category}",
                remedy="put its description back under schemas/categories, then deliver again",
            )
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
