"""What the sightings of successive batches say about a record, by business date.

The table ``sightings`` of a session holds business_date, record_key and reason. A full dump sights a record ABSENT;
where the dump is broken, or a row may be the same record mistyped, a record that was already absent is UNCLEAR. A row
that says so itself is REVOKED; the record is RESTORED when a later batch reports it as valid again. A record of which a
full dump says nothing is in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import pyarrow as pa

from pipelines.engine.duck import Session, identifier

ABSENT, REVOKED, UNCLEAR, RESTORED = "absent", "revoked", "unclear", "restored"
_FIELDS: dict[str, pa.DataType] = {"business_date": pa.date32(), "record_key": pa.string(), "reason": pa.string()}


def sightings_table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Sightings in the form of the table ``sightings``."""
    return pa.Table.from_pylist(list(rows), schema=pa.schema(_FIELDS))


def create_streaks(session: Session, dumps: Sequence[date]) -> None:
    """Create the table ``streaks``: record_key, sightings, first_seen, of records that the last dumps did not hold.

    ``dumps`` are the days of full dumps, the latest first. A streak runs back from the latest one without a gap; a dump
    that says nothing clear about a record neither counts nor ends it.
    """
    places, days = pa.array(range(1, len(dumps) + 1), pa.int32()), pa.array(dumps, pa.date32())
    session.register("dump_places", pa.table({"place": places, "business_date": days}))
    session.execute(
        f"""
        CREATE OR REPLACE TABLE streaks AS
        SELECT record_key, count(*) FILTER (reason = '{ABSENT}') AS sightings,
               min(business_date) FILTER (reason = '{ABSENT}') AS first_seen
        FROM (
            SELECT *, row_number() OVER (PARTITION BY record_key ORDER BY place) AS expected
            FROM sightings JOIN dump_places USING (business_date) WHERE reason IN ('{ABSENT}', '{UNCLEAR}')
        ) WHERE place = expected GROUP BY record_key
        """
    )


def create_revoked(session: Session, name: str, before: date) -> None:
    """Create the table ``name``: record_key, since, of records revoked and not restored before a day."""
    session.execute(
        f"""
        CREATE OR REPLACE TABLE {identifier(name)} AS
        SELECT record_key,
               min(business_date) FILTER (
                   reason = '{REVOKED}' AND business_date > coalesce(restored_on, DATE '0001-01-01')
               ) AS since
        FROM sightings LEFT JOIN (
            SELECT record_key, max(business_date) AS restored_on FROM sightings
            WHERE reason = '{RESTORED}' AND business_date < $day GROUP BY record_key
        ) restored USING (record_key)
        WHERE business_date < $day GROUP BY record_key HAVING since IS NOT NULL
        """,
        {"day": before},
    )
