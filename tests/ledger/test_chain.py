"""The hash chain on SQLite and on PostgreSQL: no gap, no fork, and every way to tamper with an entry is seen."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from pipelines.ledger import chain
from pipelines.ledger.database import Ledger, migrate, open_ledger
from pipelines.ledger.operation_models import ChainEntry
from tests.databases import new_postgresql_database

NOON = datetime(2026, 11, 20, 12, 0, 0, 5)  # noqa: DTZ001 -- as the ledger stores it
ENTRIES = 5


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
        migrate(url)
        yield open_ledger(url)
        return
    with new_postgresql_database() as opened:
        url = opened.render_as_string(hide_password=False)
        migrate(url)
        yield open_ledger(url)
        open_ledger(url).engine.dispose()


@pytest.fixture
def ledger(empty: Ledger) -> Ledger:
    for number in range(ENTRIES):
        with empty.write() as session:
            content = {"run": f"r{number}", "name": "示例\x00", "count": number}
            chain.append(session, chain.RUN, f"r{number}", content, NOON + timedelta(seconds=number))
    return empty


def problems(ledger: Ledger) -> list[tuple[int, str]]:
    """Position and first words of what is wrong."""
    with ledger.read() as session:
        last, _, at_the_end = chain.end_of(session)
        found = [(link.entry.position, text) for link in chain.walk(session, 1, last) for text in link.problems]
    return [(position, " ".join(text.split()[:3])) for position, text in [*found, *((last, one) for one in at_the_end)]]


def test_an_empty_chain_is_whole(empty: Ledger) -> None:
    assert problems(empty) == []
    with empty.read() as session:
        assert chain.head(session) == (0, "0" * 64)


def test_entries_name_the_one_before(ledger: Ledger) -> None:
    assert problems(ledger) == []
    with ledger.read() as session:
        entries = session.scalars(select(ChainEntry).order_by(ChainEntry.position)).all()
        assert [entry.position for entry in entries] == [1, 2, 3, 4, 5]
        assert [entry.previous for entry in entries] == ["0" * 64, *(entry.hash for entry in entries[:-1])]
        assert chain.head(session) == (5, entries[-1].hash)
        assert entries[0].content == '{"count":0,"name":"\\u793a\\u4f8b\\u0000","run":"r0"}'


def test_the_hash_is_the_one_that_anybody_can_compute() -> None:
    # printf '[1,"run","r","2026-11-20T12:00:00.000005","{}","%064d"]' 0 | sha256sum
    told = chain.entry_hash(1, "run", "r", NOON, "{}", "0" * 64)
    assert told == "14611855232e7743ca12f82caa8482fbf15009d448e328137664c08de40f7f36"


def test_what_is_rolled_back_leaves_no_gap(ledger: Ledger) -> None:
    with pytest.raises(RuntimeError), ledger.write() as session:
        chain.append(session, chain.RUN, "lost", {}, NOON)
        raise RuntimeError
    with ledger.write() as session:
        assert chain.append(session, chain.RUN, "kept", {}, NOON).position == ENTRIES + 1
    assert problems(ledger) == []


def test_an_altered_entry_is_one_problem(ledger: Ledger) -> None:
    for change in ({"content": "{}"}, {"subject": "x"}, {"kind": "removal"}, {"at": NOON - timedelta(days=1)}):
        with ledger.write() as session:
            before = session.execute(
                select(*(getattr(ChainEntry, name) for name in change)).where(ChainEntry.position == 3)
            ).one()
            session.execute(update(ChainEntry).where(ChainEntry.position == 3).values(change))
        assert problems(ledger) == [(3, "its hash is")]
        with ledger.write() as session:
            back = dict(zip(change, before, strict=True))
            session.execute(update(ChainEntry).where(ChainEntry.position == 3).values(back))
    assert problems(ledger) == []


def test_an_entry_with_a_new_hash_does_not_fit_the_next(ledger: Ledger) -> None:
    with ledger.write() as session:
        entry = session.get_one(ChainEntry, 3)
        entry.content = '{"run":"r2","count":999}'
        entry.hash = chain.entry_hash(3, entry.kind, entry.subject, entry.at, entry.content, entry.previous)
    assert problems(ledger) == [(4, "it names " + previous_of(ledger, 4))]


def previous_of(ledger: Ledger, position: int) -> str:
    with ledger.read() as session:
        return session.get_one(ChainEntry, position).previous


def test_missing_entries_are_named(ledger: Ledger) -> None:
    with ledger.write() as session:
        session.execute(delete(ChainEntry).where(ChainEntry.position.in_((2, 3))))
    assert problems(ledger) == [(4, "entries 2 to")]
    with ledger.write() as session:
        session.execute(delete(ChainEntry).where(ChainEntry.position == 1))
    assert problems(ledger) == [(4, "entries 1 to")]


def test_entries_in_each_others_place_are_seen(ledger: Ledger) -> None:
    with ledger.write() as session:
        for source, target in ((2, 99), (4, 2), (99, 4)):
            session.execute(update(ChainEntry).where(ChainEntry.position == source).values(position=target))
    assert {position for position, _ in problems(ledger)} == {2, 3, 4, 5}


def test_a_cut_off_end_differs_from_the_head(ledger: Ledger) -> None:
    with ledger.write() as session:
        session.execute(delete(ChainEntry).where(ChainEntry.position > 3))
    assert problems(ledger) == [(3, "the chain ends")]
    with ledger.write() as session:
        session.execute(delete(ChainEntry))
    assert problems(ledger) == [(0, "the chain ends")]


def test_a_part_of_the_chain_is_walked_alone(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "CHUNK", 2)
    with ledger.read() as session:
        assert [link.entry.position for link in chain.walk(session, 1, 5)] == [1, 2, 3, 4, 5]
        part = list(chain.walk(session, 2, 4))
    assert [link.entry.position for link in part] == [2, 3, 4]
    assert [link.problems for link in part] == [[], [], []]


def test_who_appends_at_once_queues(empty: Ledger) -> None:
    together = threading.Barrier(4)

    def append(who: int) -> None:
        together.wait()
        for number in range(5):
            with empty.write() as session:
                chain.append(session, chain.RUN, f"{who}-{number}", {}, NOON)

    threads = [threading.Thread(target=append, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems(empty) == []
    with empty.read() as session:
        assert chain.head(session)[0] == 20
        assert len(set(session.scalars(select(ChainEntry.subject)))) == 20
