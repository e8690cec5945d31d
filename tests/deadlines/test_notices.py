"""Notices of the State Council in every form in which people have them, and what is no notice."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import docx
import pytest

from pipelines.deadlines.arrangements import Arrangement
from pipelines.deadlines.calendar import WorkingCalendar, amended_calendar, load_calendar, published_days
from pipelines.deadlines.notice_files import read_notice
from pipelines.errors import CalendarError
from pipelines.settings import Settings

DAY = timedelta(days=1)
NOTICES = Path(__file__).parent / "notices"
CALENDAR = load_calendar(Settings())
YEARLY = ("2008", "2010", "2014", "2019", "2023", "2024", "2025", "2026")


def without(*years: int) -> dict[date, bool]:
    """What the package knows of other years."""
    return {day: works for day, works in published_days().items() if day.year not in years}


def differences(one: WorkingCalendar, other: WorkingCalendar, year: int) -> list[date]:
    days = (date(year, 1, 1) + DAY * step for step in range(366))
    # The last days of December may belong to the notice of the year after.
    return [day for day in days if (day.month, day.day) < (12, 28) and one.estimate(day) != other.estimate(day)]


@pytest.mark.parametrize("name", YEARLY)
def test_the_notice_of_a_year_makes_the_year(name: str) -> None:
    read = [read_notice(NOTICES / f"{name}.txt", CALENDAR)]
    if name == "2019":
        read.append(read_notice(NOTICES / "2019_labour_day.txt", CALENDAR))
    year = int(name)
    assert [arrangement.year for arrangement in read] == [year] * len(read)
    assert [arrangement.complete for arrangement in read] == [True, False][: len(read)]
    made = amended_calendar(without(year), read)
    assert made.knows(year)
    assert differences(made, CALENDAR, year) == []


def test_days_of_december_belong_to_the_notice_of_the_year_after() -> None:
    of_2023 = read_notice(NOTICES / "2023.txt", CALENDAR)
    assert of_2023.days[date(2022, 12, 31)] is False
    of_2019 = read_notice(NOTICES / "2019.txt", CALENDAR)
    assert of_2019.days[date(2018, 12, 29)] is True
    # Here the text does not say which year 12月29日（星期六） is in; the weekday does.
    of_2008 = read_notice(NOTICES / "2008.txt", CALENDAR)
    assert of_2008.days[date(2007, 12, 29)] is True


def test_the_source_names_title_number_and_day() -> None:
    assert read_notice(NOTICES / "2026.txt", CALENDAR).source == (
        "国务院办公厅关于2026年部分节假日安排的通知（国办发明电〔2025〕7号，2025年11月4日）"
    )


def test_an_extension_begins_after_the_last_day_that_was_off() -> None:
    extended = {date(2020, 1, 31), date(2020, 2, 1), date(2020, 2, 2)}
    before = amended_calendar({day: works for day, works in published_days().items() if day not in extended}, [])
    arrangement = read_notice(NOTICES / "2020_spring_festival.txt", before)
    assert not arrangement.complete
    assert arrangement.days == dict.fromkeys(sorted(extended), False)


def as_document(text: str, path: Path) -> None:
    document = docx.Document()
    for line in text.splitlines():
        document.add_paragraph(line)
    document.save(str(path))


def as_page(text: str, path: Path) -> None:
    lines = "".join(f"<p>{line}</p>" for line in text.splitlines())
    path.write_bytes(
        f"<html><head><meta charset='gb2312'><title>国务院办公厅关于2026年部分节假日安排的通知_政府网</title>"
        f"<script>var day = '1月9日（周五）放假';</script></head><body><!-- 1月8日（周四）放假 --><nav>首页 新闻</nav>"
        f"{lines}<footer>9月30日 责任编辑</footer></body></html>".encode("gb18030")
    )


def as_gb18030(text: str, path: Path) -> None:
    path.write_bytes(text.encode("gb18030"))


def as_halfwidth(text: str, path: Path) -> None:
    path.write_text(text.translate(str.maketrans("（），：", "(),:")), encoding="utf-8-sig")


@pytest.mark.parametrize(
    ("name", "write"),
    [("n.docx", as_document), ("n.html", as_page), ("n.HTM", as_page), ("n.txt", as_gb18030), ("n.txt", as_halfwidth)],
)
def test_every_form_of_a_notice_says_the_same(tmp_path: Path, name: str, write: object) -> None:
    assert callable(write)
    write((NOTICES / "2026.txt").read_text(encoding="utf-8"), tmp_path / name)
    plain = read_notice(NOTICES / "2026.txt", CALENDAR)
    assert read_notice(tmp_path / name, CALENDAR).days == plain.days


@pytest.mark.parametrize(
    ("replace", "by", "problem"),
    [
        ("1月4日（周日）上班", "1月4日（周六）上班", "1月4日（周六） is no 周六: 2026-01-04 is a 星期日"),
        ("2月15日（农历腊月二十八、周日）", "2月15日（农历腊月二十八、周一）", "is no 周一"),
        ("共9天", "共8天", "共8天 does not agree with the 9 days from 2026-02-15 to 2026-02-23"),
        ("1月4日（周日）上班", "1月5日（周一）上班", "2026-01-05 is no weekend"),
        ("2月28日（周六）上班", "2月30日（周六）上班", "there is no such day in 2026"),
        ("1月1日（周四）至3日（周六）", "1月3日（周六）至1日（周四）", "run backwards"),
        ("2月14日（周六）、2月28日", "2月15日（周日）、2月28日", "named as a day off and as a working day"),
        ("端午", "重阳", "does not speak of 端午"),
        ("国务院办公厅关于2026年\n部分节假日安排的通知", "放假安排", "no notice of the State Council"),
        ("安排的通知", "安排的通知（预测）", "an estimate, not a notice: it says 预测"),
        ("一、元旦：", "以下据网传。一、元旦：", "an estimate, not a notice: it says 网传"),
    ],
)
def test_a_notice_that_contradicts_itself_is_refused(tmp_path: Path, replace: str, by: str, problem: str) -> None:
    text = (NOTICES / "2026.txt").read_text(encoding="utf-8")
    assert replace in text
    path = tmp_path / "notice.txt"
    path.write_text(text.replace(replace, by), encoding="utf-8")
    with pytest.raises(CalendarError) as caught:
        read_notice(path, CALENDAR)
    assert problem in caught.value.problem
    assert caught.value.file == str(path)


def test_a_notice_without_days_leaves_the_year_unknown(tmp_path: Path) -> None:
    path = tmp_path / "notice.txt"
    path.write_text("国务院办公厅关于2027年部分节假日安排的通知\n通知如下：\n（见图）\n", encoding="utf-8")
    with pytest.raises(CalendarError, match="names no day off"):
        read_notice(path, CALENDAR)


FULL_2026 = [date(2026, 1, 1) + DAY * step for step in range(365)]


def table(path: Path, text: str, **options: object) -> Arrangement:
    path.write_text(text, encoding="utf-8")
    return read_notice(path, CALENDAR, **options)  # type: ignore[arg-type]


def test_a_table_of_all_days_and_one_of_the_exceptions_say_the_same(tmp_path: Path) -> None:
    every_day = "date,is_workday\n" + "".join(f"{day},{int(CALENDAR.estimate(day))}\n" for day in FULL_2026)
    holidays = "name,date,isOffDay\n" + "".join(
        f"假,{day:%Y/%m/%d},{str(not CALENDAR.estimate(day)).lower()}\n"
        for day in FULL_2026
        if CALENDAR.exception(day) is not None
    )
    one = table(tmp_path / "one.csv", every_day, source="公开日历")
    other = table(tmp_path / "other.csv", holidays, source="公开日历")
    assert one.days == other.days
    assert differences(amended_calendar(without(2026), [one]), CALENDAR, 2026) == []


@pytest.mark.parametrize(
    ("text", "options", "problem"),
    [
        ("date,is_workday\n", {}, "no row"),
        ("date,is_workday\n2027-01-04,1\n2027-01-09,0\n", {}, "no day of 2027 differs"),
        ("date,is_holiday\n2027-01-01,1\n2027-10-01,1\n", {}, "no make-up working day: this is an estimate"),
        ("date,is_holiday,note\n2027-01-01,1,estimated\n", {}, "line 2 is an estimate"),
        ("date,kind\n2026-01-04,makeup_work\n2027-01-03,班\n", {}, "2026 to 2027"),
        ("date,kind\n2026-01-04,makeup_work\n", {"year": 2028}, "no day of 2028"),
        ("date,kind\n2026-01-04,party\n", {}, "nobody knows the kind 'party'"),
        ("date,kind\n2026-02-30,off\n", {}, "no day 2026-02-30"),
        ("date,kind\nnever,off\n", {}, "is no date"),
        ("date,is_workday\n2026-01-04,maybe\n", {}, "neither yes nor no"),
        ("when,what\n2026-01-04,1\n", {}, "no column with the date"),
        ("date,kind\n2026-01-04,makeup_work\n", {}, "does not say where it comes from"),
        (
            "date,is_holiday\n" + "".join(f"{day},{int(day.month == 10)}\n" for day in FULL_2026),
            {},
            "counts holidays only",
        ),
    ],
)
def test_a_table_that_leaves_a_year_empty_or_estimates_it_is_refused(
    tmp_path: Path, text: str, options: dict[str, object], problem: str
) -> None:
    with pytest.raises(CalendarError) as caught:
        table(tmp_path / "days.csv", text, **options)
    assert problem in caught.value.problem
    assert caught.value.file == str(tmp_path / "days.csv")


@pytest.mark.parametrize(("name", "problem"), [("a.pdf", "cannot be read from .pdf"), ("a.csv", "missing")])
def test_another_file_is_refused(tmp_path: Path, name: str, problem: str) -> None:
    with pytest.raises(CalendarError, match=problem):
        read_notice(tmp_path / name, CALENDAR)


@pytest.mark.parametrize("name", ["a.docx", "a.html"])
def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(CalendarError) as caught:
        read_notice(tmp_path / name, CALENDAR)
    assert caught.value.file == str(tmp_path / name)
