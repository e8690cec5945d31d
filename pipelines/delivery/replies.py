"""What a receiver can answer, in our words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

Meaning = Literal["accepted", "rejected", "duplicate", "other"]


@dataclass(frozen=True)
class SubmitReply:
    """The receiver has taken the package: ``received`` records, HTTP ``status``."""

    received: int
    status: int


@dataclass(frozen=True)
class ReceiptReply:
    """What the receiver decided about one record (回执). ``result`` is its own code, ``meaning`` is ours."""

    record_id: str
    idempotency_key: str
    result: str
    meaning: Meaning
    rule_code: str | None
    field: str | None
    message: str | None
    upper_id: str | None


class Trouble(Exception):
    """A call that may be made again.

    ``unreachable``: nothing was sent. ``busy``: the receiver asks us to come later. ``broken``: it answered with
    a failure of its own. ``ambiguous``: it may have done what we asked; repeating is safe, because packages and
    records carry idempotency keys.
    """

    def __init__(
        self,
        kind: Literal["unreachable", "busy", "broken", "ambiguous"],
        text: str,
        *,
        status: int | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        self.kind = kind
        self.text = text
        self.status = status
        self.retry_after = retry_after
        super().__init__(text)


class PackageRefusedError(Exception):
    """The receiver will never take this package as it is: something in it is not to its liking."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"HTTP {status}")


class PackageUnknownError(Exception):
    """The receiver does not know a package that it had taken; it must be sent again."""
