"""Every step of the migrations, with rows in every table, up and down, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    Integer,
    MetaData,
    Table,
    func,
    inspect,
    select,
    text,
)
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.errors import StorageError
from pipelines.ledger.database import Ledger, migrate, open_ledger
from pipelines.ledger.models import Base
from pipelines.ledger.revisions import BASE, current_revision, known_revisions
from tests.databases import new_postgresql_database
from tests.ledger.migrating import migrate_together

REVISIONS = known_revisions()
ROWS = 3
Row = tuple[tuple[str, Any], ...]
# What an older program has no word for is deleted on the way down; these rows it can read.
READABLE = {("outbox", "act"): 0, ("outbox", "operation"): "new", ("outbox", "family"): "content"}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'ledger.sqlite'}"
        return
    with new_postgresql_database() as opened:
        address = opened.render_as_string(hide_password=False)
        yield address
        open_ledger(address).engine.dispose()


def revision_of(ledger: Ledger) -> str | None:
    with ledger.engine.connect() as connection:
        return current_revision(connection, ledger.place)


def tables_of(ledger: Ledger) -> list[Table]:
    """The tables as the database describes them, referred ones first."""
    metadata = MetaData()
    metadata.reflect(ledger.engine, resolve_fks=True)
    return [table for table in metadata.sorted_tables if table.name != "alembic_version"]


def value_of(column: Column[Any], number: int) -> Any:
    """A value of the column's type that no other row has."""
    if (column.table.name, column.name) in READABLE:
        return READABLE[column.table.name, column.name]
    for key in column.foreign_keys:
        return value_of(key.column, number)
    kind = column.type
    if isinstance(kind, Boolean):
        return number % 2 == 0
    if isinstance(kind, DateTime):
        return datetime(2026, 1, number, 12, 30, number, 123456, UTC).replace(tzinfo=None)
    if isinstance(kind, Date):
        return date(2026, 1, number)
    if isinstance(kind, JSON):
        return {"名": [number, None, "a'b"]}
    if isinstance(kind, Double):
        return number + 0.1
    if isinstance(kind, Integer):
        return number
    length = getattr(kind, "length", None)
    return f"{number} {column.name} 示例"[:length]


def fill(ledger: Ledger) -> None:
    """Rows in every table that a migration has not filled itself; in every other one, what may be empty is."""
    with ledger.engine.begin() as connection:
        for table in tables_of(ledger):
            if connection.scalar(select(func.count()).select_from(table)):
                continue
            for number in range(1, ROWS + 1):
                values = {
                    column.name: value_of(column, number)
                    for column in table.columns
                    if not column.nullable or number % 2 or (table.name, column.name) in READABLE
                }
                connection.execute(table.insert().values(values))


def rows_of(ledger: Ledger, tables: list[Table]) -> dict[str, list[Row]]:
    """All rows, with the columns of ``tables`` only, in the order of their keys."""
    found = {}
    with ledger.engine.connect() as connection:
        for table in tables:
            rows = connection.execute(select(table).order_by(*table.primary_key)).mappings()
            found[table.name] = [tuple(row.items()) for row in rows]
    return found


def shape_of(ledger: Ledger) -> dict[str, Any]:
    """Columns, indexes and constraints of every table."""
    inspector = inspect(ledger.engine)
    return {
        name: (
            sorted((column["name"], str(column["type"]), column["nullable"]) for column in inspector.get_columns(name)),
            sorted((str(index["name"]), tuple(index["column_names"])) for index in inspector.get_indexes(name)),
            sorted(str(constraint["name"]) for constraint in inspector.get_unique_constraints(name)),
            sorted(str(key["name"]) for key in inspector.get_foreign_keys(name)),
            inspector.get_pk_constraint(name)["constrained_columns"],
        )
        for name in inspector.get_table_names()
        if name != "alembic_version"
    }


def kept(rows: dict[str, list[Row]], tables: list[Table]) -> dict[str, list[Row]]:
    """``rows`` without the tables and columns that ``tables`` do not have."""
    columns = {table.name: set(table.columns.keys()) for table in tables}
    return {
        name: [tuple((column, value) for column, value in row if column in columns[name]) for row in found]
        for name, found in rows.items()
        if name in columns
    }


@pytest.mark.parametrize("revision", REVISIONS)
def test_nothing_is_lost_on_the_way_up_and_back(url: str, revision: str) -> None:
    migrate(url, revision)
    ledger = open_ledger(url)
    fill(ledger)
    old, shape = tables_of(ledger), shape_of(ledger)
    before = rows_of(ledger, old)
    assert all(before.values())

    migrate(url)

    assert rows_of(ledger, old) == before
    with ledger.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []

    migrate(url, revision)

    assert rows_of(ledger, tables_of(ledger)) == before
    assert shape_of(ledger) == shape


def test_down_step_by_step_only_what_is_newer_goes(url: str) -> None:
    migrate(url)
    ledger = open_ledger(url)
    fill(ledger)
    for revision in reversed(REVISIONS[:-1]):
        before = rows_of(ledger, tables_of(ledger))
        migrate(url, revision)
        left = tables_of(ledger)
        assert rows_of(ledger, left) == kept(before, left), revision
    migrate(url, BASE)
    assert tables_of(ledger) == []
    assert revision_of(ledger) is None
    migrate(url)
    assert revision_of(ledger) == REVISIONS[-1]


def test_what_an_older_program_cannot_read_goes_with_what_hangs_on_it(url: str) -> None:
    migrate(url)
    ledger = open_ledger(url)
    fill(ledger)
    with ledger.write() as session:
        session.execute(text("UPDATE outbox SET act = 7, operation = 'objection_on' WHERE id = 2"))
    migrate(url, "0003")
    left = rows_of(ledger, tables_of(ledger))
    assert [dict(row)["id"] for row in left["outbox"]] == [1, 3]
    assert [dict(row)["outbox_id"] for row in left["receipt"]] == [1, 3]
    assert [dict(row)["outbox_id"] for row in left["delivery_finding"]] == [1, 3]


def test_a_ledger_of_a_newer_program_is_left_alone(url: str) -> None:
    migrate(url)
    ledger = open_ledger(url)
    fill(ledger)
    with ledger.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    before = rows_of(ledger, tables_of(ledger))
    with pytest.raises(StorageError, match="9999") as caught:
        migrate(url)
    assert "newer guiji" in caught.value.remedy
    assert rows_of(ledger, tables_of(ledger)) == before


def test_there_is_no_such_revision(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no revision 0815"):
        migrate(f"sqlite:///{tmp_path / 'ledger.sqlite'}", "0815")


@pytest.mark.parametrize("revision", [None, "0002"])
def test_processes_that_migrate_at_once_queue(url: str, revision: str | None) -> None:
    before: dict[str, list[Row]] = {}
    old: list[Table] = []
    if revision is not None:
        migrate(url, revision)
        fill(open_ledger(url))
        old = tables_of(open_ledger(url))
        before = rows_of(open_ledger(url), old)
    assert migrate_together(url, 2) == [0, 0]
    ledger = open_ledger(url)
    assert revision_of(ledger) == REVISIONS[-1]
    assert rows_of(ledger, old) == before


def test_going_down_has_to_be_said_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    monkeypatch.setenv("GUIJI_LEDGER_URL", url)
    migrate(url)
    command = ["migrate", "--to", "0003"]

    asked = CliRunner().invoke(app, command)
    assert asked.exit_code == 0, asked.output
    assert "from 0005 to 0003" in asked.output
    assert "backup" in asked.output
    assert revision_of(open_ledger(url)) == "0005"

    done = CliRunner().invoke(app, [*command, "--yes"])
    assert done.exit_code == 0, done.output
    assert revision_of(open_ledger(url)) == "0003"
