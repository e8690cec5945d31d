"""Which runs and which outbox rows belong to a batch, and which rows newer ones have overtaken."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, ScalarSelect, Select, and_, case, func, or_, select
from sqlalchemy.orm import aliased

from pipelines.ledger.models import Outbox, Run


def published_runs(run: Run) -> Select[str]:
    """Every published run of the batch of ``run``: what a batch added to the store, it added with any of them."""
    return select(Run.id).where(Run.batch_id == run.batch_id, Run.state == "published")


def stored_by_batches() -> Select[int, int, int]:
    """Per batch, over all its published runs: its id, the records stored anew, and those of them that were late."""
    timed, late = func.sum(Run.new + Run.changed), func.sum(Run.late)
    stored = select(Run.batch_id, timed.label("timed"), late.label("late"))
    return stored.where(Run.state == "published").group_by(Run.batch_id)


def of_batch(run: Run) -> ColumnElement[bool]:
    """Record versions that any published run of the batch of ``run`` has queued; acts on them are not its doing.

    A date that is run again must not forget what an endpoint rejected of the run before.
    """
    return and_(Outbox.run.in_(published_runs(run)), Outbox.act == 0)


def first_taken() -> ScalarSelect[datetime | None]:
    """When the endpoint of an outbox row first accepted any version of its record: this is what stops the legal clock.

    A version that was refused does not stop it, and a correction of what was accepted does not start it again
    (domain reference 5.3): the correction has the deadline of the decision and met it if the first version did.
    """
    other = aliased(Outbox)
    # SQLite would look for the least of a bare column in the order of an index of all deliveries of the endpoint.
    accepted = case((other.family == "content", other.accepted_at))
    return (
        select(func.min(accepted))
        .where(other.endpoint == Outbox.endpoint, other.feed == Outbox.feed, other.record_key == Outbox.record_key)
        .scalar_subquery()
    )


def superseded() -> ColumnElement[bool]:
    """Whether something newer about the same record, queued for the same endpoint, has made this row pointless.

    An objection says nothing about the content of a record, so it takes the place of an earlier objection only; and a
    version that is sent again says nothing about a newer one that the endpoint did not take. A record that is shown
    again need not be withdrawn; versions that its feed goes on reporting meanwhile change nothing about that.
    """
    newer = aliased(Outbox)
    return (
        select(newer.id)
        .where(
            newer.endpoint == Outbox.endpoint,
            newer.feed == Outbox.feed,
            newer.record_key == Outbox.record_key,
            newer.id > Outbox.id,
            or_(
                newer.family == "withdrawal",
                and_(Outbox.family == "withdrawal", newer.family == "content", newer.act > 0),
                and_(newer.family == Outbox.family, Outbox.family != "content"),
                and_(newer.family == Outbox.family, newer.version >= Outbox.version),
            ),
        )
        .exists()
    )
