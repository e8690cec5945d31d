"""Which rows of the outbox are owed, and what each of them waits for, said in SQL: a million are asked in seconds."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import (
    ColumnElement,
    Select,
    Subquery,
    and_,
    case,
    exists,
    false,
    func,
    literal_column,
    or_,
    select,
    text,
)
from sqlalchemy.orm import Session as LedgerSession
from sqlalchemy.orm import aliased

from pipelines.deadlines.clock import BEIJING_TIME
from pipelines.deadlines.policies import Policies, StopsAt
from pipelines.delivery.outbox import unsettled
from pipelines.ledger.delivery_models import EndpointState
from pipelines.ledger.models import ConsolidatedRun, DeliveryFinding, Outbox, Run
from pipelines.operations.context import Context

# What a row waits for, by what stands in its way first.
PUBLICATION = "publication"
REJECTED = "rejected"
PROFILE = "profile"
MANUAL = "manual"
RECEIPT = "receipt"
SENDING = "sending"
EARLIER = "earlier"
CONSOLIDATION = "consolidation"
QUEUE = "queue"
BREAKER = "breaker"
WINDOW = "window"
# Whose move it is.
OWNER = {
    PUBLICATION: "receiver",
    REJECTED: "department",
    PROFILE: "receiver",
    MANUAL: "steward",
    RECEIPT: "receiver",
    SENDING: "us",
    EARLIER: "us",
    CONSOLIDATION: "us",
    QUEUE: "us",
    BREAKER: "receiver",
    WINDOW: "us",
}
# What would leave now if its endpoint were open.
WITH_US = frozenset({QUEUE, SENDING})
_MEMORY_MB = 256


@dataclass(frozen=True)
class Stops:
    """What stops the clock of a row: ``policies`` say it per limit, ``public`` are the endpoints for the public."""

    policies: Policies
    public: Collection[str]

    def running(self) -> ColumnElement[bool]:
        """Whether nothing has stopped the clock of a row; what stops on arrival has stopped before it is queued."""
        conditions: dict[StopsAt, ColumnElement[bool]] = {
            "accepted": Outbox.accepted_at.is_(None),
            "delivered": and_(Outbox.accepted_at.is_(None), Outbox.sent_at.is_(None)),
            "published": ~self._is_published(),
        }
        used = {policy.stops_at for policy in self.policies.by_code.values()}
        if used == {"accepted"}:
            return conditions["accepted"]
        return or_(false(), *(and_(self._stops_at(kind), conditions[kind]) for kind in conditions if kind in used))

    def _stops_at(self, kind: StopsAt) -> ColumnElement[bool]:
        codes = [code for code, policy in self.policies.by_code.items() if policy.stops_at == kind]
        named = Outbox.policy.in_(codes)
        if self.policies.default.stops_at != kind:
            return named
        # A limit that was taken out of the file since then must not take its records off the clock.
        return or_(named, Outbox.policy.is_(None), Outbox.policy.not_in(list(self.policies.by_code)))

    def _is_published(self) -> ColumnElement[bool]:
        public = aliased(Outbox)
        return exists().where(
            public.record_key == Outbox.record_key,
            public.feed == Outbox.feed,
            public.family == Outbox.family,
            public.act == Outbox.act,
            public.endpoint.in_(self.public),
            public.accepted_at.is_not(None),
        )


def owed(context: Context, policies: Policies) -> ColumnElement[bool]:
    """A row whose clock runs.

    Not owed is what a newer version has overtaken, and what was set aside without anybody having to act: another feed
    has reported it, or the endpoint does not show what would be withdrawn.
    """
    public = [name for name, endpoint in context.catalogue.endpoints.items() if endpoint.audience == "public"]
    is_wanted = or_(Outbox.withheld_at.is_(None), Outbox.withheld_rule.is_not(None), waits_for_a_person())
    return and_(Stops(policies, public).running(), is_wanted, Outbox.id.not_in(overtaken()))


def waits_for_a_person() -> ColumnElement[bool]:
    """Whether a withheld row could not be sent; the finding of one that was rejected tells of another feed's loss."""
    has_finding = exists().where(DeliveryFinding.outbox_id == Outbox.id)
    return and_(has_finding, Outbox.rejected_at.is_(None))


def earlier_rows() -> Subquery:
    """Of every later row of a record, its id and what came of the earlier ones: ``taken`` and ``unsettled`` are 0 or 1.

    To be joined to the outbox on the left: a first row is not among them.
    """
    later, earlier = aliased(Outbox), aliased(Outbox)
    is_taken = and_(earlier.accepted_at.is_not(None), earlier.feed == later.feed, earlier.family == "content")
    return (
        select(
            later.id.label("row"),
            func.max(case((is_taken, 1), else_=0)).label("taken"),
            func.max(case((unsettled(earlier), 1), else_=0)).label("unsettled"),
        )
        .join(earlier, _same_record(earlier, later))
        .where(is_later(later), later.accepted_at.is_(None))
        .group_by(later.id)
        .subquery("earlier_rows")
    )


def waiting_for(earlier: Subquery) -> ColumnElement[str]:
    """The code of what an owed row waits for."""
    compared = exists().where(ConsolidatedRun.run == Run.id)
    unconsolidated = select(Run.id).where(Run.state == "published", ~compared)
    return case(
        (Outbox.accepted_at.is_not(None), PUBLICATION),
        (Outbox.rejected_at.is_not(None), REJECTED),
        (Outbox.withheld_rule.is_not(None), PROFILE),
        (Outbox.withheld_at.is_not(None), MANUAL),
        (and_(Outbox.package.is_not(None), Outbox.sent_at.is_not(None)), RECEIPT),
        (Outbox.package.is_not(None), SENDING),
        (earlier.c.unsettled == 1, EARLIER),
        (Outbox.run.in_(unconsolidated), CONSOLIDATION),
        else_=QUEUE,
    )


def is_correction(earlier: Subquery) -> ColumnElement[bool]:
    """Whether the endpoint has taken an earlier version already: a correction does not restart the clock."""
    return and_(earlier.c.taken == 1, Outbox.family == "content", Outbox.act == 0)


def is_later(row: type[Outbox]) -> ColumnElement[bool]:
    """A row that is not the first of its record: few are.

    The numbers stand in the text of the statement, as they do in the condition of the index of these rows.
    """
    return or_(row.version > literal_column("1"), row.act > literal_column("0"))


def _same_record(earlier: type[Outbox], later: type[Outbox]) -> ColumnElement[bool]:
    return and_(earlier.endpoint == later.endpoint, earlier.record_key == later.record_key, earlier.id < later.id)


def overtaken() -> Select[int]:
    """The rows that ``superseded()`` is true of, as a set: found from the few that are newer, not asked of each."""
    newer, older = aliased(Outbox), aliased(Outbox)
    return (
        select(older.id)
        .join(newer, _same_record(older, newer))
        .where(
            is_later(newer),
            older.accepted_at.is_(None),
            older.feed == newer.feed,
            or_(
                newer.family == "withdrawal",
                and_(older.family == "withdrawal", newer.family == "content", newer.act > literal_column("0")),
                and_(newer.family == older.family, or_(older.family != "content", newer.version >= older.version)),
            ),
        )
    )


def closed_endpoints(context: Context, session: LedgerSession, at: datetime) -> dict[str, str]:
    """Why what is queued for an endpoint cannot leave at an instant (UTC without zone): its breaker, or its window."""
    opened = set(session.scalars(select(EndpointState.endpoint).where(EndpointState.opened_at.is_not(None))))
    moment = at.replace(tzinfo=UTC).astimezone(BEIJING_TIME)
    outside = {name for name, endpoint in context.catalogue.endpoints.items() if not endpoint.takes_now(moment)}
    return dict.fromkeys(outside, WINDOW) | dict.fromkeys(opened, BREAKER)


def give_memory(session: LedgerSession) -> None:
    """Let this transaction group a million rows in memory: by default both databases would sort them on disk."""
    if session.get_bind().dialect.name == "sqlite":
        session.execute(text(f"PRAGMA cache_size = -{_MEMORY_MB * 1024}"))
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(f"SET LOCAL work_mem = '{_MEMORY_MB}MB'"))
        # Compiling takes longer than it saves in a statement with this many expressions.
        session.execute(text("SET LOCAL jit = off"))
