"""What the forecast is made from: the queue as it is, and what endpoints and departments have done in past weeks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from statistics import median

from sqlalchemy import select
from sqlalchemy.orm import Session as LedgerSession
from sqlalchemy.orm import aliased

from pipelines.catalogue.endpoints import Endpoint
from pipelines.deadlines.calendar import DAY, WorkingCalendar, load_calendar
from pipelines.deadlines.clock import BEIJING_TIME, deadline
from pipelines.deadlines.forecast import HOUR, EndpointHabit, OpenRecords, Prediction, forecast
from pipelines.deadlines.policies import load_policies
from pipelines.ledger.database import now
from pipelines.ledger.delivery_models import EndpointState
from pipelines.ledger.models import Outbox, Package
from pipelines.operations.clock import OpenGroup, open_groups
from pipelines.operations.clock_rows import MANUAL, PROFILE, PUBLICATION, RECEIPT, REJECTED
from pipelines.operations.context import Context

WEEKS = timedelta(weeks=6)
FEWEST_PACKAGES = 5
MOST_SAMPLES = 5_000
# What is supposed of an endpoint or a department without a history, and said in every reason that rests on it.
ASSUMED_PER_HOUR = 1_000.0
ASSUMED_RECEIPT = HOUR
ASSUMED_RESUBMISSION = 3
EXPECTED = "expected"


@dataclass(frozen=True)
class FeedHabit:
    """How a department works, by one feed: medians in working days, None without history.

    ``arrival``: from a decision to its record being queued; ``resubmission``: from a rejection to the next version.
    ``per_day``: records that arrive on a working day.
    """

    arrival: int | None
    resubmission: int | None
    per_day: float


def forecast_late(context: Context, days: int, at: datetime | None = None) -> list[Prediction]:
    """The open records that will be late, and those still expected that will; from an instant (UTC without zone)."""
    instant = at or now()
    start = instant.replace(tzinfo=UTC).astimezone(BEIJING_TIME)
    calendar = load_calendar(context.settings)
    groups = [group for group in open_groups(context, instant) if not group.correction]
    with context.ledger.read() as session:
        states = {state.endpoint: state for state in session.scalars(select(EndpointState))}
        endpoints = sorted({group.endpoint for group in groups} & set(context.catalogue.endpoints))
        habits = [
            _habit(session, context.catalogue.endpoints[name], states.get(name), calendar, instant)
            for name in endpoints
        ]
        pairs = sorted({(group.endpoint, group.feed) for group in groups if group.endpoint in endpoints})
        feeds = {pair: feed_habit(session, *pair, calendar, instant) for pair in pairs}
    by_name = {habit.endpoint: habit for habit in habits}
    queue = [
        _open(group, by_name[group.endpoint], feeds[group.endpoint, group.feed], calendar, start)
        for group in groups
        if group.endpoint in by_name
    ]
    for endpoint, feed in pairs:
        queue += _expected(context, endpoint, feed, feeds[endpoint, feed], calendar, start, days)
    return forecast(queue, habits, calendar, start, days)


def _habit(
    session: LedgerSession,
    endpoint: Endpoint,
    state: EndpointState | None,
    calendar: WorkingCalendar,
    at: datetime,
) -> EndpointHabit:
    """Speed: records of settled packages by the time in which any of them was on its way."""
    recent = (
        select(Package.records, Package.offered_at, Package.sent_at, Package.settled_at)
        # What had to be offered again tells of an outage, not of speed.
        .where(Package.endpoint == endpoint.endpoint, Package.settled_at.is_not(None), Package.offers == 1)
        .where(Package.sent_at.between(at - WEEKS, at), Package.offered_at <= Package.sent_at)
        .order_by(Package.sent_at.desc())
        .limit(MOST_SAMPLES)
    )
    packages = session.execute(recent).all()
    limit = None if endpoint.rate is None else endpoint.rate * 60.0
    days = {_day(row.sent_at) for row in packages}
    on_days_off = len(packages) < FEWEST_PACKAGES or any(not calendar.estimate(day) for day in days)
    if len(packages) < FEWEST_PACKAGES:
        per_hour, why = limit or ASSUMED_PER_HOUR, "no history: assumed"
        delay = ASSUMED_RECEIPT
    else:
        # What was taken within a second says nothing about hours: no endpoint is believed to be faster than this.
        busy = max(_busy([(row.offered_at, row.sent_at) for row in packages]), timedelta(seconds=len(packages)))
        measured = sum(row.records for row in packages) / (busy / HOUR)
        per_hour = measured if limit is None else min(measured, limit)
        why = f"measured on {len(packages)} packages"
        delay = _quantile([row.settled_at - row.sent_at for row in packages], 0.9)
    windows = tuple((window.start, window.end) for window in endpoint.windows)
    retry = None if state is None or state.opened_at is None else state.retry_at or at
    closed = None if retry is None else retry.replace(tzinfo=UTC).astimezone(BEIJING_TIME)
    return EndpointHabit(endpoint.endpoint, per_hour, delay, why, windows, closed, on_days_off)


def feed_habit(session: LedgerSession, endpoint: str, feed: str, calendar: WorkingCalendar, at: datetime) -> FeedHabit:
    """What a department did in past weeks, as one endpoint saw it."""
    recent = (Outbox.endpoint == endpoint, Outbox.feed == feed, Outbox.act == 0, Outbox.queued_at >= at - WEEKS)
    firsts = (
        select(Outbox.decision_date, Outbox.queued_at)
        .where(*recent, Outbox.version == 1, Outbox.queued_at <= at)
        .order_by(Outbox.queued_at.desc())
        .limit(MOST_SAMPLES)
    )
    arrived = [(decided, _day(queued)) for decided, queued in session.execute(firsts)]
    later = aliased(Outbox)
    again = (
        select(Outbox.rejected_at, later.queued_at)
        .join(later, (later.endpoint == Outbox.endpoint) & (later.record_key == Outbox.record_key))
        .where(Outbox.endpoint == endpoint, Outbox.feed == feed, Outbox.rejected_at >= at - WEEKS)
        .where(later.feed == Outbox.feed, later.version == Outbox.version + 1, later.queued_at >= Outbox.rejected_at)
        .limit(MOST_SAMPLES)
    )
    returned = [(_day(rejected), _day(queued)) for rejected, queued in session.execute(again) if rejected is not None]
    days = {day for _, day in arrived}
    span = calendar.working_days_between(min(days) - DAY, max(days)) if days else 0
    return FeedHabit(
        _median_days(calendar, arrived), _median_days(calendar, returned), len(arrived) / span if span else 0.0
    )


def _open(
    group: OpenGroup, habit: EndpointHabit, feed: FeedHabit, calendar: WorkingCalendar, start: datetime
) -> OpenRecords:
    ready: datetime | None = start
    answered: datetime | None = None
    since = group.since.replace(tzinfo=UTC).astimezone(BEIJING_TIME)
    why = f"{group.waiting} since {since:%m-%d %H:%M}"
    if group.waiting == REJECTED:
        days = ASSUMED_RESUBMISSION if feed.resubmission is None else feed.resubmission
        back = max(_after(calendar, since.date(), days), _after(calendar, start.date(), 0))
        ready = max(start, datetime.combine(back, time(18), BEIJING_TIME))
        basis = "assumed, no history" if feed.resubmission is None else "the department's median"
        why = f"rejected on {since:%m-%d}, comes back after {days} working days ({basis})"
    elif group.waiting == RECEIPT:
        ready = None
        # What should have come long ago is not expected at once: somebody has to ask for it.
        answered = since + habit.receipt_delay
        if answered < start:
            answered = start + DAY
        why = f"sent {since:%m-%d %H:%M}, no receipt yet; 9 of 10 come within {habit.receipt_delay / HOUR:,.1f} h"
    elif group.waiting in {PROFILE, MANUAL, PUBLICATION}:
        ready = None
        rule = f" ({group.rule})" if group.rule else ""
        why = f"waits for {group.waiting}{rule} since {since:%m-%d}: nothing moves it until somebody does"
    return OpenRecords(
        group.endpoint, group.feed, group.family, group.waiting, group.deadline, group.records, ready, why, answered
    )


def _expected(
    context: Context,
    endpoint: str,
    feed: str,
    habit: FeedHabit,
    calendar: WorkingCalendar,
    start: datetime,
    days: int,
) -> list[OpenRecords]:
    """Records that are not here yet, as many a working day as usual, decided as long before as usual."""
    known = context.catalogue.feeds.get(feed)
    per_day = round(habit.per_day)
    if known is None or habit.arrival is None or per_day == 0:
        return []
    policies = load_policies(context.settings)
    found: list[OpenRecords] = []
    for step in range(1, days):
        day = start.date() + DAY * step
        if not calendar.estimate(day):
            continue
        decided = _before(calendar, day, habit.arrival)
        policy = policies.applying(
            category=known.category, begins=decided, endpoint=endpoint, department=known.department
        )
        last = deadline(calendar, policy, decided).date
        why = (
            f"not here yet: about {per_day} records a working day arrive {habit.arrival} working days after "
            f"the decision, {calendar.working_days_between(day, last)} before the deadline"
        )
        ready = datetime.combine(day, time.min, BEIJING_TIME)
        found.append(OpenRecords(endpoint, feed, "content", EXPECTED, last, per_day, ready, why))
    return found


def _median_days(calendar: WorkingCalendar, spans: Sequence[tuple[date, date]]) -> int | None:
    if not spans:
        return None
    lengths = {span: calendar.working_days_between(*span) for span in set(spans)}
    return round(median(lengths[span] for span in spans))


def _busy(calls: Sequence[tuple[datetime, datetime]]) -> timedelta:
    """How long at least one call was under way."""
    total, until = timedelta(), None
    for start, end in sorted(calls):
        begins = start if until is None else max(start, until)
        total += max(end - begins, timedelta())
        until = max(begins, end)
    return total


def _quantile(delays: Sequence[timedelta], share: float) -> timedelta:
    """The delay that ``share`` of them do not exceed."""
    ordered = sorted(delays)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def _after(calendar: WorkingCalendar, day: date, working_days: int) -> date:
    """The working day so many working days after a day; the day itself or the next working day for none."""
    while working_days > 0 or not calendar.estimate(day):
        day += DAY
        working_days -= calendar.estimate(day)
    return day


def _before(calendar: WorkingCalendar, day: date, working_days: int) -> date:
    while working_days > 0:
        working_days -= calendar.estimate(day)
        day -= DAY
    return day


def _day(instant: datetime) -> date:
    return instant.replace(tzinfo=UTC).astimezone(BEIJING_TIME).date()
