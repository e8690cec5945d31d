"""A front-end database as the tests use it: the upper side's account, our restricted one, and packages to send."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from delivery_shop import NOW, PENALTY, key
from exchange_accounts import PASSWORD, account
from sqlalchemy import URL, Engine, text

from pipelines.catalogue.catalogue import Catalogue
from pipelines.catalogue.endpoints import Endpoint
from pipelines.delivery.adapter import Message, OutgoingPackage
from pipelines.delivery.exchange_table import ExchangeTableAdapter
from pipelines.delivery.payload import record_data
from pipelines.sandbox.desk import Desk
from pipelines.sandbox.exchange_table import Consumer

CONTENT, RECEIPTS, HELD = "QZK_XZCF", "QZK_HZ", "QZK_XZCF_ZX"


@dataclass
class FrontEnd:
    """One database. ``upper`` may do everything, ``url`` and ``user`` are ours."""

    upper: Engine
    url: URL
    user: str
    endpoint: Endpoint
    catalogue: Catalogue
    desk: Desk
    consumer: Consumer

    def adapter(self, endpoint: Endpoint | None = None, **named: Any) -> ExchangeTableAdapter:
        return ExchangeTableAdapter(endpoint or self.endpoint, self.url, PASSWORD, **named)

    def described(self, **changes: Any) -> Endpoint:
        """The endpoint with changes in its section."""
        section = self.endpoint.exchange_table
        assert section is not None
        return self.endpoint.model_copy(update={"exchange_table": section.model_copy(update=changes)})

    def package(self, *names: str, reference: str = "batch-1", **changes: Any) -> OutgoingPackage:
        """New records; ``changes`` go to each message."""
        category = self.catalogue.categories["administrative_penalty"]
        messages = [
            Message(
                line=line,
                record_key=key(name),
                operation="new",
                reason=None,
                idempotency_key=key(f"{reference} {name}"),
                content_hash=key(f"content of {name}"),
                upper_id=None,
                data=record_data(PENALTY | {"CF_WSH": f"测市监〔2026〕{name}号"}, category, self.endpoint),
            )
            for line, name in enumerate(names, start=1)
        ]
        return OutgoingPackage(
            package_id=key(reference),
            reference=reference,
            category=category,
            family="content",
            shape="",
            created_at=NOW,
            offered=False,
            records=len(messages),
            messages=[replace(message, **changes) for message in messages],
        )

    def run(self, *statements: str, **values: Any) -> None:
        """What the upper side does by hand, in one transaction."""
        with self.upper.begin() as connection:
            for statement in statements:
                connection.execute(text(self.quoted(statement)), values)

    def rows(self, name: str = CONTENT) -> list[dict[str, Any]]:
        """All rows of a table, as the upper side sees them."""
        with self.upper.connect() as connection:
            found = connection.execute(text(self.quoted(f'SELECT * FROM "{name}"')))
            return [dict(row._mapping) for row in found]

    def quoted(self, statement: str) -> str:
        return statement if self.upper.dialect.name == "postgresql" else statement.replace('"', "`")

    def grant(self, rights: str, table: str) -> None:
        self.run(f'GRANT {rights} ON "{table}" TO {account(self.upper, self.user)}')

    def revoke(self, rights: str, table: str) -> None:
        self.run(f'REVOKE {rights} ON "{table}" FROM {account(self.upper, self.user)}')

    def read(self, at: datetime) -> None:
        """The upper side marks everything as read."""
        self.run(f'UPDATE "{CONTENT}" SET "READ_FLAG" = 1, "READ_TIME" = :at', at=at)

    def answer(
        self,
        name: str,
        result: str,
        upper_id: str | None = None,
        at: datetime = datetime(2026, 11, 20, 9),  # noqa: DTZ001 - Chinese time, as in the table
        batch: str = "batch-1",
    ) -> None:
        """The upper side writes a receipt."""
        self.run(
            f'INSERT INTO "{RECEIPTS}" ("BATCH_NO", "REC_ID", "RESULT", "UPPER_ID", "RECEIPT_TIME") '
            "VALUES (:batch, :record, :result, :upper_id, :at)",
            batch=batch,
            record=key(name),
            result=result,
            upper_id=upper_id,
            at=at,
        )


def keys(names: Sequence[str]) -> set[str]:
    return {key(name) for name in names}
