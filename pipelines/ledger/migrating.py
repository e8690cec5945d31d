"""Takes the tables of a ledger up and down between revisions, with Alembic; one process at a time."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, text

from pipelines.errors import StorageError
from pipelines.ledger.revisions import BASE, MIGRATIONS, current_revision, known_revisions

LOCK = 0x6775696A69
"""The advisory lock that whoever migrates a PostgreSQL ledger holds: the letters of guiji."""


def bring_to(engine: Engine, wanted: str | None, place: str) -> None:
    """Bring the tables to a revision, ``None`` being none at all; all of it or, when something fails, nothing.

    Waits for whoever migrates the same ledger; ``place`` is its address, for messages. Raises :class:`StorageError`.
    """
    if engine.dialect.name == "sqlite":
        _in_sqlite(engine, wanted, place)
        return
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        _go(connection, wanted, place)


def _in_sqlite(engine: Engine, wanted: str | None, place: str) -> None:
    """SQLite changes a table by replacing it, which foreign keys would forbid as soon as there are rows.

    They can be switched outside a transaction only; whether all of them still hold is checked at the end of it.
    """
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            _go(connection, wanted, place)
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
            if broken is not None:
                raise StorageError(
                    f"after the migration a row of {broken[0]} refers to nothing in {broken[2]}",
                    remedy="nothing was changed; restore the ledger from a backup or ask whoever wrote to it",
                    file=place,
                )
            connection.commit()
        except BaseException:
            connection.rollback()
            raise
        finally:
            connection.exec_driver_sql("PRAGMA foreign_keys=ON")


def _go(connection: Connection, wanted: str | None, place: str) -> None:
    # Whoever was here first may have done it already, or have gone somewhere else.
    present = current_revision(connection, place)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    order = (None, *known_revisions())
    go = command.upgrade if order.index(present) < order.index(wanted) else command.downgrade
    go(config, wanted or BASE)
