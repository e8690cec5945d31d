"""What Airflow's database on SQLite needs beside its address; Airflow imports a module of this name when it starts."""

from __future__ import annotations

from sqlalchemy import Connection, event
from sqlalchemy.engine import Engine

# Airflow takes over every other name of this module.
__all__: list[str] = []


@event.listens_for(Engine, "savepoint")
def ask_before_a_savepoint(connection: Connection, _name: str) -> None:
    """Begin the transaction of a savepoint with the right to write.

    The driver begins one before INSERT, UPDATE and DELETE, and none before SAVEPOINT: that one begins by reading, and
    who has read and then finds that another one has written is told at once that the database is locked. Commands that
    create a backfill do so.
    """
    if connection.dialect.name == "sqlite" and not connection.connection.driver_connection.in_transaction:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
