"""Which records should no longer exist, by what their feeds say: proposals, nothing is withdrawn here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import pyarrow as pa
from sqlalchemy import select

from pipelines.catalogue.feeds import Feed
from pipelines.dedupe.keys import PERSON_KIND
from pipelines.engine.duck import Session, identifier
from pipelines.identity.masking import mask_document_number, mask_text
from pipelines.ledger.models import Tombstone, WithdrawalSighting
from pipelines.operations.context import Context
from pipelines.operations.sightings import published_batches
from pipelines.operations.streaks import create_revoked, create_streaks, sightings_table
from pipelines.records.reading import current
from pipelines.reporting.withdrawals import Withdrawal


def withdrawals_of(context: Context, business_date: date, feeds: Sequence[str] = ()) -> list[Withdrawal]:
    """The withdrawals that batches up to a business date suggest: the believed ones first, then by record.

    Of all feeds unless some are named. A record that came back, or that was withdrawn already, is not among them.
    """
    named = [context.catalogue.feed(code) for code in feeds] or list(context.catalogue.feeds.values())
    with context.ledger.read() as ledger:
        sighted = set(ledger.scalars(select(WithdrawalSighting.feed).distinct()))
    concerned = [feed for feed in named if feed.feed in sighted]
    if not concerned:
        return []
    found: list[Withdrawal] = []
    with context.session() as session:
        for feed in concerned:
            _load_sightings(context, session, feed, business_date)
            found += _of_feed(context, session, feed, business_date)
    return sorted(found, key=lambda one: (one.feed, not one.believed, one.first_seen, one.record_key))


def _of_feed(context: Context, session: Session, feed: Feed, business_date: date) -> list[Withdrawal]:
    dumps = (
        [one.business_date for one in published_batches(context, feed) if one.is_dump] if feed.dump == "full" else []
    )
    create_streaks(session, [day for day in dumps if day <= business_date])
    create_revoked(session, "revoked", business_date + timedelta(days=1))
    category = context.catalogue.category_of(feed)
    current(session, context.stores[feed.category], context.ledger, feed=feed.feed, as_of=business_date)
    number, kind = identifier(category.roles.document_number), identifier(category.roles.subject_kind)
    rows = session.rows(
        f"""
        WITH proposed AS (
            SELECT record_key, 'revoked' AS reason, since AS first_seen, 1 AS sightings FROM revoked
            UNION ALL
            SELECT record_key, 'absent', first_seen, sightings FROM streaks
            WHERE sightings > 0 AND record_key NOT IN (SELECT record_key FROM revoked)
        )
        SELECT p.record_key, p.reason, p.first_seen, p.sightings, c.{number}, c.{kind}
        FROM proposed p LEFT JOIN current_records c USING (record_key)
        WHERE p.record_key NOT IN (SELECT record_key FROM tombstones)
        """
    )
    needed = feed.withdrawals.sightings
    return [
        Withdrawal(
            feed=feed.feed,
            category=feed.category,
            record_key=key,
            document_number=mask_document_number(document) if subject_kind == PERSON_KIND else mask_text(document),
            reason=reason,
            first_seen=first_seen,
            sightings=int(sightings),
            needed=1 if reason == "revoked" else needed,
            believed=reason == "revoked" or sightings >= needed,
        )
        for key, reason, first_seen, sightings, document, subject_kind in rows
    ]


def _load_sightings(context: Context, session: Session, feed: Feed, business_date: date) -> None:
    """Make the tables ``sightings`` and ``tombstones`` readable."""
    wanted = (WithdrawalSighting.feed == feed.feed, WithdrawalSighting.business_date <= business_date)
    query = select(WithdrawalSighting.business_date, WithdrawalSighting.record_key, WithdrawalSighting.reason)
    with context.ledger.read() as ledger:
        table = sightings_table(row._asdict() for row in ledger.execute(query.where(*wanted)))
        withdrawn = list(ledger.scalars(select(Tombstone.record_key).where(Tombstone.category == feed.category)))
    session.register("sightings", table)
    session.register("tombstones", pa.table({"record_key": pa.array(withdrawn, pa.string())}))
