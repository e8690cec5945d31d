"""Every working day that a clock counts belongs to somebody, and to one party only."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.deadlines.attribution import PARTIES, Handover, attribute
from pipelines.deadlines.calendar import WorkingCalendar, load_calendar
from pipelines.deadlines.clock import BEIJING_TIME
from pipelines.deadlines.policies import DeadlinePolicy
from pipelines.settings import Settings

CALENDAR = load_calendar(Settings())
SEVEN = DeadlinePolicy(code="seven", name="七个工作日", working_days=7, source="test")
FROM_THE_DAY = SEVEN.model_copy(update={"count_start_day": True})


def at(month: int, day: int, hour: int = 12) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=BEIJING_TIME)


def test_a_record_that_everybody_had_for_a_while() -> None:
    """Decided on Monday 2 March; accepted on Wednesday 18 March: twelve working days are counted."""
    timeline = [
        Handover(at(3, 5, 1), "us", "arrived, held by a gate"),
        Handover(at(3, 5, 2), "steward", "held"),
        Handover(at(3, 9), "us", "released"),
        Handover(at(3, 10), "receiver", "sent"),
        Handover(at(3, 11), "department", "rejected"),
        Handover(at(3, 13), "us", "sent again by the department"),
        Handover(at(3, 13, 13), "receiver", "sent"),
    ]
    assert attribute(timeline, CALENDAR, SEVEN, date(2026, 3, 2), at(3, 18)) == {
        # 3, 4; 11, 12: the evening of the 5th belongs to the steward.
        "department": 4,
        "us": 1,
        "steward": 2,
        # The 10th; 13, 16, 17, and the 18th, on which it accepted.
        "receiver": 5,
    }


def test_days_off_belong_to_nobody() -> None:
    """Spring Festival 2026: 15 to 23 February are days off, Saturday 14 is not."""
    days = attribute([Handover(at(2, 14), "receiver", "sent")], CALENDAR, SEVEN, date(2026, 2, 13), at(2, 25))
    assert days == {"department": 0, "us": 0, "steward": 0, "receiver": 3}


def test_what_was_never_sent_is_the_departments() -> None:
    assert attribute([], CALENDAR, SEVEN, date(2026, 3, 2), at(3, 6))["department"] == 4


def test_the_day_of_the_decision_counts_where_the_policy_says_so() -> None:
    assert sum(attribute([], CALENDAR, FROM_THE_DAY, date(2026, 3, 2), at(3, 6)).values()) == 5


def test_what_happens_at_midnight_belongs_to_the_next_day() -> None:
    """The limit of a day ends at 24:00: who takes the record over then did not have it on that day."""
    timeline = [Handover(at(3, 4, 0), "us", "arrived")]
    assert attribute(timeline, CALENDAR, SEVEN, date(2026, 3, 2), at(3, 4, 0)) == {
        "department": 2, "us": 0, "steward": 0, "receiver": 0,
    }  # fmt: skip


def working_days(calendar: WorkingCalendar, after: date, until: date) -> int:
    """Counted one by one, as a clerk would."""
    count, day = 0, after
    while day < until:
        day += timedelta(days=1)
        count += calendar.estimate(day)
    return count


instants = st.integers(0, 395 * 24).map(lambda hours: at(1, 1, 0) + timedelta(hours=hours - 30 * 24))
handovers = st.builds(Handover, instants, st.sampled_from(PARTIES), st.just("event"))


@given(st.lists(handovers, max_size=12), st.dates(date(2025, 12, 1), date(2026, 12, 30)), instants)
def test_the_parts_always_sum_to_the_total(timeline: list[Handover], decided: date, until: datetime) -> None:
    days = attribute(timeline, CALENDAR, SEVEN, decided, until)
    assert set(days) == set(PARTIES)
    assert min(days.values()) >= 0
    assert sum(days.values()) == working_days(CALENDAR, decided, max(decided, until.date()))


@given(st.lists(handovers, min_size=1, max_size=8), st.randoms())
def test_the_order_in_which_events_are_read_does_not_matter(timeline: list[Handover], random: object) -> None:
    distinct = list({one.at: one for one in timeline}.values())
    mixed = list(distinct)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    until = at(12, 31)
    assert attribute(mixed, CALENDAR, SEVEN, date(2026, 1, 5), until) == attribute(
        distinct, CALENDAR, SEVEN, date(2026, 1, 5), until
    )


@pytest.mark.parametrize("party", PARTIES)
def test_who_had_it_all_the_time_has_all_days(party: str) -> None:
    timeline = [Handover(at(1, 1, 0), party, "had it")]  # type: ignore[arg-type]
    assert attribute(timeline, CALENDAR, SEVEN, date(2026, 3, 2), at(3, 31))[party] == 21  # type: ignore[index]
