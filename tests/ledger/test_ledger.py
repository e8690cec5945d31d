"""The ledger behaves the same on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, select, text
from sqlalchemy.exc import OperationalError

from pipelines.errors import StorageError
from pipelines.ledger.database import Ledger, migrate, open_ledger
from pipelines.ledger.models import Base, Batch

POSTGRESQL = "postgresql+psycopg://postgres@127.0.0.1:5432/"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'ledger.sqlite'}"
        return
    name = f"guiji_test_{uuid.uuid4().hex[:12]}"
    server = create_engine(POSTGRESQL + "postgres", isolation_level="AUTOCOMMIT")
    try:
        with server.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
    except OperationalError:
        pytest.skip("no PostgreSQL answers on 127.0.0.1:5432")
    yield POSTGRESQL + name
    open_ledger(POSTGRESQL + name).engine.dispose()
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


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
