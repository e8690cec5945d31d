"""Reading the record store: what holds now, what held on a day, one record's whole history."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

import pyarrow as pa
from sqlalchemy import select

from pipelines.catalogue.categories import Category
from pipelines.engine.duck import Session, identifier
from pipelines.ledger.database import Ledger
from pipelines.ledger.models import Run
from pipelines.records.store import RecordStore


def hidden_runs(ledger: Ledger) -> list[str]:
    """Runs whose versions do not count: not published, and not yet swept out of the store."""
    with ledger.read() as session:
        query = select(Run.id).where(Run.state != "published", Run.swept.is_(False)).order_by(Run.id)
        return list(session.scalars(query))


def create_history(
    session: Session, store: RecordStore, ledger: Ledger, feed: str, business_date: date, name: str = "history"
) -> None:
    """Create the table ``name``: per record of one feed, the version that held on ``business_date``.

    Columns: record_key, content_hash and version (as of the day), ``newest`` (highest version of all days),
    ``has_later`` (a version of a later business date exists).
    """
    store.versions(session, "all_versions", hidden_runs(ledger), feed)
    session.execute(
        f"""
        CREATE OR REPLACE TABLE {identifier(name)} AS
        SELECT record_key,
               arg_max(content_hash, (business_date, version)) FILTER (business_date <= $day) AS content_hash,
               arg_max(version, (business_date, version)) FILTER (business_date <= $day) AS version,
               max(version) AS newest,
               bool_or(business_date > $day) AS has_later
        FROM all_versions GROUP BY record_key
        """,
        {"day": business_date},
    )


def create_past(session: Session, category: Category, business_date: date, name: str = "past") -> None:
    """Create the table ``name``: what the feed reported before about the subjects and documents of ``keyed``.

    Columns: record_key, document_key, subject_key, subject_name, decision_date. Reads the view that
    :func:`create_history` leaves, once, and keeps only what the batch can be compared with.
    """
    subject_name = identifier(category.roles.subject_name)
    session.execute(
        f"""
        CREATE OR REPLACE TABLE {identifier(name)} AS
        SELECT DISTINCT record_key, document_key, subject_key, {subject_name} AS subject_name, decision_date
        FROM all_versions
        WHERE business_date < $day AND (
            subject_key IN (SELECT subject_key FROM keyed WHERE subject_key IS NOT NULL)
            OR document_key IN (SELECT document_key FROM keyed WHERE document_key IS NOT NULL)
        )
        """,
        {"day": business_date},
    )


def create_stock(session: Session, store: RecordStore, ledger: Ledger, feed: str, name: str = "stock") -> None:
    """Create the table ``name``: every record of one feed that was ever published.

    Columns: record_key, document_key, ``first_day`` (the earliest business date with a version).
    """
    store.versions(session, "all_versions", hidden_runs(ledger), feed)
    session.execute(
        f"CREATE OR REPLACE TABLE {identifier(name)} AS "
        "SELECT record_key, min(document_key) AS document_key, min(business_date) AS first_day "
        "FROM all_versions GROUP BY record_key"
    )


def current(
    session: Session,
    store: RecordStore,
    ledger: Ledger,
    *,
    feed: str | None = None,
    as_of: date | None = None,
    name: str = "current_records",
) -> None:
    """Create the view ``name``: the newest version of every record of each feed, now or as of a business date."""
    store.versions(session, "all_versions", hidden_runs(ledger), feed)
    limit = f"WHERE business_date <= DATE '{as_of.isoformat()}'" if as_of else ""
    session.execute(
        f"""
        CREATE OR REPLACE VIEW {identifier(name)} AS
        SELECT * FROM all_versions {limit}
        QUALIFY row_number() OVER (PARTITION BY feed, record_key ORDER BY business_date DESC, version DESC) = 1
        """
    )


def load_versions(
    session: Session, store: RecordStore, ledger: Ledger, wanted: Iterable[tuple[str, str, int]]
) -> dict[tuple[str, str, int], dict[str, Any]]:
    """The published versions named by (feed, record_key, version), each as a dict of all columns."""
    keys = sorted(set(wanted))
    store.versions(session, "all_versions", hidden_runs(ledger))
    session.register(
        "wanted_versions",
        pa.table(
            {
                "feed": pa.array([key[0] for key in keys], pa.string()),
                "record_key": pa.array([key[1] for key in keys], pa.string()),
                "version": pa.array([key[2] for key in keys], pa.int32()),
            }
        ),
    )
    found = session.arrow("SELECT v.* FROM all_versions v SEMI JOIN wanted_versions USING (feed, record_key, version)")
    return {(row["feed"], row["record_key"], row["version"]): row for row in found.to_pylist()}


def record_history(session: Session, store: RecordStore, ledger: Ledger, record_key: str) -> list[dict[str, Any]]:
    """All published versions of one record, over all feeds, oldest first."""
    store.versions(session, "all_versions", hidden_runs(ledger))
    table = session.arrow(
        "SELECT * FROM all_versions WHERE record_key = $key ORDER BY business_date, version, feed",
        {"key": record_key},
    )
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows
