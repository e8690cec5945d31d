"""When a package may leave: within the endpoint's hours, and not faster than it takes records."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from pipelines.catalogue.endpoints import Endpoint
from pipelines.deadlines.clock import BEIJING_TIME
from pipelines.ledger.models import Package

MINUTE = timedelta(minutes=1)

Sent = tuple[datetime, int]
"""When a package left (UTC without zone), and how many records it held."""


def wait_before(sent: Iterable[Sent], records: int, rate: int, now: datetime) -> timedelta:
    """How long ``records`` more have to wait so that no minute sees more than ``rate``.

    A package that is larger than the rate leaves when nothing left in the minute before it.
    """
    recent = sorted((at, count) for at, count in sent if at > now - MINUTE)
    total = sum(count for _, count in recent)
    wait = timedelta()
    for at, count in recent:
        if total + records <= rate:
            break
        wait = at + MINUTE - now
        total -= count
    return wait


def sent_lately(session: Session, endpoint: str, now: datetime) -> list[Sent]:
    """What left for an endpoint in the last minute, by whichever process."""
    query = select(Package.sent_at, Package.records).where(Package.endpoint == endpoint, Package.sent_at > now - MINUTE)
    return [(at, records) for at, records in session.execute(query) if at is not None]


def closed_window(endpoint: Endpoint, now: datetime) -> str | None:
    """Why nothing may leave at ``now`` (UTC without zone), in words; None when it may."""
    if endpoint.takes_now(now.replace(tzinfo=UTC).astimezone(BEIJING_TIME)):
        return None
    hours = ", ".join(f"{window.start:%H:%M}-{window.end:%H:%M}" for window in endpoint.windows)
    return f"it takes deliveries only at {hours} Beijing time"


class Pace:
    """The pace of one run; it waits as long as a run may wait altogether, and no longer."""

    def __init__(self, endpoint: Endpoint, sent: Iterable[Sent]) -> None:
        self._rate = endpoint.rate
        self._sent: deque[Sent] = deque(sent)
        self._patience = timedelta(seconds=endpoint.receipt_wait_seconds)

    def wait(self, records: int, now: datetime) -> timedelta | None:
        """How long to wait before ``records`` leave; None when that is longer than the run may still wait."""
        if self._rate is None:
            return timedelta()
        wait = wait_before(self._sent, records, self._rate, now)
        if wait > self._patience:
            return None
        self._patience -= wait
        return wait

    def note(self, records: int, at: datetime) -> None:
        """``records`` have left."""
        if self._rate is None:
            return
        self._sent.append((at, records))
        while self._sent[0][0] <= at - MINUTE:
            self._sent.popleft()
