"""Deadlines: published examples, a slow oracle, and what an unpublished year does to them."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.deadlines.calendar import WorkingCalendar, load_calendar
from pipelines.deadlines.clock import (
    BEIJING_TIME,
    Deadline,
    WorkingDays,
    deadline,
    deadline_instant,
    deadline_table,
    is_late,
    working_days_remaining,
)
from pipelines.deadlines.policies import DeadlinePolicy, load_policy
from pipelines.settings import Settings

CALENDAR = load_calendar(Settings())
POLICY = load_policy(Settings())
DAY = timedelta(days=1)

# The published examples of the domain reference (5.2).
with (Path(__file__).parent / "vectors.csv").open(encoding="utf-8", newline="") as _file:
    EXAMPLES = {row["decision_date"]: row["deadline"] for row in csv.DictReader(_file)}


def policy(working_days: int, count_start_day: bool) -> DeadlinePolicy:
    return DeadlinePolicy(
        code="other", name="其他", working_days=working_days, count_start_day=count_start_day, source="for the test"
    )


def slow_deadline(calendar: WorkingCalendar, rule: DeadlinePolicy, decision: date) -> Deadline:
    """Counts on the fingers: write down every day of the limit, look at each."""
    day = decision if rule.count_start_day else decision + DAY
    looked_at = []
    counted = 0
    while True:
        looked_at.append(day)
        counted += 1 if calendar.estimate(day) else 0
        if counted == rule.working_days:
            break
        day += DAY
    unknown = sorted({day.year for day in looked_at} - calendar.known_years)
    return Deadline(day, bool(unknown), unknown[0] if unknown else None)


@pytest.mark.parametrize(("decision", "expected"), EXAMPLES.items())
def test_published_examples(decision: str, expected: str) -> None:
    assert deadline(CALENDAR, POLICY, date.fromisoformat(decision)) == Deadline(date.fromisoformat(expected))


YEARS = range(2024, 2028)
EVERY_DAY = st.dates(date(min(YEARS) - 1, 11, 1), date(max(YEARS) + 1, 2, 28))


@st.composite
def calendars(draw: st.DrawFn) -> WorkingCalendar:
    """Any days off and make-up days, in years of which any may be unknown."""
    exceptions = draw(st.dictionaries(EVERY_DAY, st.booleans(), max_size=60))
    long_holiday = draw(EVERY_DAY)
    exceptions |= {long_holiday + DAY * step: False for step in range(draw(st.integers(0, 40)))}
    return WorkingCalendar(exceptions, draw(st.sets(st.sampled_from(YEARS))))


def policies_of_any_length() -> st.SearchStrategy[DeadlinePolicy]:
    return st.builds(policy, st.integers(1, 30), st.booleans())


@settings(deadline=None)
@given(calendar=calendars(), rule=policies_of_any_length(), decision=EVERY_DAY)
def test_every_way_agrees_with_counting_on_the_fingers(
    calendar: WorkingCalendar, rule: DeadlinePolicy, decision: date
) -> None:
    expected = slow_deadline(calendar, rule, decision)
    assert deadline(calendar, rule, decision) == expected
    last = decision + DAY * 40
    rows = deadline_table(calendar, rule, decision, last).to_pylist()
    assert [row["decision_date"] for row in rows] == [decision + DAY * step for step in range(41)]
    for row in rows:
        slow = slow_deadline(calendar, rule, row["decision_date"])
        assert (row["deadline"], row["provisional"], row["needs_year"]) == (
            slow.date,
            slow.provisional,
            slow.needs_year,
        )


@settings(deadline=None)
@given(calendar=calendars(), rule=policies_of_any_length(), decision=EVERY_DAY)
def test_the_working_days_up_to_a_deadline_are_those_of_the_limit(
    calendar: WorkingCalendar, rule: DeadlinePolicy, decision: date
) -> None:
    end = deadline(calendar, rule, decision).date
    before_the_first = decision - DAY if rule.count_start_day else decision
    assert calendar.working_days_between(before_the_first, end) == rule.working_days
    assert calendar.working_days_between(before_the_first, end - DAY) == rule.working_days - 1
    assert calendar.estimate(end)


@settings(deadline=None)
@given(calendar=calendars(), one=EVERY_DAY, other=EVERY_DAY)
def test_working_days_between_two_days_are_counted_one_by_one(
    calendar: WorkingCalendar, one: date, other: date
) -> None:
    later = [day for day in (one + DAY * step for step in range(2000)) if one < day <= other]
    assert calendar.working_days_between(one, other) == len([day for day in later if calendar.estimate(day)])


@given(end=EVERY_DAY, seconds=st.integers(-200_000, 200_000))
def test_late_is_what_comes_on_a_later_day_in_china(end: date, seconds: int) -> None:
    received = datetime.combine(end, datetime.min.time(), BEIJING_TIME) + timedelta(seconds=seconds)
    assert is_late(received.astimezone(UTC), end) == (received.date() > end)


@given(calendar=calendars(), decision=EVERY_DAY, days=st.integers(1, 30))
def test_counting_the_day_of_the_decision_never_gives_more_time(
    calendar: WorkingCalendar, decision: date, days: int
) -> None:
    counted = deadline(calendar, policy(days, True), decision).date
    not_counted = deadline(calendar, policy(days, False), decision).date
    assert counted <= not_counted
    assert (counted == not_counted) == (not calendar.estimate(decision))


@pytest.mark.parametrize("count_start_day", [False, True])
def test_the_table_of_all_days_agrees_with_counting_on_the_fingers(count_start_day: bool) -> None:
    rule = policy(7, count_start_day)
    first, last = date(1949, 10, 1), date(2100, 12, 31)
    table = deadline_table(CALENDAR, rule, first, last)
    rows = table.to_pylist()
    assert [row["decision_date"] for row in rows] == [first + DAY * step for step in range(len(rows))]
    assert rows[-1]["decision_date"] == last
    for row in rows[::7]:
        expected = slow_deadline(CALENDAR, rule, row["decision_date"])
        assert (row["deadline"], row["provisional"]) == (expected.date, expected.provisional)


def test_the_table_of_no_days_is_empty_and_typed() -> None:
    table = deadline_table(CALENDAR, POLICY, date(2026, 1, 2), date(2026, 1, 1))
    assert table.num_rows == 0
    assert [str(kind) for kind in table.schema.types] == ["date32[day]", "date32[day]", "bool", "int32"]
    assert table.column_names == ["decision_date", "deadline", "provisional", "needs_year"]


def test_deadlines_never_run_backwards() -> None:
    rows = deadline_table(CALENDAR, POLICY, date(2004, 1, 1), date(2026, 12, 31)).to_pylist()
    assert all(row["deadline"] <= later["deadline"] for row, later in pairwise(rows))


def test_a_deadline_that_needs_an_unpublished_year_is_provisional_and_says_so() -> None:
    known = WorkingCalendar({}, range(2004, 2027))
    assert deadline(known, POLICY, date(2026, 12, 22)) == Deadline(date(2026, 12, 31))
    assert deadline(known, POLICY, date(2026, 12, 23)) == Deadline(date(2027, 1, 1), True, 2027)
    assert deadline(known, POLICY, date(2027, 12, 30)) == Deadline(date(2028, 1, 10), True, 2027)
    assert deadline(known, POLICY, date(2003, 12, 30)).needs_year == 2003
    assert not deadline(known, POLICY, date(2003, 12, 31)).provisional
    assert deadline(known, POLICY, date(1949, 10, 1)) == Deadline(date(1949, 10, 11), True, 1949)


def test_the_day_of_the_decision_counts_only_if_the_policy_says_so() -> None:
    assert deadline(CALENDAR, policy(7, True), date(2025, 3, 3)).date == date(2025, 3, 11)
    assert deadline(CALENDAR, policy(1, True), date(2025, 3, 3)).date == date(2025, 3, 3)
    assert deadline(CALENDAR, policy(1, True), date(2025, 3, 1)).date == date(2025, 3, 3)  # a Saturday
    assert deadline(CALENDAR, policy(1, False), date(2025, 3, 1)).date == date(2025, 3, 3)


def test_a_limit_ends_at_midnight_in_beijing() -> None:
    assert deadline_instant(date(2025, 3, 12)).isoformat() == "2025-03-13T00:00:00+08:00"
    assert deadline_instant(date(2025, 3, 12)) == datetime(2025, 3, 12, 16, tzinfo=UTC)
    assert not is_late(datetime(2025, 3, 12, 23, 59, 59, 999999, tzinfo=BEIJING_TIME), date(2025, 3, 12))
    assert is_late(datetime(2025, 3, 13, tzinfo=BEIJING_TIME), date(2025, 3, 12))
    assert not is_late(datetime(2025, 3, 12, 15, 59, 59, tzinfo=UTC), date(2025, 3, 12))
    assert is_late(datetime(2025, 3, 12, 16, tzinfo=UTC), date(2025, 3, 12))
    with pytest.raises(ValueError, match="time zone"):
        is_late(datetime(2025, 3, 12), date(2025, 3, 12))  # noqa: DTZ001


def test_working_days_remaining() -> None:
    known = WorkingCalendar(dict.fromkeys([date(2025, 10, 1) + DAY * step for step in range(8)], False), [2025])
    assert working_days_remaining(known, date(2025, 10, 10), date(2025, 9, 30)) == WorkingDays(2)
    assert working_days_remaining(known, date(2025, 10, 10), date(2025, 10, 10)) == WorkingDays(0)
    assert working_days_remaining(known, date(2025, 9, 30), date(2025, 10, 10)) == WorkingDays(-2)
    assert working_days_remaining(known, date(2026, 1, 2), date(2025, 12, 31)) == WorkingDays(2, True, 2026)
    assert working_days_remaining(known, date(2025, 12, 31), date(2026, 1, 1)) == WorkingDays(-1, True, 2026)
