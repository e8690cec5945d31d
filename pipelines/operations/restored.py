"""After a restore endpoints know more than the ledger: nothing leaves before somebody has reconciled.

What holds deliveries is a reconciliation that was begun by the restore and has not ended; a real one of the same
endpoint and category takes its place.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import or_, select
from sqlalchemy.orm import Session as LedgerSession
from sqlalchemy.orm import aliased

from pipelines.catalogue.endpoints import Endpoint
from pipelines.errors import DeliveryError
from pipelines.ledger.database import now
from pipelines.ledger.delivery_models import Reconciliation
from pipelines.operations.reconciliation_marks import CANNOT_BE_ASKED, SCHEDULED

RESTORE = "guiji backup restore"


def hold_deliveries(session: LedgerSession, endpoints: Iterable[Endpoint], saved_at: str) -> None:
    """Hold what goes to these endpoints; ``saved_at`` is when the backup was made, as a text."""
    told = f"restored from the backup of {saved_at} UTC and not compared since"
    session.add_all(
        Reconciliation(endpoint=endpoint.endpoint, category=category, started_at=now(), by=RESTORE, problem=told)
        for endpoint in endpoints
        for category in endpoint.categories
    )


def held_since_restore(session: LedgerSession, endpoint: Endpoint) -> list[str]:
    """Categories of an endpoint that were restored, and that nobody has compared with it since.

    What the scheduled comparison of a morning finds lifts no hold: a person has to have looked.
    """
    later = aliased(Reconciliation)
    compared = (
        select(later.id)
        .where(
            later.endpoint == Reconciliation.endpoint,
            later.category == Reconciliation.category,
            later.id > Reconciliation.id,
            later.finished_at.is_not(None),
            later.by != SCHEDULED,
            or_(later.problem.is_(None), later.problem == CANNOT_BE_ASKED),
        )
        .exists()
    )
    query = select(Reconciliation.category).where(
        Reconciliation.endpoint == endpoint.endpoint,
        Reconciliation.category.in_(endpoint.categories),
        Reconciliation.by == RESTORE,
        ~compared,
    )
    return sorted(set(session.scalars(query)))


def require_compared(session: LedgerSession, endpoint: Endpoint) -> None:
    """Raise :class:`DeliveryError` while a restored ledger has not been compared with what the endpoint holds."""
    if categories := held_since_restore(session, endpoint):
        name = endpoint.endpoint
        raise DeliveryError(
            f"{name}: the ledger was restored from a backup, and the endpoint may hold more than it knows "
            f"({', '.join(categories)}); everything stays queued",
            remedy=f"run 'guiji reconcile --endpoint {name}', then 'guiji reconcile repair', then deliver; "
            "'guiji deliver --force' goes without",
        )
