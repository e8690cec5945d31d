"""The installation at a glance: feeds, endpoints and backfills as they stand now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.ledger.database import now
from pipelines.ledger.operation_models import BackfillPlan, BackfillSlice
from pipelines.operations.clock import today_in_shanghai
from pipelines.operations.context import Context
from pipelines.operations.endpoint_states import EndpointLine, read_endpoint_states
from pipelines.operations.feed_states import FeedState, read_feed_states

UNFINISHED_PLANS = ("planned", "running")


@dataclass(frozen=True)
class BackfillLine:
    """A backfill that has not ended: how many of its slices are in which state."""

    plan: int
    state: str
    first_day: date
    last_day: date
    by: str
    slices: dict[str, int]

    @property
    def command(self) -> str:
        return f"guiji backfill run {self.plan}"


@dataclass(frozen=True)
class Overview:
    """What ``guiji status`` shows; ``at`` in UTC without zone, ``today`` in Shanghai."""

    at: datetime
    today: date
    feeds: Sequence[FeedState]
    endpoints: Sequence[EndpointLine]
    backfills: Sequence[BackfillLine]

    @property
    def troubled(self) -> list[FeedState]:
        return [feed for feed in self.feeds if not feed.is_well]

    @property
    def states(self) -> Counter[str]:
        """State → number of feeds."""
        return Counter(feed.state for feed in self.feeds)


def read_overview(context: Context, today: date | None = None, at: datetime | None = None) -> Overview:
    """How everything stands at an instant (UTC without zone), now unless given."""
    day, instant = today or today_in_shanghai(), at or now()
    feeds = read_feed_states(context, day, instant)
    endpoints = read_endpoint_states(context, day, instant)
    with context.ledger.read() as session:
        backfills = unfinished_backfills(session)
    return Overview(instant, day, feeds, endpoints, backfills)


def unfinished_backfills(session: LedgerSession) -> list[BackfillLine]:
    """Backfills that are planned or under way, the oldest first."""
    plans = session.scalars(
        select(BackfillPlan).where(BackfillPlan.state.in_(UNFINISHED_PLANS)).order_by(BackfillPlan.id)
    ).all()
    query = select(BackfillSlice.plan, BackfillSlice.state, func.count())
    query = query.where(BackfillSlice.plan.in_([plan.id for plan in plans]))
    counts: dict[int, dict[str, int]] = {plan.id: {} for plan in plans}
    for plan_id, state, count in session.execute(query.group_by(BackfillSlice.plan, BackfillSlice.state)):
        counts[plan_id][state] = int(count)
    return [
        BackfillLine(plan.id, plan.state, plan.first_day, plan.last_day, plan.by, counts[plan.id]) for plan in plans
    ]
