"""An endpoint that answers as a test says, for what no protocol of the sandbox can be brought to do on purpose."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from pipelines.catalogue.categories import Category
from pipelines.delivery.adapter import Adapter, Holding, Message, OutgoingPackage
from pipelines.delivery.replies import Inquiry, Meaning, ReceiptReply, Receipts, SubmitReply


def reply(message: Message, meaning: Meaning = "accepted", upper_id: str | None = None) -> ReceiptReply:
    """A receipt about a message; accepted ones get an id of their own unless one is given."""
    if meaning == "accepted" and upper_id is None:
        upper_id = f"U-{message.record_key[:8]}"
    return ReceiptReply(message.record_key, message.idempotency_key, meaning, meaning, None, None, None, upper_id)


def accept_all(package: OutgoingPackage) -> Receipts:
    return Receipts([reply(message) for message in package.messages], complete=True)


@dataclass
class ScriptedAdapter(Adapter):
    """Every call is noted in ``calls`` and answered by a function; without one of the test's own, all is well."""

    on_submit: Callable[[OutgoingPackage], SubmitReply] = lambda package: SubmitReply(len(package.messages))
    on_receipts: Callable[[OutgoingPackage], Receipts] = accept_all
    on_inquire: Callable[[OutgoingPackage], Inquiry] = lambda _package: Inquiry("unanswerable")
    on_retract: Callable[[OutgoingPackage, Collection[str]], frozenset[str]] = lambda _package, _keys: frozenset()
    on_shape: Callable[[Mapping[str, str]], str] = lambda _data: ""
    calls: list[tuple[str, OutgoingPackage]] = field(default_factory=list)
    place: str = "a script"

    def close(self) -> None:
        """There is nothing to let go of."""

    def submit(self, package: OutgoingPackage) -> SubmitReply:
        self.calls.append(("submit", package))
        return self.on_submit(package)

    def receipts(self, package: OutgoingPackage) -> Receipts:
        self.calls.append(("receipts", package))
        return self.on_receipts(package)

    def inquire(self, package: OutgoingPackage) -> Inquiry:
        self.calls.append(("inquire", package))
        return self.on_inquire(package)

    def retract(self, package: OutgoingPackage, record_keys: Collection[str]) -> frozenset[str]:
        self.calls.append(("retract", package))
        return self.on_retract(package, record_keys)

    def holdings(self, category: Category) -> Iterator[Holding] | None:
        return None

    def shape(self, category: Category, data: Mapping[str, str]) -> str:
        return self.on_shape(data)

    def said(self, action: str) -> list[OutgoingPackage]:
        """The packages of all calls of one kind, in order."""
        return [package for name, package in self.calls if name == action]
