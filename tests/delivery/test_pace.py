"""When packages may leave: within the endpoint's hours, and not faster than it takes records."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time, timedelta

import pytest
from delivery_shop import NOW, Shop
from hypothesis import given
from hypothesis import strategies as st
from scripted_adapter import ScriptedAdapter, accept_all

from pipelines.catalogue.catalogue import Catalogue
from pipelines.catalogue.endpoints import Endpoint, Window
from pipelines.delivery.deliver import DeliveryResult, deliver
from pipelines.delivery.pace import MINUTE, wait_before
from pipelines.delivery.replies import Receipts

SECONDS = st.integers(min_value=0, max_value=59)
COUNTS = st.integers(min_value=1, max_value=50)
DeliverAt = Callable[..., DeliveryResult]


class Watch:
    """A clock that moves only when somebody sleeps."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now
        self.pauses: list[float] = []

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def deliver_at(endpoint: Endpoint, catalogue: Catalogue) -> DeliverAt:
    def run(shop: Shop, adapter: ScriptedAdapter, watch: Watch, **changes: object) -> DeliveryResult:
        described = endpoint.model_copy(update={"receipt_wait_seconds": 60.0, **changes})
        return deliver(shop.ledger, described, adapter, catalogue.categories, shop.load, watch, sleep=watch.sleep)

    return run


@given(sent=st.lists(st.tuples(SECONDS, COUNTS), max_size=20), records=COUNTS, rate=COUNTS)
def test_no_minute_sees_more_than_the_rate(sent: list[tuple[int, int]], records: int, rate: int) -> None:
    past = [(NOW - timedelta(seconds=ago), count) for ago, count in sent]
    wait = wait_before(past, records, rate, NOW)
    assert timedelta() <= wait <= MINUTE
    left = NOW + wait
    still_counted = sum(count for at, count in past if at > left - MINUTE)
    assert still_counted + records <= rate or still_counted == 0
    if wait:
        just_before = left - timedelta(microseconds=1)
        assert sum(count for at, count in past if at > just_before - MINUTE) + records > rate


def test_a_run_waits_for_its_pace_as_long_as_it_may_and_leaves_the_rest(shop: Shop, deliver_at: DeliverAt) -> None:
    for number in range(12):
        shop.queue(f"p{number}")
    watch, adapter = Watch(), ScriptedAdapter()
    result = deliver_at(shop, adapter, watch, rate=4, package_size=4)
    assert (result.accepted, result.waiting) == (8, 4)
    assert result.held_back == "its pace of 4 records a minute is used up"
    assert watch.pauses == [60.0]

    # The next process knows what left before it.
    assert deliver_at(shop, adapter, watch, rate=4, package_size=4).accepted == 4
    assert watch.pauses == [60.0, 60.0]


def test_packages_are_no_larger_than_the_rate(small_shop: Shop, deliver_at: DeliverAt) -> None:
    for number in range(6):
        small_shop.queue(f"p{number}")
    adapter = ScriptedAdapter()
    deliver_at(small_shop, adapter, Watch(), rate=3, package_size=4)
    assert [len(package.messages) for package in adapter.said("submit")] == [3, 3]


def test_outside_its_hours_nothing_leaves_and_receipts_are_collected(shop: Shop, deliver_at: DeliverAt) -> None:
    shop.queue("a")
    adapter = ScriptedAdapter(on_receipts=lambda _package: Receipts([], complete=False))
    # NOW is 09:02 in Beijing.
    day, night = Window(start=time(8), end=time(18)), Window(start=time(22), end=time(6))
    assert deliver_at(shop, adapter, Watch(), windows=(day,), receipt_wait_seconds=0.1).sent == 1
    shop.queue("b")
    adapter.on_receipts = accept_all
    result = deliver_at(shop, adapter, Watch(), windows=(night,))
    assert (result.sent, result.accepted, result.waiting) == (0, 1, 1)
    assert result.held_back == "it takes deliveries only at 22:00-06:00 Beijing time"
    assert shop.rows()[1].packaged_at is None
    assert deliver_at(shop, adapter, Watch(), windows=(night, day)).accepted == 1


def test_a_run_ends_with_the_hours_of_its_endpoint(small_shop: Shop, deliver_at: DeliverAt) -> None:
    for number in range(8):
        small_shop.queue(f"p{number}")
    closing = Window(start=time(8), end=time(9, 2, 30))
    watch, adapter = Watch(), ScriptedAdapter()
    result = deliver_at(small_shop, adapter, watch, rate=4, package_size=4, windows=(closing,))
    assert result.accepted >= 4
    late = deliver_at(small_shop, ScriptedAdapter(), watch, rate=4, package_size=4, windows=(closing,))
    assert late.sent == 0
    assert late.held_back is not None
