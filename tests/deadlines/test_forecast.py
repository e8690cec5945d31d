"""The queue played forward: worked by hand for small ones, by properties for any."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pipelines.deadlines.calendar import load_calendar
from pipelines.deadlines.clock import BEIJING_TIME
from pipelines.deadlines.forecast import EndpointHabit, OpenRecords, Prediction, days_off, forecast
from pipelines.settings import Settings

CALENDAR = load_calendar(Settings())
START = datetime(2026, 3, 2, 8, tzinfo=BEIJING_TIME)
NIGHTLY = ((time(0), time(6)),)


def habit(**changes: object) -> EndpointHabit:
    usual = EndpointHabit("province", 100.0, timedelta(hours=1), "measured on 40 packages")
    return replace(usual, **changes)  # type: ignore[arg-type]


def group(records: int, deadline: date, *, ready: datetime | None = START, **changes: object) -> OpenRecords:
    usual = OpenRecords("province", "penalty", "content", "queue", deadline, records, ready, "queued")
    return replace(usual, **changes)  # type: ignore[arg-type]


def predict(groups: list[OpenRecords], one: EndpointHabit, days: int = 30) -> list[Prediction]:
    return forecast(groups, [one], CALENDAR, START, days)


def test_a_queue_that_fits_is_not_late() -> None:
    """16 hours are left of Monday, one of them for the receipt: 1,500 records at 100 an hour."""
    assert predict([group(1500, date(2026, 3, 2))], habit()) == []


def test_the_records_that_do_not_fit_are_late_and_no_others() -> None:
    (late,) = predict([group(1600, date(2026, 3, 2))], habit())
    assert (late.late, late.accepted, late.working_days) == (100, date(2026, 3, 3), 1)


def test_the_earliest_deadline_goes_first() -> None:
    urgent, patient = group(1000, date(2026, 3, 2)), group(1000, date(2026, 3, 3))
    assert predict([patient, urgent], habit()) == []
    (late,) = predict([patient, urgent], habit(per_hour=60.0))
    assert (late.group, late.late) == (urgent, 100)


def test_a_window_is_all_there_is() -> None:
    """600 fit from 00:00 to 06:00 of each night; the reason names what it rests on."""
    queue = [group(1200, date(2026, 3, 4)), group(1200, date(2026, 3, 5))]
    (late,) = predict(queue, habit(windows=NIGHTLY))
    assert (late.group.deadline, late.late, late.accepted) == (date(2026, 3, 5), 600, date(2026, 3, 6))
    assert "1,200 records before it, 100/h (measured on 40 packages), window 00:00-06:00" in late.reason


def test_a_window_over_midnight_is_open_on_both_sides_of_it() -> None:
    """22:00 to 02:00: two hours tonight before the deadline ends."""
    (late,) = predict(
        [group(1000, date(2026, 3, 2))], habit(windows=((time(22), time(2)),), receipt_delay=timedelta(0))
    )
    assert late.late == 800


def test_a_closed_endpoint_takes_nothing_until_it_opens() -> None:
    queue = [group(100, date(2026, 3, 3))]
    opens = datetime(2026, 3, 5, 9, tzinfo=BEIJING_TIME)
    (late,) = predict(queue, habit(closed_until=opens))
    assert (late.late, late.accepted, late.working_days) == (100, date(2026, 3, 5), 2)
    assert "closed until 03-05 09:00" in late.reason


def test_the_spring_festival_is_named() -> None:
    """Sent on the last working day before it, to a receiver that works on working days only."""
    start = datetime(2026, 2, 14, 20, tzinfo=BEIJING_TIME)
    queue = [group(600, date(2026, 2, 14), ready=start)]
    (late,) = forecast(queue, [habit(on_days_off=False)], CALENDAR, start, 30)
    assert (late.late, late.accepted, late.working_days) == (300, date(2026, 2, 24), 1)
    assert "days off 02-15..02-23" in late.reason


def test_what_a_department_has_comes_back_when_it_usually_does() -> None:
    back = datetime(2026, 3, 9, tzinfo=BEIJING_TIME)
    rejected = group(5, date(2026, 3, 6), ready=back, waiting="rejected", why="comes back after 3 working days")
    (late,) = predict([rejected], habit())
    assert (late.late, late.working_days) == (5, 1)
    assert late.reason.startswith("comes back after 3 working days")


def test_what_nothing_moves_will_be_late() -> None:
    (late,) = predict([group(3, date(2026, 3, 6), ready=None, waiting="profile")], habit())
    assert (late.late, late.accepted, late.working_days) == (3, None, None)


def test_what_was_sent_needs_no_place_in_the_queue() -> None:
    sent = group(9999, date(2026, 3, 2), ready=None, waiting="receipt", answered=START + timedelta(hours=2))
    assert predict([sent, group(1500, date(2026, 3, 2))], habit()) == []


def test_what_is_overdue_is_not_predicted_but_goes_first() -> None:
    overdue = group(1500, date(2026, 2, 27))
    (late,) = predict([overdue, group(100, date(2026, 3, 2))], habit())
    assert (late.late, late.before) == (100, 1500)


def test_days_off_of_three_days_and_more() -> None:
    assert days_off(CALENDAR, date(2026, 2, 2), date(2026, 3, 6)) == ["02-15..02-23"]


groups = st.lists(
    st.builds(
        OpenRecords,
        endpoint=st.just("province"),
        feed=st.sampled_from(["a", "b"]),
        family=st.just("content"),
        waiting=st.sampled_from(["queue", "rejected"]),
        deadline=st.dates(date(2026, 2, 27), date(2026, 3, 13)),
        records=st.integers(1, 3000),
        ready=st.one_of(st.none(), st.integers(0, 200).map(lambda hours: START + timedelta(hours=hours))),
        why=st.just("generated"),
    ),
    max_size=8,
)
habits = st.builds(
    habit,
    per_hour=st.floats(1, 500),
    windows=st.sampled_from([(), NIGHTLY, ((time(22), time(2)),), ((time(1), time(2)), (time(9), time(17)))]),
    receipt_delay=st.integers(0, 48).map(lambda hours: timedelta(hours=hours)),
    on_days_off=st.booleans(),
)


def late_records(queue: list[OpenRecords], one: EndpointHabit) -> int:
    return sum(prediction.late for prediction in predict(queue, one))


@given(groups, habits, st.floats(1, 10))
def test_more_capacity_never_makes_more_late(queue: list[OpenRecords], one: EndpointHabit, factor: float) -> None:
    faster = replace(one, per_hour=one.per_hour * factor)
    assert late_records(queue, faster) <= late_records(queue, one)


@given(groups, habits)
def test_open_all_day_is_never_worse_than_a_window(queue: list[OpenRecords], one: EndpointHabit) -> None:
    assert late_records(queue, replace(one, windows=(), on_days_off=True)) <= late_records(queue, one)


@given(groups, habits)
def test_nothing_is_late_that_is_not_there_and_every_reason_is_told(
    queue: list[OpenRecords], one: EndpointHabit
) -> None:
    for prediction in predict(queue, one):
        assert 0 < prediction.late <= prediction.group.records
        assert prediction.reason.startswith("generated")
