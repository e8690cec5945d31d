"""Sightings follow from the batches by business date: neither the order in which they ran nor reruns change them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import permutations
from pathlib import Path

import pyarrow as pa
import pytest
from sqlalchemy import select

from pipelines.dedupe.settle import compare_with_store
from pipelines.engine.duck import Session, identifier
from pipelines.ledger.database import now
from pipelines.ledger.models import Batch, Run, WithdrawalSighting
from pipelines.operations.attempts import begin_run, run_folder
from pipelines.operations.context import Context
from pipelines.operations.sightings import OUTCOMES_FILE, Dump, sight, store_sightings
from pipelines.operations.withdrawals import withdrawals_of
from pipelines.records.reading import create_history
from tests.databases import new_postgresql_database
from tests.operations.small_feed import FEED, MONDAY, Installation

DAYS = [MONDAY + timedelta(days=number) for number in range(6)]
RECORDS = "ABCDEFGHIJ"
GUARDED = {"dump": "full", "withdrawals": {"sightings": 2, "max_share": 0.3}}


@dataclass(frozen=True)
class Row:
    """One row as it was settled; its document number is that of its key unless it says otherwise."""

    key: str | None
    outcome: str = "accepted"
    document: str | None = None
    revoked: bool = False

    @property
    def document_key(self) -> str | None:
        return self.document or self.key


def held(keys: Iterable[str]) -> list[Row]:
    return [Row(key) for key in keys]


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return fresh(tmp_path / "made")


def fresh(folder: Path, **settings: object) -> Context:
    return Installation(folder, GUARDED | settings).context


def publish(context: Context, day: date, rows: Sequence[Row], tombstones: Iterable[str] = ()) -> Dump | None:
    """Publish settled rows as the batch of a day, without intake and rules; what was found out about the dump."""
    feed = context.catalogue.feed(FEED)
    store = context.stores[feed.category]
    run = begin_run(context, feed, day)
    with context.session() as session:
        settled = {
            "row_no": pa.array(range(len(rows)), pa.int64()),
            "record_key": pa.array([row.key for row in rows], pa.string()),
            "document_key": pa.array([row.document_key for row in rows], pa.string()),
            "content_hash": pa.array(["same" for _ in rows], pa.string()),
            "outcome": pa.array([row.outcome for row in rows], pa.string()),
        }
        session.register("settled", pa.table(settled))
        revoked = [number for number, row in enumerate(rows) if row.revoked]
        session.register("revocations", pa.table({"row_no": pa.array(revoked, pa.int64())}))
        session.register("tombstones", pa.table({"record_key": pa.array(list(tombstones), pa.string())}))
        create_history(session, store, context.ledger, FEED, day)
        compare_with_store(session)
        sighted = sight(context, session, feed, run)
        outcomes = "SELECT record_key, document_key, outcome FROM settled"
        session.write_parquet(outcomes, run_folder(context, run.id) / OUTCOMES_FILE)
        _create_versions(session, store.schema, run)
        store.write(session, "versions", FEED, run.id)
        store.commit(FEED, run.id)
        with context.ledger.write() as ledger:
            found = ledger.get_one(Run, run.id)
            found.state, found.finished_at = "published", now()
            found.manifest = {"sighted": [one.as_json() for one in sighted], "dump": sighted[0].as_json()["dump"]}
            ledger.get_one(Batch, run.batch_id).run = run.id
            store_sightings(context, ledger, session, found)
    return sighted[0].dump


def _create_versions(session: Session, schema: pa.Schema, run: Run) -> None:
    given = {
        "record_key": "s.record_key",
        "document_key": "s.document_key",
        "content_hash": "s.content_hash",
        "version": "c.version",
        "change": "c.change",
        "business_date": f"DATE '{run.business_date.isoformat()}'",
        "run": f"'{run.id}'",
        "CF_WSH": "s.document_key",
    }
    columns = ", ".join(f"{given.get(name, 'NULL')} AS {identifier(name)}" for name in schema.names if name != "feed")
    session.execute(
        f"CREATE OR REPLACE VIEW versions AS SELECT {columns} FROM settled s JOIN changes c USING (row_no) "
        "WHERE c.change <> 'unchanged'"
    )


def sightings(context: Context) -> list[tuple[date, str, str]]:
    with context.ledger.read() as session:
        found = session.scalars(select(WithdrawalSighting)).all()
    return sorted((one.business_date, one.record_key, one.reason) for one in found)


def proposals(context: Context, day: date) -> list[tuple[str, str, int, bool]]:
    return [(one.record_key, one.reason, one.sightings, one.believed) for one in withdrawals_of(context, day)]


def test_any_order_of_publication_gives_the_same_sightings(tmp_path: Path) -> None:
    """Random dumps with broken ones, mistyped rows and revocations among them; each order in a ledger of its own."""
    chance = random.Random(20261116)
    installation = Installation(tmp_path, GUARDED)
    for case in range(3):
        batches = {day: random_batch(chance) for day in DAYS[:4]}
        results = []
        for number, order in enumerate([sorted(batches), chance.choice(list(permutations(batches)))]):
            home = replace(installation, home=f"home-{case}-{number}").context
            for day in order:
                publish(home, day, batches[day])
            results.append((sightings(home), proposals(home, DAYS[3])))
        assert results[0][0], "a case without sightings proves nothing"
        assert all(result == results[0] for result in results[1:])


def random_batch(chance: random.Random) -> list[Row]:
    kept = chance.sample(RECORDS, chance.choice((4, 8, 8, 9, 9, 10)))
    rows = [Row(key, revoked=chance.random() < 0.1) for key in kept]
    rows = [Row(row.key, "excluded" if row.revoked else row.outcome, revoked=row.revoked) for row in rows]
    return [*rows, Row(f"new {chance.randrange(3)}"), Row("mistyped", "quarantined", document=chance.choice(RECORDS))]


def test_a_late_batch_reaches_as_far_as_it_changes_anything(context: Context) -> None:
    """Its new record is quarantined in the next dump, so it is there; the dump after that lacks it."""
    publish(context, DAYS[0], held(RECORDS))
    publish(context, DAYS[2], [*held(RECORDS), Row("new", "quarantined")])
    publish(context, DAYS[3], held(RECORDS))
    publish(context, DAYS[4], held(RECORDS))
    publish(context, DAYS[1], [*held(RECORDS), Row("new")])
    assert sightings(context) == [(DAYS[3], "new", "absent"), (DAYS[4], "new", "absent")]


def test_the_same_holds_in_postgresql(tmp_path: Path) -> None:
    with new_postgresql_database() as url:
        address = url.render_as_string(hide_password=False)
        context = Installation(tmp_path, GUARDED, ledger_url=address).context
        publish(context, DAYS[0], held(RECORDS))
        publish(context, DAYS[2], held(RECORDS[:-1]))
        publish(context, DAYS[1], held(RECORDS[:-1]))
        assert proposals(context, DAYS[2]) == [("J", "absent", 2, True)]
        context.ledger.engine.dispose()


def test_a_rerun_ends_where_a_single_run_ends(tmp_path: Path) -> None:
    once, again = fresh(tmp_path / "once"), fresh(tmp_path / "again")
    days = list(zip(DAYS, (RECORDS, RECORDS[:-1], RECORDS[:-1]), strict=False))
    for day, keys in days:
        publish(once, day, held(keys))
        publish(again, day, held(keys))
        publish(again, day, held(keys))
    assert sightings(again) == sightings(once) != []
    publish(again, DAYS[2], held(RECORDS[1:]))
    assert [key for day, key, _ in sightings(again) if day == DAYS[2]] == ["A"]


def test_a_broken_dump_neither_counts_nor_undoes_what_was_seen(context: Context) -> None:
    publish(context, DAYS[0], held(RECORDS))
    publish(context, DAYS[1], held(RECORDS[:-1]))
    assert publish(context, DAYS[2], held(RECORDS[:3])) == Dump(10, 7, True, 0)
    assert proposals(context, DAYS[2]) == [("J", "absent", 1, False)]
    publish(context, DAYS[3], held(RECORDS[:-1]))
    assert proposals(context, DAYS[3]) == [("J", "absent", 2, True)]


def test_a_record_that_a_broken_dump_does_hold_has_come_back(context: Context) -> None:
    publish(context, DAYS[0], held(RECORDS))
    publish(context, DAYS[1], held(RECORDS[:-1]))
    publish(context, DAYS[2], held("AJ"))
    publish(context, DAYS[3], held(RECORDS[:-1]))
    assert proposals(context, DAYS[3]) == [("J", "absent", 1, False)]


def test_believed_withdrawals_do_not_make_the_next_dump_look_broken(context: Context) -> None:
    """Records leave for good, a few at a time: together they are more than a dump may lack."""
    publish(context, DAYS[0], held(RECORDS))
    for day in DAYS[1:3]:
        publish(context, day, held(RECORDS[:7]))
    assert publish(context, DAYS[3], held(RECORDS[:5])) == Dump(7, 2, False, 0)
    assert len(proposals(context, DAYS[3])) == 5


def test_one_record_of_a_small_feed_may_always_leave(tmp_path: Path) -> None:
    made = fresh(tmp_path, withdrawals={"max_share": 0.05})
    publish(made, DAYS[0], held("AB"))
    assert publish(made, DAYS[1], held("A")) == Dump(2, 1, False, 0)


def test_a_withdrawn_record_is_no_longer_missed(context: Context) -> None:
    publish(context, DAYS[0], held(RECORDS))
    assert publish(context, DAYS[1], held(RECORDS[:-1]), tombstones=["J"]) == Dump(9, 0, False, 0)
    assert sightings(context) == []


def test_a_row_without_a_key_or_with_a_strange_one_may_be_what_seems_absent(context: Context) -> None:
    publish(context, DAYS[0], held(RECORDS))
    publish(context, DAYS[1], held(RECORDS[:-1]))
    trouble = [Row("H?", "quarantined", document="H"), Row(None, "quarantined", document="I"), Row(None, "quarantined")]
    strange = [*held(RECORDS[:7]), *trouble, Row("J?", "quarantined", document="J")]
    assert publish(context, DAYS[2], strange) == Dump(10, 0, False, 2)
    assert proposals(context, DAYS[2]) == [("J", "absent", 1, False)]
    # Once the strange row is a record of its own, it is another decision under the same number.
    both = [*held(RECORDS[:-1]), Row("J?", document="J")]
    publish(context, DAYS[3], both)
    assert publish(context, DAYS[4], both) == Dump(11, 1, False, 0)
    assert proposals(context, DAYS[4]) == [("J", "absent", 2, True)]


def test_a_revoked_record_is_believed_at_once_and_until_it_is_valid_again(tmp_path: Path) -> None:
    made = fresh(tmp_path, dump="increment")
    revoked = Row("A", "excluded", revoked=True)
    publish(made, DAYS[0], held("AB"))
    publish(made, DAYS[1], [revoked, Row("never known", "excluded", revoked=True)])
    assert proposals(made, DAYS[1]) == [("A", "revoked", 1, True), ("never known", "revoked", 1, True)]
    publish(made, DAYS[2], held("B"))
    assert [key for key, *_ in proposals(made, DAYS[2])] == ["A", "never known"]
    publish(made, DAYS[3], held("A"))
    assert [key for key, *_ in proposals(made, DAYS[3])] == ["never known"]
    publish(made, DAYS[4], [revoked])
    assert [(one.record_key, one.first_seen) for one in withdrawals_of(made, DAYS[4])] == [
        ("never known", DAYS[1]),
        ("A", DAYS[4]),
    ]


def test_revoked_records_that_leave_the_dump_are_not_missed(context: Context) -> None:
    publish(context, DAYS[0], held(RECORDS))
    publish(context, DAYS[1], [*held(RECORDS[4:]), *(Row(key, "excluded", revoked=True) for key in RECORDS[:4])])
    assert publish(context, DAYS[2], held(RECORDS[4:])) == Dump(6, 0, False, 0)


def test_a_batch_that_states_both_does_not_revoke(context: Context) -> None:
    publish(context, DAYS[0], [*held(RECORDS), Row("A", "excluded", revoked=True)])
    assert sightings(context) == []


def test_a_feed_that_no_longer_sends_everything_proposes_nothing_from_its_dumps(tmp_path: Path) -> None:
    installation = Installation(tmp_path, GUARDED)
    for day, keys in zip(DAYS, (RECORDS, RECORDS[:-1]), strict=False):
        publish(installation.context, day, held(keys))
    assert proposals(installation.context, DAYS[1]) != []
    assert proposals(installation.describe(dump="increment"), DAYS[1]) == []
