"""Re-judging: what a plan expects of stored rows is exactly what comes of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pipelines.errors import BatchHeldError, RunConflictError
from pipelines.operations.backfill_planning import preview_one
from pipelines.operations.backfill_view import changed_sentences
from pipelines.operations.rejudging import rejudge
from pipelines.operations.stale_batches import stale_batches
from tests.operations import state
from tests.operations.backfilling import compared, installed, plan, queued, run
from tests.operations.gate_history import USUAL, live_through
from tests.operations.small_feed import FEED, MONDAY, TUESDAY, WEDNESDAY, Installation, row, rows
from tests.operations.test_rehearsal import RULE, SUITE


def install_rules(installation: Installation, *rules: object) -> None:
    path = installation.folder / "root" / "expectations" / SUITE
    path.write_text(json.dumps({"name": "administrative_penalty", "expectations": rules}), encoding="utf-8")


@pytest.fixture(scope="module")
def stricter_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two daily dumps of nearly the same records, most of which a rule has kept out; to copy."""
    folder = tmp_path_factory.mktemp("stricter")
    made = installed(folder, dump="full", withdrawals={"max_share": 0.9})
    install_rules(made, RULE)
    good = {"处罚内容": "罚款，责令改正。"}
    made.publish(MONDAY, [*rows([1, 2, 3]), row(4, **good), row(5, **good)])
    made.publish(TUESDAY, [*rows([1, 2]), row(4, 处罚内容="罚款五千元。"), row(6, **good)])
    return folder


@pytest.fixture
def stricter(tmp_path: Path, stricter_folder: Path) -> Installation:
    shutil.copytree(stricter_folder, tmp_path, dirs_exist_ok=True)
    return Installation(tmp_path)


def test_a_rule_that_is_gone_changes_exactly_what_was_expected(stricter: Installation) -> None:
    install_rules(stricter)
    context, before = stricter.context, queued(stricter.context)
    stored = state.records(context), state.findings(context)
    planned = plan(context, "judge")
    assert (state.records(context), state.findings(context), queued(context)) == (*stored, before)
    assert [(one.day.business_date, one.day.state, one.sure) for one in planned.slices] == [
        (day, "stale", "exact") for day in (MONDAY, TUESDAY)
    ]
    assert "rules dropped CF-NEW-01 (2 batches)" in changed_sentences(planned)[0]
    assert planned.slices[0].counts is not None and planned.slices[0].counts["new"] == 3
    # What Monday brings is no longer new on Tuesday.
    assert planned.slices[1].counts is not None and planned.slices[1].counts["new"] == 0
    run(context, planned)
    assert all(expected == actual for _, _, expected, actual in compared(context, planned))
    assert queued(context) - before == sum((one.counts or {})["outbox"] for one in planned.slices) == 3
    assert stale_batches(context) == []
    again = plan(context, "judge")
    assert again.number is None and again.left_out["current"] == 2


def test_a_changed_mapping_is_judged_anew_and_said_so(stricter: Installation) -> None:
    """The content is read from another column: what every record says changes, and later days come after earlier."""
    context = stricter.describe(
        endpoints=["province_sandbox"],
        dump="full",
        withdrawals={"max_share": 0.9},
        columns={"CF_NR": "处罚类别"},
    )
    planned = plan(context, "judge")
    assert "dept_penalty: feed: columns (2 batches)" in changed_sentences(planned)
    run(context, planned)
    lines = compared(context, planned)
    assert all(expected == actual for _, _, expected, actual in lines)
    assert [line[2]["outdated"] for line in lines] == [1, 0], "record 4 has a later version"
    assert sum(line[2]["new"] for line in lines) == 3
    assert lines[1][2]["withdrawn"] == 2, "the last dump lacks records"


def test_one_batch_is_previewed(stricter: Installation) -> None:
    install_rules(stricter)
    (one,) = preview_one(stricter.context, FEED, TUESDAY).slices
    assert one.counts == {
        "new": 2, "changed": 0, "unchanged": 2, "outdated": 0, "lost": 0, "withdrawn": 1, "outbox": 2,
    }  # fmt: skip
    with pytest.raises(RunConflictError, match="nothing of dept_penalty"):
        rejudge(stricter.context, FEED, WEDNESDAY)


def test_a_batch_that_a_lost_column_held_is_judged_from_what_was_landed(tmp_path: Path) -> None:
    """The source is gone by then; the mapping is what was mended."""
    made = installed(tmp_path)
    made.publish(MONDAY, rows([1, 2]))
    renamed = [{**cells, "处罚内容说明": cells["处罚内容"]} for cells in rows([3])]
    made.send(TUESDAY, renamed, [*[name for name in renamed[0] if name != "处罚内容"]])
    assert made.night(TUESDAY) is not None
    made.drop(TUESDAY, b"")
    (held,) = plan(made.context, "judge", "missing_and_errored", last=TUESDAY).slices
    assert held.day.state == "held" and "处罚内容" in (held.problem or "")
    context = made.describe(endpoints=["province_sandbox"], columns={"CF_NR": "处罚内容说明"})
    planned = plan(context, "judge", "missing_and_errored", last=TUESDAY)
    assert [(one.day.state, (one.counts or {})["new"], one.problem) for one in planned.slices] == [("held", 1, None)]
    rejudge(context, FEED, TUESDAY)
    assert made.published(TUESDAY).new == 1


def test_a_gate_that_would_hold_a_batch_says_so_beforehand(tmp_path: Path) -> None:
    made = Installation(tmp_path)
    live_through(made, MONDAY, USUAL)
    install_rules(made, RULE)
    (one,) = preview_one(made.context, FEED, MONDAY).slices
    assert one.problem is not None and "unlike the good ones before it" in one.problem
    with pytest.raises(BatchHeldError, match="unlike the good ones before it"):
        rejudge(made.context, FEED, MONDAY)
