"""Resident identity numbers (公民身份号码), GB 11643-1999.

18 characters: region (6), birth date (8), serial (3), check character ISO 7064 MOD 11-2. Numbers of 15 digits
(birth date without century, no check) are void since 2013 and still sent.

Verdicts:

``valid``
    18 characters, a region that GB/T 2260 has known (province and prefecture), a real date from 1800 to 2049,
    the check character right. Whether the person is born already is a question for a rule that knows the date of
    the batch, so that the same value always gets the same verdict.
``legacy``
    15 digits with a known region and a real date from 1910 to 1999.
``masked``
    digits with the rest starred or crossed out: the department has to send the number itself.
``invalid``
    anything else.

Permanent residence cards of foreigners (2023 form, first digit 9) are another kind of document.
"""

from __future__ import annotations

import re
from datetime import date

from pipelines.identity.regions import is_resident_region

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
CHECK_CHARACTERS = "10X98765432"
FIRST_YEAR, LAST_YEAR = 1800, 2049
FIRST_LIVING_YEAR = 1900

# Serial numbers that were reserved for people over a hundred years old: their century cannot be told.
CENTENARIAN_SERIALS = frozenset({"996", "997", "998", "999"})

_MASKED = re.compile(r"[0-9]{1,17}(?:\*{2,}|X{2,})[0-9X]{0,15}")


def resident_id_check_character(code: str | None) -> str | None:
    """The check character that belongs to the first 17 characters; None when they are not digits."""
    if code is None or len(code) < 17 or not _digits(code[:17]):
        return None
    return CHECK_CHARACTERS[sum(int(c) * w for c, w in zip(code, WEIGHTS, strict=False)) % 11]


def resident_id_birth_date(code: str | None) -> date | None:
    """The birth date in a number of 18 or 15 characters; None when it holds none. Looks at nothing else."""
    if code is None:
        return None
    if len(code) == 18 and _digits(code[:17]) and code[17] in "0123456789X":
        return _date(code[6:10], code[10:12], code[12:14]) if code[6:8] in ("18", "19", "20") else None
    if len(code) == 15 and _digits(code):
        return _date("19" + code[6:8], code[8:10], code[10:12])
    return None


def has_resident_id_form(code: str | None) -> bool | None:
    """Region, date and length of an 18-character number, without the check character."""
    if code is None:
        return None
    born = resident_id_birth_date(code) if len(code) == 18 else None
    return born is not None and FIRST_YEAR <= born.year <= LAST_YEAR and is_resident_region(code[:6])


def is_legacy_resident_id(code: str | None) -> bool | None:
    """15 digits with a known region and a real date from 1910 on; there is no check character to look at."""
    if code is None:
        return None
    if len(code) != 15 or code[6] == "0" or not is_resident_region(code[:6]):
        return False
    return resident_id_birth_date(code) is not None


def resident_id_verdict(code: str | None) -> str | None:
    """``valid``, ``legacy``, ``masked`` or ``invalid``; None for None."""
    if code is None:
        return None
    if has_resident_id_form(code) and code[17] == resident_id_check_character(code):
        return "valid"
    if is_legacy_resident_id(code):
        return "legacy"
    return "masked" if _MASKED.fullmatch(code) else "invalid"


def is_resident_id(code: str | None) -> bool | None:
    """Whether this is the number of someone who can be alive: valid, and born in 1900 or later.

    The later first year keeps codes of organisations whose region ends in 18 from looking like persons.
    """
    if code is None:
        return None
    return (
        bool(has_resident_id_form(code))
        and int(code[6:10]) >= FIRST_LIVING_YEAR
        and code[17] == resident_id_check_character(code)
    )


def resident_id_15_to_18(code: str | None) -> str | None:
    """The 18-character number of a holder of a 15-digit one, as the law on identity cards assigned it.

    None when the number is no plausible 15-digit one, or its serial leaves the century open.
    """
    if code is None or not is_legacy_resident_id(code) or code[12:15] in CENTENARIAN_SERIALS:
        return None
    body = code[:6] + "19" + code[6:]
    return body + str(resident_id_check_character(body))


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _date(year: str, month: str, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None
