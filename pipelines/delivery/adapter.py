"""What the delivery asks of a protocol: one adapter per endpoint, the same calls whatever lies behind them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Literal, Self

from pipelines.catalogue.categories import Category
from pipelines.catalogue.endpoints import Family, Operation
from pipelines.delivery.replies import Inquiry, Receipts, SubmitReply


@dataclass(frozen=True)
class Message:
    """One thing said about one record.

    ``line`` counts from 1 within the package and never changes. ``upper_id`` is the id that the endpoint gave the
    record, if it ever accepted it and said so. ``data``: field code → text in the form of the endpoint, of the version
    that is meant; an adapter that only asks for receipts gets it empty.
    """

    line: int
    record_key: str
    operation: Operation
    reason: str | None
    idempotency_key: str
    content_hash: str
    upper_id: str | None
    data: Mapping[str, str]


@dataclass(frozen=True)
class OutgoingPackage:
    """What is submitted in one go. ``reference`` is what the receiver knows it by; ``created_at`` is UTC without zone.

    ``offered``: an earlier call may have brought it to the receiver already. ``records``: how many lines it was formed
    with; rows that were given back to the outbox since are not among ``messages``, and their lines stay theirs.
    """

    package_id: str
    reference: str
    category: Category
    family: Family
    shape: str
    created_at: datetime
    offered: bool
    records: int
    messages: Sequence[Message]


@dataclass(frozen=True)
class Holding:
    """A record that an endpoint says it holds. What its protocol does not tell is None.

    ``state``: shown, or withdrawn and kept. ``document_number`` and ``subject_name`` are as the receiver has them.
    """

    upper_id: str | None
    record_key: str | None
    content_hash: str | None
    document_number: str | None
    subject_name: str | None
    state: Literal["shown", "withdrawn"] = "shown"
    objection: bool | None = None


class Adapter(ABC):
    """One endpoint over its protocol; use it as a context manager.

    Every call raises :class:`Trouble` for what may be tried again and :class:`DeliveryError` when the endpoint refuses
    us or our address. Nothing that is raised or logged holds a secret or a record.
    """

    place: str
    """Where the endpoint is, for messages; without a secret."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Let go of connections."""

    @abstractmethod
    def submit(self, package: OutgoingPackage) -> SubmitReply:
        """Hand a package over; :class:`PackageRefusedError` when the package itself is refused."""

    @abstractmethod
    def receipts(self, package: OutgoingPackage) -> Receipts:
        """The receipts there are of a package that was taken; not complete while the receiver is still at work.

        Its messages come without ``data``. Raises :class:`PackageUnknownError` when the receiver does not know it.
        """

    def inquire(self, package: OutgoingPackage) -> Inquiry:
        """What the receiver knows of a package that may or may not have reached it."""
        return Inquiry("unanswerable")

    def retract(self, package: OutgoingPackage, record_keys: Collection[str]) -> frozenset[str]:
        """Take records of a submitted package back before the receiver has read them; those that were taken back."""
        return frozenset()

    @abstractmethod
    def holdings(self, category: Category) -> Iterator[Holding] | None:
        """All that the endpoint holds of a category, for reconciliation; ``None`` when it cannot be asked."""

    def shape(self, category: Category, data: Mapping[str, str]) -> str:
        """What a package must not mix: records of different shapes travel apart. At most 40 characters."""
        return ""

    def reference(
        self,
        package_id: str,
        round_: int,
        category: Category,
        shape: str,
        at: datetime,
        used: Callable[[str], list[str]],
    ) -> str:
        """The name of a new package at the receiver, at most 200 characters, never given before to this endpoint.

        ``round_`` counts how often the same records were packaged anew; ``at`` is UTC without zone; ``used`` gives the
        references of this endpoint that begin with some text.
        """
        return package_id if round_ == 0 else f"{package_id[:56]}-{round_}"
