"""The other side of the file exchange: the sandbox over real SFTP, and packages to send to it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from delivery_shop import CODE, NAME, NOW, PENALTY, Clock, Shop, key

from pipelines.catalogue.catalogue import Catalogue
from pipelines.catalogue.categories import Category
from pipelines.catalogue.endpoints import Endpoint
from pipelines.catalogue.yaml_source import parse, read
from pipelines.delivery.adapter import Message, OutgoingPackage
from pipelines.delivery.adapters import open_adapter
from pipelines.delivery.deliver import DeliveryResult, deliver
from pipelines.delivery.payload import record_data
from pipelines.delivery.sftp_file import SftpFileAdapter
from pipelines.sandbox.desk import Desk
from pipelines.sandbox.misbehaviour import Kind, Misbehaviour, Ration
from pipelines.sandbox.sftp_file import SftpReceiver
from pipelines.sandbox.store import HeldRecord
from pipelines.sandbox.subjects import comparable

PASSWORD = "correct-horse-battery"
REFERENCE = "SC0102_20261120_00001"
PERSON: dict[str, object] = PENALTY | {
    "CF_XDR_MC": "示例王三",
    "CF_XDR_LB": "自然人",
    "CF_XDR_SHXYM": None,
    "CF_FRDB": None,
    "CF_XDR_ZJLX": "身份证",
    "CF_XDR_ZJHM": "110101199003070097",
}


def city_files() -> Endpoint:
    """As it is described, but for the key of the server, which is another one each time."""
    return parse(read(Path(__file__).parent / "endpoints" / "sftp_file.yaml"), Endpoint)


class Partner:
    """The receiver of one endpoint, and our adapter for it. ``changes`` go to the section of the endpoint."""

    def __init__(
        self,
        folder: Path,
        catalogue: Catalogue,
        described: Endpoint,
        authorized_key: str | None = None,
        misbehaviour: Misbehaviour | None = None,
        **changes: Any,
    ) -> None:
        self.root = folder / "account"
        self.misbehaviour = misbehaviour or Misbehaviour()
        self.categories = catalogue.categories
        self.desk = Desk(
            folder / "sandbox.sqlite",
            catalogue.categories,
            subjects={CODE: frozenset({comparable(NAME)})},
            today=lambda: date(2026, 11, 20),
            misbehaviour=self.misbehaviour,
        )
        described = changed(described, **changes)
        self._settings = {"password": None if authorized_key else PASSWORD, "authorized_key": authorized_key}
        self._host_key = folder / "host_key"
        self.receiver = self._made(described, 0)
        self.endpoint = changed(described, host_key=self.receiver.public_key)

    def restart(self) -> None:
        """Another receiver at the same address, with the same folders and store."""
        self.receiver = self._made(self.endpoint, self.receiver.port)
        self.receiver.start()

    def _made(self, described: Endpoint, port: int) -> SftpReceiver:
        return SftpReceiver(self.desk, described, self.root, self._host_key, port=port, interval=0.05, **self._settings)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "GUIJI_CITY_FILES_URL": f"sftp://127.0.0.1:{self.receiver.port}",
            "GUIJI_CITY_FILES_PASSWORD": PASSWORD,
        }

    def adapter(self, **environment: str) -> SftpFileAdapter:
        opened = open_adapter(self.endpoint, self.environment | environment)
        assert isinstance(opened, SftpFileAdapter)
        return opened

    def misbehave(self, kind: Kind, times: int | None = 1, **more: Any) -> None:
        self.misbehaviour.set(kind, Ration(times=times, **more))

    def at_work(self, is_at_work: bool) -> None:
        """Whether files are picked up."""
        self.misbehaviour.set("processing", None if is_at_work else Ration())

    def names(self, folder: str = "incoming") -> list[str]:
        return sorted(path.name for path in (self.root / folder).iterdir())

    def held(self, category: str = "administrative_penalty") -> list[HeldRecord]:
        return list(self.desk.held(self.categories[category]))

    def owed_to(self, **changes: Any) -> Endpoint:
        """The endpoint under the name to which a shop owes everything."""
        return self.endpoint.model_copy(update={"endpoint": "province_sandbox"} | changes)

    def deliver(self, shop: Shop, **changes: Any) -> DeliveryResult:
        """Deliver what a shop owes; ``changes`` go to the endpoint."""
        endpoint = self.owed_to(**changes)
        adapter = open_adapter(endpoint, self.environment)
        return deliver(shop.ledger, endpoint, adapter, self.categories, shop.load, Clock())


def changed(endpoint: Endpoint, **changes: Any) -> Endpoint:
    """The endpoint with another section, checked like one from a file; ``operations`` stay those of the section."""
    described = endpoint.model_dump(mode="json")
    described["sftp_file"] |= changes
    if described["sftp_file"]["identity"] is None:
        described["operations"] = ["new", "update"]
    return Endpoint.model_validate(described)


def package(
    endpoint: Endpoint, category: Category, *records: dict[str, object], reference: str = REFERENCE, **more: Any
) -> OutgoingPackage:
    """A package of new penalties with these differences from the usual one; of one without any."""
    messages = []
    for line, differences in enumerate(records or ({},), start=1):
        record = PENALTY | {"CF_WSH": f"测市监〔2026〕{line}号"} | differences
        data = record_data({code: value for code, value in record.items() if value is not None}, category, endpoint)
        name = f"{reference} {line}"
        messages.append(
            Message(line, key(name), "new", None, key(f"{name} 1"), key(repr(sorted(data.items()))), None, data)
        )
    made = OutgoingPackage(
        "p" * 64, reference, category, "content", "organisation", NOW, False, len(messages), messages
    )
    return replace(made, **more)


def eventually(happened: Callable[[], Any], seconds: float = 10) -> Any:
    """What ``happened`` gives as soon as that is true; the receiver works in its own time."""
    limit = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.005)
    return found


def beijing(text: str) -> datetime:
    """An instant in Beijing time as the ledger keeps it, UTC without zone."""
    return datetime.fromisoformat(f"{text}+08:00").astimezone(UTC).replace(tzinfo=None)
