"""``guiji calendar`` as a person and a script use it."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
import time_machine
from sqlalchemy import select, update
from typer.testing import CliRunner, Result

from pipelines import cli
from pipelines.deadlines.calendar import load_calendar
from pipelines.errors import CalendarError, CatalogueError
from pipelines.ledger.models import Outbox
from pipelines.operations.calendar_views import calendar_notice
from pipelines.operations.context import Context
from pipelines.operations.night import run_night
from pipelines.settings import PROJECT_ROOT
from tests.operations.conftest import FRIDAY

VECTORS = PROJECT_ROOT / "tests" / "deadlines" / "vectors.csv"

# What the notice for 2027 might say; made up.
NOTICE_2027 = """国务院办公厅关于2027年部分节假日安排的通知
国办发明电〔2026〕99号
经国务院批准，现将2027年元旦、春节、清明节、劳动节、端午节、中秋节和国庆节放假调休日期的具体安排通知如下。
一、元旦：1月1日（周五）至3日（周日）放假，共3天。2026年12月27日（周日）上班。
二、春节：2月5日（周五）至11日（周四）放假调休，共7天。1月31日（周日）上班。
三、清明节：4月5日（周一）放假。四、劳动节：5月1日（周六）至3日（周一）放假，共3天。
五、端午节：6月9日（周三）放假，共1天。六、中秋节：9月15日（周三）放假。
七、国庆节：10月1日（周五）至5日（周二）放假调休，共5天。
国务院办公厅
2026年11月24日
"""


@pytest.fixture
def context(tmp_path: Path, install: Callable[[Path], Context]) -> Context:
    return install(tmp_path / "home")


@pytest.fixture
def notice(tmp_path: Path) -> Path:
    path = tmp_path / "2027.txt"
    path.write_text(NOTICE_2027, encoding="utf-8")
    return path


def guiji(*arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(cli.app, ["calendar", *arguments], input=text)


def vectors() -> dict[str, str]:
    with VECTORS.open(encoding="utf-8", newline="") as file:
        return {row["decision_date"]: row["deadline"] for row in csv.DictReader(file)}


def test_the_21_vectors_through_the_command_line() -> None:
    expected = vectors()
    assert len(expected) == 21
    command = [sys.executable, "-m", "pipelines.cli", "calendar", "deadline"]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    given = subprocess.run([*command, *expected], capture_output=True, text=True, check=True, env=environment)
    read = subprocess.run(
        command, input="\n".join(expected), capture_output=True, text=True, check=True, env=environment
    )
    lines = [f"{decision} {due}" for decision, due in expected.items()]
    assert given.stdout.splitlines() == lines
    assert read.stdout.splitlines() == lines


def test_the_deadline_of_another_limit() -> None:
    assert (
        guiji("deadline", "2026-11-20", "--policy", "market_regulation_publicity").output == "2026-11-20 2026-12-18\n"
    )
    failed = guiji("deadline", "2026-11-20", "--policy", "nothing")
    assert isinstance(failed.exception, CatalogueError)


def test_an_unknown_year_is_an_error_unless_weekends_are_assumed(context: Context) -> None:
    failed = guiji("deadline", "2026-12-22", "2026-12-23")
    assert failed.output == ""
    assert isinstance(failed.exception, CalendarError)
    assert failed.exception.exit_code == 7
    assert "2026-12-23 needs the working days of 2027" in str(failed.exception)
    assumed = guiji("deadline", "2026-12-22", "2026-12-23", "--assume-weekends")
    assert assumed.output.splitlines() == [
        "2026-12-22 2026-12-31",
        "2026-12-23 2027-01-01 provisional, 2027 is not known",
    ]


def test_what_is_no_date_is_an_error() -> None:
    failed = guiji("deadline", "2026-02-30")
    assert isinstance(failed.exception, CalendarError)


def test_a_year_is_drawn_with_its_days_off_and_make_up_days() -> None:
    shown = guiji("show", "2026").output
    assert shown.startswith("2026: 248 working days")
    assert "1休 2休 3   4班" in shown
    assert "暂定" not in shown
    unknown = guiji("show", "2027").output
    assert unknown.startswith("2027: PROVISIONAL (暂定)")
    assert "2027-01 暂定" in unknown


def test_a_notice_is_shown_first_and_loaded_with_yes(context: Context, notice: Path) -> None:
    run_night(context, FRIDAY, ["market_licence"])
    with context.ledger.write() as session:
        session.execute(update(Outbox).values(decision_date=date(2026, 12, 25)))
    preview = guiji("import", str(notice))
    assert preview.exit_code == 0
    assert "2027 becomes known" in preview.output
    assert "2026-12-27 周日: working day" in preview.output
    assert "2027-02-08 周一: day off" in preview.output
    assert "nothing is changed" in preview.output
    assert not load_calendar(context.settings).knows(2027)

    loaded = guiji("import", str(notice), "--yes", "--by", "王测试")
    assert loaded.exit_code == 0
    assert "2027.yaml is written" in loaded.output
    assert load_calendar(context.settings).knows(2027)
    with context.ledger.read() as session:
        rows = session.execute(select(Outbox.deadline, Outbox.deadline_provisional).distinct()).all()
    # 27 28 29 30 31 December, 4 5 January
    assert [tuple(row) for row in rows] == [(date(2027, 1, 5), False)]
    audit = guiji("changes").output
    assert "王测试" in audit
    assert "2027.yaml" in "".join(audit.split())
    assert guiji("deadline", "2026-12-25").output == "2026-12-25 2027-01-05\n"


def test_the_same_notice_again_is_nothing_new_and_another_is_the_next_version(context: Context, notice: Path) -> None:
    assert guiji("import", str(notice), "--yes").exit_code == 0
    assert "Nothing to load" in guiji("import", str(notice), "--yes").output
    notice.write_text(NOTICE_2027.replace("1月31日（周日）上班", "1月30日（周六）上班"), encoding="utf-8")
    changed = guiji("import", str(notice), "--yes").output
    assert "2027-01-31 周日: day off" in changed
    assert "2027-01-30 周六: working day" in changed
    assert "2027_v2.yaml is written" in changed
    listed = guiji("list").output
    assert "2004–2026" in listed
    assert listed.count("2027 ") >= 2


def test_our_own_yaml_and_an_emergency_can_be_imported(context: Context, tmp_path: Path) -> None:
    emergency = tmp_path / "emergency.txt"
    emergency.write_text(
        "国务院办公厅关于延长2026年春节假期的通知\n通知如下：延长2026年春节假期至2月26日（周四），2月27日（周五）起正常上班。",
        encoding="utf-8",
    )
    assert guiji("import", str(emergency), "--yes").exit_code == 0
    assert guiji("deadline", "2026-02-13").output == "2026-02-13 2026-03-05\n"
    own = tmp_path / "own.yaml"
    own.write_text(
        "year: 2026\narrangement: amendment\nversion: 1\nsource: 测试用的通知\ndays_off: []\n"
        "working_days: [2026-02-26]\n",
        encoding="utf-8",
    )
    assert guiji("import", str(own), "--yes").exit_code == 0
    assert guiji("deadline", "2026-02-13").output == "2026-02-13 2026-03-04\n"
    names = {path.name for path in (context.settings.schemas / "calendars").glob("2026*")}
    assert names == {"2026_amendment_v1.yaml", "2026_amendment_v2.yaml"}


def test_a_notice_that_cannot_be_leaves_nothing_behind(context: Context, notice: Path) -> None:
    notice.write_text(NOTICE_2027.replace("10月1日（周五）至5日（周二）放假调休，共5天", "另行通知"), encoding="utf-8")
    before = sorted((context.settings.schemas / "calendars").iterdir())
    failed = guiji("import", str(notice), "--yes")
    assert isinstance(failed.exception, CatalogueError)
    assert "without the statutory holiday 2027-10-01" in str(failed.exception)
    assert failed.exception.file == str(notice)
    assert sorted((context.settings.schemas / "calendars").iterdir()) == before


def test_november_announces_the_missing_year_and_what_rests_on_it(context: Context, notice: Path) -> None:
    run_night(context, FRIDAY, ["market_licence"])
    with context.ledger.write() as session:
        session.execute(update(Outbox).values(deadline_provisional=True))
        owed = len(session.scalars(select(Outbox)).all())
    announced = calendar_notice(context, date(2026, 11, 1))
    assert announced is not None
    assert "the working days of 2027 are not loaded" in announced
    assert "2026-12-23 on (public_credit)" in announced
    assert f"{owed} open deadlines are" in announced
    assert calendar_notice(context, date(2026, 10, 31)) is None
    shown = CliRunner().invoke(cli.app, ["status", "--date", FRIDAY.isoformat()])
    assert "calendar: the working days of 2027 are not loaded" in shown.output
    with time_machine.travel("2026-11-22 12:00 +0800"):
        assert "the working days of 2027 are not loaded" in guiji("list").output
        assert guiji("import", str(notice), "--yes").exit_code == 0
        assert "are not loaded" not in guiji("list").output
