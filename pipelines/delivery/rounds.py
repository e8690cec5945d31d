"""What to say next to an endpoint: the packages that are most urgent, and receipts that are owed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime

from sqlalchemy.orm import Session

from pipelines.catalogue.endpoints import Endpoint
from pipelines.delivery import packages
from pipelines.delivery.adapter import OutgoingPackage
from pipelines.delivery.conversation import Conversation, Question, Round, Submission
from pipelines.delivery.packing import Packer
from pipelines.delivery.settling import Settling
from pipelines.ledger.database import Ledger
from pipelines.ledger.models import Package

IN_A_ROUND = 8


class Rounds:
    """Prepares the rounds of one run; on ``trial`` only one call is made until the endpoint has answered.

    A package is noted as offered before the round that submits it begins. Should the process die in between, the next
    one asks about a package that never left, which costs a call and harms nothing.
    """

    def __init__(
        self,
        ledger: Ledger,
        endpoint: Endpoint,
        packer: Packer,
        talk: Conversation,
        settling: Settling,
        now: Callable[[], datetime],
        *,
        trial: bool,
    ) -> None:
        self._ledger = ledger
        self._endpoint = endpoint
        self._packer = packer
        self._talk = talk
        self._settling = settling
        self._now = now
        self._trial = trial
        # Asked about once without looking them up again.
        self._submitted: dict[str, OutgoingPackage] = {}
        with ledger.read() as session:
            self._to_ask = deque(packages.packages_under_way(session, endpoint.endpoint))

    def ask_again(self, packages: Iterable[str]) -> None:
        """Ask for the receipts of these packages in the next rounds."""
        self._to_ask.extend(packages)

    def next(self) -> Round | None:
        """The next round; None when there is nothing to say now."""
        if self._talk.ended:
            return None
        self._to_ask.extend(self._settling.take_taken())
        if self._trial and not self._talk.answered:
            return self._trial_round()
        submissions = self._submissions(IN_A_ROUND)
        questions = self._questions(IN_A_ROUND)
        return Round(submissions, questions) if submissions or questions else None

    def _trial_round(self) -> Round | None:
        """One call; while it is under way, nothing else."""
        if self._settling.in_hand:
            return None
        questions = self._questions(1)
        submissions = [] if questions else self._submissions(1)
        return Round(submissions, questions) if submissions or questions else None

    def _submissions(self, most: int) -> list[Submission]:
        chosen: list[Submission] = []
        if self._talk.later is not None:
            return chosen
        while len(chosen) < most and (found := self._unsent(most - len(chosen))):
            for package in found:
                outgoing = self._packer.outgoing(package)
                if outgoing is not None:
                    chosen.append(Submission(outgoing, package.offers >= packages.HOPELESS))
                    self._settling.in_hand.add(package.id)
                    self._submitted[package.id] = outgoing
        if chosen:
            with self._ledger.write() as session:
                packages.mark_offered(session, [one.package.package_id for one in chosen], self._now())
        return chosen

    def _unsent(self, most: int) -> list[Package]:
        """Packages to submit: begun ones, else new ones, and those that have always failed last."""
        found = self._begun(most, hopeless=False)
        while not found and self._packer.form(most):
            self._settling.report()
            found = self._begun(most, hopeless=False)
        return found or self._begun(most, hopeless=True)

    def _begun(self, most: int, *, hopeless: bool) -> list[Package]:
        found: list[Package] = []
        with self._ledger.read() as session:
            for package in packages.unsent_packages(session, self._endpoint.endpoint, hopeless=hopeless):
                if not self._settling.is_left_alone(package):
                    found.append(package)
                if len(found) == most:
                    break
        return found

    def _questions(self, most: int) -> list[Question]:
        questions: list[Question] = []
        with self._ledger.read() as session:
            while self._to_ask and len(questions) < most:
                package = session.get_one(Package, self._to_ask.popleft())
                self._settling.in_hand.add(package.id)
                questions.append(self._question(session, package))
        return questions

    def _question(self, session: Session, package: Package) -> Question:
        unwanted = packages.waiting_withdrawals(session, package.id)
        patience = self._endpoint.receipt_patience
        if package.sent_at is not None and package.sent_at + patience <= self._now():
            return Question(self._packer.with_what_there_is(session, package), unwanted, overdue=True)
        outgoing = self._submitted.pop(package.id, None)
        if outgoing is None or package.id in self._settling.taken_in_part:
            outgoing = self._packer.without_data(session, package)
        return Question(outgoing, unwanted, overdue=False)
