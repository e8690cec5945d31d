"""Calls to an endpoint: tried again as its description says, each attempt kept in the ledger."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from tenacity import Retrying, retry_if_exception_type

from pipelines.catalogue.endpoints import Endpoint
from pipelines.delivery.backoff import Stop, Wait
from pipelines.delivery.outbox import note_attempt
from pipelines.delivery.replies import PackageRefusedError, PackageUnknownError, ReceiptReply, SubmitReply, Trouble
from pipelines.delivery.rest import OutgoingPackage, RestAdapter
from pipelines.errors import DeliveryError
from pipelines.ledger.database import Ledger

Answer = TypeVar("Answer")


class Calls:
    """The adapter with patience and a memory."""

    def __init__(
        self,
        ledger: Ledger,
        endpoint: Endpoint,
        adapter: RestAdapter,
        now: Callable[[], datetime],
        sleep: Callable[[float], None],
    ) -> None:
        self._ledger = ledger
        self._adapter = adapter
        self._now = now
        self._sleep = sleep
        self._retry = endpoint.retry
        self._longest = timedelta(seconds=max(endpoint.retry.longest_seconds, endpoint.receipt_wait_seconds))

    def submit(self, package: OutgoingPackage) -> SubmitReply:
        """Like :meth:`RestAdapter.submit`; raises the last :class:`Trouble` when patience ends."""
        return self._patiently(package.package_id, "submit", lambda: self._adapter.submit(package))

    def receipts(self, package_id: str) -> list[ReceiptReply] | None:
        """Like :meth:`RestAdapter.receipts`; raises the last :class:`Trouble` when patience ends."""
        return self._patiently(package_id, "receipts", lambda: self._adapter.receipts(package_id))

    def _patiently(self, package_id: str, action: str, call: Callable[[], Answer]) -> Answer:
        retrying = Retrying(
            retry=retry_if_exception_type(Trouble),
            wait=Wait(self._retry),
            stop=Stop(self._retry, self._longest),
            sleep=self._sleep,
            reraise=True,
        )
        answer: Answer = retrying(self._once, package_id, action, call)
        return answer

    def _once(self, package_id: str, action: str, call: Callable[[], Answer]) -> Answer:
        try:
            answer = call()
        except Trouble as trouble:
            self._note(package_id, action, trouble.kind, trouble.status, trouble.text)
            raise
        except PackageRefusedError as refused:
            self._note(package_id, action, "refused", refused.status, None)
            raise
        except PackageUnknownError:
            self._note(package_id, action, "unknown", 404, None)
            raise
        except DeliveryError as error:
            self._note(package_id, action, "denied", None, error.problem)
            raise
        if answer is not None:
            status = answer.status if isinstance(answer, SubmitReply) else None
            self._note(package_id, action, "answered", status, None)
        return answer

    def _note(self, package_id: str, action: str, outcome: str, status: int | None, text: str | None) -> None:
        with self._ledger.write() as session:
            note_attempt(session, package_id, action, outcome, status, text, self._now())
