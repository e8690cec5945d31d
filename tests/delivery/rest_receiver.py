"""A running receiver and an adapter that speaks to it, for the contract of the REST protocol."""

from __future__ import annotations

import hashlib
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

from delivery_shop import PENALTY, TOKEN

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.catalogue.endpoints import Endpoint, Family, Operation
from pipelines.delivery.adapter import Message, OutgoingPackage
from pipelines.delivery.payload import record_data
from pipelines.delivery.rest import RestAdapter
from pipelines.sandbox.app import create_app
from pipelines.sandbox.misbehaviour import Misbehaviour
from pipelines.sandbox.server import AnnouncedServer, listen
from pipelines.settings import Settings

CATALOGUE = load_catalogue(Settings())
CATEGORY = CATALOGUE.categories["administrative_penalty"]
FAMILIES: dict[Operation, Family] = {
    "new": "content",
    "update": "content",
    "withdraw": "withdrawal",
    "objection_on": "objection",
    "objection_off": "objection",
}


def endpoint(timeout_seconds: float = 20.0, **rest: object) -> Endpoint:
    """The endpoint of the demo; ``rest`` changes its section rest."""
    described = CATALOGUE.endpoints["province_sandbox"].model_dump()
    described |= {"timeout_seconds": timeout_seconds, "rest": described["rest"] | rest}
    return Endpoint.model_validate(described)


@contextmanager
def receiver(folder: Path, misbehaviour: Misbehaviour, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A receiver over the store in ``folder``; gives its address."""
    app = create_app(
        folder / "sandbox.sqlite",
        CATALOGUE.categories,
        TOKEN,
        today=lambda: date(2026, 11, 20),
        misbehaviour=misbehaviour,
    )
    ready = threading.Event()
    server = AnnouncedServer(app, listen("127.0.0.1", 0), tls=tls, ready=lambda _url: ready.set())
    thread = threading.Thread(target=server.run_here)
    thread.start()
    try:
        assert ready.wait(20), "the receiver did not become ready"
        yield server.url
    finally:
        server.should_exit = True
        thread.join()


def message(name: str, operation: Operation = "new", version: int = 1, reason: str | None = None) -> Message:
    """What is said about the record ``name``; another version has another content."""
    row = PENALTY | {"CF_WSH": f"测市监罚〔2026〕{name}号", "CF_NR": f"罚款{version}元"}
    return Message(
        line=1,
        record_key=key(name),
        operation=operation,
        reason=reason,
        idempotency_key=key(f"{name} {version} {operation} {time.monotonic_ns()}"),
        content_hash=key(f"{name} {version}"),
        upper_id=None,
        data=record_data(row, CATEGORY, endpoint()),
    )


def package(name: str, *messages: Message) -> OutgoingPackage:
    return OutgoingPackage(
        package_id=key(name),
        reference=key(name),
        category=CATEGORY,
        family=FAMILIES[messages[0].operation],
        shape="",
        created_at=datetime.now(UTC).replace(tzinfo=None),
        offered=False,
        records=len(messages),
        messages=messages,
    )


def adapter(url: str, secret: str = TOKEN, timeout_seconds: float = 20.0, **rest: object) -> RestAdapter:
    return RestAdapter(endpoint(timeout_seconds, **rest), url, secret)


def key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
