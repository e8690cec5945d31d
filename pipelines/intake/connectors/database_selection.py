"""Which rows of a table belong to a batch, and the statement that selects them.

A watermark has two traps. A row that was committed late may carry a smaller value than one already taken: ``overlap``
reads that far back again, and rows that did not change do no harm. A row without a value, or dated in the future (the
``9999-12-31`` of somebody who had no date), would hide itself or all others behind it: such rows are taken with every
batch, counted in the manifest, and never become the watermark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from pipelines.errors import SourceError
from pipelines.intake.connectors.database_table import SourceTable
from pipelines.intake.connectors.database_values import ColumnText
from pipelines.intake.connectors.patience import CHINA

_FUTURE = timedelta(days=1)


@dataclass(frozen=True)
class Selection:
    """What is selected: ``until`` is the watermark that the rows end with, None when there is none yet.

    ``facts`` go into the manifest.
    """

    statement: Select[Any]
    until: str | None
    facts: dict[str, Any]


def select_rows(
    connection: Connection, found: SourceTable, business_date: date, since: str | None, until: str | None
) -> Selection:
    """The rows of a batch, in the order of the key (behind the watermark).

    ``since`` is the watermark of the batch before, ``until`` the one that this batch had when it was pulled before:
    the same batch again has the same bounds.
    """
    source = found.source
    conditions: list[ColumnElement[bool]] = []
    facts: dict[str, Any] = {}
    order = found.key
    if found.day is not None:
        conditions.append(_of_day(found, found.day, business_date))
    if found.flag is not None:
        conditions.append(found.is_unread())
    if found.watermark is not None:
        order = tuple(dict.fromkeys((found.watermark, *found.key)))
        bounds = _bounds(connection, found, found.watermark, conditions, since, until)
        conditions.append(bounds.condition)
        until, facts = bounds.until, bounds.facts
    statement = (
        found.select_columns(found.selected).where(*conditions).order_by(*(found.column(name) for name in order))
    )
    return Selection(statement, until if source.watermark else None, facts)


@dataclass(frozen=True)
class _Bounds:
    condition: ColumnElement[bool]
    until: str | None
    facts: dict[str, Any]


def _bounds(
    connection: Connection,
    found: SourceTable,
    name: str,
    others: Sequence[ColumnElement[bool]],
    since: str | None,
    until: str | None,
) -> _Bounds:
    mark = found.column(name)
    astray: ColumnElement[bool] = mark.is_(None)
    in_range: list[ColumnElement[bool]] = []
    if found.has_horizon:
        horizon = found.value(name, future(found.python_type(name)))
        astray = or_(astray, mark > horizon)
        in_range.append(mark <= horizon)
    if since is not None:
        in_range.append(mark > found.value(name, _before(found, name, since)))
    if until is None:
        latest = connection.execute(select(func.max(mark)).where(*others, *in_range)).all()
        until = ColumnText(name, found.types[name], found.driver).block([latest[0][0]])[0].as_py()
    count = connection.execute(select(func.count()).select_from(found.table).where(*others, astray)).scalar_one()
    facts = {"since": since, "until": until, "rows_without_usable_watermark": int(count)}
    if until is None:
        return _Bounds(astray, since, facts)
    in_range.append(mark <= found.value(name, until))
    return _Bounds(or_(and_(*in_range), astray), until, facts)


def future(kind: type) -> str:
    """The first moment that a watermark of this kind has no business to be at, as text."""
    moment = datetime.now(CHINA) + _FUTURE
    return f"{moment:%Y-%m-%d %H:%M:%S}" if issubclass(kind, datetime) else f"{moment:%Y-%m-%d}"


def _before(found: SourceTable, name: str, watermark: str) -> str:
    """The watermark less the overlap."""
    overlap = found.source.overlap
    if not overlap:
        return watermark
    kind = found.python_type(name)
    try:
        if issubclass(kind, datetime):
            return (datetime.fromisoformat(watermark) - timedelta(seconds=overlap)).isoformat(" ")
        if issubclass(kind, date):
            return (date.fromisoformat(watermark) - timedelta(days=-(-overlap // 86_400))).isoformat()
        if issubclass(kind, int):
            return str(int(watermark) - int(overlap))
        if issubclass(kind, Decimal):
            return str(Decimal(watermark) - Decimal(str(overlap)))
    except (ValueError, InvalidOperation):
        kind = object
    raise SourceError(
        f"overlap needs a watermark that is a number, a date or a time; column {name} is {found.type_name(name)}",
        remedy="take source.overlap out of the feed's YAML, or name another watermark",
        file=found.place,
    )


def _of_day(found: SourceTable, name: str, day: date) -> ColumnElement[bool]:
    kind = found.python_type(name)
    own = found.column(name)
    if issubclass(kind, datetime):
        after = day + timedelta(days=1)
        return and_(own >= found.value(name, day.isoformat()), own < found.value(name, after.isoformat()))
    if issubclass(kind, date):
        return own == found.value(name, day.isoformat())
    written = day.strftime(found.source.day_format)
    if issubclass(kind, str):
        return own.startswith(written, autoescape=True)
    if issubclass(kind, int) and written.isdigit():
        return own == found.value(name, written)
    raise SourceError(
        f"day_column {name} is {found.type_name(name)}, which is no date",
        remedy="name a column with a date, a time, or text or a number that begins with the day (source.day_format)",
        file=found.place,
    )
