"""Which records are late, by each clock, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import pytest
from sqlalchemy import update

from pipelines.catalogue.figure_profiles import Clock
from pipelines.deadlines.calendar import load_calendar
from pipelines.ledger.database import Ledger, migrate, open_ledger
from pipelines.ledger.models import Batch, Outbox, Run
from pipelines.ledger.quality_models import Measure
from pipelines.reporting.figure_timing import timing_counts
from pipelines.settings import Settings
from tests.databases import new_postgresql_database

# The seven working days after Friday 13 November 2026 end with Tuesday the 24th, 24:00 in China.
DECIDED, BUSINESS_DATE = date(2026, 11, 13), date(2026, 11, 16)
OVER = datetime(2026, 11, 24, 16, 0)  # noqa: DTZ001 - the ledger stores UTC without zone
BEFORE = datetime(2026, 11, 24, 15, 59)  # noqa: DTZ001
AT = datetime(2026, 11, 23, 0, 0)  # noqa: DTZ001


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
        migrate(url)
        yield open_ledger(url)
        return
    with new_postgresql_database() as database:
        url = database.render_as_string(hide_password=False)
        migrate(url)
        yield open_ledger(url)
        open_ledger(url).engine.dispose()


def run(ledger: Ledger, *, attempt: int = 1, finished: datetime = AT, decided: dict[str, int] | None = None) -> Run:
    """A published attempt at the batch, with the measures of its decisions."""
    name = f"dept_penalty-20261116-{attempt:03d}"
    with ledger.write() as session:
        batch = session.get(Batch, 1) or Batch(id=1, feed="dept_penalty", business_date=BUSINESS_DATE)
        session.add(batch)
        session.flush()
        session.add(
            Run(
                id=name, batch_id=1, feed="dept_penalty", category="administrative_penalty", attempt=attempt,
                business_date=BUSINESS_DATE, state="published", stage="published", started_at=finished,
                finished_at=finished,
            )
        )  # fmt: skip
        session.flush()
        session.add_all(
            Measure(run=name, name="decided", item=item, value=value) for item, value in (decided or {}).items()
        )
    with ledger.read() as session:
        return session.get_one(Run, name)


def owe(
    ledger: Ledger, of: Run, key: str, accepted: datetime | None, *, version: int = 1, endpoint: str = "province"
) -> None:
    with ledger.write() as session:
        session.add(
            Outbox(
                endpoint=endpoint, category=of.category, feed=of.feed, run=of.id, record_key=key, version=version,
                content_hash=key, operation="new" if version == 1 else "update", business_date=of.business_date,
                decision_date=DECIDED, deadline=date(2026, 11, 24), deadline_provisional=False,
                idempotency_key=f"{endpoint}{key}{version}", queued_at=AT, accepted_at=accepted,
            )
        )  # fmt: skip


def timing(ledger: Ledger, of: Run, clock: Clock, at: datetime = AT) -> tuple[int, int, int, int]:
    with ledger.read() as session:
        counts = timing_counts(session, of, clock, load_calendar(Settings()), at)
    return counts["all"], counts["on_time"], counts["late"], counts["open"]


def test_the_receivers_clock_ends_with_the_seventh_working_day_in_china(ledger: Ledger) -> None:
    of = run(ledger)
    owe(ledger, of, "in time", BEFORE)
    owe(ledger, of, "late", OVER)
    owe(ledger, of, "never", None)
    clock = Clock(basis="accepted_by_upper")
    assert timing(ledger, of, clock) == (3, 1, 1, 1)
    assert timing(ledger, of, clock, at=BEFORE) == (3, 1, 1, 1)
    assert timing(ledger, of, clock, at=OVER) == (3, 1, 2, 0)
    # One working day more, Wednesday the 25th.
    assert timing(ledger, of, Clock(basis="accepted_by_upper", working_days=8), at=OVER) == (3, 2, 0, 1)


def test_a_refused_version_neither_stops_nor_restarts_the_clock_of_its_record(ledger: Ledger) -> None:
    of = run(ledger)
    owe(ledger, of, "corrected in time", None)
    owe(ledger, of, "corrected in time", BEFORE, version=2)
    owe(ledger, of, "corrected late", None)
    owe(ledger, of, "corrected late", OVER, version=2)
    owe(ledger, of, "taken, then changed", BEFORE)
    owe(ledger, of, "taken, then changed", OVER, version=2)
    assert timing(ledger, of, Clock(basis="accepted_by_upper"), at=OVER) == (3, 2, 1, 0)
    # Three updates are timed too: the correction of what had been taken in time is in time whenever it comes.
    assert timing(ledger, of, Clock(basis="accepted_by_upper", include_updates=True), at=OVER) == (6, 4, 2, 0)


def test_a_correction_of_an_accepted_record_has_no_clock_of_its_own(ledger: Ledger) -> None:
    first, of = run(ledger), run(ledger, attempt=2)
    owe(ledger, first, "taken in time", BEFORE)
    owe(ledger, of, "taken in time", None, version=2)
    owe(ledger, first, "taken late", OVER)
    owe(ledger, of, "taken late", None, version=2)
    updates = Clock(basis="accepted_by_upper", include_updates=True)
    long_after = datetime(2027, 2, 1)  # noqa: DTZ001
    assert timing(ledger, of, updates, at=long_after) == (4, 2, 2, 0)


def test_a_correction_sent_as_new_after_a_refusal_is_no_second_new_record(ledger: Ledger) -> None:
    of = run(ledger)
    owe(ledger, of, "refused, then taken", None)
    owe(ledger, of, "refused, then taken", BEFORE, version=2)
    with ledger.write() as session:
        session.execute(update(Outbox).values(operation="new"))
    assert timing(ledger, of, Clock(basis="accepted_by_upper"), at=OVER) == (1, 1, 0, 0)


def test_records_count_once_per_receiver_or_for_one_receiver_only(ledger: Ledger) -> None:
    of = run(ledger)
    owe(ledger, of, "one", BEFORE)
    owe(ledger, of, "one", OVER, endpoint="nation")
    assert timing(ledger, of, Clock(basis="accepted_by_upper")) == (2, 1, 1, 0)
    assert timing(ledger, of, Clock(basis="accepted_by_upper", endpoint="nation")) == (1, 0, 1, 0)


def test_the_business_date_against_the_day_of_publication(ledger: Ledger) -> None:
    first = {"new=2026-11-13": 4, "new=2026-11-05": 2, "new=earlier": 1, "changed=2026-11-13": 9}
    run(ledger, decided=first, finished=datetime(2026, 11, 16, 15, 59))  # noqa: DTZ001
    # The limit of decisions of 5 November ends with the 16th; this attempt was published at midnight after it.
    again = run(ledger, attempt=2, decided={"new=2026-11-05": 3}, finished=datetime(2026, 11, 16, 16, 0))  # noqa: DTZ001
    assert timing(ledger, again, Clock(basis="first_received")) == (10, 9, 1, 0)
    assert timing(ledger, again, Clock(basis="published")) == (10, 6, 4, 0)
    assert timing(ledger, again, Clock(basis="first_received", include_updates=True)) == (19, 18, 1, 0)
    assert timing(ledger, again, Clock(basis="first_received", working_days=6)) == (10, 4, 6, 0)


def test_what_it_takes_grows_with_the_batch_and_not_with_its_square(tmp_path: Path) -> None:
    """Counted in steps of SQLite's machine: seconds say nothing on a busy computer."""

    def steps(rows: int) -> int:
        url = f"sqlite:///{tmp_path / str(rows)}.sqlite"
        migrate(url)
        ledger = open_ledger(url)
        of = run(ledger)
        for number in range(rows):
            owe(ledger, of, f"{number}", None)
        hundreds = 0

        def count() -> None:
            nonlocal hundreds
            hundreds += 1

        with ledger.read() as session:
            driver = session.connection().connection.driver_connection
            assert driver is not None
            driver.set_progress_handler(count, 100)
            assert timing_counts(session, of, Clock(basis="accepted_by_upper"), load_calendar(Settings()), AT) == {
                "all": rows,
                "on_time": 0,
                "late": 0,
                "open": rows,
            }
            driver.set_progress_handler(None, 100)
        return hundreds

    few, many = steps(200), steps(800)
    assert many < 6 * few
