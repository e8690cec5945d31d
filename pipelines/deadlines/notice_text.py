"""The text of a notice of the State Council about holidays, read into days.

“二、春节：2月15日（农历腊月二十八、周日）至23日（农历正月初七、周一）放假调休，共9天。2月14日（周六）上班。”
A sentence that says 放假, 调休 or 补休 names days off, one that says 上班 names make-up working days. Everything that
the text says twice is compared: the weekday in brackets with the date, 共9天 with the days named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

from pipelines.deadlines.arrangements import SATURDAY, Arrangement
from pipelines.deadlines.calendar import DAY, WorkingCalendar
from pipelines.errors import CalendarError

HOLIDAYS = ("元旦", "春节", "清明", "劳动节", "端午", "中秋", "国庆")
WEEKDAYS = "一二三四五六日"
# Longer than any holiday so far: where an extension would have to go back further, it is about another holiday.
LONGEST_EXTENSION = 15
# A remark in brackets behind the title belongs to it; what else stands on a page does not.
BESIDE_TITLE = 8

_TITLE = re.compile(r"国务院办公厅关于[^。：，]{2,40}?的通知")
_YEARLY = re.compile(r"([0-9]{4})年(?:部分)?节假日")
_NUMBER = re.compile(r"国办发[^0-9〔\[（(]{0,6}[〔\[（(][0-9]{4}[〕\]）)][0-9]+号")
_SIGNED = re.compile(r"国务院办公厅([0-9]{4}年[0-9]{1,2}月[0-9]{1,2}日)")
_BODY = re.compile(r"(?:通知如下|安排如下|全文如下)[。：，]?")
_GUESS = re.compile(r"预测|预计|征求意见|网传|拟定|拟安排|estimated|forecast", re.IGNORECASE)
_DATE = re.compile(r"(?:([0-9]{4})年)?(?:([0-9]{1,2})月)?([0-9]{1,2})日(?:（([^（）]*)）)?")
_WEEKDAY = re.compile(r"(?:周|星期|礼拜)([一二三四五六日天])")
_TO = re.compile(r"至|到|—+|－+|-+|–+|~|～")
_OFF = ("放假", "调休", "补休")
_COUNT = re.compile(r"(?:共|放假)([0-9]{1,2})天")
_EXTENSION = re.compile(r"延长([0-9]{4})年(\S{2,4}?)假期至([0-9]{1,2})月([0-9]{1,2})日")
# What the notice says of the working life that goes on, and advice: neither makes a day off nor a working day.
_ASIDE = re.compile(r"起正常上班|起上班|照常上班|值班|鼓励|照常公休")
# What stands between commas; commas in brackets belong to the bracket.
_PHRASE = re.compile(r"(?:[^，（）]|（[^（）]*）)+")


@dataclass
class _Days:
    """The days of a notice while it is read."""

    year: int
    off: list[date] = field(default_factory=list)
    working: list[date] = field(default_factory=list)


def parse_notice(text: str, calendar: WorkingCalendar) -> Arrangement:
    """The arrangement that a notice makes; its version is 1 until it is installed.

    The notice of a whole year is complete, any other an amendment. An extension (延长春节假期至2月2日) begins after the
    last day off that ``calendar`` knows. Raises :class:`CalendarError` for a text that is no notice, an estimate, or
    one that contradicts itself.
    """
    plain = re.sub(r"\s+", "", text).translate(str.maketrans("(),:;", "（），：；"))
    title = _TITLE.search(plain)
    if title is None:
        raise CalendarError(
            "this is no notice of the State Council: no title 国务院办公厅关于…的通知 is in it",
            remedy="save the whole notice with its title, or write the arrangement as YAML",
        )
    yearly = _YEARLY.search(title[0]) if "安排" in title[0] else None
    year = yearly or re.search(r"([0-9]{4})年", plain[title.start() :])
    if year is None:
        raise CalendarError("the notice does not say which year it is about", remedy="save it with its title")
    days = _Days(int(year[1]))
    body = plain[title.end() :]
    begin = _BODY.search(body)
    body = body[begin.end() :] if begin is not None else body
    signed = _SIGNED.search(body)
    body = body[: signed.start()] if signed is not None else body
    guess = _GUESS.search(plain[title.start() : title.end() + BESIDE_TITLE]) or _GUESS.search(body)
    if guess is not None:
        raise CalendarError(
            f"this is an estimate, not a notice: it says {guess[0]}",
            remedy="wait for the notice of the State Council; until then the year is unknown",
        )
    for sentence in re.split(r"[。；]", body):
        _read_sentence(days, sentence, calendar)
    if not days.off and not days.working:
        raise CalendarError(
            f"the notice names no day off and no working day of {days.year}",
            remedy="an empty year stays unknown; save the text of the notice, not a picture of it",
        )
    if yearly is not None:
        _check_whole_year(body, days.year)
    return Arrangement(days.year, yearly is not None, 1, _source(plain, title[0]), _settled(days))


def _read_sentence(days: _Days, sentence: str, calendar: WorkingCalendar) -> None:
    extension = _EXTENSION.search(sentence)
    if extension is not None:
        _named_days(sentence[extension.start() :], days.year)
        until = _existing(int(extension[1]), int(extension[3]), int(extension[4]), extension[0])
        days.off += _extended(until, calendar, extension[0])
        return
    for phrase in _PHRASE.finditer(sentence):
        words = phrase[0]
        if not _DATE.search(words) or _ASIDE.search(words):
            continue
        if "上班" in words:
            named = _named_days(words, days.year)
            _check_weekends(named, words)
            days.working += named
        elif any(word in words for word in _OFF):
            named = _named_days(words, days.year)
            _check_count(named, sentence, phrase.end())
            days.off += named


def _named_days(text: str, year: int) -> list[date]:
    """The days of a piece of text, spans filled; what a span or a list leaves out comes from the date before it."""
    found: list[date] = []
    before, end = None, 0
    said_year: int | None = None
    for match in _DATE.finditer(text):
        said_year = int(match[1]) if match[1] else said_year
        if match[2] is None and before is None:
            continue
        month = int(match[2]) if match[2] else before.month if before is not None else 0
        day = _dated(year, said_year, month, match)
        if before is not None and _TO.fullmatch(text[end : match.start()]):
            if day < before:
                raise CalendarError(f"the days run backwards: {text[:60]}", remedy="compare it with the notice")
            found += [before + DAY * step for step in range(1, (day - before).days + 1)]
        else:
            found.append(day)
        before, end = day, match.end()
    return found


def _dated(year: int, said_year: int | None, month: int, match: re.Match[str]) -> date:
    """The day, in the year that was said, else in that of the notice, or December before it if the weekday says so."""
    words = _WEEKDAY.search(match[4] or "")
    years = [said_year] if said_year is not None else [year, year - 1] if month == 12 else [year]
    days = [_existing(one, month, int(match[3]), match[0]) for one in years]
    if words is None:
        return days[0]
    weekday = WEEKDAYS.index(words[1].replace("天", "日"))
    fitting = [day for day in days if day.weekday() == weekday]
    if not fitting:
        raise CalendarError(
            f"{match[0]} is no {words[0]}: {days[0]} is a 星期{WEEKDAYS[days[0].weekday()]}",
            remedy="compare the text with the notice of the State Council",
        )
    return fitting[0]


def _existing(year: int, month: int, day: int, words: str) -> date:
    try:
        return date(year, month, day)
    except ValueError as error:
        raise CalendarError(
            f"there is no such day in {year}: {words}", remedy="compare the text with the notice of the State Council"
        ) from error


def _extended(until: date, calendar: WorkingCalendar, words: str) -> Iterator[date]:
    """The days after the holiday that is extended, up to ``until``."""
    first = until
    while calendar.exception(first - DAY) is not False:
        first -= DAY
        if (until - first).days > LONGEST_EXTENSION:
            raise CalendarError(
                f"no holiday ends shortly before {until}: {words}", remedy="import the notice of the year first"
            )
    return (first + DAY * step for step in range((until - first).days + 1))


def _check_weekends(days: list[date], text: str) -> None:
    for day in days:
        if day.weekday() < SATURDAY:
            raise CalendarError(
                f"{day} is no weekend, so it cannot be a make-up working day: {text[-30:]}",
                remedy="compare the text with the notice of the State Council",
            )


def _check_count(days: list[date], sentence: str, end: int) -> None:
    """The number stands in the phrase that makes the days off, which ends at ``end``, or in the one after it."""
    following = _DATE.search(sentence, end)
    before = max(sentence.rfind(word, 0, end) for word in _OFF)
    said = _COUNT.search(sentence[before : following.start() if following is not None else None])
    if said is not None and int(said[1]) != len(days):
        raise CalendarError(
            f"{said[0]} does not agree with the {len(days)} days from {days[0]} to {days[-1]}",
            remedy="compare the text with the notice of the State Council",
        )


def _check_whole_year(body: str, year: int) -> None:
    missing = [name for name in HOLIDAYS if name not in body]
    if missing:
        raise CalendarError(
            f"the notice of {year} does not speak of {'、'.join(missing)}",
            remedy="save the whole text; an unfinished year stays unknown",
        )


def _settled(days: _Days) -> dict[date, bool]:
    both = sorted(set(days.off) & set(days.working))
    if both:
        raise CalendarError(
            f"{both[0]} is named as a day off and as a working day", remedy="compare the text with the notice"
        )
    return dict.fromkeys(sorted(days.off), False) | dict.fromkeys(sorted(days.working), True)


def _source(plain: str, title: str) -> str:
    number, signed = _NUMBER.search(plain), _SIGNED.search(plain)
    told = [part for part in (number and number[0], signed and signed[1]) if part]
    return f"{title}（{'，'.join(told)}）" if told else title
