"""The one desk behind every protocol of the receiver: it takes packages, gives receipts and shows what is held."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Literal

from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from pipelines.catalogue.categories import Category
from pipelines.errors import GuijiError, StorageError
from pipelines.sandbox.full_disk import full_disk, is_full
from pipelines.sandbox.judge import ACCEPTED, Judge
from pipelines.sandbox.messages import SentPackage
from pipelines.sandbox.misbehaviour import Misbehaviour
from pipelines.sandbox.spoiled_receipts import spoil
from pipelines.sandbox.store import HeldRecord, IssuedReceipt, ReceivedPackage, open_store
from pipelines.sandbox.subjects import Subjects

Protocol = Literal["rest", "xml_service", "exchange_table", "sftp_file"]


class AnotherPackageError(GuijiError):
    """The id or the idempotency key belongs to a package with other records."""


class StoreFullError(StorageError):
    """The disk of the receiver is full: nothing of the package was stored."""


class NotWholeError(GuijiError):
    """A package that was to be taken as a whole has a record that is not accepted: nothing of it was stored.

    ``receipt`` is that of the first such record, and was not stored either.
    """

    def __init__(self, receipt: IssuedReceipt) -> None:
        self.receipt = receipt
        super().__init__("a record of the package is not accepted", remedy="take it out and send the others again")


class Desk:
    """Takes packages of all protocols into one store.

    One package is judged and stored in one transaction, so it is there as a whole or not at all; packages are taken one
    after the other. ``today`` is the receiver's own calendar day.
    """

    def __init__(
        self,
        store: Path,
        categories: Mapping[str, Category],
        *,
        subjects: Subjects | None = None,
        today: Callable[[], date],
        misbehaviour: Misbehaviour | None = None,
    ) -> None:
        self.sessions = open_store(store)
        self.categories = categories
        self.misbehaviour = misbehaviour or Misbehaviour()
        self._store = store
        self._subjects = subjects
        self._today = today
        self._writing = Lock()

    def receive(
        self,
        category: Category,
        package: SentPackage,
        idempotency_key: str,
        via: Protocol = "rest",
        *,
        whole: bool = False,
    ) -> ReceivedPackage:
        """Judge and store a package; one that was received before is not judged again.

        Shows ``partial_rejection``, ``wrong_clock`` and ``full_disk`` by itself. Raises :class:`AnotherPackageError`
        when the id or the key was used for other records, :class:`StoreFullError` when the disk is full. ``whole``: all
        records are to be accepted or nothing is stored; :class:`NotWholeError` names the first that is not.
        """
        with self._writing:
            try:
                with self.sessions.begin() as session:
                    stored = self._receive(session, category, package, idempotency_key, via)
                    if whole:
                        _check_whole(session, package)
                    return stored
            except OperationalError as error:
                if not is_full(error):
                    raise
                raise StoreFullError(
                    "the disk is full; the package was not stored",
                    remedy="make room, then send it again",
                    file=self._store,
                ) from None

    def _receive(
        self, session: Session, category: Category, package: SentPackage, idempotency_key: str, via: Protocol
    ) -> ReceivedPackage:
        by_key = ReceivedPackage.idempotency_key == idempotency_key
        stored: ReceivedPackage | None = session.scalar(select(ReceivedPackage).where(by_key))
        if stored is None and session.get(ReceivedPackage, package.package_id) is not None:
            raise AnotherPackageError("the package id is taken", remedy="use another")
        if stored is None:
            at = datetime.now(UTC).replace(tzinfo=None)
            judge = Judge(session, category, self._subjects, self.today(), at)
            some_are_refused = self.misbehaviour.takes("partial_rejection") is not None
            if self.misbehaviour.takes("full_disk"):
                with full_disk(session):
                    return judge.receive(package, idempotency_key, via, some_are_refused=some_are_refused)
            return judge.receive(package, idempotency_key, via, some_are_refused=some_are_refused)
        if (stored.package_id, stored.category, stored.digest) != (
            package.package_id,
            category.category,
            package.digest(),
        ):
            raise AnotherPackageError("the idempotency key belongs to another package", remedy="use another")
        return stored

    def today(self) -> date:
        """The receiver's day, which may be wrong."""
        wrong = self.misbehaviour.takes("wrong_clock")
        return self._today() - timedelta(seconds=wrong.seconds) if wrong else self._today()

    def receipts(self, package_id: str) -> Sequence[IssuedReceipt] | None:
        """The receipts of a package in the order of its records; None for one that was never received."""
        with self.sessions() as session:
            if session.get(ReceivedPackage, package_id) is None:
                return None
            issued = select(IssuedReceipt).where(IssuedReceipt.package_id == package_id)
            return list(session.scalars(issued.order_by(IssuedReceipt.position)))

    def told(self, package_id: str) -> Sequence[IssuedReceipt] | None:
        """The receipts as the sender is told them: some twice, wrong, lost or out of order if so asked."""
        lines = self.receipts(package_id)
        return None if lines is None else spoil(lines, self.misbehaviour)

    def held(
        self, category: Category, offset: int = 0, limit: int | None = None, after: int = 0
    ) -> Sequence[HeldRecord]:
        """Records of a category that were ever accepted, withdrawn ones among them, oldest first.

        ``after``: only those with a greater number.
        """
        of_category = (HeldRecord.category == category.category, HeldRecord.id > after)
        query = select(HeldRecord).where(*of_category).order_by(HeldRecord.id)
        with self.sessions() as session:
            return list(session.scalars(query.offset(offset).limit(limit)))


def _check_whole(session: Session, package: SentPackage) -> None:
    issued = select(IssuedReceipt).where(
        IssuedReceipt.package_id == package.package_id, IssuedReceipt.result != ACCEPTED
    )
    first: IssuedReceipt | None = session.scalar(issued.order_by(IssuedReceipt.position).limit(1))
    if first is not None:
        # Nothing of it outlives this transaction; what it says is still to be told.
        session.expunge(first)
        raise NotWholeError(first)
