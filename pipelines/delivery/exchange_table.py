"""Front-end database tables (前置库): packages are rows that the receiver reads, receipts are rows that we read.

Domain notes 6.3. A batch is inserted in one transaction, which first looks whether it is there already.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    URL,
    ColumnClause,
    ColumnElement,
    Connection,
    String,
    TableClause,
    and_,
    case,
    column,
    delete,
    exists,
    insert,
    literal_column,
    quoted_name,
    select,
    table,
)

from pipelines.catalogue.categories import Category
from pipelines.catalogue.endpoints import Endpoint
from pipelines.catalogue.protocols import ExchangeTable, HoldingViews
from pipelines.deadlines.clock import BEIJING_TIME
from pipelines.delivery.adapter import Adapter, Holding, Message, OutgoingPackage
from pipelines.delivery.exchange_connection import FrontEndDatabase
from pipelines.delivery.exchange_receipts import moment_of, read_receipts, receipt_row, text_of
from pipelines.delivery.payload import renamed
from pipelines.delivery.replies import Inquiry, PackageRefusedError, ReceiptReply, Receipts, SubmitReply
from pipelines.errors import DeliveryError

# Text without a type fits a flag that is a number, a character or a truth value.
UNREAD: ColumnElement[str] = literal_column("'0'")
HOLDINGS_AT_A_TIME = 1000


def beijing_now() -> datetime:
    """Chinese time without zone, as front-end tables hold it."""
    return datetime.now(BEIJING_TIME).replace(tzinfo=None, microsecond=0)


@dataclass(frozen=True)
class _RowState:
    """A row that is still in the table."""

    unread: bool
    read_at: datetime | None
    written_at: datetime | None


class ExchangeTableAdapter(Adapter):
    """One endpoint over the tables of its front-end database."""

    def __init__(self, endpoint: Endpoint, url: URL, password: str, now: Callable[[], datetime] = beijing_now) -> None:
        """``url`` as :func:`endpoint_database` gives it; ``now`` gives Chinese time without zone."""
        if endpoint.exchange_table is None:
            raise DeliveryError(
                f"{endpoint.endpoint} does not speak exchange_table", remedy="give it a section exchange_table"
            )
        self._endpoint = endpoint
        self._section: ExchangeTable = endpoint.exchange_table
        self._now = now
        columns = self._section.columns
        self._batch, self._record = _text_column(columns.batch), _text_column(columns.record)
        self._unread = _column(columns.read) == UNREAD
        self._database = FrontEndDatabase(endpoint, url, self._section.user, password)
        self.place = self._database.place

    def close(self) -> None:
        self._database.close()

    def submit(self, package: OutgoingPackage) -> SubmitReply:
        rows = self._rows(package)
        place = self._table(package.category, rows[0])
        try:
            with self._database.writing() as connection:
                self._database.hold(connection, package.reference)
                if not self._is_there(connection, package):
                    connection.execute(insert(place), rows)
        except PackageRefusedError:
            # Servers that share no locks find out by their constraint that the batch came in meanwhile.
            if self.inquire(package).state != "taken":
                raise
        return SubmitReply(len(rows))

    def inquire(self, package: OutgoingPackage) -> Inquiry:
        with self._database.reading() as connection:
            if self._is_there(connection, package):
                return Inquiry("taken")
        # A receiver that takes rows away leaves no trace until its receipts are written.
        return Inquiry("unknown" if self._section.consumed_rows == "stay" else "unanswerable")

    def receipts(self, package: OutgoingPackage) -> Receipts:
        with self._database.reading() as connection:
            # In this order: what is read and answered in between is seen as answered.
            states = self._states(connection, package)
            replies = self._replies(connection, package)
        waiting = [message for message in package.messages if message.record_key not in replies]
        complete = all(self._is_lost(states.get(message.record_key), package) for message in waiting)
        return Receipts(list(replies.values()), complete)

    def retract(self, package: OutgoingPackage, record_keys: Collection[str]) -> frozenset[str]:
        """A reader that holds a row is waited for; what it has read by then stays."""
        place = self._table(package.category)
        taken_back: set[str] = set()
        with self._database.writing() as connection:
            for key in sorted(record_keys):
                row = and_(self._batch == package.reference, self._record == key, self._unread)
                if connection.execute(delete(place).where(row)).rowcount:
                    taken_back.add(key)
        if self._section.consumed_rows == "stay":
            # Rows that are neither there nor answered were taken back by a call that was never answered.
            with self._database.reading() as connection:
                there = self._states(connection, package).keys() | self._replies(connection, package).keys()
            taken_back |= set(record_keys) - there
        return frozenset(taken_back)

    def holdings(self, category: Category) -> Iterator[Holding] | None:
        views = self._section.holdings
        if views is None or category.category not in views.views:
            return None
        return self._held(views, views.views[category.category])

    def reference(
        self,
        package_id: str,
        round_: int,
        category: Category,
        shape: str,
        at: datetime,
        used: Callable[[str], list[str]],
    ) -> str:
        end = f"-{round_}" if round_ else ""
        return package_id[: self._section.batch_length - len(end)] + end

    def _rows(self, package: OutgoingPackage) -> list[dict[str, object]]:
        """One row per message, all with the same columns: every field that any of them has."""
        columns = self._section.columns
        records = [renamed(message.data, package.category, self._endpoint) for message in package.messages]
        fields = dict.fromkeys(field for record in records for field in record)
        written_at = self._now()
        return [
            {
                **{field: record.get(field) for field in fields},
                columns.batch: package.reference,
                columns.record: message.record_key,
                columns.operation: self._code(message),
                columns.content_hash: message.content_hash,
                columns.written_at: written_at,
                columns.read: "0",
            }
            for message, record in zip(package.messages, records, strict=True)
        ]

    def _code(self, message: Message) -> str:
        reason = message.reason
        if message.operation == "withdraw" and reason in self._section.withdrawals:
            return self._section.withdrawals[reason]
        return self._section.operations[message.operation]

    def _table(self, category: Category, columns: Collection[str] = ()) -> TableClause:
        return self._named(self._section.tables[category.category], columns)

    def _named(self, name: str, columns: Collection[str] = ()) -> TableClause:
        schema = self._section.table_schema
        quoted = None if schema is None else quoted_name(schema, quote=True)
        return table(quoted_name(name, quote=True), *(_column(each) for each in columns), schema=quoted)

    def _is_there(self, connection: Connection, package: OutgoingPackage) -> bool:
        """Whether anything tells of the batch: rows, or receipts of rows that are gone."""
        batch = _text_column(self._section.receipt_columns.batch)
        in_table = exists().select_from(self._table(package.category)).where(self._batch == package.reference)
        in_receipts = exists().select_from(self._named(self._section.receipts)).where(batch == package.reference)
        return bool(connection.scalar(select(case((in_table | in_receipts, 1), else_=0))))

    def _states(self, connection: Connection, package: OutgoingPackage) -> dict[str, _RowState]:
        columns = self._section.columns
        unread = case((self._unread, 1), else_=0)
        query = (
            select(self._record, unread, _column(columns.read_at), _column(columns.written_at))
            .select_from(self._table(package.category))
            .where(self._batch == package.reference)
        )
        return {
            text_of(record) or "": _RowState(bool(is_unread), moment_of(read_at), moment_of(written_at))
            for record, is_unread, read_at, written_at in connection.execute(query)
        }

    def _replies(self, connection: Connection, package: OutgoingPackage) -> dict[str, ReceiptReply]:
        names = self._section.receipt_columns.model_dump()
        batch = _text_column(names.pop("batch"))
        columns = [_column(name).label(ours) for ours, name in names.items()]
        query = select(*columns).select_from(self._named(self._section.receipts)).where(batch == package.reference)
        rows = (receipt_row(row._asdict()) for row in connection.execute(query))
        return read_receipts(rows, package, self._endpoint.results)

    def _is_lost(self, state: _RowState | None, package: OutgoingPackage) -> bool:
        """Whether no receipt will come any more for a row that has none."""
        patience = self._endpoint.receipt_patience
        if state is None:
            # Rows that should stay and are gone will not be answered; what was taken away may be at work.
            written = package.created_at.replace(tzinfo=UTC).astimezone(BEIJING_TIME).replace(tzinfo=None)
            return self._section.consumed_rows == "stay" or self._now() - written > patience
        if state.unread:
            return False
        read_at, now = state.read_at, self._now()
        if read_at is None or read_at > now or (state.written_at is not None and read_at < state.written_at):
            # No clock of the receiver, or a wrong one: patience runs from the writing, by ours.
            read_at = state.written_at
        return read_at is not None and now - read_at > patience

    def _held(self, views: HoldingViews, view: str) -> Iterator[Holding]:
        names: Sequence[str | None] = (views.record, views.content_hash, views.upper_id, views.state, views.objection)
        columns = [_column(name) for name in names if name is not None]
        with self._database.reading() as connection:
            query = select(*columns).select_from(self._named(view))
            for row in connection.execution_options(yield_per=HOLDINGS_AT_A_TIME).execute(query):
                record, content_hash, upper_id, state, *objection = row
                yield Holding(
                    upper_id=text_of(upper_id),
                    record_key=text_of(record),
                    content_hash=text_of(content_hash),
                    document_number=None,
                    subject_name=None,
                    state="withdrawn" if text_of(state) in views.withdrawn else "shown",
                    objection=text_of(objection[0]) in {"1", "True"} if objection else None,
                )


def _column(name: str) -> ColumnClause[Any]:
    return column(quoted_name(name, quote=True))


def _text_column(name: str) -> ColumnClause[str]:
    return column(quoted_name(name, quote=True), String)
