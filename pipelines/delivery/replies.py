"""What a receiver can answer, in our words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

Meaning = Literal["accepted", "rejected", "duplicate", "other"]


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


@dataclass(frozen=True)
class Receipts:
    """The receipts there are of a package. ``complete``: no more will come, what is missing was lost."""

    replies: Sequence[ReceiptReply]
    complete: bool


@dataclass(frozen=True)
class SubmitReply:
    """The receiver has taken the package: ``received`` records; ``status`` of HTTP, if that is the protocol.

    ``receipts`` of a receiver that answers at once; None when they have to be asked for.
    """

    received: int
    status: int | None = None
    receipts: Sequence[ReceiptReply] | None = None


@dataclass(frozen=True)
class Inquiry:
    """What became of a package that may have got through.

    ``taken``: it is there, and need not be sent. ``unknown``: it is not there, and may be sent. ``partly``: some
    records are there, those of ``receipts``. ``unanswerable``: the receiver cannot be asked; sending again is all
    there is.
    """

    state: Literal["taken", "unknown", "partly", "unanswerable"]
    receipts: Sequence[ReceiptReply] | None = None


class Trouble(Exception):
    """A call that may be made again.

    ``unreachable``: nothing was sent. ``busy``: the receiver asks us to come later and has done nothing. ``broken``: it
    answered with a failure of its own, before or after it did what we asked. ``ambiguous``: no answer came.
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

    @property
    def may_have_worked(self) -> bool:
        """Whether the receiver may have done what it was asked: then it is asked before anything is sent again."""
        return self.kind in {"broken", "ambiguous"}


def told(trouble: Trouble) -> str:
    """A trouble in words for people."""
    if trouble.retry_after is None:
        return f"{trouble.text} after all attempts"
    return f"{trouble.text}, it asks to come back in {trouble.retry_after.total_seconds():.0f} s"


class PackageRefusedError(Exception):
    """The receiver will never take this package as it is: something in it is not to its liking."""

    def __init__(self, status: int | str) -> None:
        self.status = status
        super().__init__(f"HTTP {status}" if isinstance(status, int) else status)


class PackageUnknownError(Exception):
    """The receiver does not know a package that it had taken; it must be sent again."""
