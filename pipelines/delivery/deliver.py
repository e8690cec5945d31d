"""Delivers what is due to one endpoint, until nothing is due or the endpoint stops us."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from threading import Event

from pipelines.catalogue.categories import Category
from pipelines.catalogue.endpoints import Endpoint
from pipelines.delivery import breaker, outbox
from pipelines.delivery.adapter import Adapter
from pipelines.delivery.backoff import delay
from pipelines.delivery.calls import Calls
from pipelines.delivery.conversation import Conversation, Held, Round
from pipelines.delivery.exclusive import exclusive
from pipelines.delivery.pace import Pace, sent_lately
from pipelines.delivery.packing import LoadRecords, Packer
from pipelines.delivery.replies import told
from pipelines.delivery.rounds import Rounds
from pipelines.delivery.settling import Progress, Settling
from pipelines.errors import DeliveryError
from pipelines.ledger import database
from pipelines.ledger.database import Ledger
from pipelines.logs import Log

log = Log("delivery")
_LOGGED = ("endpoint", "sent", "accepted", "duplicate", "rejected", "withheld", "waiting")


@dataclass(frozen=True)
class FailedPackage:
    """A package that could not be settled in this run; its records stay queued."""

    package: str
    reason: str


@dataclass(frozen=True)
class DeliveryResult:
    """Counts of record versions. ``waiting`` are not settled yet, queued or without receipt.

    ``held_back`` is why packages have to wait although nothing failed: the endpoint's hours or its pace.
    """

    endpoint: str
    sent: int
    accepted: int
    duplicate: int
    rejected: int
    withheld: int
    waiting: int
    failed_packages: tuple[FailedPackage, ...] = ()
    held_back: str | None = None


def deliver(
    ledger: Ledger,
    endpoint: Endpoint,
    adapter: Adapter,
    categories: Mapping[str, Category],
    load_records: LoadRecords,
    now: Callable[[], datetime] = database.now,
    progress: Progress = lambda settled, total: None,
    *,
    sleep: Callable[[float], object] | None = None,
    stop: Event | None = None,
    force: bool = False,
) -> DeliveryResult:
    """Send everything that is due to ``endpoint``, earliest deadline first, and settle it by its receipts.

    What a killed run left behind is resumed with the same packages; the receiver is asked first whether they got
    through. Raises :class:`RunConflictError` when another process is delivering to this endpoint,
    :class:`LeftAloneError` while its breaker is open, unless ``force``, and :class:`DeliveryError` when the endpoint is
    down or refuses us; everything not settled then stays queued. After ``stop`` is set, only the call under way is
    ended.
    """
    stop = stop or Event()
    sleep = sleep or stop.wait
    with exclusive(ledger.engine, endpoint.endpoint), adapter:
        with ledger.read() as session:
            state = breaker.state_of(session, endpoint.endpoint)
            sent = sent_lately(session, endpoint.endpoint, now())
        if not force:
            breaker.check(state, now())
        trial = breaker.standing(state, now()) != "closed"
        calls = Calls(endpoint, adapter, now, sleep, stop)
        talk = Conversation(endpoint, calls, Pace(endpoint, sent), now, sleep, stop, trial=trial)
        packer = Packer(ledger, endpoint, adapter, categories, load_records, now)
        result = _Delivery(ledger, endpoint, adapter.place, talk, packer, now, progress, sleep, trial=trial).run()
    log.info("delivery.ended", **{name: getattr(result, name) for name in _LOGGED})
    return result


class _Delivery:
    """One run: while the endpoint is busy with one round of calls, the next is prepared and the last one noted."""

    def __init__(
        self,
        ledger: Ledger,
        endpoint: Endpoint,
        place: str,
        talk: Conversation,
        packer: Packer,
        now: Callable[[], datetime],
        progress: Progress,
        sleep: Callable[[float], object],
        *,
        trial: bool,
    ) -> None:
        self._ledger = ledger
        self._endpoint = endpoint
        self._place = place
        self._talk = talk
        self._now = now
        self._sleep = sleep
        self._settling = Settling(ledger, endpoint, packer, now, progress)
        self._rounds = Rounds(ledger, endpoint, packer, talk, self._settling, now, trial=trial)

    def run(self) -> DeliveryResult:
        with ThreadPoolExecutor(max_workers=1) as line:
            try:
                self._exchange(line)
                self._wait_for_receipts(line)
            finally:
                self._talk.hang_up()
        self._talk.conclude()
        self._note_standing()
        if self._talk.denied is not None:
            raise self._talk.denied
        if self._talk.down is not None:
            raise self._down(told(self._talk.down)) from self._talk.down
        self._settling.finish()
        failed = tuple(FailedPackage(package, reason) for package, reason in self._settling.failures.items())
        if self._settling.refused and not self._settling.sent:
            raise self._disagreement(next(iter(self._settling.refused.values())))
        tally = self._settling.tally
        return DeliveryResult(
            self._endpoint.endpoint,
            self._settling.sent,
            tally.accepted,
            tally.duplicate,
            tally.rejected,
            self._settling.withheld,
            self._waiting(),
            failed,
            self._talk.later,
        )

    def _exchange(self, line: ThreadPoolExecutor) -> None:
        """Make all calls that can be made now."""
        held: tuple[Round, Held] | None = None
        round_ = self._rounds.next()
        while round_ is not None or held is not None:
            under_way = line.submit(self._talk.hold, round_) if round_ is not None else None
            if held is not None:
                self._settling.note(*held)
            upcoming = self._rounds.next()
            held = (round_, under_way.result()) if round_ is not None and under_way is not None else None
            round_ = upcoming

    def _wait_for_receipts(self, line: ThreadPoolExecutor) -> None:
        """Ask again for the receipts of what the endpoint is still at work on, as long as a run may wait."""
        waited, polls = 0.0, 0
        while self._settling.awaited and not self._talk.ended:
            polls += 1
            pause = delay(polls, self._endpoint.retry).total_seconds()
            if waited + pause > self._endpoint.receipt_wait_seconds:
                return
            self._sleep(pause)
            waited += pause
            settled = self._settling.tally.settled
            self._rounds.ask_again(self._settling.take_awaited())
            self._exchange(line)
            if self._settling.tally.settled > settled:
                waited, polls = 0.0, 0

    def _note_standing(self) -> None:
        """Close the breaker after an answer; count a delivery that ended with the endpoint itself being the trouble."""
        trouble = self._talk.down
        if not self._talk.answered and trouble is None:
            return
        with self._ledger.write() as session:
            if self._talk.answered:
                breaker.note_answer(session, self._endpoint.endpoint, self._now())
            if trouble is not None:
                breaker.note_failure(session, self._endpoint, told(trouble), self._now(), trouble.retry_after)

    def _waiting(self) -> int:
        with self._ledger.read() as session:
            return outbox.count_unsettled(session, self._endpoint.endpoint)

    def _down(self, reason: str) -> DeliveryError:
        return DeliveryError(
            f"{self._endpoint.endpoint} at {self._place} does not take deliveries: {reason}; "
            f"{self._waiting()} record versions stay queued, none is lost",
            remedy="check that the receiver runs and the address is right, then deliver again: it goes on where it was",
        )

    def _disagreement(self, status: str) -> DeliveryError:
        name = self._endpoint.endpoint
        return DeliveryError(
            f"{name} at {self._place} refuses every package ({status}); everything stays queued",
            remedy=f"compare what the receiver expects with schemas/endpoints/{name}.yaml, then deliver again",
        )
