"""Versions become visible with their run, survive crashes around the commit, and can be read as of a day."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import select

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.engine.duck import Session, session
from pipelines.ledger.database import Ledger, migrate, now, open_ledger
from pipelines.ledger.models import Batch, ConsolidatedRun, Consolidation, Outbox, Run
from pipelines.records.consolidation import Settled, consolidate, set_rejected_aside
from pipelines.records.reading import create_history, current, load_versions, record_history
from pipelines.records.run_table import RunTable
from pipelines.records.store import RecordStore
from pipelines.records.sweep import sweep_crashed_runs
from pipelines.settings import Settings

CATEGORY = load_catalogue(Settings()).categories["administrative_penalty"]
MONDAY, TUESDAY, WEDNESDAY = date(2026, 11, 16), date(2026, 11, 17), date(2026, 11, 18)


@pytest.fixture
def duck() -> Iterator[Session]:
    with session() as opened:
        yield opened


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    migrate(url)
    return open_ledger(url)


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    return RecordStore(tmp_path / "records", CATEGORY)


def add_run(ledger: Ledger, run: str, feed: str, day: date, state: str) -> None:
    with ledger.write() as session:
        batch = session.scalar(select(Batch).where(Batch.feed == feed, Batch.business_date == day))
        if batch is None:
            batch = Batch(feed=feed, business_date=day)
            session.add(batch)
            session.flush()
        attempt = len(list(session.scalars(select(Run).where(Run.batch_id == batch.id)))) + 1
        session.add(
            Run(
                id=run,
                batch_id=batch.id,
                feed=feed,
                category=CATEGORY.category,
                business_date=day,
                attempt=attempt,
                state=state,
                stage="published",
                started_at=now(),
            )
        )


def write(
    duck: Session,
    store: RecordStore,
    ledger: Ledger,
    run: str,
    feed: str,
    day: date,
    rows: list[dict[str, Any]],
    state: str = "published",
) -> None:
    add_run(ledger, run, feed, day, state)
    full = [
        {
            **dict.fromkeys(store.schema.names),
            "business_date": day,
            "run": run,
            "change": "new",
            "content_hash": "c1",
            "version": 1,
            **row,
        }
        for row in rows
    ]
    duck.register("incoming", pa.Table.from_pylist(full, schema=store.schema))
    store.write(duck, "incoming", feed, run)
    store.commit(feed, run)


def keys(duck: Session, name: str) -> list[tuple[Any, ...]]:
    return duck.rows(f"SELECT record_key, version FROM {name} ORDER BY ALL")


def test_a_version_counts_once_its_run_is_published(duck: Session, store: RecordStore, ledger: Ledger) -> None:
    current(duck, store, ledger)
    assert keys(duck, "current_records") == []
    write(duck, store, ledger, "r1", "f", MONDAY, [{"record_key": "a"}], state="running")
    current(duck, store, ledger)
    assert keys(duck, "current_records") == []
    with ledger.write() as ledger_session:
        ledger_session.get_one(Run, "r1").state = "published"
    current(duck, store, ledger)
    assert keys(duck, "current_records") == [("a", 1)]


def test_committing_twice_adds_once(duck: Session, store: RecordStore, ledger: Ledger) -> None:
    write(duck, store, ledger, "r1", "f", MONDAY, [{"record_key": "a"}])
    assert store.commit("f", "r1")
    current(duck, store, ledger)
    assert keys(duck, "all_versions") == [("a", 1)]
    assert not store.commit("f", "a run that wrote nothing")


@pytest.mark.parametrize("committed", [True, False])
def test_a_crashed_run_is_swept_wherever_it_died(
    duck: Session, store: RecordStore, ledger: Ledger, committed: bool
) -> None:
    write(duck, store, ledger, "r1", "f", MONDAY, [{"record_key": "a"}])
    if committed:
        write(duck, store, ledger, "r2", "f", TUESDAY, [{"record_key": "b"}], state="abandoned")
    else:
        add_run(ledger, "r2", "f", TUESDAY, "failed")
        store.file_of("f", "r2").write_bytes(b"half a file")
    assert sweep_crashed_runs(ledger, {CATEGORY.category: store}) == ["r2"]
    assert sweep_crashed_runs(ledger, {CATEGORY.category: store}) == []
    assert not store.file_of("f", "r2").exists()
    current(duck, store, ledger)
    assert keys(duck, "all_versions") == [("a", 1)]


def test_what_held_on_a_day_and_what_holds_now(duck: Session, store: RecordStore, ledger: Ledger) -> None:
    write(duck, store, ledger, "r1", "f", MONDAY, [{"record_key": "a"}])
    write(duck, store, ledger, "r3", "f", WEDNESDAY, [{"record_key": "a", "version": 2, "content_hash": "c2"}])
    current(duck, store, ledger, as_of=TUESDAY)
    assert keys(duck, "current_records") == [("a", 1)]
    current(duck, store, ledger)
    assert keys(duck, "current_records") == [("a", 2)]
    create_history(duck, store, ledger, "f", TUESDAY)
    assert duck.rows("FROM history") == [("a", "c1", 1, 2, True)]
    create_history(duck, store, ledger, "f", WEDNESDAY)
    assert duck.rows("FROM history") == [("a", "c2", 2, 2, False)]
    create_history(duck, store, ledger, "another feed", WEDNESDAY)
    assert duck.rows("FROM history") == []


def test_an_older_day_that_comes_late_does_not_win(duck: Session, store: RecordStore, ledger: Ledger) -> None:
    write(duck, store, ledger, "r3", "f", WEDNESDAY, [{"record_key": "a"}])
    write(duck, store, ledger, "r2", "f", TUESDAY, [{"record_key": "a", "version": 2, "content_hash": "c0"}])
    current(duck, store, ledger)
    assert keys(duck, "current_records") == [("a", 1)]


def test_versions_are_loaded_by_name_and_histories_whole(duck: Session, store: RecordStore, ledger: Ledger) -> None:
    write(duck, store, ledger, "r1", "f", MONDAY, [{"record_key": "a", "CF_NR": "x"}, {"record_key": "b"}])
    write(duck, store, ledger, "r2", "f", TUESDAY, [{"record_key": "a", "version": 2}])
    found = load_versions(duck, store, ledger, [("f", "a", 1), ("f", "z", 1)])
    assert list(found) == [("f", "a", 1)]
    assert found["f", "a", 1]["CF_NR"] == "x"
    assert [row["version"] for row in record_history(duck, store, ledger, "a")] == [1, 2]


def queue(ledger: Ledger, feed: str, run: str, endpoint: str = "province", version: int = 1, **values: Any) -> None:
    with ledger.write() as ledger_session:
        ledger_session.add(
            Outbox(
                endpoint=endpoint,
                category=CATEGORY.category,
                feed=feed,
                run=run,
                record_key="a",
                version=version,
                content_hash="c",
                operation="new",
                business_date=MONDAY,
                decision_date=MONDAY,
                deadline=WEDNESDAY,
                deadline_provisional=False,
                idempotency_key=f"{endpoint} {feed} {version} {values.get('act', 0)}",
                queued_at=now(),
                **values,
            )
        )


def owed(ledger: Ledger) -> list[tuple[str, str, int]]:
    """Endpoint, feed and version of what has not been set aside."""
    query = select(Outbox).where(Outbox.withheld_at.is_(None)).order_by(Outbox.id)
    with ledger.read() as ledger_session:
        return [(row.endpoint, row.feed, row.version) for row in ledger_session.scalars(query)]


def settled_pairs(ledger: Ledger) -> list[tuple[str, str]]:
    """Losing and surviving feeds as the ledger has them."""
    with ledger.read() as ledger_session:
        return [(one.losing_feed, one.surviving_feed) for one in ledger_session.scalars(select(Consolidation))]


@pytest.mark.parametrize(
    ("priorities", "days", "survivor"),
    [
        ({"f": 20, "g": 10}, (MONDAY, TUESDAY), "g"),
        ({"f": 10, "g": 10}, (TUESDAY, MONDAY), "g"),
        ({}, (MONDAY, MONDAY), "f"),
    ],
)
def test_one_decision_of_two_feeds_is_owed_once(
    duck: Session,
    store: RecordStore,
    ledger: Ledger,
    priorities: dict[str, int],
    days: tuple[date, date],
    survivor: str,
) -> None:
    for feed, run, day in (("f", "r1", days[0]), ("g", "r2", days[1])):
        write(duck, store, ledger, run, feed, day, [{"record_key": "a"}, {"record_key": f"only {feed}"}])
        queue(ledger, feed, run)
    settled = consolidate(duck, store, ledger, priorities)
    assert [(one.record_key, one.surviving_feed) for one in settled] == [("a", survivor)]
    assert consolidate(duck, store, ledger, priorities) == []
    assert owed(ledger) == [("province", survivor, 1)]
    assert len(settled_pairs(ledger)) == 1


def test_the_losing_feed_delivers_where_the_surviving_one_does_not(
    duck: Session, store: RecordStore, ledger: Ledger
) -> None:
    for feed, run, endpoints in (("f", "r1", ("province", "county")), ("g", "r2", ("province",))):
        write(duck, store, ledger, run, feed, MONDAY, [{"record_key": "a"}])
        for endpoint in endpoints:
            queue(ledger, feed, run, endpoint)
    consolidate(duck, store, ledger, {"g": 10})
    assert owed(ledger) == [("county", "f", 1), ("province", "g", 1)]


def test_changed_priorities_leave_no_record_without_a_feed(duck: Session, store: RecordStore, ledger: Ledger) -> None:
    for feed in ("f", "g"):
        write(duck, store, ledger, f"{feed}1", feed, MONDAY, [{"record_key": "a"}])
        queue(ledger, feed, f"{feed}1")
    consolidate(duck, store, ledger, {})
    assert (owed(ledger), settled_pairs(ledger)) == ([("province", "f", 1)], [("g", "f")])
    # From now on the other feed comes first; its version was set aside, so that the first one's still goes out.
    write(duck, store, ledger, "f2", "f", TUESDAY, [{"record_key": "a", "version": 2}])
    queue(ledger, "f", "f2", version=2)
    consolidate(duck, store, ledger, {"g": 10})
    assert (owed(ledger), settled_pairs(ledger)) == ([("province", "f", 1), ("province", "f", 2)], [("f", "g")])
    write(duck, store, ledger, "g2", "g", WEDNESDAY, [{"record_key": "a", "version": 2}])
    queue(ledger, "g", "g2", version=2)
    consolidate(duck, store, ledger, {"g": 10})
    assert (owed(ledger), settled_pairs(ledger)) == ([("province", "g", 2)], [("f", "g")])


def test_a_withdrawal_goes_out_whichever_feed_it_names(duck: Session, store: RecordStore, ledger: Ledger) -> None:
    for feed in ("f", "g"):
        write(duck, store, ledger, f"{feed}1", feed, MONDAY, [{"record_key": "a"}])
    queue(ledger, "f", "f1", packaged_at=now(), sent_at=now(), accepted_at=now())
    queue(ledger, "g", "g1")
    queue(ledger, "f", "f1", act=1, family="withdrawal")
    consolidate(duck, store, ledger, {"g": 10})
    assert owed(ledger) == [("province", "f", 1), ("province", "g", 1), ("province", "f", 1)]


def test_what_is_reinstated_is_not_lost_to_what_was_withdrawn_before(
    duck: Session, store: RecordStore, ledger: Ledger
) -> None:
    for feed in ("f", "g"):
        write(duck, store, ledger, f"{feed}1", feed, MONDAY, [{"record_key": "a"}])
    queue(ledger, "g", "g1", packaged_at=now(), sent_at=now(), accepted_at=now(), withdrawn_at=now())
    queue(ledger, "f", "f1", act=2)
    consolidate(duck, store, ledger, {"g": 10})
    assert owed(ledger) == [("province", "g", 1), ("province", "f", 1)]


def test_what_was_rejected_of_the_losing_feed_is_set_aside_once_the_other_owes_it(
    duck: Session, store: RecordStore, ledger: Ledger
) -> None:
    for endpoint in ("province", "county"):
        write(duck, store, ledger, f"f {endpoint}", "f", MONDAY, [{"record_key": "a"}])
        queue(ledger, "f", f"f {endpoint}", endpoint)
    queue(ledger, "f", "f province", act=1, family="withdrawal")
    with ledger.write() as ledger_session:
        for row in ledger_session.scalars(select(Outbox)):
            row.packaged_at = row.sent_at = row.rejected_at = now()
    assert set_rejected_aside(ledger, CATEGORY.category, ["province", "county"]) == 0
    write(duck, store, ledger, "g", "g", TUESDAY, [{"record_key": "a"}])
    queue(ledger, "g", "g")
    consolidate(duck, store, ledger, {"g": 10})
    assert len(owed(ledger)) == 4
    assert set_rejected_aside(ledger, CATEGORY.category, ["county"]) == 0
    assert set_rejected_aside(ledger, CATEGORY.category, ["province", "county"]) == 1
    assert set_rejected_aside(ledger, CATEGORY.category, ["province", "county"]) == 0
    # A withdrawal that was refused is still to be brought about.
    assert owed(ledger) == [("county", "f", 1), ("province", "f", 1), ("province", "g", 1)]


def test_two_deliveries_may_consolidate_the_same_runs_at_once(
    duck: Session, store: RecordStore, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for feed, run in (("f", "r1"), ("g", "r2")):
        write(duck, store, ledger, run, feed, MONDAY, [{"record_key": "a"}])
        queue(ledger, feed, run)

    def outrun(*_: object) -> list[Settled]:
        monkeypatch.undo()
        first: list[Settled] = consolidate(duck, store, ledger, {})
        return first

    monkeypatch.setattr("pipelines.records.consolidation._settle", outrun)
    consolidate(duck, store, ledger, {})
    with ledger.read() as ledger_session:
        assert set(ledger_session.scalars(select(ConsolidatedRun.run))) == {"r1", "r2"}
        assert len(list(ledger_session.scalars(select(Consolidation)))) == 1


def test_the_store_may_lie_in_a_folder_with_any_name(duck: Session, ledger: Ledger, tmp_path: Path) -> None:
    store = RecordStore(tmp_path / "归集 数据" / "records", CATEGORY)
    write(duck, store, ledger, "run", "feed", MONDAY, [{"record_key": "k", "version": 1}])
    store.versions(duck, "all_versions", [])
    assert duck.rows("SELECT record_key FROM all_versions") == [("k",)]


def test_feeds_that_make_a_table_at_the_same_moment(tmp_path: Path) -> None:
    """Before the first night of a category several feeds find no table."""
    for number in range(8):
        table = RunTable(tmp_path / str(number), pa.schema([("a", pa.string()), ("feed", pa.string())]), ("feed",))
        together = threading.Barrier(4)

        def prepare(table: RunTable = table, together: threading.Barrier = together) -> None:
            together.wait()
            table.prepare()

        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(prepare) for _ in range(4)]:
                done.result()
        assert table.files() == []
