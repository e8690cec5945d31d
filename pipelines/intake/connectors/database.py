"""The database connector: rows of a table or view of a front-end database, as one Parquet file of text.

The rows are those of one moment, in the order of their key. What belongs to a batch is said by a watermark, by read
flags, by a day, or is the whole table (:mod:`.database_selection`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.sources import DatabaseSource
from pipelines.errors import ExtractError, SourceError
from pipelines.intake.connectors.contract import Pull, PullRequest
from pipelines.intake.connectors.database_connection import (
    database_place,
    database_url,
    descriptor_of,
    open_database,
)
from pipelines.intake.connectors.database_rows import Written, rows_schema, supersede, write_rows
from pipelines.intake.connectors.database_selection import Selection, future, select_rows
from pipelines.intake.connectors.database_settling import set_read_flags
from pipelines.intake.connectors.database_table import SourceTable
from pipelines.intake.connectors.database_values import answer_in_text
from pipelines.intake.connectors.patience import patiently
from pipelines.intake.connectors.time_limit import time_limit
from pipelines.intake.landing import LandedExtract, land
from pipelines.settings import Settings


@dataclass(frozen=True)
class _Read:
    selection: Selection
    written: Written
    columns: tuple[str, ...]
    key: tuple[str, ...]
    attempts: int


def pull(request: PullRequest) -> Pull:
    """Land the rows of the batch; with a read flag, together with those that the batch took before.

    Raises :class:`SourceError` when the database cannot be read to its end, then nothing was landed, and
    :class:`ExtractError` for a table without rows that should be a full dump.
    """
    source = _source(request.feed)
    place = database_place(source, database_url(source))
    name = _name(request)
    if source.read_flag is not None and request.lost:
        raise SourceError(
            "rows that this batch took before are no longer in the landing, and their flags say they were read",
            remedy="restore the landing from a backup, or have the department set the flags of that day to unread",
            file=place,
        )
    path = request.workspace / name
    attempts = 0

    def read() -> _Read:
        nonlocal attempts
        attempts += 1
        return _read(request, source, place, path, attempts)

    try:
        done = patiently(source.retries, place, read, request.progress)
        extracts, is_new = _land(request, source, done, path, name)
    finally:
        path.unlink(missing_ok=True)
    if not extracts and request.feed.dump == "full":
        raise ExtractError(
            "the table is empty; a full dump without rows is not believed",
            remedy="ask the department what became of its rows, or declare dump: increment in the feed's YAML",
            file=place,
        )
    watermark = None
    if source.watermark is not None:
        watermark = done.selection.until or request.watermark
    return Pull(
        extracts,
        facts=_facts(place, done),
        receipt={"sha256": [extracts[-1].sha256]} if source.read_flag is not None and is_new else None,
        watermark=watermark,
    )


def settle(settings: Settings, feed: Feed, receipt: Mapping[str, Any]) -> Sequence[str]:
    """Set the read flag of every row that was taken and is still as it was taken; safe to repeat."""
    source = _source(feed)
    hashes = receipt.get("sha256")
    if source.read_flag is None or hashes is None:
        return ("the feed took rows by read flag and is no longer described so: the flags were not set",)
    place = database_place(source, database_url(source))
    patiently(source.retries, place, lambda: set_read_flags(settings, feed, source, place, hashes))
    return ()


def _source(feed: Feed) -> DatabaseSource:
    if not isinstance(feed.source, DatabaseSource):
        raise TypeError(f"{feed.feed} is no database feed")
    return feed.source


def _read(request: PullRequest, source: DatabaseSource, place: str, path: Path, attempts: int) -> _Read:
    with open_database(source) as connection:
        with time_limit(source.timeout_seconds, descriptor_of(connection)):
            found = SourceTable(connection, source, place)
            answer_in_text(connection, found.names, place)
            until = _until_before(request, found)
            selection = select_rows(connection, found, request.business_date, request.watermark, until)
        columns = found.texts(found.selected)
        written = write_rows(
            connection,
            selection.statement,
            columns,
            rows_schema(columns, found.type_name),
            path,
            fetch_rows=source.fetch_rows,
            seconds=source.timeout_seconds,
            max_bytes=source.max_bytes,
            place=place,
        )
    return _Read(selection, written, found.selected, found.key, attempts)


def _until_before(request: PullRequest, found: SourceTable) -> str | None:
    """The watermark that this batch ended with when it was pulled before: its rows were in that order."""
    if found.watermark is None:
        return None
    kind = found.python_type(found.watermark)
    horizon = future(kind) if found.has_horizon else None
    for extract in reversed(_earlier(request)):
        with pq.ParquetFile(extract.path) as file:
            if found.watermark not in file.schema_arrow.names:
                continue
            for group in reversed(range(file.num_row_groups)):
                marks = file.read_row_group(group, columns=[found.watermark]).column(0).to_pylist()
                usable = [mark for mark in marks if mark and (horizon is None or mark <= horizon)]
                if usable:
                    return str(usable[-1])
    return None


def _name(request: PullRequest) -> str:
    return f"{request.feed.feed}-{request.business_date.isoformat()}.parquet"


def _earlier(request: PullRequest) -> tuple[LandedExtract, ...]:
    """What this batch took from the database before, and not from a source that the feed had then."""
    return tuple(extract for extract in request.earlier if extract.name == _name(request))


def _land(
    request: PullRequest, source: DatabaseSource, done: _Read, path: Path, name: str
) -> tuple[tuple[LandedExtract, ...], bool]:
    """The extracts of the batch, and whether there is anything in them that was not taken before."""
    taken = _earlier(request) if source.read_flag is not None else ()
    if not done.written.rows:
        return tuple(taken), False
    landing = request.settings.landing
    if taken:
        beside = path.with_suffix(".both")
        try:
            if supersede([extract.path for extract in taken], path, done.key, beside):
                return (land(beside, landing, name=name),), True
        finally:
            beside.unlink(missing_ok=True)
    landed = land(path, landing, name=name)
    return (*(extract for extract in taken if extract.sha256 != landed.sha256), landed), True


def _facts(place: str, done: _Read) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "source": "database",
        "table": place,
        "rows": done.written.rows,
        "bytes": done.written.size,
        "columns": list(done.columns),
        "attempts": done.attempts,
        **done.selection.facts,
    }
    if done.written.inexact:
        facts["inexact_numbers"] = done.written.inexact
    if done.written.undecodable:
        facts["undecodable_values"] = done.written.undecodable
    return facts
