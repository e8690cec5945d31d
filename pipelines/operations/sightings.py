"""Sightings of withdrawals: which batches no longer hold a record, or say themselves that it was revoked.

A sighting is one batch's word, never a withdrawal. It depends on the batches before it by business date, not by the day
on which they were run: a batch that comes late has the sightings of those after it worked out again, from what their
runs have kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy import delete, insert, or_, select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.catalogue.feeds import Feed
from pipelines.engine.duck import Session, file_literal
from pipelines.ledger.models import Batch, Run, WithdrawalSighting
from pipelines.operations.attempts import run_folder
from pipelines.operations.context import Context
from pipelines.operations.streaks import (
    ABSENT,
    RESTORED,
    REVOKED,
    UNCLEAR,
    create_revoked,
    create_streaks,
    sightings_table,
)
from pipelines.records.reading import create_stock

SIGHTINGS_FILE, OUTCOMES_FILE = "sightings.parquet", "outcomes.parquet"
_CHUNK = 10_000


@dataclass(frozen=True)
class Dump:
    """What a full dump lacks: ``absent`` of ``records``, neither counting those already believed to be withdrawn.

    A dump that lacks more than the feed's ``withdrawals.max_share``, rounded up to whole records, is ``broken``: its
    absences say nothing. ``without_key``: rows and lines that could be anything, also what seems to be absent.
    """

    records: int
    absent: int
    broken: bool
    without_key: int


@dataclass(frozen=True)
class Sighted:
    """The sightings of one batch, as they stand in the run's file; ``dump`` is None for an increment."""

    business_date: date
    run: str
    dump: Dump | None

    def as_json(self) -> dict[str, Any]:
        """A form that the manifest of a run can keep."""
        dump = None if self.dump is None else asdict(self.dump)
        return {"business_date": self.business_date.isoformat(), "run": self.run, "dump": dump}


@dataclass(frozen=True)
class FeedBatch:
    """A published batch, or the one that is being judged; ``is_dump``: it holds everything the department has."""

    business_date: date
    run: str
    is_dump: bool
    is_broken: bool
    lines_undecoded: int


def sight(context: Context, session: Session, feed: Feed, run: Run) -> list[Sighted]:
    """Work out the sightings of the batch being judged, and again those of later batches that it changes.

    Writes ``sightings.parquet`` into the run's folder, which :func:`store_sightings` puts into the ledger with the
    publication. The batch being judged comes first.
    """
    sighted = create_sightings(context, session, feed, run)
    days = ", ".join(f"DATE '{one.business_date.isoformat()}'" for one in sighted)
    session.write_parquet(
        f"SELECT business_date, record_key, reason FROM sightings WHERE business_date IN ({days})",
        run_folder(context, run.id) / SIGHTINGS_FILE,
    )
    return sighted


def create_sightings(context: Context, session: Session, feed: Feed, run: Run) -> list[Sighted]:
    """Create the table ``sightings`` (business_date, record_key, reason); stores nothing.

    Reads ``settled``, ``changes``, ``revocations`` and ``tombstones``. The batch being judged comes first.
    """
    judged = FeedBatch(run.business_date, run.id, feed.dump == "full", False, run.lines_undecoded)
    published = published_batches(context, feed)
    dumps = _needed([one for one in published if one.is_dump and one.business_date < run.business_date], feed)
    later = [one for one in reversed(published) if one.business_date > run.business_date]
    since = min((one.business_date for one in dumps), default=run.business_date)
    session.register("stored_sightings", _stored(context, feed, since))
    session.execute("CREATE OR REPLACE TABLE sightings AS FROM stored_sightings")
    sighted = [Sighted(judged.business_date, judged.run, None)]
    if judged.is_dump or session.count("revocations") or session.count("stored_sightings"):
        _create_stock(context, session, feed, run.business_date)
        sighted = _sight_all(context, session, feed, [judged, *later], dumps)
    return sighted


def store_sightings(context: Context, ledger: LedgerSession, session: Session, run: Run) -> None:
    """Put the sightings of a run into the ledger, in the transaction that publishes it, in place of earlier ones."""
    file = run_folder(context, run.id) / SIGHTINGS_FILE
    for one in (run.manifest or {}).get("sighted", ()):
        day = date.fromisoformat(one["business_date"])
        of_day = (WithdrawalSighting.feed == run.feed, WithdrawalSighting.business_date == day)
        ledger.execute(delete(WithdrawalSighting).where(*of_day))
        other = ledger.get_one(Run, one["run"])
        if other.manifest is not None and other.id != run.id:
            other.manifest = {**other.manifest, "dump": one["dump"]}
        keys = session.rows(
            f"SELECT record_key, reason FROM read_parquet({file_literal(file)}) WHERE business_date = $day ORDER BY 1",
            {"day": day},
        )
        for start in range(0, len(keys), _CHUNK):
            ledger.execute(
                insert(WithdrawalSighting),
                [
                    {
                        "feed": run.feed,
                        "category": run.category,
                        "business_date": day,
                        "record_key": key,
                        "run": one["run"],
                        "reason": reason,
                    }
                    for key, reason in keys[start : start + _CHUNK]
                ],
            )


def _sight_all(
    context: Context, session: Session, feed: Feed, batches: Sequence[FeedBatch], dumps: Sequence[FeedBatch]
) -> list[Sighted]:
    """The sightings of the first batch and of those after it, as far as the first one changes them.

    ``dumps`` are the full dumps before them, the latest first. A later batch whose rows are no longer kept keeps the
    sightings it has.
    """
    sighted: list[Sighted] = []
    latest_first = [one.business_date for one in dumps]
    for batch in batches:
        outcomes = run_folder(context, batch.run) / OUTCOMES_FILE
        if not sighted:
            _create_keys_of_judged(session)
        elif outcomes.is_file():
            _create_keys_of_published(session, outcomes, batch.business_date)
        if not sighted or outcomes.is_file():
            dump = _sight_one(session, feed, batch, latest_first)
            if sighted and _is_as_stored(session, batch.business_date):
                break
            sighted.append(Sighted(batch.business_date, batch.run, dump))
        if batch.is_dump:
            latest_first.insert(0, batch.business_date)
    return sighted


def _sight_one(session: Session, feed: Feed, batch: FeedBatch, dumps: Sequence[date]) -> Dump | None:
    """Replace the sightings of one batch, whose rows stand in ``batch_keys``, in the table ``sightings``."""
    day = {"day": batch.business_date}
    create_revoked(session, "revoked_before", batch.business_date)
    session.execute("DELETE FROM sightings WHERE business_date = $day", day)
    session.execute(
        f"""
        INSERT INTO sightings
        SELECT $day, record_key, if(bool_or(is_revoked) AND NOT bool_or(is_valid), '{REVOKED}', '{RESTORED}') AS reason
        FROM (SELECT *, outcome = 'accepted' AND NOT is_revoked AS is_valid FROM batch_keys)
        WHERE record_key IS NOT NULL GROUP BY record_key
        HAVING reason = '{REVOKED}' OR (bool_or(is_valid) AND record_key IN (SELECT record_key FROM revoked_before))
        """,
        day,
    )
    if not batch.is_dump:
        return None
    create_streaks(session, dumps)
    session.execute(
        """
        CREATE OR REPLACE TABLE absences AS
        SELECT s.record_key, k.record_key IS NOT NULL AS has_streak,
               s.document_key IN (
                   SELECT b.document_key FROM batch_keys b LEFT JOIN stock known ON known.record_key = b.record_key
                   WHERE b.document_key IS NOT NULL AND coalesce(known.first_day >= $day, true)
               ) AS is_explained,
               coalesce(k.sightings >= $needed, false) OR r.record_key IS NOT NULL AS is_believed
        FROM stock s LEFT JOIN streaks k USING (record_key) LEFT JOIN revoked_before r USING (record_key)
        WHERE s.first_day <= $day AND s.record_key NOT IN (
            SELECT record_key FROM batch_keys WHERE record_key IS NOT NULL
        )
        """,
        {**day, "needed": feed.withdrawals.sightings},
    )
    believed, absent = session.one(
        "SELECT count(*) FILTER (is_believed), count(*) FILTER (NOT is_believed AND NOT is_explained) FROM absences"
    )
    records = session.one("SELECT count(*) FROM stock WHERE first_day <= $day", day)[0] - believed
    without_key = session.one("SELECT count(*) FROM batch_keys WHERE record_key IS NULL")[0] + batch.lines_undecoded
    broken = absent > math.ceil(feed.withdrawals.max_share * records)
    counts = "false" if broken else "NOT is_explained"
    session.execute(
        f"INSERT INTO sightings SELECT $day, record_key, if({counts}, '{ABSENT}', '{UNCLEAR}') "
        f"FROM absences WHERE {counts} OR has_streak",
        day,
    )
    return Dump(records, absent, broken, without_key)


def _create_stock(context: Context, session: Session, feed: Feed, business_date: date) -> None:
    """Create the table ``stock`` as it will be once the judged batch is published, without withdrawn records.

    Columns: record_key, document_key, first_day, ``first_before`` (the first day without the judged batch).
    """
    create_stock(session, context.stores[feed.category], context.ledger, feed.feed, "published_stock")
    session.execute(
        """
        CREATE OR REPLACE TABLE stock AS
        SELECT record_key, min(document_key) AS document_key, min(first_day) AS first_day,
               min(first_before) AS first_before
        FROM (
            SELECT *, first_day AS first_before FROM published_stock
            UNION ALL
            SELECT s.record_key, s.document_key, $day, NULL FROM settled s JOIN changes c USING (row_no)
            WHERE c.change <> 'unchanged'
        ) WHERE record_key NOT IN (SELECT record_key FROM tombstones) GROUP BY record_key
        """,
        {"day": business_date},
    )


def _create_keys_of_judged(session: Session) -> None:
    """Create the table ``batch_keys``: record_key, document_key, outcome, is_revoked of every row."""
    session.execute(
        "CREATE OR REPLACE TABLE batch_keys AS "
        "SELECT s.record_key, s.document_key, s.outcome, r.row_no IS NOT NULL AS is_revoked "
        "FROM settled s LEFT JOIN revocations r USING (row_no)"
    )


def _create_keys_of_published(session: Session, outcomes: Path, business_date: date) -> None:
    session.execute(
        f"CREATE OR REPLACE TABLE batch_keys AS "
        f"SELECT record_key, document_key, outcome, coalesce(record_key IN (SELECT record_key FROM stored_sightings "
        f"WHERE reason = '{REVOKED}' AND business_date = $day), false) AS is_revoked "
        f"FROM read_parquet({file_literal(outcomes)})",
        {"day": business_date},
    )


def _is_as_stored(session: Session, day: date) -> bool:
    """Whether a later batch is left as it was, and no record is new to it: then all after it are left as they were."""
    own = "SELECT record_key, reason FROM {table} WHERE business_date = $day"
    new, old = own.format(table="sightings"), own.format(table="stored_sightings")
    changed = session.one(
        f"SELECT (SELECT count(*) FROM (({new}) EXCEPT ({old}))) + (SELECT count(*) FROM (({old}) EXCEPT ({new}))) + "
        "(SELECT count(*) FROM stock WHERE first_day <= $day AND coalesce(first_before > $day, true))",
        {"day": day},
    )[0]
    return int(changed) == 0


def published_batches(context: Context, feed: Feed) -> list[FeedBatch]:
    """The feed's published batches, the latest first."""
    dump = Run.manifest["dump"]
    query = (
        select(Batch.business_date, Run.id, Run.lines_undecoded, dump)
        .join(Run, Run.id == Batch.run)
        .where(Batch.feed == feed.feed)
        .order_by(Batch.business_date.desc())
    )
    with context.ledger.read() as session:
        rows = session.execute(query).all()
    return [
        FeedBatch(day, run, facts is not None, bool(facts and facts["broken"]), undecoded)
        for day, run, undecoded, facts in rows
    ]


def _needed(dumps: Sequence[FeedBatch], feed: Feed) -> list[FeedBatch]:
    """The latest dumps, as many as decide whether a withdrawal is believed: broken ones decide nothing."""
    found: list[FeedBatch] = []
    for dump in dumps:
        found.append(dump)
        if sum(not one.is_broken for one in found) == feed.withdrawals.sightings:
            break
    return found


def _stored(context: Context, feed: Feed, since: date) -> pa.Table:
    """The feed's sightings from a day on, and what is known of revoked records from all days."""
    query = select(WithdrawalSighting.business_date, WithdrawalSighting.record_key, WithdrawalSighting.reason).where(
        WithdrawalSighting.feed == feed.feed,
        or_(WithdrawalSighting.business_date >= since, WithdrawalSighting.reason.in_((REVOKED, RESTORED))),
    )
    with context.ledger.read() as session:
        return sightings_table(row._asdict() for row in session.execute(query))
