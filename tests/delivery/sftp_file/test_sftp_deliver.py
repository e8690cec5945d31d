"""Whole deliveries over SFTP: every record is accepted exactly once, whatever server and receiver do."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from delivery_shop import NOW, Shop, key
from sftp_partner import PASSWORD, PERSON, Partner, beijing, eventually

from pipelines.catalogue.catalogue import Catalogue
from pipelines.catalogue.endpoints import Endpoint
from pipelines.delivery.adapters import open_adapter
from pipelines.delivery.deliver import deliver
from pipelines.errors import DeliveryError
from pipelines.ledger.models import Outbox, Package
from pipelines.sandbox.misbehaviour import Kind
from pipelines.settings import PROJECT_ROOT

SCRIPT = Path(__file__).with_name("deliver_files_and_die.py")
FORMS: dict[str, dict[str, Any]] = {
    "identity": {},
    "content": {"identity": None},
    "xlsx": {"identity": None, "format": "xlsx"},
}


@pytest.fixture(params=FORMS)
def any_partner(
    request: pytest.FixtureRequest, tmp_path: Path, catalogue: Catalogue, city_files: Endpoint
) -> Iterator[Partner]:
    """The receiver in each of the forms that a file can have."""
    with (made := Partner(tmp_path, catalogue, city_files, **FORMS[request.param])).receiver:
        yield made


def check_exactly_once(shop: Shop, partner: Partner) -> None:
    held = {record.upper_id: record for record in partner.held()}
    rows = shop.rows()
    assert len(held) == len(rows)
    assert {row.upper_id for row in rows} == set(held)
    assert all(record.updates == 0 for record in held.values())
    assert all(row.accepted_at is not None and row.rejected_at is row.withheld_at is None for row in rows)


def act(shop: Shop, name: str, operation: str, number: int = 1) -> int:
    """Queue an act about a record that is owed already."""
    identity = shop.queue(name, version=1 + number)
    with shop.ledger.write() as session:
        row = session.get_one(Outbox, identity)
        row.act, row.operation, row.family = number, operation, "withdrawal" if operation == "withdraw" else "objection"
        row.reason = "revoked" if operation == "withdraw" else None
    return identity


def test_records_are_sent_and_acknowledged(any_partner: Partner, small_shop: Shop) -> None:
    for name in "abcde":
        small_shop.queue(name)
    for name in "uv":
        small_shop.queue(name, **PERSON)
    bad = small_shop.queue("w", CF_XDR_MC="未知公司")
    result = any_partner.deliver(small_shop, package_size=4)
    assert (result.sent, result.accepted, result.rejected, result.waiting) == (8, 7, 1, 0)
    assert small_shop.row(bad).reply_code == "2:1001"
    assert [name.partition(".")[0] for name in any_partner.names("done")] == [
        "SC0102_20261120_00001",
        "SC0102_20261120_00002",
        "SC0105_20261120_00001",
    ]
    assert {record.subject_name for record in any_partner.held()} == {"测试合成企业一有限公司", "示例王三"}
    upper = {row.upper_id for row in small_shop.rows() if row.accepted_at}
    assert upper == {record.upper_id for record in any_partner.held()}


def test_a_changed_record_keeps_its_id(any_partner: Partner, small_shop: Shop) -> None:
    first = small_shop.queue("a")
    any_partner.deliver(small_shop)
    second = small_shop.queue("a", version=2, CF_SY="更正后的事实")
    any_partner.deliver(small_shop)
    assert small_shop.row(first).upper_id == small_shop.row(second).upper_id is not None
    [held] = any_partner.held()
    assert (held.updates, held.data["CF_SY"]) == (1, "更正后的事实")


def test_5001_records_are_two_files(partner: Partner, small_shop: Shop) -> None:
    first = small_shop.queue("0")
    with small_shop.ledger.write() as session:
        template = {
            column.name: getattr(session.get_one(Outbox, first), column.name)
            for column in Outbox.__table__.columns
            if column.name != "id"
        }
        stored = small_shop.records[template["feed"], template["record_key"], 1]
        for number in range(1, 5001):
            changed = {"record_key": key(f"{number}"), "idempotency_key": key(f"key {number}")}
            session.add(Outbox(**(template | changed)))
            small_shop.records[template["feed"], key(f"{number}"), 1] = stored | {"CF_WSH": f"测市监〔2026〕{number}号"}
    patient = partner.endpoint.retry.model_copy(update={"first_seconds": 1.0, "longest_seconds": 1.0})
    result = partner.deliver(small_shop, receipt_wait_seconds=60, timeout_seconds=60, retry=patient)
    assert (result.accepted, result.waiting) == (5001, 0)
    assert sorted(package.records for package in small_shop.rows(Package)) == [1, 5000]
    assert partner.names("done") == ["SC0102_20261120_00001.xml", "SC0102_20261120_00002.xml"]


def test_numbers_begin_anew_at_midnight_in_beijing(partner: Partner, small_shop: Shop) -> None:
    endpoint = partner.owed_to()
    for name, at in (("a", "2026-11-20T23:59:58"), ("b", "2026-11-20T23:59:59"), ("c", "2026-11-21T00:00:00")):
        small_shop.queue(name)
        adapter = open_adapter(endpoint, partner.environment)
        instant = beijing(at)
        deliver(small_shop.ledger, endpoint, adapter, partner.categories, small_shop.load, lambda now=instant: now)
    assert partner.names("done") == [
        "SC0102_20261120_00001.xml",
        "SC0102_20261120_00002.xml",
        "SC0102_20261121_00001.xml",
    ]


TROUBLES: tuple[Kind, ...] = (
    "busy",
    "slow",
    "cut",
    "fail_before",
    "fail_after",
    "lose_answer",
    "full_disk",
    "wrong_token",
    "processing",
    "lost_receipt",
    "wrong_receipt",
    "duplicate_receipt",
    "shuffled_receipts",
)


@pytest.mark.parametrize("kind", TROUBLES)
def test_whatever_the_receiver_does_a_record_is_accepted_once(
    any_partner: Partner, small_shop: Shop, kind: Kind
) -> None:
    for name in "abc":
        small_shop.queue(name)
    any_partner.misbehave(kind, times=3, seconds=0.3)
    for _ in range(9):
        try:
            result = any_partner.deliver(small_shop, timeout_seconds=1, package_size=2)
        except DeliveryError:
            continue
        if result.waiting == 0:
            break
    check_exactly_once(small_shop, any_partner)
    assert any_partner.misbehaviour.shown()[kind] > 0


def test_a_record_without_a_receipt_travels_again_under_a_new_name(any_partner: Partner, small_shop: Shop) -> None:
    small_shop.queue("a")
    any_partner.misbehave("lost_receipt")
    assert any_partner.deliver(small_shop).failed_packages[0].reason == (
        "1 records have no receipt; they are sent again next time"
    )
    assert any_partner.deliver(small_shop).duplicate == 1
    assert [name.partition(".")[0][-5:] for name in any_partner.names("done")] == ["00001", "00002"]


def test_a_name_is_never_given_twice(partner: Partner, small_shop: Shop) -> None:
    small_shop.queue("a")
    partner.misbehave("lost_receipt", times=3)
    for _ in range(4):
        partner.deliver(small_shop)
    assert [name[-9:-4] for name in partner.names("done")] == ["00001", "00002", "00003", "00004"]


def test_a_text_too_long_for_a_cell_is_found_and_the_others_go_on(
    tmp_path: Path, catalogue: Catalogue, city_files: Endpoint, small_shop: Shop
) -> None:
    with (partner := Partner(tmp_path, catalogue, city_files, **FORMS["xlsx"])).receiver:
        for name in "abc":
            small_shop.queue(name)
        bad = small_shop.queue("d", CF_SY="长" * 40_000)
        result = partner.deliver(small_shop)
    assert (result.accepted, result.rejected) == (3, 1)
    assert small_shop.row(bad).reply_code == "TOO LONG FOR A CELL"


def test_a_withdrawal_reaches_the_record(partner: Partner, small_shop: Shop) -> None:
    content = small_shop.queue("a")
    partner.deliver(small_shop)
    withdrawal = act(small_shop, "a", "withdraw")
    assert partner.deliver(small_shop).accepted == 1
    [held] = partner.held()
    assert held.withdrawn_reason == "revoked"
    assert small_shop.row(withdrawal).accepted_at is not None
    assert small_shop.row(content).withdrawn_at is not None


def test_a_record_that_is_withdrawn_before_it_was_read_never_arrives(partner: Partner, small_shop: Shop) -> None:
    partner.at_work(False)
    content = small_shop.queue("a")
    assert partner.deliver(small_shop, receipt_wait_seconds=0.05).waiting == 1
    act(small_shop, "a", "withdraw")
    assert partner.deliver(small_shop, receipt_wait_seconds=0.05).waiting == 0
    assert small_shop.row(content).withdrawn_at is not None
    assert partner.names() == []
    partner.at_work(True)
    small_shop.queue("b")
    partner.deliver(small_shop)
    assert [record.record_id for record in partner.held()] == [key("b")]


def test_a_receiver_that_was_away(tmp_path: Path, catalogue: Catalogue, city_files: Endpoint, small_shop: Shop) -> None:
    partner = Partner(tmp_path, catalogue, city_files)
    partner.receiver.start()
    partner.at_work(False)
    small_shop.queue("a")
    partner.deliver(small_shop, receipt_wait_seconds=0.05)
    partner.receiver.stop()
    small_shop.queue("b")
    with pytest.raises(DeliveryError, match="nobody listens there"):
        partner.deliver(small_shop)
    partner.at_work(True)
    partner.restart()
    assert partner.deliver(small_shop).waiting == 0
    partner.receiver.stop()
    check_exactly_once(small_shop, partner)


@pytest.fixture(scope="module")
def forker() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(SCRIPT)]
    root = {"PYTHONPATH": str(PROJECT_ROOT)}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | root)
    try:
        yield process
    finally:
        process.communicate()


def test_killed_at_every_moment_and_run_again(
    any_partner: Partner, small_shop: Shop, tmp_path: Path, forker: subprocess.Popen[str]
) -> None:
    records = tmp_path / "records.pickle"
    endpoint = any_partner.owed_to()
    command = {
        "ledger": small_shop.ledger.engine.url.render_as_string(hide_password=False),
        "url": f"sftp://127.0.0.1:{any_partner.receiver.port} {PASSWORD}",
        "endpoint": endpoint.model_dump_json(),
        "records": str(records),
    }
    assert forker.stdin is not None
    assert forker.stdout is not None
    kill_at = 0
    ending = "killed"
    while ending == "killed":
        kill_at += 1
        for number in range(2):
            small_shop.queue(f"{kill_at}.{number}")
        records.write_bytes(pickle.dumps(small_shop.records))
        forker.stdin.write(json.dumps(command | {"kill_at": [kill_at]}) + "\n")
        forker.stdin.flush()
        [ending] = json.loads(forker.stdout.readline())
        if kill_at % 2 == 0:
            any_partner.deliver(small_shop)
    assert ending == "done"
    any_partner.deliver(small_shop)
    # Name, offer, look twice, write in four steps, rename, mark, fetch, apply: each of them was a moment to die.
    assert kill_at > 12
    check_exactly_once(small_shop, any_partner)
    assert all(row.reply_code == "1" for row in small_shop.rows())
    assert any_partner.names() == []
    references = [package.reference for package in small_shop.rows(Package)]
    assert len(references) == len(set(references)) == len(any_partner.names("done"))


def test_two_deliveries_of_one_package_are_one_file(partner: Partner, small_shop: Shop) -> None:
    small_shop.queue("a")
    partner.at_work(False)
    partner.deliver(small_shop, receipt_wait_seconds=0.05)
    with small_shop.ledger.write() as session:
        package = session.query(Package).one()
        package.sent_at = None
        package.offered_at = NOW
    partner.deliver(small_shop, receipt_wait_seconds=0.05)
    partner.at_work(True)
    eventually(lambda: partner.names("receipts"))
    assert partner.deliver(small_shop).accepted == 1
    assert len(partner.names("done")) == 1
