"""Delivers what is due to one endpoint, until nothing is due or the endpoint stops us."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipelines.catalogue.categories import Category
from pipelines.catalogue.endpoints import Endpoint
from pipelines.delivery import outbox
from pipelines.delivery.address import endpoint_url
from pipelines.delivery.backoff import delay
from pipelines.delivery.calls import Calls
from pipelines.delivery.exclusive import exclusive
from pipelines.delivery.packing import LoadRecords, Packer
from pipelines.delivery.receipts import Tally, apply_receipts, reject
from pipelines.delivery.replies import PackageRefusedError, PackageUnknownError, ReceiptReply, Trouble
from pipelines.delivery.rest import OutgoingPackage, RestAdapter
from pipelines.errors import DeliveryError
from pipelines.ledger import database
from pipelines.ledger.database import Ledger
from pipelines.ledger.models import Package

Progress = Callable[[int, int], None]
"""Told after every package: record versions settled so far, and how many there were to settle."""

IN_FLIGHT = 8
MOST_REFUSALS = 20
MOST_FAILURES_IN_A_ROW = 2
REFUSED_ALONE = "接收方拒收只含该条记录的数据包（HTTP {status}），未说明原因"


@dataclass(frozen=True)
class FailedPackage:
    """A package that could not be settled in this run; its records stay queued."""

    package: str
    reason: str


@dataclass(frozen=True)
class DeliveryResult:
    """Counts of record versions. ``waiting`` are not settled yet, queued or without receipt."""

    endpoint: str
    sent: int
    accepted: int
    duplicate: int
    rejected: int
    withheld: int
    waiting: int
    failed_packages: tuple[FailedPackage, ...]


def deliver(
    ledger: Ledger,
    endpoint: Endpoint,
    categories: Mapping[str, Category],
    load_records: LoadRecords,
    token: str,
    now: Callable[[], datetime] = database.now,
    progress: Progress = lambda settled, total: None,
    *,
    url: str | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> DeliveryResult:
    """Send every due record version to ``endpoint``, earliest deadline first, and settle it by its receipt.

    What a killed run left behind is resumed with the same package ids and idempotency keys. Raises
    :class:`RunConflictError` when another process is delivering to this endpoint, and :class:`DeliveryError`
    when the endpoint is down or refuses us; everything not settled then stays queued.
    """
    with exclusive(ledger.engine, endpoint.endpoint), RestAdapter(endpoint, url or endpoint_url(endpoint), token) as to:
        calls = Calls(ledger, endpoint, to, now, sleep)
        packer = Packer(ledger, endpoint, categories, load_records, now)
        return _Delivery(ledger, endpoint, to.url, packer, calls, now, progress, sleep).run()


class _Delivery:
    """One run. ``_set_aside`` are packages that this run does not touch again, with the reason if it is a failure."""

    def __init__(
        self,
        ledger: Ledger,
        endpoint: Endpoint,
        url: str,
        packer: Packer,
        calls: Calls,
        now: Callable[[], datetime],
        progress: Progress,
        sleep: Callable[[float], None],
    ) -> None:
        self._ledger = ledger
        self._endpoint = endpoint
        self._url = url
        self._packer = packer
        self._calls = calls
        self._now = now
        self._progress = progress
        self._sleep = sleep
        self._tally = Tally()
        self._sent = 0
        self._set_aside: dict[str, str | None] = {}
        self._refused_alone: dict[str, int] = {}
        self._incomplete: list[str] = []
        self._forgotten: set[str] = set()
        self._refusals = 0
        self._answered = False
        self._failures_in_a_row = 0
        with ledger.read() as session:
            self._total = outbox.count_unsettled(session, endpoint.endpoint)

    def run(self) -> DeliveryResult:
        while self._submit_window() + self._collect_open():
            pass
        self._settle_refused()
        failed = tuple(FailedPackage(package, reason) for package, reason in self._set_aside.items() if reason)
        if failed and not self._answered:
            raise self._down(failed[0].reason)
        with self._ledger.write() as session:
            for package in self._incomplete:
                outbox.dissolve(session, package, self._now())
            waiting = outbox.count_unsettled(session, self._endpoint.endpoint)
        return DeliveryResult(
            self._endpoint.endpoint,
            self._sent,
            self._tally.accepted,
            self._tally.duplicate,
            self._tally.rejected,
            self._packer.withheld,
            waiting,
            failed,
        )

    # Sending

    def _submit_window(self) -> int:
        """Submit some packages; returns how many were handled, taken by the receiver or not."""
        handled = 0
        while handled < IN_FLIGHT and (package := self._next_package()) is not None:
            handled += 1
            records = self._packer.messages(package)
            if records is not None:
                self._submit(package, records)
        return handled

    def _next_package(self) -> Package | None:
        while True:
            with self._ledger.read() as session:
                for package in outbox.open_packages(session, self._endpoint.endpoint):
                    if package.sent_at is None and package.id not in self._set_aside:
                        return package
            if not self._packer.form(IN_FLIGHT):
                return None
            self._report()

    def _submit(self, package: Package, records: list[dict[str, Any]]) -> None:
        try:
            self._calls.submit(OutgoingPackage(package.id, package.category, package.created_at, records))
        except Trouble as trouble:
            self._give_up(package.id, trouble)
        except PackageRefusedError as refused:
            self._refused(package, len(records), refused.status)
        else:
            self._heard()
            self._sent += len(records)
            with self._ledger.write() as session:
                outbox.mark_sent(session, package.id, self._now())

    def _refused(self, package: Package, records: int, status: int) -> None:
        """Halve a refused package until the record that spoils it is alone; stop when nothing at all is taken."""
        self._refusals += 1
        with self._ledger.read() as session:
            agreed = outbox.ever_taken(session, package.endpoint, package.category)
        if not agreed and self._refusals >= MOST_REFUSALS:
            raise self._disagreement(status)
        if records == 1:
            self._refused_alone[package.id] = status
            self._set_aside[package.id] = None
            return
        with self._ledger.write() as session:
            outbox.split(session, package.id, self._now())

    def _settle_refused(self) -> None:
        """Reject records that were refused alone, provided that others of their category were ever taken."""
        for identity, status in self._refused_alone.items():
            with self._ledger.write() as session:
                package = session.get_one(Package, identity)
                if not outbox.ever_taken(session, package.endpoint, package.category):
                    raise self._disagreement(status)
                for row in outbox.rows_of(session, identity):
                    row.reply_code = f"HTTP {status}"
                    reject(session, row, f"HTTP-{status}", None, REFUSED_ALONE.format(status=status), self._now())
                    self._tally.rejected += 1
                package.settled_at = self._now()

    # Receipts

    def _collect_open(self) -> int:
        """Ask for the receipts of every package under way; returns how many packages were asked for."""
        with self._ledger.read() as session:
            packages = [
                package.id
                for package in outbox.open_packages(session, self._endpoint.endpoint)
                if package.sent_at is not None and package.id not in self._set_aside
            ]
        asked = len(packages)
        waited = 0.0
        polls = 0
        while packages := [package for package in packages if not self._collect(package)]:
            polls += 1
            pause = delay(polls, self._endpoint.retry).total_seconds()
            if waited + pause > self._endpoint.receipt_wait_seconds:
                self._set_aside |= dict.fromkeys(packages)
                break
            self._sleep(pause)
            waited += pause
        return asked

    def _collect(self, identity: str) -> bool:
        """Fetch and apply the receipts of one package; ``False`` while the receiver is still at work."""
        try:
            replies = self._calls.receipts(identity)
        except Trouble as trouble:
            self._give_up(identity, trouble)
            return True
        except PackageUnknownError:
            self._send_again(identity)
            return True
        self._heard()
        if replies is None:
            return False
        self._apply(identity, replies)
        return True

    def _send_again(self, identity: str) -> None:
        if identity in self._forgotten:
            self._set_aside[identity] = "the receiver took the package twice and does not know it"
            return
        self._forgotten.add(identity)
        with self._ledger.write() as session:
            session.get_one(Package, identity).sent_at = None

    def _apply(self, identity: str, replies: list[ReceiptReply]) -> None:
        with self._ledger.write() as session:
            tally = apply_receipts(session, session.get_one(Package, identity), replies, self._now())
        self._tally.add(tally)
        if tally.missing:
            self._incomplete.append(identity)
            self._set_aside[identity] = f"{tally.missing} records have no receipt; they are sent again next time"
        elif tally.unclear:
            self._set_aside[identity] = f"{tally.unclear} records have a result that the endpoint's file does not list"
        self._report()

    def _report(self) -> None:
        tally = self._tally
        self._progress(tally.accepted + tally.duplicate + tally.rejected + self._packer.withheld, self._total)

    # Ending

    def _heard(self) -> None:
        self._answered = True
        self._failures_in_a_row = 0

    def _give_up(self, identity: str, trouble: Trouble) -> None:
        """Leave one package for the next run, or the whole run when the endpoint itself is the trouble."""
        self._failures_in_a_row += 1
        if trouble.kind in {"unreachable", "busy"} or self._failures_in_a_row >= MOST_FAILURES_IN_A_ROW:
            raise self._down(_told(trouble)) from trouble
        self._set_aside[identity] = _told(trouble)

    def _down(self, reason: str) -> DeliveryError:
        with self._ledger.read() as session:
            queued = outbox.count_unsettled(session, self._endpoint.endpoint)
        return DeliveryError(
            f"{self._endpoint.endpoint} at {self._url} does not take deliveries: {reason}; "
            f"{queued} record versions stay queued, none is lost",
            remedy="check that the receiver runs and the address is right, then deliver again: it goes on where it was",
        )

    def _disagreement(self, status: int) -> DeliveryError:
        name = self._endpoint.endpoint
        return DeliveryError(
            f"{name} at {self._url} refuses every package (HTTP {status}); everything stays queued",
            remedy=f"compare what the receiver expects with schemas/endpoints/{name}.yaml, then deliver again",
        )


def _told(trouble: Trouble) -> str:
    if trouble.retry_after is None:
        return f"{trouble.text} after all attempts"
    return f"{trouble.text}, it asks to come back in {trouble.retry_after.total_seconds():.0f} s"
