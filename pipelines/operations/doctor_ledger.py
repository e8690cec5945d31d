"""The doctor looks at the ledger: does it answer, is it of our time, can it be written, is it whole?"""

from __future__ import annotations

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from pipelines.ledger.chain import head
from pipelines.ledger.models import Base
from pipelines.ledger.operation_models import ChainEntry
from pipelines.ledger.revisions import current_revision, known_revisions
from pipelines.operations.doctor_findings import Finding, Patient

OLDEST_POSTGRESQL = 14
MIGRATE = "run 'guiji migrate'"


def check_ledger(patient: Patient) -> list[Finding]:
    """It answers, its tables are ours, and a change can be begun; the change is taken back."""
    ledger = patient.opened_ledger
    if ledger is None:
        return [Finding("ledger", "warning", f"there is none yet at {patient.settings.ledger}", MIGRATE)]
    place = ledger.place
    try:
        with ledger.engine.connect() as connection:
            revision = current_revision(connection, place)
            if revision is None:
                return [Finding("ledger", "warning", f"{place} has no tables yet", MIGRATE)]
            _try_to_write(connection)
            described = _described(connection)
    except SQLAlchemyError as error:
        cause = type(getattr(error, "orig", None) or error).__name__
        remedy = "check that the database runs and answers, GUIJI_LEDGER_URL, the disk and its permissions"
        return [Finding("ledger", "problem", f"{place} cannot be written ({cause})", remedy)]
    if revision != known_revisions()[-1]:
        return [
            Finding("ledger", "warning", f"{place} is of revision {revision}, not {known_revisions()[-1]}", MIGRATE)
        ]
    return [Finding("ledger", "ok", f"{place}, {described}, revision {revision}")]


def check_integrity(patient: Patient) -> list[Finding]:
    """SQLite reads through its file; PostgreSQL is asked whether it keeps its promises and how old it is."""
    with patient.ledger.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            return _sqlite_integrity(connection)
        major = int(connection.exec_driver_sql("SHOW server_version_num").scalar_one()) // 10_000
        hurried = [
            name
            for name in ("fsync", "full_page_writes", "synchronous_commit")
            if connection.exec_driver_sql(f"SHOW {name}").scalar_one() == "off"
        ]
    if major < OLDEST_POSTGRESQL:
        return [Finding("integrity", "warning", f"PostgreSQL {major} was never tried", "upgrade the server")]
    if hurried:
        remedy = "switch it on: what the ledger has confirmed must survive a power cut"
        return [Finding("integrity", "warning", f"PostgreSQL runs with {', '.join(hurried)} = off", remedy)]
    return [Finding("integrity", "ok", f"PostgreSQL {major} writes before it confirms")]


def check_rights(patient: Patient) -> list[Finding]:
    """What the account may do in PostgreSQL; a SQLite file has no accounts."""
    with patient.ledger.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            return [Finding("rights", "ok", "a SQLite file has no accounts; see modes")]
        present = set(inspect(connection).get_table_names()) & set(Base.metadata.tables)
        lacking = sorted(
            name
            for name in present
            if not connection.scalar(
                text("SELECT has_table_privilege(:name, 'SELECT, INSERT, UPDATE, DELETE')"), {"name": f'"{name}"'}
            )
        )
        may_create = connection.scalar(text("SELECT has_schema_privilege(current_schema(), 'CREATE')"))
    if lacking:
        remedy = "GRANT SELECT, INSERT, UPDATE, DELETE on the tables of the ledger to its account"
        return [Finding("rights", "problem", f"the account may not change {', '.join(lacking)}", remedy)]
    if not may_create:
        remedy = "GRANT CREATE ON SCHEMA to the account, or migrate with another one"
        return [Finding("rights", "warning", "the account may not create tables: no migration will succeed", remedy)]
    return [Finding("rights", "ok", "the account may do what is needed")]


def check_chain(patient: Patient) -> list[Finding]:
    """Whether the hash chain has the end that its head names; all of it is for ``guiji audit verify``."""
    with patient.ledger.read() as session:
        position, end = head(session)
        if position == 0:
            return [Finding("chain", "ok", "nothing is in the chain yet")]
        last = session.get(ChainEntry, position)
    if last is None or last.hash != end:
        found = f"the chain does not end at entry {position} as its head says"
        return [Finding("chain", "problem", found, "run 'guiji audit verify': it says what was altered or removed")]
    return [Finding("chain", "ok", f"{position} entries, the last of {last.at:%Y-%m-%d %H:%M} UTC")]


def _try_to_write(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    connection.execute(text("UPDATE alembic_version SET version_num = version_num"))
    connection.rollback()


def _described(connection: Connection) -> str:
    if connection.dialect.name == "sqlite":
        return f"SQLite, journal {connection.exec_driver_sql('PRAGMA journal_mode').scalar_one()}"
    return f"PostgreSQL {connection.exec_driver_sql('SHOW server_version').scalar_one()}"


def _sqlite_integrity(connection: Connection) -> list[Finding]:
    said = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one())
    if said == "ok":
        return [Finding("integrity", "ok", "every page of the SQLite file is in order")]
    remedy = "stop everything that uses it and restore a backup ('guiji backup restore')"
    return [Finding("integrity", "problem", "the SQLite file of the ledger is damaged", remedy)]
