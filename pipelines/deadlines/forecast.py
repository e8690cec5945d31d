"""Which records will be late: the queue of an endpoint played forward, the earliest deadline first.

A simple model that can be checked by hand. An endpoint takes a number of records an hour, in the hours in which it
takes deliveries, and answers after a while. Whoever has an earlier deadline is served first. What waits for a
department comes back after as many days as that department usually takes. All instants are Beijing time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from pipelines.deadlines.calendar import DAY, WorkingCalendar
from pipelines.deadlines.clock import BEIJING_TIME, deadline_instant

HOUR = timedelta(hours=1)
_SPARE = 1e-6


@dataclass(frozen=True)
class OpenRecords:
    """Records that are alike. ``ready``: from when on they can be sent; None when nothing moves them by itself.

    ``answered``: when the receipt of records that were sent is expected; they need no place in the queue. ``why`` says
    what they wait for, with the numbers that ``ready`` or ``answered`` come from.
    """

    endpoint: str
    feed: str
    family: str
    waiting: str
    deadline: date
    records: int
    ready: datetime | None
    why: str
    answered: datetime | None = None


@dataclass(frozen=True)
class EndpointHabit:
    """How fast an endpoint is: records an hour, the hours of a day in which it takes deliveries, how it answers.

    ``windows`` are (from, until) of a day, none for the whole day, over midnight when until ≤ from. ``closed_until``:
    nothing leaves before. ``on_days_off``: whether it takes deliveries then. ``why`` tells where the numbers come from.
    """

    endpoint: str
    per_hour: float
    receipt_delay: timedelta
    why: str
    windows: tuple[tuple[time, time], ...] = ()
    closed_until: datetime | None = None
    on_days_off: bool = True

    @property
    def hours(self) -> str:
        return ", ".join(f"{start:%H:%M}-{end:%H:%M}" for start, end in self.windows) or "all day"


@dataclass(frozen=True)
class Prediction:
    """``late`` of ``records`` that are alike will be late; the last of them is accepted on ``accepted``, if ever.

    ``working_days`` is how late that is: working days after the deadline. ``before``: records that are served first.
    """

    group: OpenRecords
    late: int
    accepted: date | None
    working_days: int | None
    before: int
    reason: str


def forecast(
    groups: Sequence[OpenRecords],
    habits: Sequence[EndpointHabit],
    calendar: WorkingCalendar,
    start: datetime,
    days: int,
) -> list[Prediction]:
    """Those of the open records that are in time today and will not be, by deadline.

    The queues are played forward from ``start`` for ``days`` calendar days; what is not accepted by then is late when
    its deadline has passed by then. Every endpoint of ``groups`` needs a habit. What is overdue already is not
    predicted: it only stands in the queue before the others.
    """
    by_endpoint = {habit.endpoint: habit for habit in habits}
    found: list[Prediction] = []
    end = start + DAY * days
    for endpoint in sorted({group.endpoint for group in groups}):
        habit = by_endpoint[endpoint]
        of_endpoint = [group for group in groups if group.endpoint == endpoint]
        queue = sorted(
            (group for group in of_endpoint if group.ready is not None and group.answered is None),
            key=lambda group: (group.deadline, group.ready, group.feed, group.family, group.waiting),
        )
        served = _play(queue, habit, calendar, start, end)
        for group in of_endpoint:
            over = deadline_instant(group.deadline)
            if over <= start or over > end:
                continue
            place = next((number for number, one in enumerate(queue) if one is group), None)
            slices = served[place] if place is not None else []
            late, accepted = _outcome(group, slices, habit, over)
            if late:
                before = 0 if place is None else sum(one.records for one in queue[:place])
                found.append(_predict(group, late, accepted, before, habit, calendar, start))
    return sorted(found, key=lambda one: (one.group.deadline, one.group.endpoint, one.group.feed, one.group.waiting))


@dataclass(frozen=True)
class _Slice:
    """Some records of a group, served evenly between two instants."""

    start: datetime
    end: datetime
    records: float

    def until(self, limit: datetime) -> float:
        """How many of them are served by ``limit``."""
        if limit >= self.end:
            return self.records
        return 0.0 if limit <= self.start else self.records * ((limit - self.start) / (self.end - self.start))


def _play(
    queue: Sequence[OpenRecords], habit: EndpointHabit, calendar: WorkingCalendar, start: datetime, end: datetime
) -> list[list[_Slice]]:
    """When the records of each group are served; ``queue`` is in order of urgency."""
    left = [float(group.records) for group in queue]
    served: list[list[_Slice]] = [[] for _ in queue]
    ready = [group.ready for group in queue if group.ready is not None]
    for opens, closes in _open_hours(habit, calendar, start, end, ready):
        moment = opens
        for place, group in enumerate(queue):
            if moment >= closes:
                break
            if left[place] <= _SPARE or group.ready is None or group.ready > opens:
                continue
            taken = min(left[place], (closes - moment) / HOUR * habit.per_hour)
            until = min(closes, moment + HOUR * (taken / habit.per_hour))
            served[place].append(_Slice(moment, until, taken))
            left[place] -= taken
            moment = until
    return served


def _open_hours(
    habit: EndpointHabit,
    calendar: WorkingCalendar,
    start: datetime,
    end: datetime,
    changes: Sequence[datetime],
) -> Iterator[tuple[datetime, datetime]]:
    """The stretches of time in which the endpoint takes deliveries, cut where records become ready."""
    cuts = sorted({change for change in changes if start < change < end})
    opens_at = start if habit.closed_until is None else max(start, habit.closed_until)
    day = start.date()
    while day <= end.date():
        for opens, closes in _windows(habit, day) if habit.on_days_off or calendar.estimate(day) else ():
            stretch = (max(opens, opens_at), min(closes, end))
            inside = [cut for cut in cuts if stretch[0] < cut < stretch[1]]
            for piece in zip([stretch[0], *inside], [*inside, stretch[1]], strict=True):
                if piece[0] < piece[1]:
                    yield piece
        day += DAY


def _windows(habit: EndpointHabit, day: date) -> list[tuple[datetime, datetime]]:
    """The hours of one day, in order; a window over midnight is the end of the day and its beginning."""
    midnight, next_midnight = _at(day, time.min), _at(day + DAY, time.min)
    pieces: list[tuple[datetime, datetime]] = []
    for start, end in habit.windows or ((time.min, time.min),):
        if start < end:
            pieces.append((_at(day, start), _at(day, end)))
        else:
            pieces += [(midnight, _at(day, end)), (_at(day, start), next_midnight)]
    merged: list[tuple[datetime, datetime]] = []
    for piece in sorted(piece for piece in pieces if piece[0] < piece[1]):
        if merged and piece[0] <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], piece[1]))
        else:
            merged.append(piece)
    return merged


def _at(day: date, moment: time) -> datetime:
    return datetime.combine(day, moment, BEIJING_TIME)


def _outcome(
    group: OpenRecords, slices: Sequence[_Slice], habit: EndpointHabit, over: datetime
) -> tuple[int, datetime | None]:
    """How many records are late, and when the last one is accepted; None when that is not foreseen."""
    if group.answered is not None:
        return (group.records if group.answered >= over else 0), group.answered
    if group.ready is None:
        return group.records, None
    in_time = sum(one.until(over - habit.receipt_delay) for one in slices)
    late = group.records - int(in_time + _SPARE)
    is_served = sum(one.records for one in slices) >= group.records - _SPARE
    return late, slices[-1].end + habit.receipt_delay if is_served else None


def _predict(
    group: OpenRecords,
    late: int,
    accepted: datetime | None,
    before: int,
    habit: EndpointHabit,
    calendar: WorkingCalendar,
    start: datetime,
) -> Prediction:
    day = None if accepted is None else accepted.astimezone(BEIJING_TIME).date()
    working_days = None if day is None else calendar.working_days_between(group.deadline, day)
    parts = [group.why]
    if group.answered is None and group.ready is not None:
        parts.append(f"{before:,} records before it, {habit.per_hour:,.0f}/h ({habit.why}), window {habit.hours}")
        if habit.closed_until is not None and habit.closed_until > start:
            parts.append(f"closed until {habit.closed_until:%m-%d %H:%M}")
        parts.append(f"receipt after {_hours(habit.receipt_delay)}")
    parts += [f"days off {stretch}" for stretch in days_off(calendar, start.date(), day or group.deadline)]
    return Prediction(group, late, day, working_days, before, "; ".join(parts))


def days_off(calendar: WorkingCalendar, first: date, last: date) -> list[str]:
    """Stretches of at least three days without work between two days, such as ``02-15..02-23``."""
    found: list[str] = []
    begun: date | None = None
    for step in range((last - first).days + 2):
        day = first + DAY * step
        if day <= last and not calendar.estimate(day):
            begun = begun or day
        elif begun is not None:
            if (day - begun).days > 2:
                found.append(f"{begun:%m-%d}..{day - DAY:%m-%d}")
            begun = None
    return found


def _hours(delay: timedelta) -> str:
    return f"{delay / HOUR:,.1f} h" if delay < 2 * DAY else f"{delay / DAY:,.1f} days"
