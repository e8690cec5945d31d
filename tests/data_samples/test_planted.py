"""The generated samples: every planted defect is found, and no clean row is accused."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from data_samples.golden.judging import BUSINESS_DATE, SAMPLES, Verdict, judge_file
from pipelines.catalogue.catalogue import load_catalogue
from pipelines.sandbox.rules import SUBJECT_UNKNOWN, check
from pipelines.sandbox.subjects import load_subjects
from pipelines.settings import Settings

FEEDS = ("ecology_penalty", "housing_licence", "market_licence", "market_penalty")


def planted(feed: str) -> list[dict[str, str]]:
    with (SAMPLES / feed / "2026-11-20.planted.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def extract_of(feed: str) -> Path:
    (extract,) = (SAMPLES / feed / "2026-11-20").iterdir()
    return extract


@pytest.fixture(scope="module")
def verdicts_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[int, Verdict]]:
    return cache(lambda feed: judge_file(feed, extract_of(feed), tmp_path_factory.mktemp(feed)))


@pytest.fixture(scope="module", params=FEEDS)
def judged(
    request: pytest.FixtureRequest, verdicts_of: Callable[[str], dict[int, Verdict]]
) -> tuple[str, dict[int, Verdict]]:
    return request.param, verdicts_of(request.param)


def test_five_decisions_of_the_ecology_department_have_the_same_key_in_both_feeds(
    verdicts_of: Callable[[str], dict[int, Verdict]],
) -> None:
    keys = [
        {verdict.record_key for verdict in verdicts_of(feed).values() if verdict.outcome == "accepted"}
        for feed in ("ecology_penalty", "market_penalty")
    ]
    assert len(keys[0] & keys[1]) == 5


def test_every_planted_defect_is_found_and_no_clean_row_is_accused(judged: tuple[str, dict[int, Verdict]]) -> None:
    feed, verdicts = judged
    by_line: dict[int, list[dict[str, str]]] = {}
    for row in planted(feed):
        by_line.setdefault(int(row["line"]), []).append(row)
    # A rule on a set of rows accuses all of its rows: it cannot know which of them is wrong.
    own = {line: {reason for reason in v.reasons if not reason.startswith("SET-")} for line, v in verdicts.items()}
    accused = {
        line: v for line, v in verdicts.items() if line not in by_line and (v.outcome != "accepted" or own[line])
    }
    assert not accused, f"{len(accused)} clean rows, the first: {sorted(accused.items())[0]}"
    missed = Counter()
    example = {}
    for line, rows in by_line.items():
        verdict = verdicts[line]
        for row in rows:
            if verdict.outcome == row["outcome"] and _has_all(verdict.reasons, row["reasons"].split()):
                continue
            missed[row["defect"]] += 1
            example[row["defect"]] = (line, verdict.outcome, sorted(verdict.reasons))
    assert not missed, "\n".join(f"{name} × {count}: {example[name]}" for name, count in sorted(missed.items()))


def _has_all(found: frozenset[str], expected: list[str]) -> bool:
    """Planted reasons have no category prefix: ``REQ-WSH`` is met by ``REQ-CF_WSH``, ``C10a`` by ``CF-C10a``."""
    plain = {
        reason.replace("-CF_", "-").replace("-XK_", "-").removeprefix("CF-").removeprefix("XK-") for reason in found
    }
    return plain.issuperset(expected)


def test_the_receiver_refuses_only_subjects_it_knows_by_another_name(judged: tuple[str, dict[int, Verdict]]) -> None:
    feed, verdicts = judged
    catalogue = load_catalogue(Settings())
    category = catalogue.category_of(catalogue.feed(feed))
    subjects = load_subjects(SAMPLES / "subjects.csv")
    refused = {}
    for line, verdict in verdicts.items():
        if verdict.outcome == "accepted":
            why = check(category, verdict.values, subjects, BUSINESS_DATE)
            if why is not None:
                refused[line] = why.rule
    others = {"renamed_subject", "name_with_full_stop"}
    assert refused == {int(row["line"]): SUBJECT_UNKNOWN for row in planted(feed) if row["defect"] in others}


def test_nine_rows_in_ten_are_clean_or_repairable(judged: tuple[str, dict[int, Verdict]]) -> None:
    _, verdicts = judged
    accepted = sum(verdict.outcome == "accepted" for verdict in verdicts.values())
    assert len(verdicts) >= 2000
    assert 0.86 <= accepted / len(verdicts) <= 0.93
