"""Three departments live through 2026 and one receiver is down for the five working days before the Spring Festival.

Every working day at one o'clock each department's batch comes; at two everything is delivered to two endpoints; at nine
the watch looks. The deliveries are the real ones, to receivers in memory; batches are rows of the outbox.

* ``market`` reports on the working day after the decision. Its batches of the 20th are held by a gate and released at
  ten o'clock two days later.
* ``ecology`` reports three working days after the decision; the platform rejects one record of every ninth day, and the
  next version comes three working days later.
* ``housing`` reports two to eight working days after the decision: eight is too late.

The province's platform takes nothing from 9 to 13 February. What has to follow is computed beside it, slowly, from a
diary and from the notice of the State Council written out below. ``make year`` lives the whole year, ``make test`` its
first quarter.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select

from pipelines.catalogue.categories import Category
from pipelines.deadlines.clock import BEIJING_TIME
from pipelines.delivery.adapter import Adapter, Holding, OutgoingPackage
from pipelines.delivery.deliver import deliver
from pipelines.delivery.replies import ReceiptReply, Receipts, SubmitReply, Trouble
from pipelines.errors import DeliveryError
from pipelines.ledger.delivery_models import ClockNotice
from pipelines.ledger.models import Attempt, Outbox
from pipelines.ledger.quality_models import GateDecision
from pipelines.operations.clock import read_clock
from pipelines.operations.clock_late import LateRecord, by_department, late_records
from pipelines.operations.clock_watch import watch_clock
from tests.operations.clock_world import FEEDS, PROVINCE, PUBLIC, World, beijing, key

WHOLE = os.environ.get("GUIJI_YEAR") == "whole"
FIRST, LAST = date(2026, 1, 5), date(2026, 12, 18) if WHOLE else date(2026, 3, 20)
# The watch goes on after the last batch, until its deadlines are over.
END = LAST + timedelta(days=13)
DOWN = [date(2026, 2, day) for day in (9, 10, 11, 12, 13)]
LIMIT = 7
A_DAY = timedelta(days=1)
NEVER = beijing(date(2100, 1, 1))

# 国办发明电〔2025〕7号, weekdays off and weekends at work.
OFF = {
    date(2026, month, day)
    for month, days in {
        1: (1, 2), 2: (16, 17, 18, 19, 20, 23), 4: (6,), 5: (1, 4, 5), 6: (19,), 9: (25,), 10: (1, 2, 5, 6, 7),
    }.items()
    for day in days
}  # fmt: skip
AT_WORK = {date(2026, month, day) for month, day in ((1, 4), (2, 14), (2, 28), (5, 9), (9, 20), (10, 10))}


def is_working(day: date) -> bool:
    return day in AT_WORK or (day.weekday() < 5 and day not in OFF)


def calendar_days(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += A_DAY


def worked(after: date, until: date) -> int:
    """Working days later than one day and not later than the other."""
    return sum(is_working(day) for day in calendar_days(after + A_DAY, until))


def shifted(day: date, working_days: int) -> date:
    """So many working days later, or earlier when negative."""
    step = A_DAY if working_days > 0 else -A_DAY
    for _ in range(abs(working_days)):
        day += step
        while not is_working(day):
            day += step
    return day


class Receiver(Adapter):
    """A receiver in memory that answers at once, rejects first versions named so, and is down on some days."""

    def __init__(self, place: str, clock: Clock, rejects: set[str]) -> None:
        self.place = place
        self.clock = clock
        self.rejects = rejects

    def close(self) -> None:
        """Nothing is open."""

    def submit(self, package: OutgoingPackage) -> SubmitReply:
        if self.place == PROVINCE and self.clock.today in DOWN:
            raise Trouble("unreachable", "connection refused")
        replies = [
            ReceiptReply(message.record_key, message.idempotency_key, "2", "rejected", "R-1", None, "名称不符", None)
            if message.idempotency_key in self.rejects
            else ReceiptReply(
                message.record_key, message.idempotency_key, "1", "accepted", None, None, None, message.record_key
            )
            for message in package.messages
        ]
        return SubmitReply(len(replies), 200, replies)

    def receipts(self, package: OutgoingPackage) -> Receipts:
        raise AssertionError("everything is answered at once")

    def holdings(self, category: Category) -> Iterator[Holding] | None:
        return None


@dataclass
class Clock:
    """The instant at which the simulated world is (UTC without zone)."""

    at: datetime

    def now(self) -> datetime:
        return self.at

    @property
    def today(self) -> date:
        return self.at.replace(tzinfo=UTC).astimezone(BEIJING_TIME).date()

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class Owed:
    """The diary's line about one record at one endpoint; ``queued`` and ``accepted`` are instants of the ledger."""

    department: str
    endpoint: str
    name: str
    decided: date
    queued: datetime
    accepted: datetime | None = None

    @property
    def deadline(self) -> date:
        return shifted(self.decided, LIMIT)

    def is_open(self, at: datetime) -> bool:
        return self.queued <= at and (self.accepted is None or self.accepted > at)


@dataclass
class Year:
    """The world, its diary, and what was warned of."""

    world: World
    clock: Clock
    diary: dict[tuple[str, str], Owed] = field(default_factory=dict)
    rejects: set[str] = field(default_factory=set)
    later: list[tuple[datetime, str, str, date, str, int]] = field(default_factory=list)
    open_at_nine: dict[date, int] = field(default_factory=dict)

    def live(self) -> None:
        for day in calendar_days(FIRST, END):
            if is_working(day) and day <= LAST:
                for department in FEEDS:
                    self.batch(department, day)
            self.publish_held(day)
            for endpoint in (PROVINCE, PUBLIC):
                self.clock.at = beijing(day, 2)
                self.deliver(endpoint)
            watch_clock(self.world.context, beijing(day, 9))
            lines = read_clock(self.world.context, day, beijing(day, 9))
            self.open_at_nine[day] = sum(line.total for line in lines)

    def batch(self, department: str, day: date) -> None:
        lag = {"market": 1, "ecology": 3, "housing": 2 + day.day % 7}[department]
        at, run = beijing(day, 1), self.world.run(department, day, beijing(day, 1))
        names = [(f"{department} {day} {number}", shifted(day, -lag)) for number in range(2)]
        if department == "market" and day.day == 20:
            released = beijing(shifted(day, 2), 10)
            self.later += [(released, run, name, decided, department, 1) for name, decided in names]
            return
        for name, decided in names:
            self.queue(run, name, decided, department, at)
        if department == "ecology" and day.day % 9 == 0:
            name, decided = names[0]
            self.rejects.add(self.key_of(PROVINCE, name, 1))
            self.later.append((beijing(shifted(day, 3), 1), "", name, decided, department, 2))

    def publish_held(self, day: date) -> None:
        """What comes later: releases of held batches during yesterday, and corrected versions of rejected records."""
        for one in [one for one in self.later if one[0] < beijing(day, 2)]:
            self.later.remove(one)
            at, run, name, decided, department, version = one
            if version == 1:
                with self.world.context.ledger.write() as session:
                    if session.query(GateDecision).filter_by(run=run).one_or_none() is None:
                        session.add(GateDecision(run=run, decision="release", by="专员甲", at=at, why="核实"))
                self.queue(run, name, decided, department, at)
            else:
                arrived = at.replace(tzinfo=UTC).astimezone(BEIJING_TIME).date()
                run = f"{FEEDS[department]}-{arrived}-1" if arrived <= LAST else self.world.run(department, arrived, at)
                self.queue(run, name, decided, department, at, version)

    def key_of(self, endpoint: str, name: str, version: int) -> str:
        return key(f"{endpoint} {name} {version}")

    def queue(self, run: str, name: str, decided: date, department: str, at: datetime, version: int = 1) -> None:
        for endpoint in (PROVINCE, PUBLIC):
            identity = {"idempotency_key": self.key_of(endpoint, name, version), "version": version}
            self.world.queue(run, name, decided, at, endpoint=endpoint, **identity)
            self.diary.setdefault((endpoint, key(name)), Owed(department, endpoint, name, decided, at))

    def deliver(self, endpoint: str) -> None:
        context = self.world.context
        described = context.catalogue.endpoints[endpoint]
        receiver = Receiver(endpoint, self.clock, self.rejects)
        try:
            deliver(
                context.ledger, described, receiver, context.catalogue.categories, self.load, self.clock.now,
                sleep=self.clock.sleep,
            )  # fmt: skip
        except DeliveryError:
            assert endpoint == PROVINCE and self.clock.today in DOWN
        with context.ledger.read() as session:
            query = select(Outbox.record_key, Outbox.accepted_at).where(
                Outbox.endpoint == endpoint, Outbox.accepted_at >= beijing(self.clock.today, 1)
            )
            for record_key, accepted in session.execute(query):
                line = self.diary[endpoint, record_key]
                line.accepted = line.accepted or accepted

    def load(
        self, _category: str, keys: Sequence[tuple[str, str, int]]
    ) -> dict[tuple[str, str, int], dict[str, object]]:
        return {wanted: {"CF_WSH": wanted[1][:12]} for wanted in keys}

    def late(self) -> list[LateRecord]:
        return late_records(self.world.context, date(2025, 12, 1), END, at=beijing(END, 12))


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Year:
    lived = Year(World(tmp_path_factory.mktemp("year")), Clock(beijing(FIRST, 0)))
    lived.live()
    return lived


def test_every_record_was_accepted_in_the_end_and_the_province_was_down_for_five_working_days(year: Year) -> None:
    assert all(line.accepted is not None for line in year.diary.values())
    assert all(is_working(day) for day in DOWN)
    with year.world.context.ledger.read() as session:
        failed = session.scalars(select(Attempt.at).where(Attempt.outcome == "unreachable")).all()
    assert sorted({at.replace(tzinfo=UTC).astimezone(BEIJING_TIME).date() for at in failed}) == DOWN


def test_the_late_list_is_the_one_of_the_diary(year: Year) -> None:
    def day_of(instant: datetime) -> date:
        return (instant + timedelta(hours=8)).date()

    expected = {place for place, line in year.diary.items() if day_of(line.accepted or NEVER) > line.deadline}
    found = {(one.endpoint, one.record_key) for one in year.late()}
    assert found == expected
    departments = {year.diary[place].department for place in found}
    assert departments == {"housing", "ecology"}
    on_time_at_the_public_site = {name for endpoint, name in expected if endpoint == PROVINCE} - {
        name for endpoint, name in expected if endpoint == PUBLIC
    }
    assert len(on_time_at_the_public_site) >= 4, "the five days without an answer made records late"


def test_the_attribution_sums_to_the_total(year: Year) -> None:
    late = year.late()
    for one in late:
        assert one.stopped_at is not None
        stopped = one.stopped_at.astimezone(BEIJING_TIME).date()
        assert sum(one.days.values()) == one.total == worked(one.decision_date, stopped) > LIMIT
    for department in by_department(late):
        assert department.total == sum(one.total for one in late if one.department == department.department)


def test_the_days_before_the_spring_festival_belong_to_the_receiver(year: Year) -> None:
    """Housing's batch of 11 February: decided six working days before, queued for a platform that is down.

    Decided on Tuesday 3; 4 to 10 with the department (5 working days), 11, 12, 13 and Saturday 14 with the receiver.
    """
    (one, _) = [
        late for late in year.late() if late.endpoint == PROVINCE and late.decision_date == date(2026, 2, 3)
        and year.diary[PROVINCE, late.record_key].name.startswith("housing 2026-02-11")
    ]  # fmt: skip
    assert one.deadline == date(2026, 2, 12)
    assert one.days == {"department": 5, "us": 0, "steward": 0, "receiver": 4}


def test_a_rejected_record_was_the_departments_meanwhile(year: Year) -> None:
    """Ecology's batch of Friday 9 January, decided on Tuesday 6: rejected at once, sent again on Wednesday 14, in time.

    That of Monday 9 February, decided on Wednesday 4, came when the platform was down; the corrected version came on
    the 12th. The department had it on the 5th and 6th, the receiver for the six working days until it accepted.
    """
    in_time = year.diary[PROVINCE, key("ecology 2026-01-09 0")]
    assert (in_time.accepted or NEVER) < beijing(in_time.deadline + A_DAY, 0)
    (late,) = [one for one in year.late() if year.diary[one.endpoint, one.record_key].name == "ecology 2026-02-09 0"]
    assert (late.endpoint, late.deadline) == (PROVINCE, date(2026, 2, 13))
    assert late.days == {"department": 2, "us": 0, "steward": 0, "receiver": 6}


def warnings_of(year: Year, day: date) -> dict[str, tuple[str, int]]:
    """Addressee → the worst level and the number of records of the digest of a day, by the diary."""
    at, levels = beijing(day, 9), ("T+3", "T+5", "T+6", "due", "overdue")
    found: dict[str, list[str]] = {}
    for line in year.diary.values():
        if not line.is_open(at):
            continue
        left = worked(day, line.deadline)
        level = (
            "overdue" if line.deadline < day else "due" if left == 0 else "T+6" if left == 1
            else "T+5" if left == 2 else "T+3" if left <= 4 else None
        )  # fmt: skip
        if level is not None:
            told = [line.department]
            told += ["credit_office"] if level != "T+3" else []
            told += ["credit_office_lead"] if level in {"T+6", "due", "overdue"} else []
            for addressee in told:
                found.setdefault(addressee, []).append(level)
    return {addressee: (max(those, key=levels.index), len(those)) for addressee, those in found.items()}


def test_everybody_was_warned_on_the_right_days_and_on_no_others(year: Year) -> None:
    with year.world.context.ledger.read() as session:
        notices = session.scalars(select(ClockNotice).order_by(ClockNotice.day, ClockNotice.addressee)).all()
    told: dict[date, dict[str, tuple[str, int]]] = {}
    for notice in notices:
        assert notice.sent_at is not None
        told.setdefault(notice.day, {})[notice.addressee] = (notice.level, notice.records)
    for day in calendar_days(FIRST, END):
        assert told.get(day, {}) == warnings_of(year, day), day
    levels = {level for of_day in told.values() for level, _ in of_day.values()}
    assert levels == {"T+3", "T+5", "T+6", "due", "overdue"}


def test_the_clock_counted_what_was_open(year: Year) -> None:
    for day, count in year.open_at_nine.items():
        assert count == sum(line.is_open(beijing(day, 9)) for line in year.diary.values()), day
