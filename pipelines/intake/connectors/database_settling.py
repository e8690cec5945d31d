"""The second half of the read-flag protocol: telling the source which of its rows were taken.

A row is told by its key, and only when it is still unread and still says what was taken: one that was changed meanwhile
stays unread and comes with the next batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow.parquet as pq
from sqlalchemy import ColumnElement, Connection, and_, func, or_, update

from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.sources import DatabaseSource
from pipelines.errors import SourceError
from pipelines.intake.connectors.database_connection import descriptor_of, open_database
from pipelines.intake.connectors.database_table import SourceTable
from pipelines.intake.connectors.database_values import answer_in_text
from pipelines.intake.connectors.time_limit import time_limit
from pipelines.intake.landing import landed_path
from pipelines.settings import Settings

# Parameters of one statement; SQL Server takes 2,100.
_PARAMETERS = 1_000

Row = tuple[str | None, ...]


def set_read_flags(settings: Settings, feed: Feed, source: DatabaseSource, place: str, hashes: Sequence[str]) -> None:
    """Set the flag of the rows in the landed extracts; each chunk is a transaction of its own.

    Raises :class:`SourceError` when an extract is no longer in the landing, and like every use of the database.
    """
    with open_database(source, write=True) as connection:
        with time_limit(source.timeout_seconds, descriptor_of(connection)):
            found = SourceTable(connection, source, place)
            answer_in_text(connection, found.names, place)
            # What was set for the session would go with a transaction that is rolled back.
            connection.commit()
        for sha256 in hashes:
            path = landed_path(settings.landing, sha256)
            if not path.exists():
                raise SourceError(
                    f"feed {feed.feed}: the extract whose rows were taken is no longer in the landing",
                    remedy="set the read flags at the source by hand, or have the rows read again",
                    file=path,
                )
            with pq.ParquetFile(path) as file:
                for columns, rows in _chunks(file, found):
                    with time_limit(source.timeout_seconds, descriptor_of(connection)), connection.begin():
                        _settle_chunk(connection, found, columns, rows)


def _chunks(file: pq.ParquetFile, found: SourceTable) -> Iterator[tuple[tuple[str, ...], list[Row]]]:
    """Landed rows, without columns that the table does not have any more."""
    columns = tuple(name for name in file.schema_arrow.names if name in found.types)
    missing = [name for name in found.key if name not in columns]
    if missing:
        raise SourceError(
            f"the extract has no key column {', '.join(missing)}",
            remedy="set the read flags at the source by hand; the key in the feed's YAML was changed after the pull",
            file=found.place,
        )
    size = max(1, _PARAMETERS // len(found.key))
    for batch in file.iter_batches(batch_size=size, columns=list(columns)):
        yield columns, list(zip(*(column.to_pylist() for column in batch.columns), strict=True))


def _settle_chunk(connection: Connection, found: SourceTable, columns: tuple[str, ...], rows: list[Row]) -> None:
    places = [columns.index(name) for name in found.key]
    taken: dict[Row, set[Row]] = defaultdict(set)
    for row in rows:
        taken[tuple(row[place] for place in places)].add(row)
    unread = and_(_has_key(found, list(taken)), found.is_unread())
    query = found.select_columns(columns).where(unread).with_for_update()
    # SQL Server knows no FOR UPDATE.
    query = query.with_hint(found.table, "WITH (UPDLOCK)", "mssql")
    same: set[Row] = set()
    changed: set[Row] = set()
    for row in _as_text(connection.execute(query).all(), found, columns):
        key = tuple(row[place] for place in places)
        (same if row in taken[key] else changed).add(key)
    keys = list(same - changed)
    if keys:
        connection.execute(_set_read(found, keys))


def _as_text(rows: Sequence[Sequence[Any]], found: SourceTable, columns: tuple[str, ...]) -> list[Row]:
    if not rows:
        return []
    texts = found.texts(columns)
    arrays = [text.block(values) for text, values in zip(texts, zip(*rows, strict=True), strict=True)]
    return list(zip(*(array.to_pylist() for array in arrays), strict=True))


def _set_read(found: SourceTable, keys: list[Row]) -> Any:
    flag = found.source.read_flag
    if flag is None or found.flag is None:
        raise TypeError("the source has no read flag")
    values: dict[str, Any] = {found.flag: found.value(found.flag, flag.read)}
    if found.flag_time is not None:
        values[found.flag_time] = func.current_timestamp()
    return update(found.table).where(_has_key(found, keys), found.is_unread()).values(values)


def _has_key(found: SourceTable, keys: list[Row]) -> ColumnElement[bool]:
    if len(found.key) == 1:
        name = found.key[0]
        wanted = [found.value(name, key[0]) for key in keys if key[0] is not None]
        either: list[ColumnElement[bool]] = [found.column(name).in_(wanted)] if wanted else []
        if len(wanted) < len(keys):
            either.append(found.column(name).is_(None))
        return or_(*either)
    return or_(
        *(
            and_(
                *(
                    found.column(name).is_(None) if text is None else found.column(name) == found.value(name, text)
                    for name, text in zip(found.key, key, strict=True)
                )
            )
            for key in keys
        )
    )
