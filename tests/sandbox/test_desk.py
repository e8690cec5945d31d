"""The desk behind all protocols: what it does wrong on request, and what an older store still is good for."""

from __future__ import annotations

import sqlite3
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from test_sandbox_app import TODAY, key, record

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.sandbox.desk import Desk, StoreFullError
from pipelines.sandbox.messages import SentPackage
from pipelines.sandbox.misbehaviour import Misbehaviour, Ration
from pipelines.sandbox.store import ReceivedPackage
from pipelines.settings import Settings

CATEGORIES = load_catalogue(Settings()).categories
PENALTY = CATEGORIES["administrative_penalty"]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "store.sqlite", CATEGORIES, today=lambda: TODAY)


def package(name: str, *records: dict[str, object]) -> SentPackage:
    return SentPackage.model_validate(
        {"packageId": key(name), "sentAt": "2026-11-20T01:02:03Z", "records": list(records)}
    )


def results(desk: Desk, name: str) -> list[str]:
    lines = desk.told(key(name))
    assert lines is not None
    return [line.result for line in lines]


def test_a_full_disk_stores_nothing_and_is_over_when_there_is_room(desk: Desk) -> None:
    desk.misbehaviour.set("full_disk", Ration(times=1))
    large = package("p1", *(record(f"r{number}") for number in range(300)))
    with pytest.raises(StoreFullError, match=r"store\.sqlite"):
        desk.receive(PENALTY, large, key("p1"))
    assert desk.receipts(key("p1")) is None
    assert not desk.held(PENALTY)
    desk.receive(PENALTY, large, key("p1"))
    assert results(desk, "p1") == ["1"] * 300


def test_a_package_that_needs_no_room_finds_a_full_disk_all_the_same(desk: Desk) -> None:
    desk.misbehaviour.set("full_disk", Ration(times=1))
    with pytest.raises(StoreFullError):
        desk.receive(PENALTY, package("p1", record("a")), key("p1"))
    assert not desk.held(PENALTY)


def test_partial_rejection_refuses_every_other_record_and_says_so_again(desk: Desk) -> None:
    desk.receive(PENALTY, package("p1", record("a")), key("p1"))
    desk.misbehaviour.set("partial_rejection", Ration(times=1))
    desk.receive(PENALTY, package("p2", record("a"), *(record(name) for name in "bcde")), key("p2"))
    assert results(desk, "p2") == ["4", "1", "2", "1", "2"]
    assert results(desk, "p2") == ["4", "1", "2", "1", "2"]
    desk.receive(PENALTY, package("p3", record("c"), record("e")), key("p3"))
    assert results(desk, "p3") == ["1", "1"]


def test_receipts_are_spoiled_when_they_are_told_and_stay_right_in_the_store(desk: Desk) -> None:
    desk.receive(PENALTY, package("p1", record("a"), record("b"), record("c")), key("p1"))
    a, b, c, nobody = key("a"), key("b"), key("c"), "f" * 64
    for kind, told in {
        "lost_receipt": [b, c],
        "wrong_receipt": [a, b, nobody],
        "duplicate_receipt": [a, b, c, a, b, c],
        "shuffled_receipts": [c, b, a],
    }.items():
        desk.misbehaviour.set(kind, Ration(times=1))  # type: ignore[arg-type]
        assert [line.record_id for line in desk.told(key("p1")) or ()] == told
        assert [line.record_id for line in desk.told(key("p1")) or ()] == [a, b, c]
    assert desk.told(key("p2")) is None


def test_a_wrong_clock_sees_another_day(tmp_path: Path) -> None:
    late = Misbehaviour({"wrong_clock": Ration(times=1, seconds=timedelta(days=30).total_seconds())})
    desk = Desk(tmp_path / "store.sqlite", CATEGORIES, today=lambda: TODAY, misbehaviour=late)
    assert [desk.today(), desk.today()] == [date(2026, 10, 21), TODAY]


def test_the_way_a_package_came_is_kept(desk: Desk) -> None:
    desk.receive(PENALTY, package("p1", record("a")), key("p1"))
    desk.receive(PENALTY, package("p2", record("b")), key("p2"), via="sftp_file")
    with desk.sessions() as session:
        ways = session.execute(select(ReceivedPackage.package_id, ReceivedPackage.protocol)).all()
    assert dict(map(tuple, ways)) == {key("p1"): "rest", key("p2"): "sftp_file"}


def test_a_store_of_an_earlier_version_keeps_what_it_holds(tmp_path: Path) -> None:
    first = Desk(tmp_path / "store.sqlite", CATEGORIES, today=lambda: TODAY)
    first.receive(PENALTY, package("p1", record("a")), key("p1"))
    with sqlite3.connect(tmp_path / "store.sqlite") as connection:
        connection.execute("ALTER TABLE package DROP COLUMN protocol")
        for column in ("withdrawn_at", "withdrawn_reason", "objection"):
            connection.execute(f"ALTER TABLE record DROP COLUMN {column}")
    again = Desk(tmp_path / "store.sqlite", CATEGORIES, today=lambda: TODAY)
    [held] = again.held(PENALTY)
    assert (held.record_id, held.objection, held.withdrawn_at) == (key("a"), False, None)
    again.receive(PENALTY, package("p2", record("b")), key("p2"))
    assert results(again, "p1") == ["1"]
