"""The upper side of a front-end database: reads what is unread, lets the desk judge it, writes receipts."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import URL, Engine, create_engine, delete, insert, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from pipelines.catalogue.categories import Category
from pipelines.catalogue.endpoints import Endpoint
from pipelines.catalogue.protocols import ExchangeTable
from pipelines.deadlines.clock import BEIJING_TIME
from pipelines.sandbox.desk import Desk, StoreFullError
from pipelines.sandbox.front_end_tables import front_end_tables
from pipelines.sandbox.messages import SentPackage, SentRecord
from pipelines.sandbox.store import HeldRecord

SHOWN = "1"
UNREAD, READ = 0, 1
Asked = Literal["NEW", "UPDATE", "IMPORT", "WITHDRAW", "OBJECTION_ON", "OBJECTION_OFF"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Batch:
    """Rows that were marked as read together."""

    category: Category
    number: str
    rows: Sequence[Mapping[str, Any]]


class Consumer:
    """Reads batches of one front-end database, as its endpoint describes them; use it from one thread only.

    Misbehaves as the desk is asked to: ``slow`` leaves everything unread this time, ``fail_before`` and ``fail_after``
    lose a batch before and after the desk has stored it, ``processing`` writes half of the receipts now and the rest
    next time, ``full_disk`` keeps a batch waiting, ``wrong_clock`` marks and answers at a wrong time; receipts are told
    as the desk tells them.
    """

    def __init__(self, desk: Desk, engine: Engine, endpoint: Endpoint) -> None:
        section = endpoint.exchange_table
        if section is None:
            raise ValueError(f"{endpoint.endpoint} has no section exchange_table")
        self._desk = desk
        self._behaviour = desk.misbehaviour
        self._engine = engine
        self._section = section
        self._tables = front_end_tables(endpoint, desk.categories)
        self._asked = _operations(section)
        self._taken: list[_Batch] = []
        self._late: list[dict[str, Any]] = []

    def create_tables(self) -> None:
        """Create the tables that are not there yet."""
        self._tables.metadata.create_all(self._engine)

    def consume_once(self) -> int:
        """Read and answer all that is unread now; returns how many batches were read."""
        if self._behaviour.takes("slow"):
            return 0
        before = len(self._taken)
        for code in self._tables.content:
            while (batch := self._take(self._desk.categories[code])) is not None:
                # The sender may have taken all of it back at the last moment.
                if batch.rows:
                    self._taken.append(batch)
        read = len(self._taken) - before
        receipts, self._late = self._late, []
        # In their order: a batch that has to wait holds up those behind it.
        while self._taken and (judged := self._judged(self._taken[0])) is not None:
            receipts += judged
        if receipts:
            with self._engine.begin() as connection:
                connection.execute(insert(self._tables.receipts), receipts)
        return read

    def _take(self, category: Category) -> _Batch | None:
        """Mark the oldest unread batch as read, or take it away; its rows are locked meanwhile."""
        table = self._tables.content[category.category]
        unread = table.c.read == UNREAD
        with self._engine.begin() as connection:
            oldest = select(table.c.batch).where(unread).order_by(table.c.written_at, table.c.batch).limit(1)
            number = connection.scalar(oldest)
            if number is None:
                return None
            wanted = (table.c.batch == number, unread)
            columns = [column.label(column.key) for column in table.c]
            rows = [row._asdict() for row in connection.execute(select(*columns).where(*wanted).with_for_update())]
            if self._section.consumed_rows == "move":
                connection.execute(delete(table).where(*wanted))
            else:
                connection.execute(update(table).where(*wanted).values(read=READ, read_at=self._now()))
        return _Batch(category, number, rows)

    def _judged(self, batch: _Batch) -> list[dict[str, Any]] | None:
        """The receipts to write now; ``None`` for a batch that cannot be stored yet: it stays taken."""
        if self._behaviour.takes("fail_before"):
            self._taken.pop(0)
            return []
        records = tuple(self._record(batch, row) for row in batch.rows)
        # A batch that comes again without what was taken back meanwhile is another package.
        digest = hashlib.sha256(repr(records).encode()).hexdigest()
        package = SentPackage(
            packageId=f"{batch.number[:31]}-{digest[:32]}", sentAt=batch.rows[0]["written_at"], records=records
        )
        try:
            self._desk.receive(batch.category, package, package.package_id, via="exchange_table")
        except StoreFullError:
            return None
        self._taken.pop(0)
        if self._behaviour.takes("fail_after"):
            return []
        self._show(batch.category, [record.record_id for record in records])
        receipts = self._receipts(batch.number, package.package_id)
        if self._behaviour.takes("processing"):
            half = len(receipts) // 2
            self._late += receipts[half:]
            return receipts[:half]
        return receipts

    def _record(self, batch: _Batch, row: Mapping[str, Any]) -> SentRecord:
        operation, reason = self._asked[row["operation"]]
        # The table brings no key of its own: what was sent before is known by what is held.
        key = hashlib.sha256(f"{batch.number} {row['record']}".encode()).hexdigest()
        return SentRecord(
            recordId=row["record"],
            operation=operation,
            reason=reason,
            idempotencyKey=key,
            contentHash=row["content_hash"],
            data={code: row[code] for code in batch.category.field_codes if row[code] is not None},
        )

    def _receipts(self, number: str, package_id: str) -> list[dict[str, Any]]:
        issued_at = self._now()
        return [
            {
                "batch": number,
                "record": line.record_id,
                "result": line.result,
                "rule_code": line.rule_code,
                "field": line.field,
                "message": line.message,
                "upper_id": line.upper_id,
                "issued_at": issued_at,
            }
            for line in self._desk.told(package_id) or ()
        ]

    def _show(self, category: Category, records: Iterable[str]) -> None:
        """Bring what is shown as held up to date for some records."""
        table = self._tables.held.get(category.category)
        views = self._section.holdings
        if table is None or views is None:
            return
        keys = list(records)
        query = select(HeldRecord).where(HeldRecord.category == category.category, HeldRecord.record_id.in_(keys))
        with self._desk.sessions() as session:
            lines = [
                {
                    "record": held.record_id,
                    "content_hash": held.content_hash,
                    "upper_id": held.upper_id,
                    "state": views.withdrawn[0] if held.withdrawn_at else SHOWN,
                    **({"objection": held.objection} if views.objection else {}),
                }
                for held in session.scalars(query)
            ]
        with self._engine.begin() as connection:
            connection.execute(delete(table).where(table.c.record.in_(keys)))
            if lines:
                connection.execute(insert(table), lines)

    def _now(self) -> datetime:
        now = datetime.now(BEIJING_TIME).replace(tzinfo=None)
        wrong = self._behaviour.takes("wrong_clock")
        return now - timedelta(seconds=wrong.seconds) if wrong else now


class RunningConsumer:
    """A consumer in a thread of its own."""

    def __init__(self, consume: Callable[[], int], pause_seconds: float) -> None:
        self._consume = consume
        self._pause = pause_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="front-end consumer")
        self._thread.start()

    def stop(self) -> None:
        """End it after the batch that it is at."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._pause):
            try:
                self._consume()
            except OperationalError as error:
                # The database restarts, or a sender holds a lock: the next look finds everything where it was. Only
                # the kind is told, because the text may repeat a record.
                _log.warning("the front-end database does not answer (%s)", type(error.orig).__name__)


def open_front_end(url: URL | str) -> Engine:
    """The engine of the upper side; ``url`` holds its user and password."""
    return create_engine(url, poolclass=NullPool, hide_parameters=True, isolation_level="READ COMMITTED")


def start_consumer(desk: Desk, endpoint: Endpoint, url: URL | str, *, pause_seconds: float = 0.2) -> RunningConsumer:
    """Create the tables of ``endpoint`` in the database at ``url`` and consume them until stopped."""
    consumer = Consumer(desk, open_front_end(url), endpoint)
    consumer.create_tables()
    return RunningConsumer(consumer.consume_once, pause_seconds)


def _operations(section: ExchangeTable) -> dict[str, tuple[Asked, str | None]]:
    """What stands in the column OP → what is asked, and why."""
    names: dict[str, Asked] = {
        "new": "NEW",
        "update": "UPDATE",
        "withdraw": "WITHDRAW",
        "objection_on": "OBJECTION_ON",
        "objection_off": "OBJECTION_OFF",
    }
    asked: dict[str, tuple[Asked, str | None]] = {}
    for operation, code in section.operations.items():
        # One code for new and changed records: the receiver has to see for itself.
        asked[code] = (names[operation], None) if code not in asked else ("IMPORT", None)
    for reason, code in section.withdrawals.items():
        asked[code] = ("WITHDRAW", reason)
    return asked
