"""What is said to an endpoint, one call after the other, and when to stop talking."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event

from pipelines.catalogue.endpoints import Endpoint
from pipelines.delivery.adapter import OutgoingPackage
from pipelines.delivery.calls import AttemptRow, Calls
from pipelines.delivery.pace import Pace, closed_window
from pipelines.delivery.replies import (
    Inquiry,
    PackageRefusedError,
    PackageUnknownError,
    Receipts,
    SubmitReply,
    Trouble,
)
from pipelines.errors import DeliveryError

MOST_FAILURES_IN_A_ROW = 2

Answer = SubmitReply | Inquiry | Receipts | Trouble | PackageRefusedError | PackageUnknownError


@dataclass(frozen=True)
class Submission:
    """A package to hand over; ``hopeless`` when that has failed several times while other packages got through."""

    package: OutgoingPackage
    hopeless: bool


@dataclass(frozen=True)
class Question:
    """A package whose receipts are asked for; ``unwanted`` are records to take back before they are read.

    ``overdue``: its receipts have been owed for longer than the endpoint's patience allows.
    """

    package: OutgoingPackage
    unwanted: Sequence[str]
    overdue: bool


@dataclass(frozen=True)
class Round:
    """Some calls in a row: packages to hand over first, then receipts to ask for."""

    submissions: Sequence[Submission]
    questions: Sequence[Question]


@dataclass(frozen=True)
class Heard:
    """What the endpoint answered about one package, and when (UTC without zone)."""

    package: OutgoingPackage
    answer: Answer
    at: datetime
    retracted: frozenset[str] = frozenset()


@dataclass
class Held:
    """What a round came to. ``reached`` are the packages for which a call was made at all."""

    heard: list[Heard] = field(default_factory=list)
    reached: set[str] = field(default_factory=set)
    attempts: list[AttemptRow] = field(default_factory=list)


class Conversation:
    """All calls of one run, in order; rounds are held by one thread at a time.

    ``down`` is why the endpoint does not go on, ``denied`` its refusal of us or our address, ``later`` why packages
    have to wait although all is well; ``answered``: it has said anything at all. On ``trial`` the first failure is
    enough. Nothing is said after ``stop`` is set but for the call under way.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        calls: Calls,
        pace: Pace,
        now: Callable[[], datetime],
        sleep: Callable[[float], object],
        stop: Event,
        *,
        trial: bool,
    ) -> None:
        self.down: Trouble | None = None
        self.denied: DeliveryError | None = None
        self.later: str | None = closed_window(endpoint, now())
        self.answered = False
        self._endpoint = endpoint
        self._calls = calls
        self._pace = pace
        self._now = now
        self._sleep = sleep
        self._patience = 1 if trial else MOST_FAILURES_IN_A_ROW
        self._failures_in_a_row = 0
        self._last_trouble: Trouble | None = None
        self._stop = stop
        self._hung_up = False

    @property
    def ended(self) -> bool:
        """Whether nothing more is said in this run."""
        return self._hung_up or self._stop.is_set() or self.down is not None or self.denied is not None

    def hang_up(self) -> None:
        """Say nothing after the call under way; may be called from another thread."""
        self._hung_up = True

    def conclude(self) -> None:
        """Nothing more is said: an endpoint that answered nothing but failures is down."""
        if not self.answered and self.down is None:
            self.down = self._last_trouble

    def hold(self, round_: Round) -> Held:
        """Make the calls of a round, until the endpoint stops us or the time is not right for packages."""
        held = Held()
        for submission in round_.submissions:
            if self.ended or not self._may_leave(len(submission.package.messages)):
                break
            self._submit(submission, held)
        for question in round_.questions:
            if self.ended:
                break
            self._ask(question, held)
        held.attempts = self._calls.take_attempts()
        return held

    def _may_leave(self, records: int) -> bool:
        if self.later is None:
            self.later = closed_window(self._endpoint, self._now())
        if self.later is not None:
            return False
        wait = self._pace.wait(records, self._now())
        if wait is None:
            self.later = f"its pace of {self._endpoint.rate} records a minute is used up"
            return False
        if wait:
            self._sleep(wait.total_seconds())
        return not self.ended

    def _submit(self, submission: Submission, held: Held) -> None:
        package = submission.package
        held.reached.add(package.package_id)
        self._pace.note(len(package.messages), self._now())
        self._listen(held, package, lambda: self._calls.submit(package), submission.hopeless, set())

    def _ask(self, question: Question, held: Held) -> None:
        package = question.package
        held.reached.add(package.package_id)
        retracted: set[str] = set()

        def ask() -> Answer:
            if question.unwanted:
                retracted.update(self._calls.retract(package, question.unwanted))
            receipts = self._calls.receipts(package)
            if question.overdue and not receipts.complete:
                return self._after_patience(package, receipts)
            return receipts

        self._listen(held, package, ask, False, retracted)

    def _after_patience(self, package: OutgoingPackage, receipts: Receipts) -> Answer:
        """The package was taken and its receipts do not come: is it still there?"""
        known = self._calls.inquire(package)
        if known.state == "unknown":
            return PackageUnknownError()
        return Receipts([*receipts.replies, *(known.receipts or ())], complete=False)

    def _listen(
        self,
        held: Held,
        package: OutgoingPackage,
        call: Callable[[], Answer],
        hopeless: bool,
        retracted: AbstractSet[str],
    ) -> None:
        answer: Answer
        try:
            answer = call()
        except Trouble as trouble:
            answer = self._last_trouble = trouble
            self._failures_in_a_row += 1
            if trouble.kind in {"unreachable", "busy"} or (
                self._failures_in_a_row >= self._patience and not (hopeless and self.answered)
            ):
                self.down = trouble
        except DeliveryError as error:
            self.denied = error
            return
        except (PackageRefusedError, PackageUnknownError) as error:
            answer = error
        if not isinstance(answer, Trouble):
            self.answered = True
            self._failures_in_a_row = 0
        held.heard.append(Heard(package, answer, self._now(), frozenset(retracted)))
