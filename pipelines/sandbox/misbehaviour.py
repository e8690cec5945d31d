"""Bad behaviour on request, so that tests can see what a sender does about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock


@dataclass
class Misbehaviour:
    """What the receiver does wrong; counters run down to zero, then it behaves.

    ``fail_submits`` packages are refused with ``fail_status`` before anything is stored. ``lose_answers``
    packages are stored and then answered only after ``lose_seconds``, longer than the sender waits.
    ``processing_polls`` questions for the receipts of a package are answered "processing" first.
    """

    fail_submits: int = 0
    fail_status: int = 500
    retry_after: str | None = None
    lose_answers: int = 0
    lose_seconds: float = 2.0
    processing_polls: int = 0
    _lock: Lock = field(default_factory=Lock, repr=False)

    def takes_failure(self) -> bool:
        """Whether this submission is one of those to fail; counts it."""
        with self._lock:
            if self.fail_submits <= 0:
                return False
            self.fail_submits -= 1
            return True

    def takes_loss(self) -> bool:
        """Whether the answer to this submission is one of those to lose; counts it."""
        with self._lock:
            if self.lose_answers <= 0:
                return False
            self.lose_answers -= 1
            return True
