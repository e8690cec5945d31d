"""A delivery through front-end tables killed at any moment and run again sends every record exactly once."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chaos import ENVIRONMENT, SCRIPT
from delivery_shop import Shop
from exchange_accounts import PASSWORD
from front_end import FrontEnd

from pipelines.ledger.models import Package
from pipelines.sandbox.exchange_table import start_consumer

RECORDS = 2
MOST_EVENTS = 80


@pytest.fixture(scope="module")
def forker() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    try:
        yield process
    finally:
        process.communicate()


def deliver_in_child(
    forker: subprocess.Popen[str], shop: Shop, front_end: FrontEnd, records: Path, strike_at: int
) -> str:
    """How a delivery ended that kills itself at an event (0: never)."""
    records.write_bytes(pickle.dumps(shop.records))
    command: dict[str, Any] = {
        "ledger": shop.ledger.engine.url.render_as_string(hide_password=False),
        "endpoint": front_end.endpoint.model_copy(update={"receipt_wait_seconds": 20.0}).model_dump_json(),
        "environment": {
            "GUIJI_EXCHANGE_URL": front_end.url.render_as_string(),
            "GUIJI_EXCHANGE_PASSWORD": PASSWORD,
        },
        "records": str(records),
        "strike_at": strike_at,
        "seconds": None,
    }
    assert forker.stdin is not None
    assert forker.stdout is not None
    forker.stdin.write(json.dumps(command) + "\n")
    forker.stdin.flush()
    ending: str = json.loads(forker.stdout.readline())
    return ending


def test_killed_at_every_moment_and_run_again(
    small_shop: Shop, front_end: FrontEnd, forker: subprocess.Popen[str], tmp_path: Path
) -> None:
    records = tmp_path / "records.pickle"
    consumer = start_consumer(front_end.desk, front_end.endpoint, front_end.upper.url, pause_seconds=0.03)
    try:
        for strike_at in range(1, MOST_EVENTS):
            for number in range(RECORDS):
                small_shop.queue(f"{strike_at}.{number}")
            ending = deliver_in_child(forker, small_shop, front_end, records, strike_at)
            if ending == "done":
                break
            assert ending == "killed"
            assert deliver_in_child(forker, small_shop, front_end, records, 0) == "done"
            assert all(row.accepted_at is not None for row in small_shop.rows())
    finally:
        consumer.stop()
    # Form, insert, commit, note, ask, apply: fewer events would mean that a kill missed something.
    assert strike_at > 6
    held = {record.record_id: record for record in front_end.desk.held(front_end.package("a").category)}
    rows = small_shop.rows()
    assert set(held) == {row.record_key for row in rows}
    for row in rows:
        assert row.upper_id == held[row.record_key].upper_id
        assert held[row.record_key].updates == 0
        # Accepted, not duplicate: no record went out a second time.
        assert row.reply_code == "1"
    assert set(Counter(row["REC_ID"] for row in front_end.rows()).values()) == {1}
    assert all(package.settled_at is not None for package in small_shop.rows(Package))
