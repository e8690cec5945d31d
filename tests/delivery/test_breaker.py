"""An endpoint that is dead is left alone, longer each time; then one call may try."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from delivery_shop import NOW, Deliver, Receiver, Shop
from hypothesis import given
from hypothesis import strategies as st
from scripted_adapter import ScriptedAdapter

from pipelines.catalogue.catalogue import Catalogue
from pipelines.catalogue.endpoints import Breaker, Endpoint, Retry
from pipelines.delivery.backoff import delay, growing
from pipelines.delivery.breaker import LeftAloneError, open_breakers, pause, standing, state_of
from pipelines.delivery.deliver import DeliveryResult, deliver
from pipelines.delivery.replies import SubmitReply, Trouble
from pipelines.errors import DeliveryError
from pipelines.ledger.delivery_models import EndpointState

COUNTS = st.integers(min_value=1, max_value=10**9)
MINUTES = st.floats(min_value=0.01, max_value=10_000)


@given(
    first=MINUTES.map(lambda minutes: timedelta(minutes=minutes)),
    factor=st.floats(min_value=1, max_value=100),
    longest=MINUTES.map(lambda minutes: timedelta(minutes=minutes)),
    count=COUNTS,
)
def test_pauses_grow_and_never_exceed_the_longest(
    first: timedelta, factor: float, longest: timedelta, count: int
) -> None:
    pauses = [growing(first, factor, longest, number) for number in (count, count + 1)]
    assert timedelta() < pauses[0] <= pauses[1] <= longest
    assert growing(first, factor, longest, 1) == min(first, longest)


@given(count=COUNTS, failures=st.integers(min_value=1, max_value=50), first=MINUTES, longest=MINUTES)
def test_the_breaker_opens_at_its_limit_and_not_before(count: int, failures: int, first: float, longest: float) -> None:
    breaker = Breaker(failures=failures, first_minutes=first, longest_minutes=longest)
    rest = pause(count, breaker)
    assert (rest > timedelta()) == (count >= failures)
    assert rest <= timedelta(minutes=longest)
    assert pause(count + 1, breaker) >= rest


def test_pauses_in_numbers() -> None:
    breaker = Breaker(failures=3, first_minutes=15, longest_minutes=240)
    minutes = [pause(failures, breaker) / timedelta(minutes=1) for failures in range(9)]
    assert minutes == [0, 0, 0, 15, 30, 60, 120, 240, 240]
    retry = Retry(first_seconds=1, factor=2, longest_seconds=5)
    assert [delay(attempt, retry).total_seconds() for attempt in (1, 2, 3, 4)] == [1, 2, 4, 5]
    with pytest.raises(ValueError, match="from 1"):
        delay(0, retry)


class Wall:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


class Visits:
    """Deliveries to an endpoint that is dead until it is well again."""

    def __init__(self, shop: Shop, endpoint: Endpoint, catalogue: Catalogue) -> None:
        self.wall = Wall()
        self.is_dead = True
        self.submissions = 0
        self._shop = shop
        self._catalogue = catalogue
        breaker = Breaker(failures=2, first_minutes=15, longest_minutes=60)
        retry = Retry(attempts=1, first_seconds=0.01)
        self._endpoint = endpoint.model_copy(update={"breaker": breaker, "retry": retry, "package_size": 1})

    def deliver(self, *, force: bool = False) -> DeliveryResult:
        def submit(_package: object) -> SubmitReply:
            self.submissions += 1
            if self.is_dead:
                raise Trouble("unreachable", "ConnectError")
            return SubmitReply(1)

        return deliver(
            self._shop.ledger,
            self._endpoint,
            ScriptedAdapter(on_submit=submit),
            self._catalogue.categories,
            self._shop.load,
            self.wall,
            force=force,
        )

    def fail(self) -> None:
        with pytest.raises(DeliveryError, match="does not take deliveries"):
            self.deliver()

    @property
    def state(self) -> EndpointState:
        with self._shop.ledger.read() as session:
            state = state_of(session, "province_sandbox")
        assert state is not None
        return state


@pytest.fixture
def visits(shop: Shop, endpoint: Endpoint, catalogue: Catalogue) -> Visits:
    for number in range(3):
        shop.queue(f"p{number}")
    return Visits(shop, endpoint, catalogue)


def test_a_dead_endpoint_is_left_alone_and_tried_with_one_package(visits: Visits, shop: Shop) -> None:
    visits.fail()
    assert (visits.state.failures, visits.state.retry_at) == (1, None)
    visits.fail()
    assert visits.state.retry_at == NOW + timedelta(minutes=15)
    with pytest.raises(LeftAloneError, match=r"left alone until 2026-11-20 09:17 Beijing time.*2 deliveries in a row"):
        visits.deliver()
    assert visits.submissions == 2

    visits.wall.now += timedelta(minutes=15)
    assert standing(visits.state, visits.wall.now) == "half_open"
    visits.fail()
    assert visits.submissions == 3
    assert visits.state.retry_at == visits.wall.now + timedelta(minutes=30)
    assert visits.state.opened_at == NOW

    visits.wall.now += timedelta(minutes=30)
    visits.is_dead = False
    assert visits.deliver().accepted == 3
    assert (visits.state.failures, visits.state.opened_at, visits.state.retry_at) == (0, None, None)
    assert visits.state.answered_at == visits.wall.now
    with shop.ledger.read() as session:
        assert open_breakers(session) == []


def test_force_goes_anyway(visits: Visits) -> None:
    visits.fail()
    visits.fail()
    visits.is_dead = False
    assert visits.deliver(force=True).accepted == 3
    assert visits.state.retry_at is None


def test_an_answer_in_between_begins_the_count_anew(visits: Visits, shop: Shop) -> None:
    visits.fail()
    visits.is_dead = False
    visits.deliver()
    shop.queue("later")
    visits.is_dead = True
    visits.fail()
    assert (visits.state.failures, visits.state.retry_at) == (1, None)


def test_an_endpoint_that_asks_for_a_long_pause_gets_it(
    small_shop: Shop, endpoint: Endpoint, catalogue: Catalogue
) -> None:
    small_shop.queue("a")
    wall = Wall()

    def busy(_package: object) -> SubmitReply:
        raise Trouble("busy", "HTTP 429", status=429, retry_after=timedelta(hours=1))

    arguments = (catalogue.categories, small_shop.load, wall)
    with pytest.raises(DeliveryError, match="come back in 3600 s"):
        deliver(small_shop.ledger, endpoint, ScriptedAdapter(on_submit=busy), *arguments)
    with pytest.raises(LeftAloneError):
        deliver(small_shop.ledger, endpoint, ScriptedAdapter(), *arguments)
    wall.now += timedelta(hours=1)
    assert deliver(small_shop.ledger, endpoint, ScriptedAdapter(), *arguments).accepted == 1


def test_a_wrong_token_does_not_open_the_breaker(small_shop: Shop, receiver: Receiver, send: Deliver) -> None:
    small_shop.queue("a")
    for _ in range(4):
        with pytest.raises(DeliveryError, match="token"):
            send(small_shop, token="wrong", breaker=Breaker(failures=1))
    assert send(small_shop).accepted == 1
