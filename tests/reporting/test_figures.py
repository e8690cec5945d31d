"""The figures of a small month, counted by hand, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
import time_machine
from sqlalchemy import select

from pipelines.catalogue.figure_profiles import FigureDefinition
from pipelines.ledger.models import Run
from pipelines.ledger.quality_models import Fact
from pipelines.operations.context import Context
from pipelines.operations.figures import recompute, recompute_open
from pipelines.reporting.figures import Figure, figures_by, figures_by_day, figures_by_month, silences
from tests.databases import new_postgresql_database
from tests.operations.small_feed import FEED, MONDAY, TUESDAY, rows
from tests.reporting.figure_month import FIRST, LAST, OTHER, Month, beijing


@contextmanager
def new_month(database: str, folder: Path) -> Iterator[Month]:
    if database == "sqlite":
        yield Month(folder)
        return
    with new_postgresql_database() as url:
        month = Month(folder, ledger_url=url.render_as_string(hide_password=False))
        yield month
        month.context.ledger.engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def month(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Month]:
    with new_month(request.param, tmp_path) as month:
        yield month


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def context(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """The month as it was lived through, for tests that only read."""
    with new_month(request.param, tmp_path_factory.mktemp("month")) as month:
        yield month.live_through()


def values(figures: dict[str, Figure], *codes: str) -> list[tuple[int, int | None]]:
    return [(figures[code].numerator, figures[code].denominator) for code in codes]


def test_a_month_by_department(context: Context) -> None:
    profile = context.catalogue.profile("national")
    dept, other = figures_by_month(context.ledger, profile, FIRST, LAST)
    assert (dept.department, dept.month) == ("dept", FIRST) and other.department == "other"
    # Monday, as it was run again: 9 rows and a line that is none; of these a duplicate, an excluded row, the line.
    # Tuesday: four rows, all of them accepted.
    shown = ("received", "stored", "compliance", "duplicates")
    assert values(dept.figures, *shown) == [(14, None), (11, None), (11, 12), (1, 13)]
    assert values(other.figures, *shown) == [(4, None), (3, None), (3, 4), (0, 4)]
    assert [figure.text for figure in dept.figures.values()][:4] == ["14", "11", "91.67 %", "100.00 %"]
    # Every row of an organisation has a code: 8 judged rows of Monday, 4 of Tuesday.
    assert values(dept.figures, "code_conversion", "wrong_codes") == [(12, 12), (0, None)]
    (both,) = figures_by(context.ledger, profile, FIRST, LAST, ())
    assert values(both.figures, *shown) == [(18, None), (14, None), (14, 16), (1, 17)]


def test_days_and_feeds_add_up_to_the_month(context: Context) -> None:
    for profile in context.catalogue.profiles.values():
        days = figures_by_day(context.ledger, profile, FIRST, LAST)
        assert [(line.day, line.feed) for line in days] == [(MONDAY, FEED), (MONDAY, OTHER), (TUESDAY, FEED)]
        (whole,) = figures_by_month(context.ledger, profile, FIRST, LAST, by=())
        for code, figure in whole.figures.items():
            parts = [line.figures[code] for line in days]
            assert figure.numerator == sum(part.numerator for part in parts)
            assert figure.denominator is None or figure.denominator == sum(part.denominator or 0 for part in parts)


def test_what_was_new_stays_new_when_the_batch_is_run_again(context: Context) -> None:
    # Six records came with the first run of Monday, the corrected one with the second, one on Tuesday; of the other
    # department three. Number 7 was decided on 8 October. Both clocks end before the limit of all others.
    for code, figure, expected in (
        ("suzhou", "timeliness", (10, 11)),
        ("qinghai", "lateness", (1, 11)),
        ("es_sxy", "effectiveness", (14, 18)),
        # 18 rows reported, of which 3 were updates: two unchanged ones and one that was changed.
        ("es_sxy", "timeliness", (10, 15)),
        ("es_sxy", "linkage", (14, 18)),
    ):
        (line,) = figures_by(context.ledger, context.catalogue.profile(code), FIRST, LAST, ())
        assert values(line.figures, figure) == [expected], (code, figure)


def test_a_batch_that_is_run_again_replaces_its_facts(month: Month) -> None:
    with time_machine.travel(beijing(17)):
        month.batch(FEED, MONDAY, rows((1, 2)))
        last = month.batch(FEED, MONDAY, rows((1, 2, 3)))
    with month.context.ledger.read() as session:
        facts = list(session.scalars(select(Fact).where(Fact.profile == "national", Fact.figure == "received")))
    assert [(fact.run, fact.numerator) for fact in facts] == [(last.id, 3)]


def test_lateness_by_the_receivers_clock_is_open_until_the_deadlines_are_over(month: Month) -> None:
    context = month.live_through()
    profile = context.catalogue.profile("national")

    def lateness() -> Figure:
        (line,) = figures_by(context.ledger, profile, FIRST, LAST, (), feed=FEED)
        return line.figures["lateness"]

    month.accept({1, 2, 3, 4}, beijing(20))
    with time_machine.travel(beijing(22)):
        assert recompute_open(context).batches == 2
    # Number 7 is over; 5, 6 and 9 may still be in time and count nowhere.
    assert values({"lateness": lateness()}, "lateness") == [(1, 5)] and not lateness().is_final
    # The limit of decisions of 13 November ends with the 24th in China, which is 16:00 UTC.
    month.accept({5}, datetime(2026, 11, 24, 16, 0, tzinfo=UTC))
    month.accept({6}, datetime(2026, 11, 24, 15, 59, tzinfo=UTC))
    with time_machine.travel(beijing(27)):
        assert recompute_open(context).batches == 2
    # 5 came a moment too late, 7 and 9 were never taken.
    assert values({"lateness": lateness()}, "lateness") == [(3, 8)] and lateness().is_final
    (line,) = figures_by(context.ledger, profile, FIRST, LAST, (), feed=FEED)
    # The update of number 3 is owed too.
    assert values(line.figures, "confirmation") == [(6, 9)] and not line.figures["confirmation"].is_final


def test_facts_are_the_same_when_they_are_computed_again(context: Context) -> None:

    def facts() -> list[tuple[object, ...]]:
        columns = (Fact.feed, Fact.business_date, Fact.profile, Fact.figure, Fact.numerator, Fact.denominator)
        with context.ledger.read() as session:
            return sorted(tuple(row) for row in session.execute(select(*columns)))

    before = facts()
    with time_machine.travel(beijing(18)):
        done = recompute(context, FIRST, LAST)
    assert (done.batches, done.skipped) == (3, ()) and facts() == before


def test_figures_follow_from_the_files_of_the_runs(context: Context) -> None:
    with context.ledger.read() as session:
        runs = list(session.scalars(select(Run).where(Run.feed == FEED, Run.state == "published")))
    outcomes = {run.id: pd.read_parquet(context.settings.runs / run.id / "outcomes.parquet") for run in runs}
    rejects = {run.id: len(pd.read_parquet(context.settings.runs / run.id / "rejects.parquet")) for run in runs}
    last = {run.business_date: run.id for run in sorted(runs, key=lambda run: run.attempt)}.values()
    counted = pd.concat([outcomes[run] for run in last])
    lines = sum(rejects[run] for run in last)
    accepted = int((counted["outcome"] == "accepted").sum())
    reportable = len(counted) + lines - int(counted["outcome"].isin(["excluded", "duplicate"]).sum())
    new = pd.concat(
        [table[table["change"] == "new"].assign(day=run.business_date) for run in runs for table in [outcomes[run.id]]]
    )
    on_time = int((new["deadline"].astype("datetime64[s]") >= new["day"].astype("datetime64[s]")).sum())
    national, suzhou = (
        figures_by(context.ledger, context.catalogue.profile(code), FIRST, LAST, (), feed=FEED)[0].figures
        for code in ("national", "suzhou")
    )
    assert values(national, "received", "stored", "compliance") == [
        (len(counted) + lines, None),
        (accepted, None),
        (accepted, reportable),
    ]
    assert values(suzhou, "timeliness") == [(on_time, len(new))]


def test_the_longest_silence_stands_first(context: Context) -> None:
    feeds = [(FEED, "dept"), (OTHER, "other"), ("third_penalty", "third")]
    found = silences(context.ledger, feeds, LAST)
    assert [(one.feed, one.days) for one in found] == [("third_penalty", None), (OTHER, 14), (FEED, 13)]


@pytest.mark.parametrize(
    ("numerator", "denominator", "text", "level"),
    [
        (100_000, 100_000, "100.00 %", "good"),
        (99_999, 100_000, "99.99 %", "good"),
        (1, 100_000, "0.01 %", "bad"),
        (0, 100_000, "0.00 %", "bad"),
        (98, 100, "98.00 %", "fair"),
        (0, 0, "—", None),
    ],
)
def test_rounding_never_claims_perfection(numerator: int, denominator: int, text: str, level: str | None) -> None:
    definition = FigureDefinition(
        figure="compliance", name_zh="合规率", name_en="compliance", unit="percent", better="higher",
        numerator=("rows/accepted",), denominator=("rows/received",), definition_zh="", definition_en="", source="",
        target=99, alarm=95,
    )  # fmt: skip
    figure = Figure(definition, numerator, denominator, 1, 0)
    assert (figure.text, figure.level) == (text, level)
