"""Sending again what a receiver rejected by mistake or never answered: nothing is pulled or judged again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from pipelines.delivery.resending import Chosen, give_up_waiting, queue_again, rejected_rows, unanswered_rows
from pipelines.errors import DeliveryError
from pipelines.ledger.database import now
from pipelines.ledger.models import DeliveryFinding, Outbox, Package
from pipelines.operations.context import Context
from pipelines.operations.deliveries import chosen_endpoints

CHUNK = 10_000
UNANSWERED = "no answer"


@dataclass(frozen=True)
class Resent:
    """What is, or would be, sent again: (feed, operation, rule) → records; the rule ``UNANSWERED`` for no answer.

    ``open_packages`` are those that match and are not settled: a delivery asks the receiver about them anyway.
    """

    counts: dict[tuple[str, str, str], int]
    open_packages: int

    @property
    def records(self) -> int:
        return sum(self.counts.values())


def resend(context: Context, chosen: Chosen, by: str, *, really: bool) -> Resent:
    """Queue the chosen records again, or only say which they are unless ``really``.

    Chosen are rejected ones, and of a package that is named those that the receiver has not settled although its
    patience (``receipt_patience_hours``) is over.

    They keep their deadline and their idempotency keys. Raises :class:`CatalogueError` for an unknown endpoint and
    :class:`DeliveryError` when nothing narrows the choice or the package is not known.
    """
    [endpoint] = chosen_endpoints(context, chosen.endpoint)
    if not chosen.says_something:
        raise DeliveryError("nothing says which rejected records are meant", remedy="give --package, --since or --rule")
    opened = context.ledger.write() if really else context.ledger.read()
    with opened as session:
        open_packages = _open_packages(session, chosen)
        rows = rejected_rows(session, chosen)
        unanswered = unanswered_rows(session, chosen, now() - endpoint.receipt_patience)
        counts = _counts(session, rows)
        counts.update(Counter((row.feed, row.operation, UNANSWERED) for row in unanswered))
        resent = Resent(counts, 0 if unanswered else open_packages)
        if really:
            queue_again(session, rows, by, now())
            give_up_waiting(session, unanswered, by, now())
    return resent


def _counts(session: Session, rows: Sequence[Outbox]) -> dict[tuple[str, str, str], int]:
    ids = [row.id for row in rows]
    rules: dict[int, str] = {}
    for start in range(0, len(ids), CHUNK):
        query = select(DeliveryFinding.outbox_id, DeliveryFinding.rule)
        found = session.execute(query.where(DeliveryFinding.outbox_id.in_(ids[start : start + CHUNK])))
        rules.update({row: rule or "" for row, rule in found})
    return dict(sorted(Counter((row.feed, row.operation, rules.get(row.id, "")) for row in rows).items()))


def _open_packages(session: Session, chosen: Chosen) -> int:
    if chosen.reference is None:
        return 0
    package = session.scalars(
        select(Package).where(Package.endpoint == chosen.endpoint, Package.reference == chosen.reference)
    ).first()
    if package is None:
        raise DeliveryError(
            f"{chosen.endpoint} was never sent a package {chosen.reference}",
            remedy="look the reference up with 'guiji trace', or give --since or --rule",
        )
    return 1 if package.settled_at is None else 0
