"""What we believe an endpoint shows and what it says that it holds, side by side in one DuckDB session."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from itertools import islice
from operator import attrgetter
from typing import Any

import pyarrow as pa
from sqlalchemy import Select, and_, or_, select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.catalogue.categories import Category
from pipelines.delivery.adapter import Holding
from pipelines.delivery.outbox import unsettled
from pipelines.engine.duck import Session, identifier
from pipelines.ledger.models import Outbox, Tombstone
from pipelines.operations.record_states import open_objections

CHUNK = 10_000
KINDS = (
    "missing_there",
    "unknown_here",
    "content_differs",
    "still_there",
    "withdrawn_there",
    "objection_differs",
)
_OURS: dict[str, pa.DataType] = {
    "id": pa.int64(),
    "feed": pa.string(),
    "record_key": pa.string(),
    "content_hash": pa.string(),
    "family": pa.string(),
    "upper_id": pa.string(),
    "accepted": pa.bool_(),
    "withdrawn": pa.bool_(),
    "pending": pa.bool_(),
}
_THEIRS = {"objection": pa.bool_()}


def load_theirs(session: Session, holdings: Iterable[Holding]) -> None:
    """Create the table ``theirs``: one line per record that the endpoint tells of, ``position`` by position."""
    names = [one.name for one in fields(Holding)]
    schema = pa.schema([(name, _THEIRS.get(name, pa.string())) for name in names])
    _create(session, "told", schema, map(attrgetter(*names), holdings))
    session.execute("CREATE OR REPLACE TABLE theirs AS SELECT row_number() OVER () AS position, * FROM told")
    session.execute("DROP TABLE told")


def load_ours(session: Session, ledger: LedgerSession, endpoint: str, category: str) -> None:
    """Create the tables ``believed`` (one line per record), ``ours``, ``tombstones`` and ``objections``.

    A record is ``pending`` while something about it is under way or was asked for by an act: what the endpoint says of
    it is neither right nor wrong then.
    """
    rows = ledger.connection().execution_options(yield_per=CHUNK).execute(_outbox(endpoint, category))
    _create(session, "ours", pa.schema(list(_OURS.items())), (tuple(row) for row in rows))
    withdrawn = ledger.scalars(select(Tombstone.record_key).where(Tombstone.category == category))
    for name, keys in (("tombstones", list(withdrawn)), ("objections", list(open_objections(ledger, category)))):
        session.register(name, pa.table({"record_key": pa.array(keys, pa.string())}))
    session.execute(
        """
        CREATE OR REPLACE TABLE believed AS
        SELECT record_key,
               max(id) FILTER (family = 'content' AND accepted AND NOT withdrawn) AS shown_id,
               arg_max(content_hash, id) FILTER (family = 'content' AND accepted AND NOT withdrawn) AS shown_hash,
               max(id) FILTER (family = 'withdrawal' AND accepted) AS withdrawal_id,
               max(id) FILTER (family = 'withdrawal' AND NOT accepted) AS unsettled_withdrawal_id,
               arg_max(upper_id, id) FILTER (upper_id IS NOT NULL) AS known_id,
               max(id) FILTER (family = 'content') AS content_id,
               arg_max(feed, (accepted, id)) AS feed,
               bool_or(pending) AS pending
        FROM ours GROUP BY record_key
        """
    )


def match(session: Session, category: Category) -> None:
    """Create the table ``matched``: ``position`` of theirs and ``record_key`` of ours, each at most once.

    By record key, else by the id that the endpoint gave, else by document number and name where both sides have exactly
    one. Reads the view ``all_versions``.
    """
    session.execute(
        """
        CREATE OR REPLACE TABLE matched AS
        SELECT position, record_key FROM theirs JOIN believed USING (record_key)
        QUALIFY row_number() OVER (PARTITION BY record_key ORDER BY state = 'withdrawn', position) = 1;

        INSERT INTO matched
        WITH ids AS (
            SELECT DISTINCT upper_id, record_key FROM ours WHERE upper_id IS NOT NULL
            QUALIFY count(*) OVER (PARTITION BY upper_id) = 1
        )
        SELECT position, i.record_key
        FROM theirs t ANTI JOIN matched USING (position) JOIN ids i ON i.upper_id = t.upper_id
        WHERE i.record_key NOT IN (SELECT record_key FROM matched)
        QUALIFY row_number() OVER (PARTITION BY i.record_key ORDER BY t.state = 'withdrawn', position) = 1
        """
    )
    name = identifier(category.roles.subject_name)
    session.execute(
        f"""
        INSERT INTO matched
        WITH mine AS (
            SELECT record_key, document_key, name_key({name}) AS name FROM all_versions
            SEMI JOIN believed USING (record_key) ANTI JOIN matched USING (record_key)
            QUALIFY row_number() OVER (PARTITION BY record_key ORDER BY version DESC, feed) = 1
        ), foreign_ones AS (
            SELECT position, canonical_document_number(document_number) AS document_key, name_key(subject_name) AS name
            FROM theirs ANTI JOIN matched USING (position)
            QUALIFY rank() OVER (PARTITION BY document_key, name ORDER BY state = 'withdrawn') = 1
        )
        SELECT position, record_key FROM foreign_ones JOIN mine USING (document_key, name)
        QUALIFY count(*) OVER (PARTITION BY position) = 1 AND count(*) OVER (PARTITION BY record_key) = 1
        """
    )


def compare(session: Session, *, objections: bool) -> None:
    """Create the table ``compared``: every record of either side with its ``verdict``.

    One of ``KINDS``, or ``agreed`` (shown alike), ``withdrawn`` (on both sides), ``gone`` (withdrawn here, no longer
    there, although the endpoint never told us), ``pending``, ``nothing`` (neither side shows it). ``same_id`` is our
    row with the content that the endpoint has. With ``objections`` the marks are compared, where the endpoint tells
    them.
    """
    session.execute(
        """
        CREATE OR REPLACE TABLE compared AS
        WITH sides AS (
            SELECT b.*, t.position, t.upper_id, t.content_hash, t.state, t.objection,
                   b.record_key IN (SELECT record_key FROM tombstones) AS is_withdrawn,
                   b.record_key IN (SELECT record_key FROM objections) AS is_objected
            FROM believed b LEFT JOIN matched m USING (record_key) LEFT JOIN theirs t ON t.position = m.position
        ), known AS (
            SELECT *, CASE
                WHEN pending THEN 'pending'
                WHEN position IS NULL OR state = 'withdrawn' THEN CASE
                    WHEN shown_id IS NULL THEN if(withdrawal_id IS NULL, 'nothing', 'withdrawn')
                    WHEN is_withdrawn THEN 'gone'
                    WHEN position IS NULL THEN 'missing_there'
                    ELSE 'withdrawn_there' END
                WHEN is_withdrawn THEN 'still_there'
                WHEN shown_id IS NULL THEN 'unknown_here'
                WHEN content_hash <> shown_hash THEN 'content_differs'
                WHEN $objections AND objection <> is_objected THEN 'objection_differs'
                ELSE 'agreed' END AS verdict
            FROM sides
        ), same AS (
            SELECT k.record_key, max(o.id) AS same_id
            FROM known k JOIN ours o ON o.record_key = k.record_key AND o.family = 'content'
                 AND o.content_hash = coalesce(k.content_hash, o.content_hash)
            WHERE verdict IN ('unknown_here', 'still_there') GROUP BY k.record_key
        )
        SELECT verdict, record_key, feed, upper_id, known_id, shown_id, shown_hash, content_hash, objection,
               withdrawal_id, unsettled_withdrawal_id,
               if(verdict = 'unknown_here', same_id, coalesce(shown_id, same_id, content_id)) AS outbox_id
        FROM known LEFT JOIN same USING (record_key)
        UNION ALL
        SELECT if(state = 'withdrawn', 'nothing', 'unknown_here'), left(record_key, 64), NULL,
               coalesce(upper_id, '#' || left(sha256(concat_ws(chr(31), document_number, subject_name)), 12)),
               NULL, NULL, NULL, content_hash, objection, NULL, NULL, NULL
        FROM theirs ANTI JOIN matched USING (position)
        """,
        {"objections": objections},
    )


def _outbox(endpoint: str, category: str) -> Select[*tuple[Any, ...]]:
    under_way = or_(Outbox.package.is_not(None), Outbox.sent_at.is_not(None), Outbox.act != 0)
    return select(
        Outbox.id,
        Outbox.feed,
        Outbox.record_key,
        Outbox.content_hash,
        Outbox.family,
        Outbox.upper_id,
        Outbox.accepted_at.is_not(None),
        Outbox.withdrawn_at.is_not(None),
        and_(unsettled(), under_way),
    ).where(Outbox.endpoint == endpoint, Outbox.category == category)


def _create(session: Session, name: str, schema: pa.Schema, rows: Iterable[tuple[Any, ...]]) -> None:
    """Create a table of many rows without ever having them all in memory."""
    session.register("chunk", schema.empty_table())
    session.execute(f"CREATE OR REPLACE TABLE {identifier(name)} AS FROM chunk")
    for chunk in _chunks(rows):
        columns: Mapping[str, Any] = dict(zip(schema.names, zip(*chunk, strict=True), strict=True))
        session.register("chunk", pa.table(columns, schema=schema))
        session.execute(f"INSERT INTO {identifier(name)} FROM chunk")


def _chunks(rows: Iterable[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    left = iter(rows)
    while chunk := list(islice(left, CHUNK)):
        yield chunk
