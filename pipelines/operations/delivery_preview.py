"""What a delivery would send where, and why anything stays: read from the ledger, nothing is changed or called."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, literal, select
from sqlalchemy.orm import Session, aliased

from pipelines.catalogue.endpoints import Endpoint
from pipelines.deadlines.calendar import load_calendar
from pipelines.delivery import breaker, outbox
from pipelines.delivery.address import endpoint_secret
from pipelines.delivery.pace import closed_window
from pipelines.errors import DeliveryError
from pipelines.ledger.database import now
from pipelines.ledger.models import ConsolidatedRun, Outbox, Package
from pipelines.operations.clock import BUCKETS, bucket, today_in_shanghai
from pipelines.operations.context import Context
from pipelines.operations.deliveries import chosen_endpoints
from pipelines.operations.record_words import number_and_name
from pipelines.operations.restored import require_compared
from pipelines.records.reading import load_versions

GOES = "goes"
UNDER_WAY = "taken by the receiver, its receipts are awaited"
UNSETTLED_RUN = "its batch is not compared with the other feeds yet; a delivery does that first"
EARLIER = "waits until an earlier version is settled"
NOT_SHOWN = "need not be sent: the receiver does not show the record"
NOT_TAKEN = "the endpoint does not take this operation; a person has to see to it"


@dataclass(frozen=True)
class Going:
    """Records that would leave, of one category, operation and bucket of the clock."""

    category: str
    operation: str
    due: str
    records: int


@dataclass(frozen=True)
class Staying:
    """Records that would not leave, and why."""

    category: str
    operation: str
    reason: str
    records: int


@dataclass(frozen=True)
class ListedRecord:
    """One record that would leave; what could point at a natural person is masked."""

    feed: str
    operation: str
    deadline: date
    document_number: str | None
    subject_name: str | None


@dataclass
class Plan:
    """What would happen at one endpoint. ``obstacles`` are why nothing at all would leave now."""

    endpoint: str
    obstacles: list[str] = field(default_factory=list)
    going: list[Going] = field(default_factory=list)
    staying: list[Staying] = field(default_factory=list)
    packages: dict[str, int] = field(default_factory=dict)
    listed: list[ListedRecord] = field(default_factory=list)


def preview(
    context: Context,
    endpoint: str | None = None,
    feed: str | None = None,
    *,
    most_listed: int = 0,
    environment: Mapping[str, str] = os.environ,
) -> list[Plan]:
    """The plan of every endpoint, or of one; of all feeds, or of one.

    ``packages`` of a plan counts, per category, those begun and at least so many new ones. Acceptance profiles that
    were changed since the last delivery are asked again by the next one only. ``most_listed`` records of each endpoint
    are listed one by one.
    """
    if feed is not None:
        context.catalogue.feed(feed)
    return [_plan(context, one, feed, most_listed, environment) for one in chosen_endpoints(context, endpoint)]


def _plan(
    context: Context, endpoint: Endpoint, feed: str | None, most_listed: int, environment: Mapping[str, str]
) -> Plan:
    plan = Plan(endpoint.endpoint)
    ours = [Outbox.endpoint == endpoint.endpoint] + ([Outbox.feed == feed] if feed else [])
    with context.ledger.read() as session:
        if outbox.is_anything_open(session, endpoint.endpoint):
            plan.obstacles = _obstacles(session, endpoint, environment)
        _sort(context, session, endpoint, ours, plan)
        plan.staying += _withheld(session, ours)
        plan.packages = _packages(session, endpoint, plan.going)
        listed = _first(session, ours, endpoint, most_listed) if most_listed else []
    plan.listed = _listed(context, listed)
    return plan


def _obstacles(session: Session, endpoint: Endpoint, environment: Mapping[str, str]) -> list[str]:
    at = now()
    obstacles: list[str] = []
    try:
        breaker.check(breaker.state_of(session, endpoint.endpoint), at)
        require_compared(session, endpoint)
        endpoint_secret(endpoint, environment)
    except DeliveryError as error:
        obstacles.append(error.problem)
    closed = closed_window(endpoint, at)
    return obstacles + ([closed] if closed else [])


def _sort(
    context: Context, session: Session, endpoint: Endpoint, ours: Sequence[ColumnElement[bool]], plan: Plan
) -> None:
    calendar, today = load_calendar(context.settings), today_in_shanghai()
    fate, operation = _fate(endpoint), _operation()
    query = (
        select(Outbox.category, operation, fate, Outbox.deadline, func.count())
        .where(*ours, outbox.unsettled())
        .group_by(Outbox.category, operation, fate, Outbox.deadline)
    )
    going: defaultdict[tuple[str, str, str], int] = defaultdict(int)
    staying: defaultdict[tuple[str, str, str], int] = defaultdict(int)
    for category, said, reason, deadline, count in session.execute(query):
        if reason == GOES:
            going[category, said, bucket(calendar, today, deadline)] += count
        else:
            staying[category, said, reason] += count
    by_urgency = sorted(going, key=lambda line: (BUCKETS.index(line[2]), line))
    plan.going = [Going(*line, going[line]) for line in by_urgency]
    plan.staying = [Staying(*line, staying[line]) for line in sorted(staying)]


def _fate(endpoint: Endpoint) -> ColumnElement[str]:
    """What would become of an unsettled row, as the delivery itself decides it."""
    earlier = aliased(Outbox)
    overtakes = (
        select(earlier.id)
        .where(
            earlier.endpoint == Outbox.endpoint,
            earlier.record_key == Outbox.record_key,
            earlier.id < Outbox.id,
            outbox.unsettled(earlier),
        )
        .exists()
    )
    is_taken = Outbox.package.in_(select(Package.id).where(Package.sent_at.is_not(None), Package.settled_at.is_(None)))
    return case(
        (is_taken, literal(UNDER_WAY)),
        (Outbox.package.is_not(None), literal(GOES)),
        (Outbox.run.not_in(select(ConsolidatedRun.run)), literal(UNSETTLED_RUN)),
        (overtakes, literal(EARLIER)),
        (and_(Outbox.family != "content", ~_is_shown()), literal(NOT_SHOWN)),
        (_operation().not_in(endpoint.operations), literal(NOT_TAKEN)),
        else_=literal(GOES),
    )


def _operation() -> ColumnElement[str]:
    """What an unsettled row would be sent as."""
    content = case((_is_shown(), literal("update")), else_=literal("new"))
    return case((and_(Outbox.family == "content", Outbox.package.is_(None)), content), else_=Outbox.operation)


def _is_shown() -> ColumnElement[bool]:
    """Whether the endpoint shows the record, as ``outbox.shown_records`` says it."""
    shown = aliased(Outbox)
    return (
        select(shown.id)
        .where(
            shown.endpoint == Outbox.endpoint,
            shown.record_key == Outbox.record_key,
            shown.family == "content",
            shown.accepted_at.is_not(None),
            shown.withdrawn_at.is_(None),
        )
        .exists()
    )


def _withheld(session: Session, ours: Sequence[ColumnElement[bool]]) -> list[Staying]:
    query = (
        select(Outbox.category, Outbox.operation, Outbox.withheld_rule, Outbox.withheld_reason, func.count())
        .where(
            *ours,
            Outbox.withheld_at.is_not(None),
            Outbox.withdrawn_at.is_(None),
            Outbox.accepted_at.is_(None),
            Outbox.rejected_at.is_(None),
        )
        .group_by(Outbox.category, Outbox.operation, Outbox.withheld_rule, Outbox.withheld_reason)
        .order_by(Outbox.category, Outbox.operation, Outbox.withheld_rule, Outbox.withheld_reason)
    )
    return [
        Staying(category, operation, f"acceptance rule {rule}: {reason}" if rule else f"withheld: {reason}", count)
        for category, operation, rule, reason, count in session.execute(query)
    ]


def _packages(session: Session, endpoint: Endpoint, going: Sequence[Going]) -> dict[str, int]:
    begun = select(Package.category, func.count(), func.sum(Package.records)).where(
        Package.endpoint == endpoint.endpoint, Package.settled_at.is_(None), Package.sent_at.is_(None)
    )
    packages: dict[str, int] = {}
    packed: dict[str, int] = {}
    for category, count, records in session.execute(begun.group_by(Package.category)):
        packages[category], packed[category] = int(count), int(records)
    for category in {line.category for line in going}:
        records = sum(line.records for line in going if line.category == category) - packed.get(category, 0)
        packages[category] = packages.get(category, 0) + -(-max(records, 0) // endpoint.package_size)
    return dict(sorted(packages.items()))


def _first(
    session: Session, ours: Sequence[ColumnElement[bool]], endpoint: Endpoint, most: int
) -> list[tuple[Outbox, str]]:
    query = select(Outbox, _operation()).where(*ours, outbox.unsettled(), _fate(endpoint) == GOES)
    found = session.execute(query.order_by(Outbox.deadline, Outbox.id).limit(most))
    return [(row, operation) for row, operation in found]


def _listed(context: Context, rows: Sequence[tuple[Outbox, str]]) -> list[ListedRecord]:
    stored: dict[tuple[str, str, int], dict[str, Any]] = {}
    for category in sorted({row.category for row, _ in rows}):
        keys = [(row.feed, row.record_key, row.version) for row, _ in rows if row.category == category]
        with context.session() as session:
            stored |= load_versions(session, context.stores[category], context.ledger, keys)
    return [_line(context, row, said, stored.get((row.feed, row.record_key, row.version), {})) for row, said in rows]


def _line(context: Context, row: Outbox, operation: str, record: Mapping[str, Any]) -> ListedRecord:
    number, name = number_and_name(context.catalogue.categories[row.category].roles, record)
    return ListedRecord(row.feed, operation, row.deadline, number, name)
