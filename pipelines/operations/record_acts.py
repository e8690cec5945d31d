"""Acts on published records: withdrawn, reinstated, marked as objected to. Each is one ledger transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

import pyarrow as pa
from sqlalchemy import ColumnElement, and_, delete, or_, select, true, update
from sqlalchemy.orm import Session as LedgerSession

from pipelines.catalogue.endpoints import Family
from pipelines.errors import GuijiError
from pipelines.ledger import locks
from pipelines.ledger.database import now
from pipelines.ledger.delivery_models import RecordAct
from pipelines.ledger.models import Outbox, Tombstone
from pipelines.operations.act_deliveries import (
    Limits,
    hold_limits,
    is_shown,
    is_under_way,
    losing_feeds,
    queue,
    version_there,
    versions_owed,
)
from pipelines.operations.context import Context
from pipelines.operations.people import name_of, reason_of
from pipelines.operations.record_states import Decision, require_allowed, require_possible
from pipelines.records.reading import hidden_runs

SET_ASIDE = "已撤回，不再报送"
CALLED_OFF = "已恢复公示，无需撤回"


@dataclass(frozen=True)
class StoredAct:
    """An act with what follows from it: endpoints that are told, versions that will not be sent any more."""

    act: RecordAct
    endpoints: tuple[str, ...]
    set_aside: int


@dataclass(frozen=True)
class Expected:
    """What an act will come to at one endpoint: it ``shows`` the record, or may have it, or has never had it."""

    endpoint: str
    shows: Literal["shown", "under way", "not there"]
    takes_it: bool


def store_act(context: Context, category: str, record_key: str, decision: Decision) -> StoredAct:
    """Store one act; see :func:`store_acts`."""
    (stored,) = store_acts(context, category, {record_key: decision})
    return stored


def store_acts(context: Context, category: str, decisions: Mapping[str, Decision]) -> Iterator[StoredAct]:
    """Store acts on records of one category, each in a ledger transaction of its own, and yield what came of each.

    A withdrawal leaves a tombstone, so that no dump brings the record back, and sets aside what was not sent yet; a
    reinstatement removes it and sends the record again. Every endpoint that was ever owed the record is told; what it
    does not show is settled when its package is formed.

    Raises :class:`GuijiError` for a record that was never published, :class:`CatalogueError` for a decision that
    cannot be, and :class:`RunConflictError` where the record's state does not allow it; acts before it are stored.
    """
    for decision in decisions.values():
        require_possible(decision)
    feeds = published_feeds(context, category, decisions)
    for record_key, decision in decisions.items():
        with context.ledger.write() as ledger:
            limits = hold_limits(context, ledger)
            take_turn(ledger, category)
            require_allowed(ledger, category, record_key, decision.kind)
            stored = _store(ledger, limits, category, record_key, feeds[record_key], decision)
        yield stored


def expect(context: Context, category: str, record_key: str, decision: Decision) -> list[Expected]:
    """What an act would come to at each endpoint; raises what :func:`store_acts` would raise."""
    require_possible(decision)
    published_feeds(context, category, [record_key])
    operation = "new" if decision.kind == "reinstate" else decision.kind
    with context.ledger.read() as ledger:
        require_allowed(ledger, category, record_key, decision.kind)
        owed = versions_owed(ledger, category, record_key)
    expected = []
    for name, rows in owed.items():
        there = version_there(rows)
        shows: Literal["shown", "under way", "not there"]
        shows = "shown" if is_shown(there) else "under way" if is_under_way(there) else "not there"
        endpoint = context.catalogue.endpoints.get(name)
        expected.append(Expected(name, shows, endpoint is not None and operation in endpoint.operations))
    return expected


def take_turn(ledger: LedgerSession, category: str, *, publishing: bool = False) -> None:
    """From here to the end of its transaction, nobody else stores acts on records of the category, or publishes any.

    Publications do not keep each other waiting. SQLite has one writer at a time anyway. Whoever holds deadlines too
    does that first, so that nobody waits in a circle.
    """
    locks.take_turn(ledger, f"guiji acts {category}", shared=publishing)


def set_withdrawn_aside(
    ledger: LedgerSession, category: str, *, run: str | None = None, record_key: str | None = None
) -> int:
    """Set aside what waits to be sent about withdrawn records, of one run or record if named; returns how many rows.

    What is in a package, or may have reached the endpoint, is left to the delivery: it has to be taken back there.
    """
    withdrawn = select(Tombstone.record_key).where(Tombstone.category == category)
    waiting = and_(
        Outbox.category == category,
        _is_waiting("content"),
        # What an acceptance profile keeps back could be released one day, and must not be any more.
        or_(Outbox.withheld_at.is_(None), Outbox.withheld_rule.is_not(None)),
        Outbox.record_key.in_(withdrawn),
        true() if run is None else Outbox.run == run,
        true() if record_key is None else Outbox.record_key == record_key,
    )
    return _set_aside(ledger, waiting, SET_ASIDE)


def _is_waiting(family: Family) -> ColumnElement[bool]:
    return and_(
        Outbox.family == family,
        Outbox.package.is_(None),
        Outbox.sent_at.is_(None),
        Outbox.accepted_at.is_(None),
        Outbox.rejected_at.is_(None),
    )


def _set_aside(ledger: LedgerSession, rows: ColumnElement[bool], reason: str) -> int:
    values = {"withheld_at": now(), "withheld_reason": reason, "withheld_rule": None}
    return ledger.connection().execute(update(Outbox).where(rows).values(values)).rowcount


def published_feeds(context: Context, category: str, record_keys: Iterable[str]) -> dict[str, str]:
    """Record key → the feed whose record counts; :class:`GuijiError` for a record that was never published."""
    wanted = sorted(set(record_keys))
    with context.session() as session:
        context.stores[category].versions(session, "all_versions", hidden_runs(context.ledger))
        session.register("wanted_records", pa.table({"record_key": pa.array(wanted, pa.string())}))
        found = session.rows(
            "SELECT record_key, feed, min(business_date) FROM all_versions "
            "SEMI JOIN wanted_records USING (record_key) GROUP BY ALL"
        )
    priorities = {feed.feed: feed.priority for feed in context.catalogue.feeds.values()}
    claims: dict[str, list[tuple[int, date, str]]] = {}
    for key, feed, first_day in found:
        claims.setdefault(key, []).append((priorities.get(feed, 100), first_day, feed))
    missing = [key for key in wanted if key not in claims]
    if missing:
        raise GuijiError(
            f"no published record of {category} has the key {missing[0]}",
            remedy="find it with 'guiji trace'; rows that were quarantined never became records",
        )
    with context.ledger.read() as ledger:
        losing = {
            key: losing_feeds(ledger, category, key) if len(several) > 1 else set() for key, several in claims.items()
        }
    return {
        key: min([claim for claim in several if claim[2] not in losing[key]] or several)[2]
        for key, several in claims.items()
    }


def _store(
    ledger: LedgerSession, limits: Limits, category: str, record_key: str, feed: str, decision: Decision
) -> StoredAct:
    at = now()
    act = RecordAct(
        category=category,
        feed=feed,
        record_key=record_key,
        kind=decision.kind,
        reason=decision.reason,
        effective_on=decision.effective_on,
        by=name_of(decision.by),
        at=at,
        note=reason_of(decision.note),
    )
    ledger.add(act)
    ledger.flush()
    if decision.kind == "reinstate":
        return StoredAct(act, _reinstate(ledger, limits, act), 0)
    set_aside = 0
    if decision.kind == "withdraw":
        since, reason = decision.effective_on, decision.reason or ""
        ledger.add(Tombstone(category=category, record_key=record_key, reason=reason, since=since))
        ledger.flush()
        set_aside = set_withdrawn_aside(ledger, category, record_key=record_key)
    owed = versions_owed(ledger, category, record_key)
    for rows in owed.values():
        queue(ledger, limits, act, decision.kind, version_there(rows), at)
    return StoredAct(act, tuple(owed), set_aside)


def _reinstate(ledger: LedgerSession, limits: Limits, act: RecordAct) -> tuple[str, ...]:
    """Remove the tombstone, call off what was not withdrawn yet, send the record again; the endpoints concerned."""
    of_record = (Tombstone.category == act.category, Tombstone.record_key == act.record_key)
    ledger.execute(delete(Tombstone).where(*of_record))
    ours = and_(Outbox.category == act.category, Outbox.record_key == act.record_key, Outbox.withheld_at.is_(None))
    _set_aside(ledger, and_(ours, _is_waiting("withdrawal")), CALLED_OFF)
    losing = losing_feeds(ledger, act.category, act.record_key)
    told = []
    for endpoint, rows in versions_owed(ledger, act.category, act.record_key).items():
        latest = max(rows, key=lambda row: (row.feed not in losing, row.version, row.id))
        # What another feed has reported was never owed in the end.
        if latest.feed not in losing or latest.accepted_at is not None:
            queue(ledger, limits, act, "new", latest, act.at)
            told.append(endpoint)
    return tuple(told)
