"""Two departments live through November 2026: every night one batch each, and everything that can befall them.

Sent by the first department (``dept``), every night thirty decisions in order, and beside them:

* Wednesday 4: two rows with a wrong code. The workbook goes out, comes back on Friday with one of them corrected and
  the other one filled in with another wrong code; that one is sent again, right, with the batch of Wednesday 11.
* Friday 6: a row twice.
* Monday 9: a decision of 12 October.
* Tuesday 10: a class of penalty that nobody knows, excused by a waiver until Wednesday 18; the same row comes
  again on Friday 13 and on Friday 20.

The second department (``other``) sends thirty decisions in order every night, but three on Monday 16 (refused, sent
again in full) and five on Wednesday 18 (released).

What the figures have to be is counted by hand below.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import openpyxl
import pytest
import time_machine
from sqlalchemy import func, select

from pipelines.ledger.models import Outbox, Run
from pipelines.ledger.quality_models import Closing, Task, TaskEvent
from pipelines.operations.bulletin import write_bulletin
from pipelines.operations.clock_watch import watch_clock
from pipelines.operations.gate_decisions import refuse, release
from pipelines.operations.night import run_night
from pipelines.operations.reports import build_site
from pipelines.operations.resubmitting import resubmit
from pipelines.operations.waiver_granting import Approval, grant_by_task
from pipelines.reporting.figures import figures_by_month
from tests.operations.returned_workbook import fill
from tests.operations.small_feed import FEED, Rows, row
from tests.reporting.figure_month import OTHER, WRONG, Month

FIRST, LAST = date(2026, 11, 2), date(2026, 11, 27)
CODE, ASKED_CODE = "统一社会信用代码", "行政相对人代码_1(统一社会信用代码)"
CODE_RULE, CLASS_RULE = "CODE-CF_XDR_SHXYM", "ENUM-CF_CFLB"
USUAL = 30


def working_days() -> Iterator[date]:
    """Monday to Friday: November 2026 has no holiday and no exchanged day."""
    day = FIRST
    while day <= LAST:
        if day.weekday() < 5:
            yield day
        day += timedelta(days=1)


def november(day: int) -> date:
    return date(2026, 11, day)


def morning_after(day: date, hour: int = 1) -> datetime:
    """One o'clock in China of the day after a business date, in UTC; or another hour of that day."""
    return datetime.combine(day, time(17), tzinfo=UTC) + timedelta(hours=hour - 1)


def usual(day: date, first: int = 0, count: int = USUAL) -> Rows:
    """Decisions in order, of that day and the one before it."""
    numbers = range(day.day * 100 + first + 1, day.day * 100 + first + count + 1)
    return [row(n, 处罚决定日期=f"2026/11/{max(day.day - n % 2, 1):02d}") for n in numbers]


@dataclass
class Life(Month):
    """The month as it happened; ``notes`` keeps what was seen on the way."""

    notes: dict[str, object] = field(default_factory=dict)

    def special(self, day: date) -> Rows:
        """What the first department sends beside the usual rows."""
        on = f"2026/11/{day.day:02d}"
        unknown = row(1050, 处罚类别="降级", 处罚决定日期="2026/11/10")
        return {
            november(4): [row(n, 统一社会信用代码=WRONG, 处罚决定日期=on) for n in (451, 452)],
            november(6): usual(day, count=1),
            november(9): [row(950, 处罚决定日期="2026/10/12")],
            november(10): [unknown],
            november(11): [row(452, 处罚决定日期="2026/11/04")],
            november(13): [unknown],
            november(20): [unknown],
        }.get(day, [])

    def live(self) -> None:
        for day in working_days():
            with time_machine.travel(morning_after(day), tick=False):
                self.batch(FEED, day, [*usual(day), *self.special(day)])
                self.second_department(day)
            self.by_day(day)

    def second_department(self, day: date) -> None:
        few = {november(16): 3, november(18): 5}.get(day)
        if few is None:
            self.batch(OTHER, day, usual(day, first=50))
            return
        with pytest.raises(AssertionError, match="gate"):
            self.batch(OTHER, day, usual(day, first=50, count=few))
        held = self.last_of(OTHER, day)
        assert held.state == "held"
        if few == 3:
            refuse(self.context, held.id, "专员甲", "导出不完整，请重报")
            assert self.last_of(OTHER, day).state == "failed"
            self.batch(OTHER, day, usual(day, first=50))
        else:
            assert release(self.context, held.id, "专员甲", "系统升级，当日仅五件")
            assert not release(self.context, held.id, "专员甲", "系统升级，当日仅五件")

    def by_day(self, day: date) -> None:
        """What people do during the day after a night."""
        context = self.context
        if day == november(4):
            with time_machine.travel(morning_after(day, hour=9), tick=False):
                self.notes["workbook"] = build_site(context, day).workbooks[FEED]
        if day == november(5):
            with time_machine.travel(morning_after(day, hour=15), tick=False):
                self.return_workbook()
        if day == november(10):
            with time_machine.travel(morning_after(day, hour=10), tick=False):
                with context.ledger.read() as ledger:
                    reference = ledger.scalars(select(Task.reference).where(Task.rule == CLASS_RULE)).one()
                grant_by_task(context, reference, Approval("科长乙", "依据省级规定", november(18)))
                (result,) = run_night(context, day, [FEED])
                assert result.problem is None

    def return_workbook(self) -> None:
        sent = Path(str(self.notes["workbook"]))
        back = self.folder / "returned.xlsx"
        lines = {451: USUAL + 2, 452: USUAL + 3}
        right = row(451)[CODE]
        still_wrong = "91119900MA9000062X"
        fill(sent, back, {(lines[451], ASKED_CODE): right, (lines[452], ASKED_CODE): still_wrong})
        first = resubmit(self.context, back, "经办丙")
        again = resubmit(self.context, back, "经办丙")
        assert (first.applied, first.still_wrong, first.refused) == (2, 1, 0)
        assert again.repeated

    def last_of(self, feed: str, day: date) -> Run:
        query = select(Run).where(Run.feed == feed, Run.business_date == day).order_by(Run.attempt.desc()).limit(1)
        with self.context.ledger.read() as session:
            return session.scalars(query).one()


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Life:
    life = Life(tmp_path_factory.mktemp("month"))
    life.live()
    return life


def test_the_figures_of_the_bulletin_are_those_counted_by_hand(month: Life) -> None:
    """First department: 20 nights × 30 rows = 600, and 8 more beside them; second: 19 × 30 and 5.

    Of the 608 rows one is said twice; the row 452 with its second wrong code and the one whose waiver is over are
    quarantined; 605 are stored.
    """
    context = month.context
    found = {}
    for name in ("national", "qinghai"):
        for line in figures_by_month(context.ledger, context.catalogue.profiles[name], FIRST, LAST):
            for code, figure in line.figures.items():
                found[name, line.department, code] = (figure.numerator, figure.denominator)
    assert found["national", "dept", "received"] == (608, None)
    assert found["national", "dept", "stored"] == (605, None)
    assert found["national", "dept", "compliance"] == (605, 607)
    assert found["qinghai", "dept", "compliance"] == (605, 608)
    assert found["national", "dept", "duplicates"] == (1, 608)
    assert found["national", "other", "received"] == (575, None)
    assert found["national", "other", "compliance"] == (575, 575)
    # Stored anew: 605 less the waived row of Friday 13, which is unchanged. Late: the decision of 12 October.
    assert found["qinghai", "dept", "lateness"] == (1, 604)
    assert found["qinghai", "other", "lateness"] == (0, 575)


def test_days_to_close_are_those_counted_by_hand(month: Life) -> None:
    """Row 451: seen on the 4th, mended in a workbook on the 6th; row 452: sent again with the batch of the 11th."""
    with month.context.ledger.read() as ledger:
        query = (
            select(Closing.how, func.sum(Closing.rows), func.sum(Closing.days))
            .join(Task, Task.id == Closing.task)
            .where(Task.rule == CODE_RULE)
            .group_by(Closing.how)
        )
        found = {how: (int(rows), int(days)) for how, rows, days in ledger.execute(query)}
    assert found == {"workbook": (1, 2), "source": (1, 7)}


def test_tasks_have_lived_their_lives(month: Life) -> None:
    with month.context.ledger.read() as ledger:
        tasks = {task.rule: task for task in ledger.scalars(select(Task).where(Task.feed == FEED))}
        events = {
            rule: [
                event.state
                for event in ledger.scalars(
                    select(TaskEvent).where(TaskEvent.task == tasks[rule].id).order_by(TaskEvent.id)
                )
            ]
            for rule in (CODE_RULE, CLASS_RULE)
        }
    assert (tasks[CODE_RULE].state, tasks[CODE_RULE].rows, tasks[CODE_RULE].rows_ever) == ("verified", 0, 2)
    assert events[CODE_RULE][0] == "open"
    assert events[CODE_RULE][-1] == "verified"
    # Waived until the 18th; the same row on the 20th is judged in full again.
    assert (tasks[CLASS_RULE].state, tasks[CLASS_RULE].rows) == ("reopened", 1)
    assert "waived" in events[CLASS_RULE]
    assert not any(task.feed == OTHER and task.severity == "block" for task in tasks.values())


def test_every_stored_decision_is_owed_exactly_once(month: Life) -> None:
    """604 and 575 decisions; the waived row came a second time unchanged and is not owed again."""
    with month.context.ledger.read() as ledger:
        owed = dict(ledger.execute(select(Outbox.feed, func.count()).group_by(Outbox.feed)).all())
        twice = select(Outbox.record_key).group_by(Outbox.record_key).having(func.count() > 1)
        assert ledger.scalars(twice).all() == []
    # Only the first department's feed names an endpoint.
    assert owed == {FEED: 604}


def test_the_night_can_be_repeated_and_nothing_changes(month: Life) -> None:
    def tasks() -> list[tuple[str, str, int, int]]:
        with month.context.ledger.read() as ledger:
            return sorted((t.reference, t.state, t.rows, t.rows_ever) for t in ledger.scalars(select(Task)))

    before = tasks()
    with time_machine.travel(morning_after(LAST, hour=12), tick=False):
        results = run_night(month.context, LAST)
    assert [result.problem for result in results] == [None, None]
    assert tasks() == before


def test_the_bulletin_says_what_the_facts_say(month: Life, tmp_path: Path) -> None:
    with time_machine.travel(morning_after(date(2026, 11, 30), hour=9), tick=False):
        profile = month.context.catalogue.profiles["national"]
        document, workbook = write_bulletin(month.context, date(2026, 11, 1), date(2026, 11, 30), profile, tmp_path)
    assert document.stat().st_size > 0
    book = openpyxl.load_workbook(workbook)
    cells = {cell.value for sheet in book for line in sheet.iter_rows() for cell in line}
    assert {605, 607, 608, 575} <= cells
    assert "99.67 %" in {str(cell) for cell in cells} or 605 / 607 in cells


def test_waiting_for_a_steward_is_not_a_failure_of_the_clock(month: Life) -> None:
    with time_machine.travel(morning_after(LAST, hour=12), tick=False):
        assert watch_clock(month.context).examined
