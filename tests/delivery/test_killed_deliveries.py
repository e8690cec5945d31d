"""A delivery killed at any moment and run again sends every record exactly once, and so do two at the same time."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from delivery_shop import Deliver, Receiver, Shop, key

from pipelines.catalogue.endpoints import Endpoint
from pipelines.delivery.exclusive import exclusive
from pipelines.ledger.models import Attempt, Package
from pipelines.settings import PROJECT_ROOT

SCRIPT = Path(__file__).with_name("deliver_and_die.py")
RECORDS = 3


class Deliverers:
    """Delivers in processes of their own."""

    def __init__(self, shop: Shop, command: dict[str, str], process: subprocess.Popen[str]) -> None:
        self._shop = shop
        self._command = command
        self._process = process

    def run(self, *kill_at: int) -> list[str]:
        """One process per number, killed at that event (0: never); how each of them ended."""
        Path(self._command["records"]).write_bytes(pickle.dumps(self._shop.records))
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(self._command | {"kill_at": kill_at}) + "\n")
        self._process.stdin.flush()
        endings: list[str] = json.loads(self._process.stdout.readline())
        return endings


@pytest.fixture(scope="module")
def forker() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(SCRIPT)]
    # The children must run what is tested here, whatever is installed.
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        yield process
    finally:
        process.communicate()


@pytest.fixture
def deliverers(
    shop: Shop, receiver: Receiver, endpoint: Endpoint, tmp_path: Path, forker: subprocess.Popen[str]
) -> Deliverers:
    command = {
        "ledger": shop.ledger.engine.url.render_as_string(hide_password=False),
        "url": receiver.url,
        "endpoint": endpoint.model_dump_json(),
        "records": str(tmp_path / "records.pickle"),
    }
    return Deliverers(shop, command, forker)


def check_exactly_once(shop: Shop, receiver: Receiver) -> None:
    """The ledger and the receiver tell the same story, and nothing happened twice."""
    held = {line["recordId"]: line for line in receiver.held()}
    rows = shop.rows()
    assert len(held) == len(rows)
    for row in rows:
        assert row.upper_id == held[row.record_key]["upperId"]
        assert held[row.record_key]["updates"] == 0
        assert None not in {row.packaged_at, row.sent_at, row.accepted_at}
        assert row.rejected_at is row.withheld_at is None
        # Accepted, not duplicate: no record went out a second time in another package.
        assert row.reply_code == "1"
    packages = shop.rows(Package)
    assert all(package.settled_at is not None for package in packages)
    assert sum(package.records for package in packages) == len(rows)


def test_killed_at_every_moment_and_run_again(
    shop: Shop, receiver: Receiver, deliverers: Deliverers, send: Deliver
) -> None:
    kill_at = 0
    while True:
        kill_at += 1
        for number in range(RECORDS):
            shop.queue(f"{kill_at}.{number}")
        [ending] = deliverers.run(kill_at)
        if ending == "done":
            break
        assert ending == "killed"
        assert send(shop).failed_packages == ()
        assert all(row.accepted_at is not None for row in shop.rows())
    # Form, submit, mark, fetch, apply, each with its commit: fewer events would mean that a kill missed something.
    assert kill_at > 9
    check_exactly_once(shop, receiver)


def test_killed_again_and_again_without_a_run_between(shop: Shop, receiver: Receiver, deliverers: Deliverers) -> None:
    for number in range(3 * RECORDS):
        shop.queue(f"p{number}")
    endings = []
    for kill_at in (2, 4, 7, 9, 12, 0):
        endings += deliverers.run(kill_at)
    assert endings.count("killed") >= 4
    assert endings[-1] == "done"
    check_exactly_once(shop, receiver)


def test_many_deliveries_at_once_send_nothing_twice(shop: Shop, receiver: Receiver, deliverers: Deliverers) -> None:
    for number in range(6 * RECORDS):
        shop.queue(f"p{number}")
    endings = deliverers.run(0, 0, 0)
    while "conflict" in endings:
        endings = deliverers.run(0)
    assert endings[0] == "done"
    check_exactly_once(shop, receiver)
    calls = Counter((attempt.package, attempt.action) for attempt in shop.rows(Attempt))
    assert set(calls.values()) == {1}


def test_a_process_that_finds_the_endpoint_taken_says_so(
    shop: Shop, receiver: Receiver, deliverers: Deliverers
) -> None:
    shop.queue("a")
    with exclusive(shop.ledger.engine, "province_sandbox"):
        assert deliverers.run(0) == ["conflict"]
        assert receiver.held() == []
    assert deliverers.run(0) == ["done"]
    assert [line["recordId"] for line in receiver.held()] == [key("a")]
