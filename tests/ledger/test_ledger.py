"""The ledger behaves the same on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import inspect, select, text

from pipelines.errors import StorageError
from pipelines.ledger.database import Ledger, migrate, open_ledger
from pipelines.ledger.models import Base, Batch
from tests.databases import new_postgresql_database


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'ledger.sqlite'}"
        return
    with new_postgresql_database() as opened:
        address = opened.render_as_string(hide_password=False)
        yield address
        open_ledger(address).engine.dispose()


@pytest.fixture
def ledger(url: str) -> Ledger:
    migrate(url)
    return open_ledger(url)


def test_migrations_make_exactly_the_models(url: str) -> None:
    migrate(url)
    migrate(url)
    inspector = inspect(open_ledger(url).engine)
    assert set(Base.metadata.tables) <= set(inspector.get_table_names())
    for name, table in Base.metadata.tables.items():
        assert {column["name"] for column in inspector.get_columns(name)} == set(table.columns.keys())


def test_a_transaction_that_fails_leaves_nothing(ledger: Ledger) -> None:
    with pytest.raises(RuntimeError), ledger.write() as session:
        session.add(Batch(feed="a", business_date=date(2026, 11, 20)))
        session.flush()
        raise RuntimeError
    with ledger.read() as session:
        assert session.scalars(select(Batch)).all() == []


def test_writers_queue_instead_of_failing(ledger: Ledger) -> None:
    problems: list[Exception] = []

    def write(number: int) -> None:
        try:
            for day in range(1, 11):
                with ledger.write() as session:
                    session.add(Batch(feed=f"feed{number}", business_date=date(2026, 1, day)))
        except StorageError as error:
            problems.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    with ledger.read() as session:
        assert len(session.scalars(select(Batch)).all()) == 40


def test_a_ledger_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    migrate(url)
    ledger = open_ledger(url)
    with pytest.raises(StorageError, match="cannot be written") as caught, ledger.write() as session:
        session.execute(text("PRAGMA query_only = ON"))
        session.add(Batch(feed="a", business_date=date(2026, 11, 20)))
        session.flush()
    assert caught.value.remedy
