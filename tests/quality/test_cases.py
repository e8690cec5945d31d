"""A case lives until its row was judged without the problem, whoever mended it, wherever and in whatever order."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.engine.duck import Session, session
from tests.quality.case_batches import CODE, FILE, HINT, LINE, NAME, NUMBER, SUITE, CaseFeed, Row, told

DAYS = [date(2026, 11, 2) + timedelta(days=number) for number in range(10)]
ROW = Row("示罚〔2026〕1号")
OTHER = Row("示罚〔2026〕2号", "示例二公司", "code two")


@pytest.fixture(scope="module")
def duck() -> Iterator[Session]:
    with session() as opened:
        yield opened


@pytest.fixture
def feed(duck: Session, tmp_path: Path) -> CaseFeed:
    return CaseFeed(duck, tmp_path)


@pytest.fixture
def dumps(duck: Session, tmp_path: Path) -> CaseFeed:
    return CaseFeed(duck, tmp_path, full=True)


def test_a_problem_is_open_until_its_row_comes_without_it(feed: CaseFeed) -> None:
    assert told(feed.publish(DAYS[0], [ROW.breaking(CODE, NAME)])) == [(CODE, "open", ""), (NAME, "open", "")]
    assert told(feed.publish(DAYS[1], [OTHER])) == [(CODE, "open", ""), (NAME, "open", "")]
    (code, name) = sorted(feed.publish(DAYS[2], [ROW.breaking(NAME)]), key=lambda case: case["rule"])
    assert (code["state"], code["how"], code["closed_on"]) == ("verified", "source", DAYS[2])
    assert (name["state"], name["first_seen"], name["last_seen"]) == ("open", DAYS[0], DAYS[2])


def test_hints_are_nobodys_work(feed: CaseFeed) -> None:
    assert feed.publish(DAYS[0], [ROW.breaking(HINT)]) == []


@pytest.mark.parametrize(
    ("wrong", "mended"),
    [
        (replace(ROW.breaking(CODE), code="wrong code"), ROW),
        (replace(ROW.breaking(NAME), name=None), ROW),
        (replace(ROW.breaking(NAME), name="示例-公司"), replace(ROW, name="改名公司")),
        (replace(ROW.breaking(NUMBER), number="示罚1"), ROW),
        (replace(ROW.breaking(NUMBER), number=None), ROW),
    ],
)
def test_a_row_is_known_again_when_the_broken_field_was_mended(feed: CaseFeed, wrong: Row, mended: Row) -> None:
    feed.publish(DAYS[0], [wrong, OTHER])
    assert [case["state"] for case in feed.publish(DAYS[1], [OTHER, mended])] == ["verified"]


def test_another_party_of_the_same_decision_mends_nothing(feed: CaseFeed) -> None:
    feed.publish(DAYS[0], [ROW.breaking(CODE)])
    (case,) = feed.publish(DAYS[1], [replace(OTHER, number=ROW.number)])
    assert case["state"] == "open"


def test_two_rows_that_may_both_be_the_mended_one_mend_nothing(feed: CaseFeed) -> None:
    feed.publish(DAYS[0], [replace(ROW.breaking(NUMBER), number=None)])
    (case,) = feed.publish(DAYS[1], [ROW, replace(ROW, number="示罚〔2026〕9号")])
    assert case["state"] == "open"


def test_a_number_that_was_right_then_wrong_then_right_again_leaves_nothing_open(feed: CaseFeed) -> None:
    feed.publish(DAYS[0], [ROW.breaking(CODE)])
    feed.publish(DAYS[1], [ROW])
    feed.publish(DAYS[2], [replace(ROW.breaking(NUMBER), number="示罚1")])
    assert {case["state"] for case in feed.publish(DAYS[3], [ROW])} == {"verified"}


def test_a_mended_number_is_a_second_row_only_once(feed: CaseFeed) -> None:
    """Name mended first: from then on the row is known by its new name too."""
    feed.publish(DAYS[0], [replace(ROW.breaking(NAME, CODE), name=None, code=None)])
    feed.publish(DAYS[1], [replace(ROW.breaking(CODE), code=None)])
    assert told(feed.publish(DAYS[2], [ROW])) == [(CODE, "verified", "source"), (NAME, "verified", "source")]


def test_what_comes_back_is_the_same_case_and_its_days_begin_anew(feed: CaseFeed) -> None:
    feed.publish(DAYS[0], [ROW.breaking(CODE)])
    feed.publish(DAYS[1], [ROW])
    (case,) = feed.publish(DAYS[3], [ROW.breaking(CODE)])
    assert (case["state"], case["first_seen"], case["opened_on"], case["reopened"]) == ("open", DAYS[0], DAYS[3], 1)


def test_a_full_dump_without_the_row_closes_it_as_gone(dumps: CaseFeed) -> None:
    dumps.publish(DAYS[0], [ROW.breaking(CODE), OTHER.breaking(CODE)])
    assert told(dumps.publish(DAYS[1], [OTHER.breaking(CODE)])) == [(CODE, "gone", "gone"), (CODE, "open", "")]


def test_a_row_that_its_feed_leaves_out_now_is_gone(feed: CaseFeed) -> None:
    feed.publish(DAYS[0], [ROW.breaking(CODE)])
    assert told(feed.publish(DAYS[1], [replace(ROW, excluded=True)])) == [(CODE, "gone", "gone")]


def test_an_older_batch_that_comes_late_neither_reopens_nor_closes(feed: CaseFeed) -> None:
    feed.publish(DAYS[0], [ROW.breaking(CODE), OTHER.breaking(CODE)])
    feed.publish(DAYS[5], [ROW, OTHER.breaking(CODE)])
    before = {case["case_key"]: case["state"] for case in feed.cases()}
    after = feed.publish(DAYS[3], [ROW.breaking(CODE), OTHER])
    assert {case["case_key"]: case["state"] for case in after} == before


def test_what_a_late_batch_finds_first_is_over_when_a_later_one_says_so(feed: CaseFeed) -> None:
    feed.publish(DAYS[5], [ROW])
    (case,) = feed.publish(DAYS[3], [ROW.breaking(CODE)], later=[(CODE, DAYS[5], "verified")])
    assert (case["state"], case["first_seen"], case["closed_on"]) == ("verified", DAYS[3], DAYS[5])


def test_the_same_batch_once_more_changes_nothing(feed: CaseFeed) -> None:
    feed.publish(DAYS[0], [ROW.breaking(CODE), OTHER.breaking(NAME)])
    once = feed.publish(DAYS[1], [ROW, OTHER.breaking(NAME, CODE)])
    twice = feed.publish(DAYS[1], [ROW, OTHER.breaking(NAME, CODE)])
    assert [case | {"run": "", "extract": ""} for case in twice] == [case | {"run": "", "extract": ""} for case in once]


def test_a_batch_run_again_without_the_row_takes_back_what_only_it_said(feed: CaseFeed) -> None:
    feed.publish(DAYS[0], [ROW.breaking(CODE)])
    feed.publish(DAYS[1], [ROW.breaking(CODE), OTHER.breaking(NAME)])
    assert told(feed.publish(DAYS[1], [])) == [(CODE, "open", ""), (NAME, "gone", "gone")]


def test_a_batch_run_again_that_finds_it_after_all_takes_the_closing_back(feed: CaseFeed) -> None:
    feed.publish(DAYS[0], [ROW.breaking(CODE)])
    feed.publish(DAYS[2], [ROW])
    (case,) = feed.publish(DAYS[2], [ROW.breaking(CODE)])
    assert (case["state"], case["opened_on"], case["reopened"], case["how"]) == ("open", DAYS[0], 0, None)


def test_what_a_workbook_mended_is_told_apart(feed: CaseFeed) -> None:
    """The same extract: rows are known by their place, whatever was corrected in them."""
    wrong = Row(None, None, None).breaking(CODE, NAME)
    feed.publish(DAYS[0], [OTHER, wrong], extract="same")
    cases = feed.publish(DAYS[0], [OTHER, replace(ROW.breaking(NAME), corrected=True)], extract="same")
    assert told(cases) == [(CODE, "verified", "workbook"), (NAME, "open", "")]
    assert {case["corrected_run"] for case in cases} == {"run-002"}
    again = feed.publish(DAYS[0], [OTHER, replace(ROW.breaking(NAME), corrected=True)], extract="same")
    assert {case["corrected_run"] for case in again} == {"run-002"}, "it came back once, not with every run"


def test_a_waiver_closes_and_its_end_opens_again(feed: CaseFeed) -> None:
    feed.publish(DAYS[0], [ROW.breaking(CODE)])
    (waived,) = feed.publish(DAYS[1], [replace(ROW, waived=frozenset({CODE}))])
    assert (waived["state"], waived["how"], waived["closed_on"]) == ("waived", "waived", DAYS[1])
    (still,) = feed.publish(DAYS[2], [replace(ROW, waived=frozenset({CODE}))])
    assert (still["state"], still["closed_on"]) == ("waived", DAYS[1])
    (ended,) = feed.publish(DAYS[3], [ROW.breaking(CODE)])
    assert (ended["state"], ended["opened_on"], ended["reopened"]) == ("open", DAYS[3], 1)


def test_a_rule_that_nobody_asks_any_more_closes_its_cases(feed: CaseFeed) -> None:
    feed.publish(DAYS[0], [ROW.breaking(CODE)])
    feed.suite = replace(SUITE, rules=tuple(rule for rule in SUITE.rules if rule.code != CODE))
    assert told(feed.publish(DAYS[1], [])) == [(CODE, "verified", "rule")]


def test_problems_of_files_live_with_the_files_and_lines_with_their_bytes(dumps: CaseFeed) -> None:
    dumps.publish(DAYS[0], file_problems=[FILE], bad_lines=[b"\xff\xfe"])
    assert told(dumps.publish(DAYS[1], file_problems=[FILE], bad_lines=[b"\xff\xfe"])) == [
        (FILE, "open", ""),
        (LINE, "open", ""),
    ]
    assert told(dumps.publish(DAYS[2])) == [(FILE, "verified", "source"), (LINE, "verified", "source")]


def test_closed_cases_are_forgotten_after_400_days_and_open_ones_never(feed: CaseFeed) -> None:
    feed.publish(DAYS[0], [ROW.breaking(CODE), OTHER.breaking(NAME)])
    feed.publish(DAYS[1], [ROW])
    assert len(feed.publish(DAYS[1] + timedelta(days=400))) == 2
    assert told(feed.publish(DAYS[1] + timedelta(days=401))) == [(NAME, "open", "")]


@dataclass
class Remembered:
    """One case as a slow bookkeeper writes it down."""

    first_seen: date
    last_seen: date
    opened_on: date
    state: str = "open"
    closed_on: date | None = None
    how: str | None = None
    reopened: int = 0


@dataclass
class Bookkeeper:
    """Looks at every row of every batch, one after the other, and knows which decision each one is."""

    full: bool
    cases: dict[tuple[int, str], Remembered] = field(default_factory=dict)

    def look(self, day: date, batch: dict[int, Row]) -> None:
        for number, row in batch.items():
            for rule in row.broken:
                known = self.cases.get((number, rule))
                if known is None:
                    self.cases[number, rule] = Remembered(day, day, day)
                    continue
                known.last_seen = day
                if known.state != "open":
                    known.state, known.closed_on, known.how = "open", None, None
                    known.opened_on, known.reopened = day, known.reopened + 1
        for (number, rule), known in self.cases.items():
            if known.state == "open" and (number in batch or self.full) and rule not in _broken(batch, number):
                known.state, known.how = ("verified", "source") if number in batch else ("gone", "gone")
                known.closed_on = day

    def told(self) -> list[tuple[Any, ...]]:
        return sorted(
            (
                rule,
                one.state,
                one.how or "",
                one.first_seen,
                one.last_seen,
                one.opened_on,
                str(one.closed_on),
                one.reopened,
            )
            for (_, rule), one in self.cases.items()
        )


def _broken(batch: dict[int, Row], number: int) -> frozenset[str]:
    return batch[number].broken if number in batch else frozenset()


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_ten_days_of_random_defects_end_as_a_bookkeeper_has_them(
    duck: Session, tmp_path: Path, seed: int, full: bool
) -> None:
    """Each day some rows come, with some defects; now and then the batch is run again, in another order."""
    chance = random.Random(seed)
    fast, slow = CaseFeed(duck, tmp_path, full), Bookkeeper(full)
    clean = {number: Row(f"示罚〔2026〕{number}号", f"示例{number}公司", f"code {number}") for number in range(12)}
    for day in DAYS:
        batch = {number: _damaged(chance, row) for number, row in clean.items() if chance.random() < 0.7}
        slow.look(day, batch)
        for _ in range(chance.choice((1, 1, 2))):
            rows = list(batch.values())
            chance.shuffle(rows)
            cases = fast.publish(day, rows)
        told_fast = sorted(
            (
                case["rule"], case["state"], case["how"] or "", case["first_seen"], case["last_seen"],
                case["opened_on"], str(case["closed_on"]), case["reopened"],
            )
            for case in cases
        )  # fmt: skip
        assert told_fast == slow.told(), day


def _damaged(chance: random.Random, row: Row) -> Row:
    broken = frozenset(rule for rule in (NAME, CODE) if chance.random() < 0.25)
    return replace(
        row,
        broken=broken,
        name=None if NAME in broken else row.name,
        code="wrong" if CODE in broken else row.code,
    )
