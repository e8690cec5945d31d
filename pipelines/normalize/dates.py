"""Dates in whatever form they come to ``YYYY/MM/DD``. What is ambiguous or no date stays as it is.

Different date texts are few, so each goes through this module once; only the time of day is cut off in SQL first
(``macros/30_dates.sql``).
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone

from pipelines.normalize.code_texts import digits_without_decimal_tail
from pipelines.normalize.documents import half_width
from pipelines.normalize.steps import Repair
from pipelines.normalize.texts import (
    name_or_null,
    text_on_one_line,
    text_without_invisible,
    text_without_spreadsheet_trick,
    trimmed,
)

OPEN_END = "2099/12/31"
BEIJING = timezone(timedelta(hours=8))

# Nothing a repair would change: the years that dates of decisions and validity lie in, without the epochs.
TIDY_DATE = r"(?:19[1-9][0-9]|20[0-9]{2})/(?:0[1-9]|1[0-2])/(?:0[1-9]|[12][0-9]|3[01])"

_TIME = re.compile(
    r"^([0-9]{4} *[-/.年] *[0-9]{1,2} *[-/.月] *[0-9]{1,2}(?: *[日号])?|[0-9]{8})"
    r"(?: *[Tt,]? *(?:星期|周)[一二三四五六日天])?[ Tt]*(?:上午|下午|[AaPp][Mm])? *"
    r"(?:[01]?[0-9]|2[0-3])[:时点][0-5]?[0-9](?:[:分][0-5]?[0-9](?:[.,][0-9]{1,9})?)?[分秒]?"
    r" *(?:[AaPp][Mm])? *(?:\+08:?00)?\Z"
    r"|^([0-9]{8})(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9](?:[0-9]{3})?\Z|^([2-5][0-9]{4})\.[0-9]{1,12}\Z"
)
_SEPARATED = re.compile(r"([0-9]{4}) *[-/.] *([0-9]{1,2}) *[-/.] *([0-9]{1,2})\.?")
_COMPACT = re.compile(r"((?:19|20)[0-9]{2})([0-9]{2})([0-9]{2})")
_CHINESE = re.compile(r"([0-9]{4}) *年 *([0-9]{1,2}) *月 *([0-9]{1,2}) *[日号]?(?: *(?:星期|周)[一二三四五六日天])?")
_SERIAL = re.compile(r"[2-5][0-9]{4}|60000")
_NUMERAL_DATE = re.compile(
    "([〇○零ОO一二三四五六七八九壹贰叁肆伍陆柒捌玖]{4})年([一二三四五六七八九十壹贰叁肆伍陆柒捌玖拾元正]{1,3})月"
    "([一二三四五六七八九十廿卅壹贰叁肆伍陆柒捌玖拾初]{1,4})[日号]"
)
_ZONED = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:\.[0-9]+)?(Z|z|[+-][0-9]{2}:?[0-9]{2})"
)
_ENGLISH_MONTH = re.compile(
    "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC"
)
_ENGLISH = (
    "%a, %d %b %Y %H:%M:%S %z",
    "%d %b %Y %H:%M:%S %z",
    "%a, %d %b %Y",
    "%a %b %d %H:%M:%S %Y",
    "%d-%b-%Y",
    "%d %b %Y",
    "%d %B %Y",
    "%b %d, %Y",
    "%B %d, %Y",
)
_OPEN_END = re.compile(
    r"长期|永久|长期有效|永久有效|无固定期限|无限期|长期(?:有效)?[(（]永久[)）]|9999[-/.]?12[-/.]?31"
)
_NO_DATE = re.compile(r"无处罚期限|0000[-/.]?0{1,2}[-/.]?0{1,2}|0{1,4}/0{1,2}/0{1,2}")
_EPOCHS = {"1899/12/30", "1899/12/31", "1900/01/00", "1900/01/01"}
_DIGITS = {
    character: value
    for value, group in enumerate(
        ("〇○零ОO", "一壹元正", "二贰", "三叁", "四肆", "五伍", "六陆", "七柒", "八捌", "九玖")
    )
    for character in group
}


def date_without_time(value: str) -> str:
    """Without a time of day in local time behind the date, or the fraction of a spreadsheet's day number."""
    found = _TIME.search(value)
    return value if found is None else (found[1] or "") + (found[2] or "") + (found[3] or "")


def date_from_separated(value: str) -> str:
    """2019-1-2, 2019.1.2, 2019/1/2."""
    return _from_parts(_SEPARATED, value)


def date_from_compact(value: str) -> str:
    """20190102."""
    return _from_parts(_COMPACT, value)


def date_from_chinese(value: str) -> str:
    """2019年1月2日, also with the day of the week."""
    return _from_parts(_CHINESE, value)


def date_from_serial(value: str, *, date_system_1904: bool = False) -> str:
    """43466, a spreadsheet's number of a day; 20000 to 60000, the years 1954 to 2064 (1958 to 2068)."""
    if not _SERIAL.fullmatch(value):
        return value
    epoch = date(1904, 1, 1) if date_system_1904 else date(1899, 12, 30)
    return _standard(epoch + timedelta(days=int(value)))


def date_from_instant(value: str) -> str:
    """Instants with a zone, and English forms, as the day they are in China."""
    found = _ZONED.fullmatch(value)
    text = value if found is None else f"{found[1]}T{found[2]}{'+00:00' if found[3] in 'Zz' else found[3]}"
    try:
        if found is not None:
            return _standard(datetime.fromisoformat(text).astimezone(BEIJING).date())
    except (ValueError, OverflowError):
        return value
    if not _ENGLISH_MONTH.search(value):
        return value
    # CST, as Java prints it, is China Standard Time; GMT and UTC are what strptime reads as %z only when numeric.
    text = text.replace("CST ", "").removesuffix(" GMT").removesuffix(" UTC")
    shift = UTC if value.endswith((" GMT", " UTC")) else BEIJING
    for form in (*_ENGLISH, "%a, %d %b %Y %H:%M:%S"):
        try:
            parsed = datetime.strptime(text, form)  # noqa: DTZ007 - the zone is set below
            instant = parsed if parsed.tzinfo else parsed.replace(tzinfo=shift)
            return _standard(instant.astimezone(BEIJING).date())
        except (ValueError, OverflowError):
            continue
    return value


def date_from_numerals(value: str) -> str:
    """二〇一九年一月二日."""
    found = _NUMERAL_DATE.fullmatch(value)
    if found is None:
        return value
    year = "".join(str(_DIGITS[character]) for character in found[1])
    month, day = _small_number(found[2]), _small_number(found[3].removeprefix("初"))
    return value if month is None or day is None else _checked(year, str(month), str(day), value)


def date_repairs(*, open_end: bool, date_system_1904: bool = False) -> tuple[tuple[str, Repair], ...]:
    """The chain of repairs of a date field. ``open_end``: "forever" has a standard form in it, 2099/12/31."""

    def open_date(value: str) -> str | None:
        if not _OPEN_END.fullmatch(value):
            return value
        return OPEN_END if open_end else (None if value.startswith("9999") else value)

    def real_date(value: str) -> str | None:
        return None if value in _EPOCHS or _NO_DATE.fullmatch(value) else value

    def serial_date(value: str) -> str:
        return date_from_serial(value, date_system_1904=date_system_1904)

    return (
        ("TXT-003", text_without_invisible),
        ("TXT-005", text_on_one_line),
        ("TXT-002", half_width),
        ("TXT-008", trimmed),
        ("TXT-006", text_without_spreadsheet_trick),
        ("TXT-007", digits_without_decimal_tail),
        ("TXT-001", name_or_null),
        ("DATE-004", date_without_time),
        ("DATE-001", date_from_separated),
        ("DATE-002", date_from_compact),
        ("DATE-003", date_from_chinese),
        ("DATE-005", serial_date),
        ("DATE-006", date_from_instant),
        ("DATE-007", date_from_numerals),
        ("DATE-008", open_date),
        ("DATE-009", real_date),
    )


def _from_parts(pattern: re.Pattern[str], value: str) -> str:
    found = pattern.fullmatch(value)
    return value if found is None else _checked(found[1], found[2], found[3], value)


def _checked(year: str, month: str, day: str, otherwise: str) -> str:
    try:
        return _standard(date(int(year), int(month), int(day)))
    except ValueError:
        return otherwise


def _standard(day: date) -> str:
    return f"{day.year:04}/{day.month:02}/{day.day:02}"


def _small_number(numerals: str) -> int | None:
    """十 10, 十二 12, 二十 20, 二十一 21, 廿一 21, 卅 30; None for anything else."""
    text = numerals.replace("拾", "十").replace("廿", "二十").replace("卅", "三十")
    tens, ten, ones = text.partition("十")
    if "十" in ones or len(tens) > 1 or len(ones) > 1 or (not ten and len(tens) != 1):
        return None
    if not ten:
        return _DIGITS.get(tens)
    return (_DIGITS.get(tens, 0) if tens else 1) * 10 + (_DIGITS.get(ones, 0) if ones else 0)
