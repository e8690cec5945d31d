"""Figures equal what a hand counts in the batch of ``reporting_batch.py``."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from operator import attrgetter

import pytest
from reporting_batch import CHANGE, DAY, FEED, RUN, Installation, make_run

from pipelines.errors import StorageError
from pipelines.ledger.models import Batch, Run
from pipelines.reporting.counts import Counts, Ratio
from pipelines.reporting.file_findings import FileFinding
from pipelines.reporting.metrics import FeedFigures, feed_figures
from pipelines.reporting.reasons import ReasonCount


def figures(installation: Installation, feed: str = FEED, day: date = DAY) -> FeedFigures:
    return feed_figures(
        installation.session, installation.settings, installation.catalogue, installation.ledger, feed, day
    )


def test_counts_and_ratios_are_those_of_the_batch(installation: Installation) -> None:
    batch = figures(installation)
    assert batch.state == "published"
    assert batch.counts.received == 13
    assert batch.counts.compliance == Ratio(4, 11)
    assert batch.counts.duplication == Ratio(1, 12)
    assert batch.counts.lateness == Ratio(1, 3)
    assert batch.counts.is_conserved
    assert batch.conservation == "解析 11 + 无法解析 2 = 入库 4 + 重复 1 + 问题 6 + 拦截 1 + 不报送 1"


def test_deliveries_are_counted_from_the_outbox(installation: Installation) -> None:
    counts = figures(installation).counts
    assert (counts.owed, counts.sent, counts.confirmed, counts.rejected) == (3, 3, 1, 1)
    assert (counts.waiting, counts.withheld, counts.overdue) == (1, 0, 1)
    assert figures(installation).earliest_open_deadline == date(2026, 3, 2)
    assert figures(installation).earliest_deadline == date(2026, 3, 12)


def test_reasons_count_rows_once_and_leave_out_rows_nobody_must_mend(installation: Installation) -> None:
    assert figures(installation).reasons == (
        ReasonCount("REQ-CF_WSH", "block", 3, 2),
        ReasonCount("DUP-003", "block", 1, 1),
        ReasonCount("LINE-001", "block", 1, 1),
        ReasonCount("LINE-002", "block", 1, 1),
        ReasonCount("USCC-CF_XDR_SHXYM", "block", 1, 0),
        ReasonCount("CF-FINE-01", "warn", 2, 0),
    )


def test_a_sum_that_is_off_by_one_shows(installation: Installation) -> None:
    assert " ≠ " in Counts(rows_decoded=2, accepted=1).conservation
    assert not Counts(rows_decoded=2, accepted=1).is_conserved
    assert Counts(rows_decoded=1, lines_undecoded=1, accepted=1, quarantined=1).is_conserved


@pytest.mark.parametrize(
    ("numerator", "denominator", "text"),
    [
        (0, 0, "—"),
        (0, 7, "0.00 %"),
        (7, 7, "100.00 %"),
        (99_999, 100_000, "99.99 %"),
        (1, 1_000_000, "0.01 %"),
        (1, 3, "33.33 %"),
        (2, 3, "66.67 %"),
        (1, 8, "12.50 %"),
    ],
)
def test_ratios_never_round_to_perfection(numerator: int, denominator: int, text: str) -> None:
    assert Ratio(numerator, denominator).text == text


def test_a_batch_that_is_run_again_forgets_no_late_record(installation: Installation) -> None:
    once = figures(installation).counts
    with installation.ledger.write() as ledger:
        run = ledger.get_one(Run, RUN)
        values = {column.name: getattr(run, column.name) for column in Run.__table__.columns}
        changed = {"id": "another", "attempt": 2, "new": 1, "changed": 0, "unchanged": 3, "late": 0}
        ledger.add(Run(**values | changed))
        ledger.flush()
        ledger.get_one(Batch, run.batch_id).run = "another"
    again = figures(installation).counts
    assert (again.new, again.changed, again.unchanged) == (1, 0, 3), "most is there already"
    assert (again.lateness, once.lateness) == (Ratio(1, 4), Ratio(1, 3))


def test_a_feed_that_has_failed_for_weeks_is_louder_than_any_problem(installation: Installation) -> None:
    weeks_ago = DAY - timedelta(days=21)
    installation.add_run(make_run("huanbao_penalty", weeks_ago, "published"), published=True)
    problem = f"{installation.settings.home_path}/landing/x.csv: the file is empty — ask the department"
    installation.add_run(make_run("huanbao_penalty", DAY, "failed", problem=problem), published=False)
    batches = [figures(installation, feed) for feed in installation.catalogue.feeds]
    silent, failed, *_ = sorted(batches, key=attrgetter("loudness"))
    assert (silent.feed, silent.state, silent.days_stale) == ("shichang_second", "missing", None)
    assert (failed.state, failed.days_stale) == ("failed", 21)
    assert failed.problem == "landing/x.csv: the file is empty — ask the department"
    assert failed.loudness < figures(installation).loudness


def test_a_running_batch_is_no_failure(installation: Installation) -> None:
    installation.add_run(make_run("huanbao_penalty", DAY, "running"), published=False)
    assert figures(installation, "huanbao_penalty").state == "running"


def test_a_held_batch_is_no_failure_and_says_what_was_noticed(installation: Installation) -> None:
    manifest = {"changes": [CHANGE]}
    installation.add_run(
        make_run("huanbao_penalty", DAY, "held", problem="a column is missing", manifest=manifest), published=False
    )
    batch = figures(installation, "huanbao_penalty")
    assert (batch.state, batch.problem) == ("held", "a column is missing")
    assert batch.file_findings == (FileFinding("SRC-002", "处罚机关", "x.csv", "", 1, "CF_CFJG"),)
    assert batch.loudness < figures(installation).loudness


def test_a_cleared_run_folder_leaves_the_ledgers_figures(installation: Installation) -> None:
    shutil.rmtree(installation.run_folder)
    batch = figures(installation)
    assert batch.reasons is None
    assert batch.counts.compliance == Ratio(4, 11)


def test_a_damaged_run_folder_is_an_error_that_names_the_file(installation: Installation) -> None:
    (installation.run_folder / "findings.parquet").unlink()
    with pytest.raises(StorageError, match=r"findings\.parquet.*run the batch again"):
        figures(installation)
