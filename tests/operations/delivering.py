"""A small feed that owes its records to a real receiver, which a test can look into and tamper with."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import select

from pipelines.ledger.delivery_models import RecordAct
from pipelines.ledger.models import Outbox
from pipelines.operations.clock import today_in_shanghai
from pipelines.operations.context import Context
from pipelines.operations.deliveries import deliver_endpoints
from pipelines.operations.record_acts import StoredAct, store_act
from pipelines.operations.record_states import Decision
from pipelines.operations.trace import find_record
from pipelines.settings import PROJECT_ROOT
from tests.delivery.delivery_shop import TOKEN, Receiver
from tests.operations.small_feed import MONDAY, Installation, rows

CATEGORY, ENDPOINT = "administrative_penalty", "province_sandbox"


class Delivering:
    """An installation with one feed and one endpoint, and the receiver behind it."""

    def __init__(self, folder: Path, ledger_url: str | None = None, **changes: Any) -> None:
        self.installation = Installation(folder, ledger_url=ledger_url)
        described = yaml.safe_load((PROJECT_ROOT / "schemas/endpoints/province_sandbox.yaml").read_text("utf-8"))
        described |= {"package_size": 4, "receipt_wait_seconds": 0.5, **changes}
        described["retry"] = {"attempts": 2, "first_seconds": 0.01, "factor": 2, "longest_seconds": 0.05}
        endpoints = folder / "root" / "schemas" / "endpoints"
        endpoints.mkdir(exist_ok=True)
        (endpoints / f"{ENDPOINT}.yaml").write_text(yaml.safe_dump(described, allow_unicode=True), encoding="utf-8")
        self.context = self.installation.describe(endpoints=[ENDPOINT], dump="full")
        subjects = folder / "subjects.csv"
        known = (f"{cells['统一社会信用代码']},{cells['当事人名称']}" for cells in rows(range(30)))
        subjects.write_text("\n".join(("code,name", *known)), encoding="utf-8")
        self.receiver = Receiver(folder, self.context.catalogue, subjects)
        self._store = folder / "sandbox.sqlite"

    def deliver(self) -> Any:
        return deliver_endpoints(self.context)[ENDPOINT]

    def act(self, key: str, kind: Any, reason: str | None = None) -> StoredAct:
        decision = Decision(kind, today_in_shanghai(), "信用办甲", "示例决定书", reason)
        return store_act(self.context, CATEGORY, key, decision)

    def key(self, number: int) -> str:
        """The record key of the decision with this number."""
        return find_record(self.context, f"示市监罚〔2026〕{number}号")[1]

    def held(self) -> dict[str, dict[str, Any]]:
        """What the receiver holds, by record key."""
        return {record["recordId"]: record for record in self.receiver.held(CATEGORY)}

    def shown(self) -> set[str]:
        return {key for key, record in self.held().items() if record["state"] == "shown"}

    def tamper(self, statement: str, *values: object) -> None:
        """Change the receiver's store behind its back."""
        connection = sqlite3.connect(self._store, timeout=30)
        with connection:
            changed = connection.execute(statement, values).rowcount
        connection.close()
        assert changed, statement

    def owed(self, key: str) -> list[Outbox]:
        with self.context.ledger.read() as ledger:
            return list(ledger.scalars(select(Outbox).where(Outbox.record_key == key).order_by(Outbox.id)))

    def acts(self) -> list[RecordAct]:
        with self.context.ledger.read() as ledger:
            return list(ledger.scalars(select(RecordAct).order_by(RecordAct.id)))


@contextmanager
def delivering(
    folder: Path, monkeypatch: pytest.MonkeyPatch, ledger_url: str | None = None, **changes: Any
) -> Iterator[Delivering]:
    """Three decisions published on Monday and accepted; the receiver runs until the block ends.

    The command line finds the same installation.
    """
    made = Delivering(folder, ledger_url, **changes)
    for name in ("root", "inbox", "home"):
        monkeypatch.setenv(f"GUIJI_{name.upper()}", str(folder / name))
    if ledger_url is not None:
        monkeypatch.setenv("GUIJI_LEDGER_URL", ledger_url)
    monkeypatch.setenv("GUIJI_PROVINCE_URL", made.receiver.url)
    monkeypatch.setenv("GUIJI_PROVINCE_TOKEN", TOKEN)
    made.receiver.start()
    try:
        if not (folder / "home" / "runs").exists() or ledger_url is not None:
            made.installation.publish(MONDAY, rows([1, 2, 3]))
        assert made.deliver().accepted == 3
        yield made
    finally:
        made.receiver.stop()
        if ledger_url is not None:
            made.context.ledger.engine.dispose()


def opened(context: Context, model: type[Any]) -> list[Any]:
    with context.ledger.read() as ledger:
        return list(ledger.scalars(select(model).order_by(model.id)))
