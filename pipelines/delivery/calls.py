"""Calls to an endpoint: tried again as its description says, each attempt remembered for the ledger."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from threading import Event
from typing import Any, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type

from pipelines.catalogue.endpoints import Endpoint
from pipelines.delivery.adapter import Adapter, OutgoingPackage
from pipelines.delivery.backoff import Stop, Wait
from pipelines.delivery.replies import (
    Inquiry,
    PackageRefusedError,
    PackageUnknownError,
    Receipts,
    SubmitReply,
    Trouble,
)
from pipelines.errors import DeliveryError

Answer = TypeVar("Answer")
AttemptRow = dict[str, Any]
"""The columns of a row of ``attempt``."""


class Calls:
    """The adapter with patience and a memory.

    It does not touch the ledger: whoever calls takes the attempts and stores them with what they came to. Nothing is
    tried again after ``stop`` is set.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        adapter: Adapter,
        now: Callable[[], datetime],
        sleep: Callable[[float], object],
        stop: Event,
    ) -> None:
        self._adapter = adapter
        self._now = now
        self._sleep = sleep
        self._retry = endpoint.retry
        self._longest = timedelta(seconds=max(endpoint.retry.longest_seconds, endpoint.receipt_wait_seconds))
        self._attempts: list[AttemptRow] = []
        self._stop = stop

    def take_attempts(self) -> list[AttemptRow]:
        """The attempts since the last time, oldest first."""
        attempts, self._attempts = self._attempts, []
        return attempts

    def submit(self, package: OutgoingPackage) -> SubmitReply | Inquiry:
        """Like :meth:`Adapter.submit`; raises the last :class:`Trouble` when patience ends.

        Whenever an earlier call may have brought the package to the receiver, this one included, the receiver is asked
        before anything is sent again; what it knows of the package is the answer then.
        """
        doubt = package.offered

        def once() -> SubmitReply | Inquiry:
            nonlocal doubt
            if doubt:
                known = self._once(package.package_id, "inquire", lambda: self._adapter.inquire(package))
                if known.state == "taken" or (known.state == "partly" and known.receipts):
                    return known
            try:
                return self._once(package.package_id, "submit", lambda: self._adapter.submit(package))
            except Trouble as trouble:
                doubt = doubt or trouble.may_have_worked
                raise

        return self._patiently(once)

    def receipts(self, package: OutgoingPackage) -> Receipts:
        """Like :meth:`Adapter.receipts`; raises the last :class:`Trouble` when patience ends."""
        return self._patiently(
            lambda: self._once(package.package_id, "receipts", lambda: self._adapter.receipts(package))
        )

    def inquire(self, package: OutgoingPackage) -> Inquiry:
        """Like :meth:`Adapter.inquire`; raises the last :class:`Trouble` when patience ends."""
        return self._patiently(
            lambda: self._once(package.package_id, "inquire", lambda: self._adapter.inquire(package))
        )

    def retract(self, package: OutgoingPackage, record_keys: Collection[str]) -> frozenset[str]:
        """Like :meth:`Adapter.retract`; raises the last :class:`Trouble` when patience ends."""
        return self._patiently(
            lambda: self._once(package.package_id, "retract", lambda: self._adapter.retract(package, record_keys))
        )

    def _patiently(self, call: Callable[[], Answer]) -> Answer:
        patience = Stop(self._retry, self._longest)

        def stop(state: RetryCallState) -> bool:
            return self._stop.is_set() or patience(state)

        retrying = Retrying(
            retry=retry_if_exception_type(Trouble),
            wait=Wait(self._retry),
            stop=stop,
            sleep=self._pause,
            reraise=True,
        )
        answer: Answer = retrying(call)
        return answer

    def _pause(self, seconds: float) -> None:
        self._sleep(seconds)

    def _once(self, package_id: str, action: str, call: Callable[[], Answer]) -> Answer:
        try:
            answer = call()
        except Trouble as trouble:
            self._note(package_id, action, trouble.kind, trouble.status, trouble.text)
            raise
        except PackageRefusedError as refused:
            status = refused.status if isinstance(refused.status, int) else None
            self._note(package_id, action, "refused", status, None if status else str(refused.status))
            raise
        except PackageUnknownError:
            self._note(package_id, action, "unknown", None, None)
            raise
        except DeliveryError as error:
            self._note(package_id, action, "denied", None, error.problem)
            raise
        if not isinstance(answer, Receipts) or answer.complete:
            status = answer.status if isinstance(answer, SubmitReply) else None
            text = answer.state if isinstance(answer, Inquiry) else None
            self._note(package_id, action, "answered", status, text)
        return answer

    def _note(self, package_id: str, action: str, outcome: str, status: int | None, text: str | None) -> None:
        self._attempts.append(
            {
                "package": package_id,
                "at": self._now(),
                "action": action,
                "outcome": outcome,
                "status": status,
                "text": text,
            }
        )
