"""Packages: what travels to an endpoint in one go, from being formed to being settled or taken apart."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, case, func, insert, select, update
from sqlalchemy.orm import Session, aliased, load_only

from pipelines.delivery.outbox import COLUMNS, is_unsettled, set_values, unsettled, update_rows
from pipelines.ledger.models import Attempt, Outbox, Package, PackageRow

NamePackage = Callable[[Session, Package], str]
"""Gives a package the name that the receiver will know it by."""

HOPELESS = 3
STREAM = 50
RETRACTED = "接收方读取之前已撤回"


def package_id(keys: Iterable[str]) -> str:
    """The id of the package with these idempotency keys: the same records always travel under the same id."""
    return hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()


def unsent_packages(session: Session, endpoint: str, *, hopeless: bool) -> Iterator[Package]:
    """Packages that were begun and that the endpoint has not taken, oldest first; only while the session is open.

    ``hopeless``: those that were offered ``HOPELESS`` times in vain, or the others. They come last, so that a package
    at which the receiver breaks keeps no other one waiting.
    """
    offers = Package.offers >= HOPELESS if hopeless else Package.offers < HOPELESS
    query = (
        select(Package)
        .where(Package.endpoint == endpoint, Package.settled_at.is_(None), Package.sent_at.is_(None), offers)
        .order_by(Package.created_at, Package.id)
    )
    return iter(session.scalars(query.execution_options(yield_per=STREAM)))


def packages_under_way(session: Session, endpoint: str) -> list[str]:
    """Ids of packages that the endpoint has taken and not settled; the one that was asked about longest ago first."""
    asked = select(func.max(Attempt.at)).where(Attempt.package == Package.id).scalar_subquery()
    query = (
        select(Package.id)
        .where(Package.endpoint == endpoint, Package.settled_at.is_(None), Package.sent_at.is_not(None))
        .order_by(func.coalesce(asked, Package.created_at), Package.created_at, Package.id)
    )
    return list(session.scalars(query))


def rows_of(session: Session, package: str) -> list[Outbox]:
    """The rows of a package, always in the same order."""
    query = select(Outbox).where(Outbox.package == package).order_by(Outbox.line, Outbox.id)
    return list(session.scalars(query.options(load_only(*COLUMNS))))


def look_at_rows(session: Session, package: str) -> Sequence[Row[*tuple[Any, ...]]]:
    """The same as plain rows with id and :data:`COLUMNS`, three times faster, for whoever changes none of them."""
    query = select(Outbox.id, *COLUMNS).where(Outbox.package == package).order_by(Outbox.line, Outbox.id)
    return session.execute(query).all()


def form_package(
    session: Session, rows: Sequence[Outbox], shape: str, name: NamePackage, at: datetime
) -> Package | None:
    """Put rows of one category, family and shape into a package; ``None`` when none of them is due any more.

    Their operation is kept as it stands in ``rows``. What an endpoint took under one name and never acknowledged
    travels under a new one: the same name would only be answered with the same receipts.
    """
    ids = [row.id for row in rows]
    chosen = select(Outbox.id).where(Outbox.id.in_(ids), unsettled(), Outbox.package.is_(None))
    free = set(session.scalars(chosen.with_for_update()))
    rows = sorted((row for row in rows if row.id in free), key=lambda row: row.id)
    if not rows:
        return None
    identity = package_id(row.idempotency_key for row in rows)
    package = session.get(Package, identity)
    if package is None:
        first = rows[0]
        package = Package(id=identity, endpoint=first.endpoint, category=first.category, family=first.family)
        package.shape, package.records, package.created_at = shape, len(rows), at
        package.round = package.offers = 0
        session.add(package)
        session.flush()
        session.execute(insert(PackageRow), [{"package": identity, "outbox_id": row.id} for row in rows])
    is_taken = package.sent_at is not None
    if is_taken:
        package.round += 1
        package.offers = 0
        package.offered_at = None
    package.sent_at = package.settled_at = None
    # The old name stays until there is another one: numbered names must not be given twice.
    if package.reference is None or is_taken:
        package.reference = name(session, package)
    session.flush()
    placed = [
        {"id": row.id, "package": identity, "line": line, "packaged_at": at, "operation": row.operation}
        for line, row in enumerate(rows, start=1)
    ]
    update_rows(session, placed)
    for row, place in zip(rows, placed, strict=True):
        set_values(row, place)
    return package


def is_intact(session: Session, package: str, rows: int) -> bool:
    """Whether a package that was formed with so many rows still holds all of them, and all of them wait."""
    query = select(func.count()).select_from(Outbox).where(Outbox.package == package, unsettled())
    return session.scalar(query) == rows


def references(session: Session, endpoint: str, beginning: str) -> list[str]:
    """The references of an endpoint's packages that begin with some text."""
    query = select(Package.reference).where(
        Package.endpoint == endpoint, Package.reference.startswith(beginning, autoescape=True)
    )
    return [reference for reference in session.scalars(query) if reference is not None]


def mark_offered(session: Session, packages: Collection[str], at: datetime) -> None:
    """The packages are about to be submitted: from here on only the receiver knows whether they got through."""
    offers = {"offers": Package.offers + 1, "offered_at": func.coalesce(Package.offered_at, at)}
    session.execute(update(Package).where(Package.id.in_(packages)).values(offers))


def mark_not_offered(session: Session, packages: Collection[str]) -> None:
    """The packages were to be submitted, and no call was made after all."""
    before = {"offers": Package.offers - 1, "offered_at": case((Package.offers > 1, Package.offered_at))}
    session.execute(update(Package).where(Package.id.in_(packages)).values(before))


def mark_sent(session: Session, package: str, at: datetime, keys: Collection[str] | None = None) -> None:
    """The receiver has taken the package; ``keys``: only the records with these idempotency keys."""
    session.execute(update(Package).where(Package.id == package).values(sent_at=at))
    rows = update(Outbox).where(Outbox.package == package, Outbox.sent_at.is_(None))
    if keys is not None:
        rows = rows.where(Outbox.idempotency_key.in_(keys))
    session.execute(rows.values(sent_at=at))


def dissolve(session: Session, package: str, at: datetime, *, refused: bool = False) -> None:
    """Give the unsettled rows of a package back to the outbox; what the receiver may have of them stays harmless.

    ``refused``: it was offered once, and the receiver has kept nothing of it.
    """
    offered = None if refused else session.scalar(select(Package.offered_at).where(Package.id == package))
    session.execute(
        update(Outbox)
        .where(Outbox.package == package, Outbox.accepted_at.is_(None), Outbox.rejected_at.is_(None))
        .values(package=None, line=None, packaged_at=None, sent_at=func.coalesce(Outbox.sent_at, offered))
    )
    session.execute(update(Package).where(Package.id == package).values(settled_at=at))


def release(session: Session, package: str, rows: Collection[int], at: datetime) -> None:
    """Give some rows of a package back to the outbox, which are not, or no longer, at the receiver.

    Some receivers cannot prove that they hold a row: that it was sent explains why it may come back as a duplicate.
    """
    offered = session.scalar(select(Package.offered_at).where(Package.id == package))
    session.execute(
        update(Outbox)
        .where(Outbox.id.in_(rows), Outbox.package == package, unsettled())
        .values(package=None, line=None, packaged_at=None, sent_at=func.coalesce(Outbox.sent_at, offered))
    )
    settle_if_done(session, package, at)


def settle_if_done(session: Session, package: str, at: datetime) -> None:
    """A package is settled when nothing in it waits any more."""
    waits = select(Outbox.id).where(Outbox.package == package, unsettled()).exists()
    session.execute(update(Package).where(Package.id == package, ~waits).values(settled_at=at))


def split(session: Session, package: str, name: NamePackage, at: datetime) -> None:
    """Replace a package by two halves, so that a record that spoils it is found."""
    rows = rows_of(session, package)
    whole = session.get_one(Package, package)
    shape = whole.shape
    dissolve(session, package, at, refused=not was_called_before(session, whole))
    session.flush()
    for half in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
        form_package(session, half, shape, name, at)


def was_called_before(session: Session, package: Package) -> bool:
    """Whether an earlier call of this round, in this run or in one before it, may have brought it to the receiver."""
    calls = select(func.count()).select_from(Attempt).where(Attempt.package == package.id, Attempt.action == "submit")
    if package.offered_at is not None:
        calls = calls.where(Attempt.at >= package.offered_at)
    return package.offers > 1 or (session.scalar(calls) or 0) > 1


def waiting_withdrawals(session: Session, package: str) -> list[str]:
    """Records of a package that are to be withdrawn although the receiver has not yet said what became of them.

    Not those that an earlier call may have brought to the receiver: taking this copy back would leave it the other.
    """
    query = (
        select(Outbox.record_key)
        .join(Package, Package.id == Outbox.package)
        .where(
            Package.id == package,
            Package.offers <= 1,
            Package.round == 0,
            Outbox.sent_at.is_not(None),
            Outbox.family == "content",
            unsettled(),
            _is_to_be_withdrawn(),
            ~_was_offered_elsewhere(),
        )
    )
    return list(session.scalars(query))


def _was_offered_elsewhere() -> ColumnElement[bool]:
    """Told by memberships and not by instants, which a clock that is set back would turn around."""
    other = aliased(Package)
    offered = (
        select(PackageRow.outbox_id)
        .join(other, other.id == PackageRow.package)
        .where(PackageRow.outbox_id == Outbox.id, PackageRow.package != Outbox.package, other.offered_at.is_not(None))
    )
    return offered.exists()


def withdrawn_before_leaving(session: Session, package: Package) -> list[int]:
    """Rows of a package that were withdrawn while it waited and that no call can have brought to the receiver."""
    if package.offered_at is not None:
        return []
    query = select(Outbox.id).where(
        Outbox.package == package.id,
        Outbox.sent_at.is_(None),
        Outbox.family == "content",
        unsettled(),
        _is_to_be_withdrawn(),
    )
    return list(session.scalars(query))


def _is_to_be_withdrawn() -> ColumnElement[bool]:
    later = aliased(Outbox)
    withdrawal = select(later.id).where(
        later.endpoint == Outbox.endpoint,
        later.record_key == Outbox.record_key,
        later.family == "withdrawal",
        later.id > Outbox.id,
        unsettled(later),
    )
    return withdrawal.exists()


def mark_retracted(session: Session, package: str, keys: Iterable[str], at: datetime) -> int:
    """Records of a package were taken back before the receiver had read them: nothing is owed about them any more.

    The package is settled when nothing else in it waits. Returns how many rows that were.
    """
    rows = [row for row in rows_of(session, package) if row.record_key in set(keys) and is_unsettled(row)]
    for row in rows:
        row.withdrawn_at = row.withheld_at = at
        row.withheld_reason = RETRACTED
    session.flush()
    settle_if_done(session, package, at)
    return len(rows)


def note_attempts(session: Session, attempts: Sequence[Mapping[str, object]]) -> None:
    """Keep what calls to the endpoint came to."""
    if attempts:
        session.execute(insert(Attempt), attempts)


def ever_taken(session: Session, package: Package) -> bool:
    """Whether the endpoint has ever taken a package like this one: then its protocol and ours agree about them."""
    query = select(Package.id).where(
        Package.endpoint == package.endpoint,
        Package.category == package.category,
        Package.family == package.family,
        Package.shape == package.shape,
        Package.sent_at.is_not(None),
    )
    return session.scalars(query.limit(1)).first() is not None
