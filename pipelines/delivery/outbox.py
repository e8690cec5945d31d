"""The outbox: which record versions are due, and which package each of them travels in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, select, update
from sqlalchemy.orm import Session, aliased

from pipelines.ledger.models import Attempt, ConsolidatedRun, DeliveryFinding, Outbox, Package


def unsettled(row: type[Outbox] = Outbox) -> ColumnElement[bool]:
    """Neither accepted nor rejected nor withheld."""
    return and_(row.accepted_at.is_(None), row.rejected_at.is_(None), row.withheld_at.is_(None))


def package_id(keys: Iterable[str]) -> str:
    """The id of the package with these idempotency keys: the same records always travel under the same id."""
    return hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()


def due(session: Session, endpoint: str, limit: int) -> list[Outbox]:
    """The most urgent rows that are in no package: earliest deadline first, one category, at most ``limit``.

    A row waits until its run has been compared with the other feeds (consolidated): a feed may be published while
    a delivery is under way. A version waits until the earlier ones of its record are settled: what it must be sent as
    depends on them.
    """
    earlier = aliased(Outbox)
    overtakes = (
        select(earlier.id)
        .where(
            earlier.endpoint == Outbox.endpoint,
            earlier.record_key == Outbox.record_key,
            earlier.id < Outbox.id,
            unsettled(earlier),
        )
        .exists()
    )
    query = (
        select(Outbox)
        .where(
            Outbox.endpoint == endpoint,
            Outbox.run.in_(select(ConsolidatedRun.run)),
            unsettled(),
            Outbox.package.is_(None),
            ~overtakes,
        )
        .order_by(Outbox.deadline, Outbox.id)
    )
    first = session.scalars(query.limit(1)).first()
    if first is None:
        return []
    return list(session.scalars(query.where(Outbox.category == first.category).limit(limit)))


def open_packages(session: Session, endpoint: str) -> list[Package]:
    """Packages that an earlier run or this one has begun and not settled, oldest first."""
    query = select(Package).where(Package.endpoint == endpoint, Package.settled_at.is_(None))
    return list(session.scalars(query.order_by(Package.created_at, Package.id)))


def rows_of(session: Session, package: str) -> list[Outbox]:
    """The rows of a package, always in the same order."""
    return list(session.scalars(select(Outbox).where(Outbox.package == package).order_by(Outbox.id)))


def form_package(session: Session, ids: Sequence[int], at: datetime) -> Package | None:
    """Put the rows with these ids, all of one category, into a package; ``None`` when none of them is due any more.

    ``operation`` is settled here: a record is an update when the endpoint has accepted it before, else it is new,
    whatever became of its earlier versions.
    """
    chosen = select(Outbox).where(Outbox.id.in_(ids), unsettled(), Outbox.package.is_(None))
    rows = list(session.scalars(chosen.order_by(Outbox.id)))
    if not rows:
        return None
    identity = package_id(row.idempotency_key for row in rows)
    package = session.get(Package, identity)
    if package is None:
        package = Package(id=identity, endpoint=rows[0].endpoint, category=rows[0].category, records=len(rows))
        package.created_at = at
        session.add(package)
    package.sent_at = package.settled_at = None
    session.flush()
    known = _accepted_records(session, rows[0].endpoint, [row.record_key for row in rows])
    for row in rows:
        row.package = identity
        row.packaged_at = at
        row.operation = "update" if row.record_key in known else "new"
    return package


def _accepted_records(session: Session, endpoint: str, keys: Sequence[str]) -> set[str]:
    query = select(Outbox.record_key).where(
        Outbox.endpoint == endpoint, Outbox.record_key.in_(keys), Outbox.accepted_at.is_not(None)
    )
    return set(session.scalars(query))


def mark_sent(session: Session, package: str, at: datetime) -> None:
    """The receiver has taken the package."""
    session.execute(update(Package).where(Package.id == package).values(sent_at=at))
    session.execute(update(Outbox).where(Outbox.package == package, Outbox.sent_at.is_(None)).values(sent_at=at))


def dissolve(session: Session, package: str, at: datetime) -> None:
    """Give the unsettled rows of a package back to the outbox; what the receiver may have of them stays harmless."""
    session.execute(
        update(Outbox)
        .where(Outbox.package == package, Outbox.accepted_at.is_(None), Outbox.rejected_at.is_(None))
        .values(package=None, packaged_at=None)
    )
    session.execute(update(Package).where(Package.id == package).values(settled_at=at))


def split(session: Session, package: str, at: datetime) -> None:
    """Replace a package by two halves, so that a record that spoils it is found."""
    ids = [row.id for row in rows_of(session, package)]
    dissolve(session, package, at)
    session.flush()
    for half in (ids[: len(ids) // 2], ids[len(ids) // 2 :]):
        form_package(session, half, at)


def withhold(session: Session, problems: Mapping[int, tuple[str | None, str]], at: datetime) -> None:
    """Take rows that cannot be sent out of the way; each becomes a finding. ``problems``: row id → field, message."""
    for row in session.scalars(select(Outbox).where(Outbox.id.in_(list(problems)), unsettled())):
        field, message = problems[row.id]
        row.withheld_at = at
        row.withheld_reason = message[:200]
        add_finding(session, row, None, field, message, at)


def add_finding(session: Session, row: Outbox, rule: str | None, field: str | None, message: str, at: datetime) -> None:
    """A finding for the steward about one outbox row; the latest word replaces an earlier one."""
    finding = session.scalars(select(DeliveryFinding).where(DeliveryFinding.outbox_id == row.id)).first()
    if finding is None:
        finding = DeliveryFinding(
            outbox_id=row.id, endpoint=row.endpoint, feed=row.feed, record_key=row.record_key, message=message
        )
        session.add(finding)
    finding.rule = rule
    finding.field = field
    finding.message = message
    finding.found_at = at


def note_attempt(
    session: Session, package: str, action: str, outcome: str, status: int | None, text: str | None, at: datetime
) -> None:
    """Keep what one call to the endpoint came to."""
    session.add(Attempt(package=package, at=at, action=action, outcome=outcome, status=status, text=text))


def count_unsettled(session: Session, endpoint: str) -> int:
    """How many record versions the endpoint still has to settle, queued or under way."""
    query = select(func.count()).select_from(Outbox).where(Outbox.endpoint == endpoint, unsettled())
    return session.scalar(query) or 0


def ever_taken(session: Session, endpoint: str, category: str) -> bool:
    """Whether the endpoint has ever taken a package of this category: then its protocol and ours agree."""
    query = select(Package.id).where(
        Package.endpoint == endpoint, Package.category == category, Package.sent_at.is_not(None)
    )
    return session.scalars(query.limit(1)).first() is not None
