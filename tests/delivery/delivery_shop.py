"""What the delivery tests work with: a ledger that owes records, a receiver that takes them, a clock."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

from pipelines.catalogue.catalogue import Catalogue
from pipelines.catalogue.endpoints import FAMILY
from pipelines.delivery.deliver import DeliveryResult
from pipelines.ledger.database import Ledger
from pipelines.ledger.models import Batch, ConsolidatedRun, Outbox, Run
from pipelines.sandbox.app import create_app
from pipelines.sandbox.misbehaviour import Misbehaviour
from pipelines.sandbox.server import AnnouncedServer, listen

Deliver = Callable[..., DeliveryResult]
TOKEN = "letmein-letmein"
CODE = "91350100M000100Y43"
NAME = "测试合成企业一有限公司"
NOW = datetime(2026, 11, 20, 1, 2, 3, tzinfo=UTC).replace(tzinfo=None)
PENALTY: dict[str, object] = {
    "CF_XDR_MC": NAME,
    "CF_XDR_LB": "法人及非法人组织",
    "CF_XDR_SHXYM": CODE,
    "CF_FRDB": "张测试",
    "CF_WFXW": "未按规定公示信息",
    "CF_SY": "未在期限内公示年度报告",
    "CF_YJ": "企业信息公示暂行条例第十七条",
    "CF_CFLB": "罚款",
    "CF_NR": "罚款2000元",
    "CF_NR_FK": Decimal("0.200000"),
    "CF_JDRQ": date(2026, 11, 12),
    "CF_YXQ": date(2099, 12, 31),
    "CF_CFJG": "测试市市场监督管理局",
    "CF_CFJGDM": "11350100M000100Y4X",
    "CF_SJLY": "测试市市场监督管理局",
    "CF_SJLYDM": "11350100M000100Y4X",
}
LICENCE: dict[str, object] = {
    "XK_XDR_MC": NAME,
    "XK_XDR_LB": "法人及非法人组织",
    "XK_XDR_SHXYM": CODE,
    "XK_FRDB": "张测试",
    "XK_XKWS": "准予许可决定书",
    "XK_XKLB": "普通",
    "XK_NR": "食品经营",
    "XK_JDRQ": date(2026, 11, 12),
    "XK_YXQZ": date(2026, 11, 12),
    "XK_YXQZI": date(2031, 11, 11),
    "XK_XKJG": "测试市市场监督管理局",
    "XK_XKJGDM": "11350100M000100Y4X",
    "XK_ZT": "1",
    "XK_LYDW": "测试市市场监督管理局",
    "XK_LYDWDM": "11350100M000100Y4X",
}
TEMPLATES = {"administrative_penalty": (PENALTY, "CF_WSH"), "administrative_licence": (LICENCE, "XK_WSH")}


def key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class Shop:
    """A ledger with an outbox and the records it owes, in place of a published run and its record store."""

    ledger: Ledger
    records: dict[tuple[str, str, int], dict[str, object]] = field(default_factory=dict)
    loads: int = 0

    def queue(
        self,
        name: str,
        *,
        version: int = 1,
        operation: str = "new",
        deadline: date = date(2026, 11, 23),
        category: str = "administrative_penalty",
        stored: bool = True,
        act: int = 0,
        reason: str | None = None,
        **changes: object,
    ) -> int:
        """Put one record version into the record store and the outbox; returns the outbox id."""
        template, number = TEMPLATES[category]
        data = template | {number: f"测市监〔2026〕{name}号"} | changes
        feed = f"test_{category}"
        with self.ledger.write() as session:
            if session.get(Run, feed) is None:
                batch = Batch(feed=feed, business_date=date(2026, 11, 19))
                session.add(batch)
                session.flush()
                session.add(
                    Run(
                        id=feed,
                        batch_id=batch.id,
                        feed=feed,
                        category=category,
                        business_date=batch.business_date,
                        attempt=1,
                        state="published",
                        stage="published",
                        started_at=NOW,
                    )
                )
                session.flush()
                session.add(ConsolidatedRun(run=feed, at=NOW))
            row = Outbox(
                endpoint="province_sandbox",
                category=category,
                feed=feed,
                run=feed,
                record_key=key(name),
                version=version,
                content_hash=key(repr(sorted(data.items()))),
                act=act,
                family=FAMILY[operation],
                operation=operation,
                reason=reason,
                business_date=date(2026, 11, 19),
                decision_date=date(2026, 11, 12),
                deadline=deadline,
                deadline_provisional=False,
                idempotency_key=key(f"{category} {name} {version}" + (f" {act}" if act else "")),
                queued_at=NOW,
            )
            session.add(row)
            session.flush()
            if stored:
                self.records[feed, row.record_key, version] = data
            return row.id

    def withdraw(self, name: str, *, act: int = 1, category: str = "administrative_penalty") -> int:
        """Owe the endpoint the withdrawal of a record; returns the outbox id."""
        return self.queue(name, operation="withdraw", act=act, reason="revoked", category=category)

    def load(self, _category: str, keys: Sequence[tuple[str, str, int]]) -> dict[tuple[str, str, int], dict[str, Any]]:
        self.loads += 1
        return {wanted: self.records[wanted] for wanted in keys if wanted in self.records}

    def rows(self, model: type[Any] = Outbox) -> list[Any]:
        with self.ledger.read() as session:
            return list(session.scalars(select(model).order_by(model.id)))

    def row(self, identity: int) -> Outbox:
        with self.ledger.read() as session:
            return session.get_one(Outbox, identity)


class Receiver:
    """The sandbox in a thread; ``stop`` and ``start`` keep its address and its store."""

    def __init__(self, folder: Path, catalogue: Catalogue, subjects: Path) -> None:
        self._store = folder / "sandbox.sqlite"
        self._catalogue = catalogue
        self._subjects = subjects
        self._server: AnnouncedServer | None = None
        self._thread: threading.Thread | None = None
        self.misbehaviour = Misbehaviour()
        with listen("127.0.0.1", 0) as listening:
            self.port = listening.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, misbehaviour: Misbehaviour | None = None) -> None:
        self.misbehaviour = misbehaviour or Misbehaviour()
        app = create_app(
            self._store,
            self._catalogue.categories,
            TOKEN,
            subjects=self._subjects,
            today=lambda: date(2026, 11, 20),
            misbehaviour=self.misbehaviour,
        )
        listening = listen("127.0.0.1", self.port)
        self._server = AnnouncedServer(app, listening)
        self._thread = threading.Thread(target=self._server.run_here)
        self._thread.start()
        limit = time.monotonic() + 20
        while not self._server.started:
            assert time.monotonic() < limit, "the receiver did not become ready"
            time.sleep(0.005)

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
        self._server = self._thread = None

    def held(self, category: str = "administrative_penalty") -> list[dict[str, Any]]:
        answer = httpx.get(
            f"{self.url}/api/v1/{category}/records?limit=1000",
            headers={"Authorization": f"Bearer {TOKEN}"},
            trust_env=False,
        )
        records: list[dict[str, Any]] = answer.json()["records"]
        return records


class Clock:
    """Every look at it is a second later, so that the order of instants can be tested."""

    def __init__(self) -> None:
        self._now = NOW

    def __call__(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now
