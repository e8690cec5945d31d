"""A changed suite is tried on stored batches before it is switched on; batches under older rules are listed."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import CatalogueError
from pipelines.operations.rehearsal import rehearse
from pipelines.operations.stale_batches import stale_batches

from .small_feed import FEED, MONDAY, TUESDAY, WEDNESDAY, Installation, row, rows

SUITE = "administrative_penalty.json"
RULE: dict[str, Any] = {
    "type": "expect_rows_to_satisfy",
    "kwargs": {"column": "CF_NR", "predicate": "CF_NR <> '给予警告。'"},
    "meta": {
        "code": "CF-NEW-01",
        "owner": "department",
        "dimension": "validity",
        "family": "format",
        "message_zh": "处罚内容过于笼统",
        "fix_zh": "请写明处罚内容",
        "message_en": "the content says too little",
        "fix_en": "say what the penalty is",
        "source": "test",
    },
    "severity": "critical",
}


@pytest.fixture(scope="module")
def three_nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation after three nights, to copy: publishing is slow."""
    installation = Installation(tmp_path_factory.mktemp("rehearsal"))
    for day, first in ((MONDAY, 1), (TUESDAY, 11), (WEDNESDAY, 21)):
        sent = [
            *rows(range(first, first + 3)),
            row(first + 3, 处罚内容="罚款，责令改正。"),
            row(first + 4, 当事人名称=""),
        ]
        installation.publish(day, sent)
    return installation.folder


@pytest.fixture
def feed(tmp_path: Path, three_nights: Path) -> Installation:
    shutil.copytree(three_nights, tmp_path, dirs_exist_ok=True)
    return Installation(tmp_path)


def suite_with(installation: Installation, folder: Path, **change: Any) -> Path:
    folder.mkdir()
    path = folder / SUITE
    rule = json.loads(json.dumps(RULE))
    rule |= {key: value for key, value in change.items() if key in rule}
    rule["meta"] |= {key: value for key, value in change.items() if key not in rule}
    path.write_text(json.dumps({"name": "administrative_penalty", "expectations": [rule]}), encoding="utf-8")
    return path


def test_a_rehearsal_says_per_feed_which_rows_would_change_outcome(feed: Installation, tmp_path: Path) -> None:
    change = suite_with(feed, tmp_path / "change")
    found = rehearse(feed.context, change, last=2, rows_file=tmp_path / "moved.csv")
    assert [(batch.feed, batch.business_date, batch.rows) for batch in found] == [
        (FEED, WEDNESDAY, 5),
        (FEED, TUESDAY, 5),
    ]
    for batch, first in zip(found, (21, 11), strict=True):
        (move,) = batch.moves
        assert (move.before, move.after, move.rows) == ("accepted", "quarantined", 3)
        assert [example.rpartition("/")[2] for example in move.examples] == ["2", "3", "4"]
        (rule,) = batch.rules
        # The row without a name breaks it too and changes no outcome: it is quarantined anyway.
        assert (rule.code, rule.how, rule.rows, rule.rows_then) == ("CF-NEW-01", "added", 0, 4), first
    with (tmp_path / "moved.csv").open(encoding="utf-8-sig") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 6
    assert {line["reasons_added"] for line in lines} == {"CF-NEW-01"}
    assert "示例" not in (tmp_path / "moved.csv").read_text(encoding="utf-8-sig")


def test_a_rehearsal_changes_nothing(feed: Installation, tmp_path: Path) -> None:
    def everything() -> dict[str, bytes]:
        home = feed.context.settings.home_path
        files = [path for part in ("runs", "records", "landing") for path in (home / part).rglob("*") if path.is_file()]
        return {str(path): path.read_bytes() for path in files}

    before = everything()
    rehearse(feed.context, suite_with(feed, tmp_path / "change"), last=9)
    assert everything() == before
    assert stale_batches(feed.context) == []


def test_dropping_a_rule_lets_its_rows_pass(feed: Installation, tmp_path: Path) -> None:
    installed = feed.folder / "root" / "expectations" / SUITE
    shutil.copyfile(suite_with(feed, tmp_path / "with"), installed)
    without = tmp_path / "without"
    without.mkdir()
    (without / SUITE).write_text(json.dumps({"name": "administrative_penalty", "expectations": []}), encoding="utf-8")
    (batch,) = rehearse(feed.context, without, last=1)
    assert [(move.before, move.after, move.rows) for move in batch.moves] == [("quarantined", "accepted", 3)]
    assert [(rule.how, rule.rows, rule.rows_then) for rule in batch.rules] == [("dropped", 4, 0)]


def test_a_warning_moves_no_row_and_is_counted(feed: Installation, tmp_path: Path) -> None:
    (batch,) = rehearse(feed.context, suite_with(feed, tmp_path / "change", severity="warning"), last=1)
    assert batch.moves == ()
    assert [(rule.code, rule.rows_then) for rule in batch.rules] == [("CF-NEW-01", 4)]


def test_a_rule_of_the_future_judges_no_batch_of_today(feed: Installation, tmp_path: Path) -> None:
    (batch,) = rehearse(feed.context, suite_with(feed, tmp_path / "change", since="2027-01-01"), last=1)
    assert (batch.moves, batch.rules) == ((), ())


def test_a_suite_that_asks_the_same_rehearses_nothing(feed: Installation) -> None:
    assert rehearse(feed.context, feed.context.settings.expectations / SUITE, last=3) == []


def test_a_batch_whose_rows_were_cleared_is_named(feed: Installation, tmp_path: Path) -> None:
    shutil.rmtree(feed.context.settings.runs / feed.published(WEDNESDAY).id / "rows")
    later, earlier = rehearse(feed.context, suite_with(feed, tmp_path / "change"), last=2)
    assert later.problem is not None and "cleared" in later.problem
    assert earlier.rows_moved == 3


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (SUITE, "{", "not valid JSON"),
        ("other.json", "{}", "takes the place of none"),
        (SUITE, json.dumps({"name": "x", "expectations": [{**RULE, "type": "expect_wonders"}]}), "unknown expectation"),
    ],
)
def test_a_wrong_change_is_refused_with_its_place(
    feed: Installation, tmp_path: Path, name: str, content: str, words: str
) -> None:
    path = tmp_path / "change" / name
    path.parent.mkdir()
    path.write_text(content, encoding="utf-8")
    with pytest.raises(CatalogueError, match=words) as caught:
        rehearse(feed.context, path, last=1)
    assert name in str(caught.value)


def test_a_change_that_is_not_there_is_refused(feed: Installation, tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="no such file"):
        rehearse(feed.context, tmp_path / "nowhere.json", last=1)


def test_batches_judged_under_older_rules_are_listed_until_they_are_judged_again(
    feed: Installation, tmp_path: Path
) -> None:
    assert stale_batches(feed.context) == []
    shutil.copyfile(suite_with(feed, tmp_path / "change"), feed.folder / "root" / "expectations" / SUITE)
    found = stale_batches(feed.context)
    assert [(batch.business_date, batch.added, batch.dropped) for batch in found] == [
        (day, ("CF-NEW-01",), ()) for day in (WEDNESDAY, TUESDAY, MONDAY)
    ]
    assert feed.night(TUESDAY) is None
    assert [batch.business_date for batch in stale_batches(feed.context)] == [WEDNESDAY, MONDAY]


def test_a_rule_that_asks_something_else_without_a_new_version_is_noticed(feed: Installation, tmp_path: Path) -> None:
    installed = feed.folder / "root" / "expectations" / SUITE
    shutil.copyfile(suite_with(feed, tmp_path / "first"), installed)
    assert feed.night(WEDNESDAY) is None
    kwargs = {"column": "CF_NR", "predicate": "CF_NR <> '罚款'"}
    shutil.copyfile(suite_with(feed, tmp_path / "second", kwargs=kwargs), installed)
    (changed,) = [batch for batch in stale_batches(feed.context) if batch.business_date == WEDNESDAY]
    assert changed.silently
    shutil.copyfile(suite_with(feed, tmp_path / "third", kwargs=kwargs, version=2), installed)
    (changed,) = [batch for batch in stale_batches(feed.context) if batch.business_date == WEDNESDAY]
    assert changed.changed == ("CF-NEW-01",)
