"""What a round of calls came to, noted in the ledger in one transaction: sent, settled, split, due again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from pipelines.catalogue.endpoints import Endpoint
from pipelines.delivery import outbox, packages
from pipelines.delivery.breaker import beijing
from pipelines.delivery.conversation import Heard, Held, Round
from pipelines.delivery.packing import Packer
from pipelines.delivery.receipts import Tally, apply_receipts, reject
from pipelines.delivery.replies import (
    Inquiry,
    PackageRefusedError,
    PackageUnknownError,
    ReceiptReply,
    Receipts,
    SubmitReply,
    Trouble,
    told,
)
from pipelines.ledger.database import Ledger
from pipelines.ledger.models import Package
from pipelines.logs import Log

log = Log("delivery")

Progress = Callable[[int, int], None]
"""Told after every round: record versions settled so far, and how many there were to settle."""

Kind = tuple[str, str, str]
"""Category, family and shape: what packages have in common when a receiver refuses all of them."""

MOST_REFUSALS = 20
REFUSED_ALONE = "接收方拒收只含该条记录的数据包（{status}），未说明原因"
NO_RECEIPT = "{count} records have no receipt; they are sent again next time"
UNCLEAR = "{count} records have a result that the endpoint's file does not list, or receipts that contradict each other"
OVERDUE = (
    "it was taken at {since} Beijing time and its receipts are still not complete; ask the receiver, "
    "then 'guiji resend --package {reference}' sends it again"
)
FORGOTTEN = "the receiver took the package twice and does not know it"
VAGUE = "the receiver has parts of the package and does not say which"
STRANGE = "{count} receipts are about records that are not in the package"
REFUSED = "{category} ({family}): every package is refused ({status})"


class Settling:
    """The books of one run.

    ``in_hand`` are packages of rounds that are not noted yet; ``failures`` those that this run does not touch again,
    with the reason; ``refused`` what the receiver takes no package of; ``taken_in_part`` packages that lost rows.
    """

    def __init__(
        self, ledger: Ledger, endpoint: Endpoint, packer: Packer, now: Callable[[], datetime], progress: Progress
    ) -> None:
        self.tally = Tally()
        self.sent = 0
        self.in_hand: set[str] = set()
        self.failures: dict[str, str] = {}
        self.refused: dict[Kind, str] = {}
        self.awaited: list[str] = []
        self.taken_in_part: set[str] = set()
        self._ledger = ledger
        self._endpoint = endpoint
        self._packer = packer
        self._now = now
        self._progress = progress
        self._taken: list[str] = []
        self._retracted = 0
        self._refusals: Counter[Kind] = Counter()
        self._refused_alone: dict[str, str] = {}
        self._incomplete: dict[str, list[int]] = {}
        self._unclear: dict[str, int] = {}
        self._sent_again: set[str] = set()
        with ledger.read() as session:
            self._total = outbox.count_unsettled(session, endpoint.endpoint)

    @property
    def withheld(self) -> int:
        return self._packer.withheld

    def is_left_alone(self, package: Package) -> bool:
        """Whether a package is under way, or not touched again in this run."""
        if package.id in self.in_hand or package.id in self.failures or package.id in self._refused_alone:
            return True
        return _kind(package) in self.refused

    def take_taken(self) -> list[str]:
        """Packages taken since the last time, whose receipts have not been asked for."""
        taken, self._taken = self._taken, []
        return taken

    def take_awaited(self) -> list[str]:
        """Packages whose receipts the endpoint was still working on."""
        awaited, self.awaited = self.awaited, []
        return awaited

    def report(self) -> None:
        """Tell the progress."""
        settled = self.tally.settled + self._retracted + self._packer.withheld + self._packer.needless
        self._progress(settled, self._total)

    def note(self, round_: Round, held: Held) -> None:
        """Note what was heard in a round; packages that were not reached count as not offered."""
        missed = {submission.package.package_id for submission in round_.submissions} - held.reached
        with self._ledger.write() as session:
            packages.note_attempts(session, held.attempts)
            if missed:
                packages.mark_not_offered(session, missed)
            for heard in held.heard:
                self._settle(session, heard)
        for heard in held.heard:
            package, answer = heard.package.package_id, type(heard.answer).__name__
            log.info("package.answered", endpoint=self._endpoint.endpoint, package=package, answer=answer)
        self.in_hand -= {submission.package.package_id for submission in round_.submissions}
        self.in_hand -= {question.package.package_id for question in round_.questions}
        self.report()

    def finish(self) -> None:
        """Reject what was refused alone, and make due again what has lost its receipt."""
        with self._ledger.write() as session:
            for identity, status in self._refused_alone.items():
                self._settle_refused(session, session.get_one(Package, identity), status)
            for identity, missing in self._incomplete.items():
                packages.release(session, identity, missing, self._now())
                self.failures[identity] = NO_RECEIPT.format(count=len(missing))
        for identity, count in self._unclear.items():
            self.failures.setdefault(identity, UNCLEAR.format(count=count))
        self.report()

    def _settle(self, session: Session, heard: Heard) -> None:
        identity, answer = heard.package.package_id, heard.answer
        if heard.retracted:
            self._retracted += packages.mark_retracted(session, identity, heard.retracted, heard.at)
        if isinstance(answer, Trouble):
            self.failures[identity] = told(answer)
        elif isinstance(answer, PackageRefusedError):
            self._refuse(session, heard, str(answer))
        elif isinstance(answer, PackageUnknownError):
            self._send_again(session, identity, heard.at)
        elif isinstance(answer, Receipts):
            self._collect(session, identity, answer, heard.at)
        else:
            self._take(session, heard, answer)

    def _take(self, session: Session, heard: Heard, answer: SubmitReply | Inquiry) -> None:
        """The receiver has the package, or, as it says on inquiry, some of it; the rest of it is due again then."""
        identity = heard.package.package_id
        receipts = answer.receipts
        partly = isinstance(answer, Inquiry) and answer.state == "partly" and receipts is not None
        there = {receipt.idempotency_key for receipt in receipts or ()} if partly else None
        packages.mark_sent(session, identity, heard.at, there)
        self.sent += len(heard.package.messages) if there is None else len(there)
        if receipts is None:
            self._taken.append(identity)
            return
        tally = self._apply(session, identity, receipts, heard.at)
        if partly and tally.missing:
            if not tally.settled and identity in self._sent_again:
                self.failures[identity] = VAGUE
                return
            self._sent_again.add(identity)
            self.taken_in_part.add(identity)
            packages.release(session, identity, tally.missing, heard.at)
        if session.get_one(Package, identity).settled_at is None:
            self._taken.append(identity)

    def _collect(self, session: Session, identity: str, receipts: Receipts, at: datetime) -> None:
        tally = self._apply(session, identity, receipts.replies, at)
        package = session.get_one(Package, identity)
        if package.settled_at is not None:
            return
        if receipts.complete:
            if tally.missing:
                self._incomplete[identity] = tally.missing
        elif package.sent_at is not None and package.sent_at + self._endpoint.receipt_patience <= at:
            self.failures[identity] = OVERDUE.format(since=beijing(package.sent_at), reference=package.reference)
        else:
            self.awaited.append(identity)

    def _apply(self, session: Session, identity: str, replies: Sequence[ReceiptReply], at: datetime) -> Tally:
        tally = apply_receipts(session, session.get_one(Package, identity), replies, at)
        session.flush()
        self.tally.add(tally)
        self._unclear.pop(identity, None)
        if tally.unclear:
            self._unclear[identity] = tally.unclear
        if tally.strange:
            strange = {"status": None, "text": STRANGE.format(count=tally.strange)}
            row = {"package": identity, "at": at, "action": "receipts", "outcome": "strange", **strange}
            packages.note_attempts(session, [row])
        return tally

    def _send_again(self, session: Session, identity: str, at: datetime) -> None:
        """The receiver does not know a package that it had taken."""
        if identity in self._sent_again:
            self.failures[identity] = FORGOTTEN
            return
        self._sent_again.add(identity)
        if any(row.accepted_at or row.rejected_at or row.withheld_at for row in packages.rows_of(session, identity)):
            packages.dissolve(session, identity, at)
            return
        package = session.get_one(Package, identity)
        package.sent_at = package.offered_at = None

    def _refuse(self, session: Session, heard: Heard, status: str) -> None:
        """Halve a refused package until the record that spoils it is alone; stop when nothing at all is taken."""
        package = session.get_one(Package, heard.package.package_id)
        kind = _kind(package)
        self._refusals[kind] += 1
        if self._refusals[kind] >= MOST_REFUSALS and not packages.ever_taken(session, package):
            self._refuse_all(package, status)
        elif len(heard.package.messages) == 1:
            self._refused_alone[package.id] = status
        else:
            packages.split(session, package.id, self._packer.name, heard.at)

    def _settle_refused(self, session: Session, package: Package, status: str) -> None:
        """Reject a record that was refused alone, provided that others like it were ever taken."""
        if not packages.ever_taken(session, package):
            self._refuse_all(package, status)
            return
        at = self._now()
        for row in packages.rows_of(session, package.id):
            row.reply_code = status[:40]
            reject(session, row, status.replace(" ", "-")[:60], None, REFUSED_ALONE.format(status=status), at)
            self.tally.rejected += 1
        package.settled_at = at

    def _refuse_all(self, package: Package, status: str) -> None:
        self.refused[_kind(package)] = status
        self.failures[package.id] = REFUSED.format(category=package.category, family=package.family, status=status)


def _kind(package: Package) -> Kind:
    return package.category, package.family, package.shape
