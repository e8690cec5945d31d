"""The circuit breaker: an endpoint that is dead is left alone for a while, longer each time, then one call may try."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from pipelines.catalogue.endpoints import Breaker, Endpoint
from pipelines.deadlines.clock import BEIJING_TIME
from pipelines.delivery.backoff import growing
from pipelines.errors import DeliveryError
from pipelines.ledger.delivery_models import EndpointState

FACTOR = 2.0
LONGEST_REASON = 200

Standing = Literal["closed", "open", "half_open"]


class LeftAloneError(DeliveryError):
    """The breaker of an endpoint is open: nothing was sent and nothing asked."""


def pause(failures: int, breaker: Breaker) -> timedelta:
    """How long an endpoint is left alone after so many deliveries in a row that found it dead.

    Nothing below ``breaker.failures``; from there on ``first_minutes``, doubled with every further failure, never
    above ``longest_minutes``.
    """
    if failures < breaker.failures:
        return timedelta()
    first, longest = (timedelta(minutes=minutes) for minutes in (breaker.first_minutes, breaker.longest_minutes))
    return growing(first, FACTOR, longest, failures - breaker.failures + 1)


def standing(state: EndpointState | None, at: datetime) -> Standing:
    """Whether an endpoint may be called at ``at`` (UTC): as always, not at all, or with one call for a trial."""
    if state is None or state.retry_at is None:
        return "closed"
    # A clock that was set back since must not keep an endpoint waiting until it has caught up.
    return "open" if (state.opened_at or at) <= at < state.retry_at else "half_open"


def state_of(session: Session, endpoint: str) -> EndpointState | None:
    """What the ledger knows of an endpoint's breaker; None when it never failed."""
    return session.get(EndpointState, endpoint)


def open_breakers(session: Session) -> Sequence[EndpointState]:
    """Endpoints that are left alone, or that wait for one call that may try."""
    query = select(EndpointState).where(EndpointState.retry_at.is_not(None)).order_by(EndpointState.endpoint)
    return session.scalars(query).all()


def check(state: EndpointState | None, at: datetime) -> None:
    """Raise :class:`LeftAloneError` while the breaker is open."""
    if state is None or state.retry_at is None or standing(state, at) != "open":
        return
    raise LeftAloneError(
        f"{state.endpoint} is left alone until {beijing(state.retry_at)} Beijing time, because "
        f"{state.failures} deliveries in a row found it dead: {state.reason}",
        remedy="everything stays queued and goes then; 'guiji deliver --force' tries now",
    )


def note_answer(session: Session, endpoint: str, at: datetime) -> None:
    """The endpoint has answered: the breaker is closed."""
    state = _state(session, endpoint)
    state.failures = 0
    state.opened_at = state.retry_at = state.reason = None
    state.answered_at = at


def note_failure(
    session: Session, endpoint: Endpoint, reason: str, at: datetime, retry_after: timedelta | None = None
) -> None:
    """A delivery ended with the endpoint itself being the trouble; ``retry_after`` is the pause it asked for.

    An endpoint that asks for a pause longer than a delivery may wait is left alone for that long at once.
    """
    state = _state(session, endpoint.endpoint)
    state.failures += 1
    state.reason = reason[:LONGEST_REASON]
    longest = timedelta(minutes=endpoint.breaker.longest_minutes)
    rest = max(pause(state.failures, endpoint.breaker), min(retry_after or timedelta(), longest))
    if rest:
        state.opened_at = state.opened_at or at
        state.retry_at = at + rest


def beijing(instant: datetime) -> str:
    """An instant of the ledger (UTC without zone) as people in Beijing read it."""
    return instant.replace(tzinfo=UTC).astimezone(BEIJING_TIME).strftime("%Y-%m-%d %H:%M")


def _state(session: Session, endpoint: str) -> EndpointState:
    state = session.get(EndpointState, endpoint)
    if state is None:
        state = EndpointState(endpoint=endpoint, failures=0)
        session.add(state)
    return state
