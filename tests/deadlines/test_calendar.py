"""The calendar: against the notices of the State Council, and as files amend it."""

from __future__ import annotations

import re
import shutil
from datetime import date, timedelta
from pathlib import Path

import pytest
from chinese_calendar import constants  # type: ignore[import-untyped]

from pipelines.deadlines.arrangements import read_arrangements
from pipelines.deadlines.calendar import WorkingCalendar, amended_calendar, load_calendar, published_days
from pipelines.deadlines.clock import Deadline, deadline
from pipelines.deadlines.policies import load_policy
from pipelines.errors import CalendarError, CatalogueError
from pipelines.settings import Settings

DAY = timedelta(days=1)
CALENDARS = Settings().schemas / "calendars"

# What 2027 might look like; made up.
YEAR_2027 = """\
year: 2027
arrangement: complete
version: {version}
source: 关于2027年部分节假日安排的通知（测试）
days_off: [2027-01-01, 2027-02-05, 2027-02-08, 2027-05-01, 2027-05-03, {more} 2027-10-01, 2027-10-04]
working_days: [2026-12-27, 2027-02-14]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A configuration folder with the project's own calendars, for a test to add to."""
    shutil.copytree(CALENDARS, tmp_path / "schemas" / "calendars")
    return tmp_path


def load(root: Path, **files: str) -> WorkingCalendar:
    for name, text in files.items():
        (root / "schemas" / "calendars" / f"{name}.yaml").write_text(text, encoding="utf-8")
    return load_calendar(Settings(root=root))


def test_a_year_without_a_notice_is_unknown_and_an_error() -> None:
    calendar = load_calendar(Settings())
    last = max(calendar.known_years)
    assert calendar.known_years == frozenset(range(2004, last + 1))
    assert last == max(constants.holidays).year
    for year in (2003, last + 1, 2100):
        with pytest.raises(CalendarError, match=f"working days of {year} are not known"):
            calendar.is_working_day(date(year, 6, 15))
    assert calendar.first_unknown_year(date(last, 12, 1), date(last + 3, 1, 1)) == last + 1
    assert calendar.first_unknown_year(date(2004, 1, 1), date(last, 12, 31)) is None


def test_an_empty_or_unfinished_year_of_the_package_is_unknown() -> None:
    published = dict(published_days())
    assert not amended_calendar(published | {date(2099, 1, 1): False}, []).knows(2099)
    without_october = {day: state for day, state in published.items() if (day.year, day.month) != (2025, 10)}
    assert not amended_calendar(without_october, []).knows(2025)
    assert amended_calendar(without_october, []).knows(2024)


def test_the_shipped_amendments_agree_with_the_package() -> None:
    arrangements = read_arrangements(CALENDARS)
    assert [arrangement.year for arrangement in arrangements] == [2020]
    plain = amended_calendar(published_days(), [])
    for arrangement in arrangements:
        for day, working in arrangement.days.items():
            assert plain.is_working_day(day) is working


def test_an_emergency_extension_moves_a_deadline(root: Path) -> None:
    policy = load_policy(Settings(root=root))
    before = load(root)
    after = load(
        root,
        emergency="""\
year: 2026
arrangement: amendment
version: 2
source: 关于延长2026年春节假期的通知（测试）
days_off: [2026-02-24, 2026-02-25, 2026-02-28]
working_days: []
""",
    )
    assert deadline(before, policy, date(2026, 2, 13)) == Deadline(date(2026, 3, 2))
    assert deadline(after, policy, date(2026, 2, 13)) == Deadline(date(2026, 3, 5))
    assert before.fingerprint != after.fingerprint
    assert before.fingerprint == load_calendar(Settings()).fingerprint


def test_a_complete_file_makes_a_year_known_and_a_deadline_final(root: Path) -> None:
    policy = load_policy(Settings(root=root))
    before = load(root)
    assert deadline(before, policy, date(2026, 12, 25)) == Deadline(date(2027, 1, 5), True, 2027)
    after = load(root, y2027=YEAR_2027.format(version=1, more=""))
    # 27 December becomes a day of make-up work, 1 January a holiday: 27 28 29 30 31 / 4 5
    assert deadline(after, policy, date(2026, 12, 25)) == Deadline(date(2027, 1, 5))
    assert after.is_working_day(date(2026, 12, 27))
    assert not after.is_working_day(date(2027, 1, 1))
    assert after.knows(2027)


def test_an_amendment_does_not_make_a_year_known(root: Path) -> None:
    head = "year: 2027\narrangement: amendment\nversion: 1\nsource: 通知（测试）\n"
    text = head + "days_off: [2027-01-01]\nworking_days: []\n"
    calendar = load(root, y2027=text)
    policy = load_policy(Settings(root=root))
    assert not calendar.knows(2027)
    assert deadline(calendar, policy, date(2026, 12, 23)) == Deadline(date(2027, 1, 4), True, 2027)


def test_the_higher_version_wins_and_a_complete_file_replaces_the_year(root: Path) -> None:
    calendar = load(
        root,
        a_newer=YEAR_2027.format(version=2, more=""),
        b_older=YEAR_2027.format(version=1, more="2027-06-09, ").replace("2026-12-27", "2026-12-26"),
    )
    assert calendar.is_working_day(date(2027, 6, 9))
    assert calendar.is_working_day(date(2026, 12, 27))
    assert not calendar.is_working_day(date(2026, 12, 26))


def test_of_equal_versions_the_later_file_wins(root: Path) -> None:
    head = "year: 2026\narrangement: amendment\nversion: 1\nsource: 通知（测试）\n"
    day_off = head + "days_off: [2026-06-10]\nworking_days: []\n"
    day_on = head + "days_off: []\nworking_days: [2026-06-10]\n"
    assert load(root, a=day_off, b=day_on).is_working_day(date(2026, 6, 10))
    assert not load(root, a=day_on, b=day_off).is_working_day(date(2026, 6, 10))


@pytest.mark.parametrize(
    ("replace", "by", "line", "problem"),
    [
        ("2027-02-05", "2027-02-30", 5, "no day 2027-02-30"),
        ("2027-02-05", "20270205", 5, "not a date"),
        ("2027-02-05", "2028-02-05", 5, "does not belong to 2027"),
        ("2027-02-05", "2026-11-30", 5, "does not belong to 2027"),
        ("2027-02-05", "2027-01-01", 5, "stands twice"),
        ("2027-02-14]", "2027-02-15]", 6, "no weekend"),
        ("2027-02-14]", "2027-02-08]", 6, "stands twice"),
        ("2027-10-01, ", "", 5, "without the statutory holiday 2027-10-01"),
        ("days_off: [", "days_off: [] # [", 5, "without the statutory holiday 2027-01-01"),
        ("complete", "estimated", 2, "arrangement"),
        ("version: 1", "version: 0", 3, "version"),
        ("version: 1", "version: 1\nversoin: 1", 4, "versoin"),
        ("working_days:", "workdays:", 6, "workdays: Extra inputs"),
        ("[2027-01-01", "2027-01-01", 5, "days_off: Input should be a valid list"),
    ],
)
def test_a_file_that_cannot_be_is_named_with_its_line(
    root: Path, replace: str, by: str, line: int, problem: str
) -> None:
    text = YEAR_2027.format(version=1, more="")
    assert replace in text
    with pytest.raises(CatalogueError, match=re.compile(problem)) as caught:
        load(root, broken=text.replace(replace, by, 1))
    assert caught.value.file is not None
    assert caught.value.file.endswith("broken.yaml")
    assert caught.value.line == line


def test_a_file_that_lists_no_day_is_refused(root: Path) -> None:
    text = "year: 2027\narrangement: amendment\nversion: 1\nsource: 通知（测试）\ndays_off: []\nworking_days: []\n"
    with pytest.raises(CatalogueError, match="no day is listed"):
        load(root, empty=text)


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="missing"):
        load_calendar(Settings(root=tmp_path))


def test_working_days_between_and_policies(root: Path) -> None:
    calendar = load_calendar(Settings())
    assert calendar.working_days_between(date(2025, 9, 30), date(2025, 10, 10)) == 2
    assert calendar.working_days_between(date(2025, 10, 10), date(2025, 10, 10)) == 0
    assert calendar.working_days_between(date(2025, 10, 10), date(2025, 9, 30)) == 0
    settings = Settings(root=root)
    assert (load_policy(settings).working_days, load_policy(settings).count_start_day) == (7, False)
    assert load_policy(settings, "market_regulation_publicity").working_days == 20
    with pytest.raises(CatalogueError, match="no policy nothing"):
        load_policy(settings, "nothing")


@pytest.mark.parametrize(
    ("replace", "by", "problem"),
    [
        ("default: public_credit", "default: nothing", "no policy nothing"),
        ("code: penalty_removal", "code: public_credit", "two policies are called public_credit"),
        ("working_days: 7", "working_days: 0", "working_days"),
        ("count_start_day: false", "count_start_day: maybe", "count_start_day"),
        ("working_days: 7", "working_day: 7", "working_day"),
    ],
)
def test_a_policy_file_that_cannot_be_is_named(root: Path, replace: str, by: str, problem: str) -> None:
    path = root / "schemas" / "calendars" / "policies.yaml"
    text = path.read_text(encoding="utf-8")
    assert f"{replace}\n" in text
    path.write_text(text.replace(f"{replace}\n", f"{by}\n", 1), encoding="utf-8")
    with pytest.raises(CatalogueError, match=problem) as caught:
        load_policy(Settings(root=root))
    assert caught.value.file == str(path)
    assert caught.value.line is not None
