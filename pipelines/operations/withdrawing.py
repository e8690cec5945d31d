"""Withdrawals of many records at once: proposals that are believed, publication periods that are over."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa
from sqlalchemy import select

from pipelines.dedupe.keys import PERSON_KIND
from pipelines.engine.duck import identifier
from pipelines.errors import CatalogueError, RunConflictError
from pipelines.identity.masking import mask_document_number, mask_text
from pipelines.ledger.models import Consolidation, Tombstone
from pipelines.operations.context import Context
from pipelines.operations.record_acts import StoredAct, store_acts
from pipelines.operations.record_states import Decision
from pipelines.operations.withdrawals import withdrawals_of
from pipelines.records.reading import current, hidden_runs

MOST_EXPIRED = 1000
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Intended:
    """A withdrawal that was not stored yet. ``document_number`` is masked for natural persons.

    ``also_reported_by`` are other feeds that report the record too: such a record is only withdrawn by name.
    """

    category: str
    feed: str
    record_key: str
    document_number: str | None
    decision: Decision
    also_reported_by: tuple[str, ...] = ()


def believed_withdrawals(
    context: Context,
    business_date: date,
    by: str,
    note: str,
    *,
    feeds: Sequence[str] = (),
    records: Sequence[str] = (),
    reason: str | None = None,
    absent_as: str = "error",
) -> list[Intended]:
    """What the believed proposals up to a business date come to, optionally of some feeds, records or one reason.

    ``records`` are keys or their first 8 or more characters; ``reason`` is ``revoked`` or ``absent``. A revoked record
    is withdrawn as ``revoked``, one that is absent from its feed's dumps as ``absent_as``; both since first seen so.
    Raises :class:`CatalogueError` for a record that nobody proposes or that is too short a name.
    """
    for name in records:
        if len(name) < 8:
            raise CatalogueError(f"{name} is too short for a record", remedy="give at least 8 characters of its key")
    proposed = [
        one
        for one in withdrawals_of(context, business_date, feeds)
        if one.believed and reason in {None, one.reason} and (not records or one.record_key.startswith(tuple(records)))
    ]
    for name in records:
        if not any(one.record_key.startswith(name) for one in proposed):
            raise CatalogueError(f"no believed withdrawal of {name}", remedy="list them with 'guiji withdrawals'")
    others = _feeds_of(context, {(one.category, one.record_key) for one in proposed})
    return [
        Intended(
            one.category,
            one.feed,
            one.record_key,
            one.document_number,
            Decision("withdraw", one.first_seen, by, note, "revoked" if one.reason == "revoked" else absent_as),
            tuple(sorted(others[one.category, one.record_key] - {one.feed})),
        )
        for one in proposed
    ]


def expired_withdrawals(context: Context, today: date, by: str, note: str) -> list[Intended]:
    """Records that may not be shown any more on a day, because their publication ended before; of all categories.

    The latest version of the feed whose report counts decides. They are withdrawn since the day after the end.
    """
    return [
        intended
        for code in sorted(context.catalogue.categories)
        for intended in _expired(context, code, today, by, note)
    ]


def require_moderate(context: Context, intended: Sequence[Intended], most: int | None) -> None:
    """Raise :class:`RunConflictError` for more withdrawals of a feed than its ``withdrawals.max_share`` allows.

    ``most`` is a number that somebody has named instead; it is for all of them together.
    """
    if most is not None:
        if len(intended) > most:
            raise _too_many(len(intended), f"{most} were expected")
        return
    known = _records_by_feed(context, {one.category for one in intended})
    for feed, count in sorted(Counter(one.feed for one in intended).items()):
        share = context.catalogue.feed(feed).withdrawals.max_share
        limit = max(1, math.ceil(known[feed] * share))
        if count > limit:
            raise _too_many(count, f"of {known[feed]} records of {feed} at most {limit} are withdrawn at once")


def withdraw_all(context: Context, intended: Sequence[Intended]) -> list[StoredAct]:
    """Store the withdrawals, each in a transaction of its own; what was withdrawn meanwhile stops the rest."""
    by_category: dict[str, dict[str, Decision]] = defaultdict(dict)
    for one in intended:
        by_category[one.category].setdefault(one.record_key, one.decision)
    return [
        stored
        for category, decisions in sorted(by_category.items())
        for stored in store_acts(context, category, decisions)
    ]


def _too_many(count: int, why: str) -> RunConflictError:
    return RunConflictError(
        f"{count} records would be withdrawn, and {why}; nothing was withdrawn",
        remedy="look at the list, then name the number with --most",
    )


def _expired(context: Context, code: str, today: date, by: str, note: str) -> list[Intended]:
    roles = context.catalogue.categories[code].roles
    if roles.publication_end is None:
        return []
    with context.ledger.read() as ledger:
        withdrawn = list(ledger.scalars(select(Tombstone.record_key).where(Tombstone.category == code)))
        query = select(Consolidation.record_key, Consolidation.losing_feed).where(Consolidation.category == code)
        losing = ledger.execute(query).all()
    end, number, kind = (
        identifier(role) for role in (roles.publication_end, roles.document_number, roles.subject_kind)
    )
    with context.session() as session:
        current(session, context.stores[code], context.ledger)
        session.register("tombstones", pa.table({"record_key": pa.array(withdrawn, pa.string())}))
        columns = {"record_key": [row[0] for row in losing], "feed": [row[1] for row in losing]}
        session.register("losing", pa.table({name: pa.array(keys, pa.string()) for name, keys in columns.items()}))
        found = session.rows(
            f"""
            SELECT record_key, feed, {number}, {kind}, {end} FROM current_records
            ANTI JOIN tombstones USING (record_key) ANTI JOIN losing USING (record_key, feed)
            WHERE {end} < $today ORDER BY {end}, record_key
            """,
            {"today": today},
        )
    return [
        Intended(
            code,
            feed,
            key,
            mask_document_number(document) if subject_kind == PERSON_KIND else mask_text(document),
            Decision("withdraw", ended_on + DAY, by, note, "expired"),
        )
        for key, feed, document, subject_kind, ended_on in found
    ]


def _feeds_of(context: Context, records: set[tuple[str, str]]) -> dict[tuple[str, str], set[str]]:
    """Which feeds report each record (category, key) of ``records``."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    with context.session() as session:
        for code in sorted({category for category, _ in records}):
            context.stores[code].versions(session, "all_versions", hidden_runs(context.ledger))
            keys = [key for category, key in records if category == code]
            session.register("wanted_records", pa.table({"record_key": pa.array(keys, pa.string())}))
            for key, feed in session.rows(
                "SELECT DISTINCT record_key, feed FROM all_versions SEMI JOIN wanted_records USING (record_key)"
            ):
                found[code, key].add(feed)
    return found


def _records_by_feed(context: Context, categories: set[str]) -> Counter[str]:
    known: Counter[str] = Counter()
    with context.session() as session:
        for code in sorted(categories):
            context.stores[code].versions(session, "all_versions", hidden_runs(context.ledger))
            known.update(dict(session.rows("SELECT feed, count(DISTINCT record_key) FROM all_versions GROUP BY feed")))
    return known
