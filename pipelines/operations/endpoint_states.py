"""How every endpoint stands now: what is owed to it, what it has rejected, and whether anything can leave."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from pipelines.catalogue.endpoints import Endpoint
from pipelines.deadlines.clock import BEIJING_TIME
from pipelines.delivery.breaker import beijing, open_breakers, standing
from pipelines.ledger.delivery_models import EndpointState
from pipelines.operations.clock import OpenGroup, open_groups
from pipelines.operations.clock_rows import MANUAL, PROFILE, PUBLICATION, REJECTED
from pipelines.operations.context import Context
from pipelines.operations.restored import held_since_restore

RESTORED = "restored from a backup and not compared with it since"
_WITHHELD = frozenset({PROFILE, MANUAL})
_NOT_WAITING = _WITHHELD | {PUBLICATION, REJECTED}


@dataclass(frozen=True)
class EndpointLine:
    """Record versions at one endpoint.

    ``waiting`` have no answer yet, the first of them since ``oldest`` (UTC); ``withheld`` are kept back by an
    acceptance profile or wait for a person, ``rules`` says by which rule. ``overdue`` and ``due_today`` count
    everything whose clock runs. ``obstacle``: why nothing leaves now, in one sentence. ``is_held``: the ledger was
    restored and nobody has compared it with the endpoint since.
    """

    endpoint: str
    waiting: int
    rejected: int
    withheld: int
    rules: dict[str, int]
    overdue: int
    due_today: int
    oldest: datetime | None
    is_breaker_open: bool
    obstacle: str | None
    is_held: bool = False

    @property
    def command(self) -> str | None:
        """What moves it on, if a command does."""
        if self.is_held:
            # Before the breaker: --force would go past the comparison, too.
            return f"guiji reconcile --endpoint {self.endpoint}"
        if self.is_breaker_open:
            return f"guiji deliver --endpoint {self.endpoint} --force"
        if self.overdue or self.due_today:
            return f"guiji clock --endpoint {self.endpoint} --list"
        return None


def read_endpoint_states(context: Context, today: date, at: datetime, feed: str | None = None) -> list[EndpointLine]:
    """Every endpoint, those in trouble first; about the records of one feed only where one is named.

    ``today`` is a day in Shanghai, ``at`` an instant in UTC without zone.
    """
    groups = [group for group in open_groups(context, at) if feed in {None, group.feed}]
    with context.ledger.read() as session:
        breakers = {state.endpoint: state for state in open_breakers(session)}
        held = {name for name, one in context.catalogue.endpoints.items() if held_since_restore(session, one)}
    chosen = context.catalogue.endpoints
    if feed is not None:
        described = context.catalogue.feeds.get(feed)
        names = {group.endpoint for group in groups} | set(() if described is None else described.endpoints)
        chosen = {name: endpoint for name, endpoint in chosen.items() if name in names}
    lines = [
        _line(
            endpoint,
            [group for group in groups if group.endpoint == name],
            breakers.get(name),
            today,
            at,
            is_held=name in held,
        )
        for name, endpoint in sorted(chosen.items())
    ]
    return sorted(
        lines,
        key=lambda line: (not (line.is_held or line.is_breaker_open), -line.overdue, -line.due_today, line.endpoint),
    )


def _line(
    endpoint: Endpoint,
    groups: list[OpenGroup],
    breaker: EndpointState | None,
    today: date,
    at: datetime,
    *,
    is_held: bool,
) -> EndpointLine:
    waiting = [group for group in groups if group.waiting not in _NOT_WAITING]
    withheld = [group for group in groups if group.waiting in _WITHHELD]
    # A correction has met its deadline with the version before it.
    clocked = [group for group in groups if not group.correction]
    rules: dict[str, int] = {}
    for group in withheld:
        rule = group.rule or "to be done by hand"
        rules[rule] = rules.get(rule, 0) + group.records
    if not waiting and standing(breaker, at) != "open":
        # It could be tried again, and there is nothing to try with.
        breaker = None
    return EndpointLine(
        endpoint.endpoint,
        _records(waiting),
        _records(group for group in groups if group.waiting == REJECTED),
        _records(withheld),
        rules,
        _records(group for group in clocked if group.deadline < today),
        _records(group for group in clocked if group.deadline == today),
        min((group.since for group in waiting), default=None),
        breaker is not None,
        RESTORED if is_held else _obstacle(endpoint, breaker, at),
        is_held,
    )


def _records(groups: Iterable[OpenGroup]) -> int:
    return sum(group.records for group in groups)


def _obstacle(endpoint: Endpoint, breaker: EndpointState | None, at: datetime) -> str | None:
    if breaker is not None and breaker.retry_at is not None:
        since = "" if breaker.opened_at is None else f" since {beijing(breaker.opened_at)}"
        until = beijing(breaker.retry_at)
        return f"left alone{since}, next try from {until} Beijing time: {breaker.reason or 'it did not answer'}"
    moment = at.replace(tzinfo=UTC).astimezone(BEIJING_TIME)
    if endpoint.takes_now(moment):
        return None
    # Today's next opening, or tomorrow's first.
    opening = min(window.start for window in endpoint.windows)
    later = [window.start for window in endpoint.windows if window.start > moment.time()]
    return f"takes deliveries again from {min(later, default=opening):%H:%M} Beijing time"
