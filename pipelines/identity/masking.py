"""Personal data made unreadable before a value reaches a finding, a log or a page.

Which one to take: :func:`mask_document_number` for a column that holds documents of persons, whatever is in it;
:func:`mask_person_name` for names of private persons; :func:`mask_code` for columns that should hold codes of
organisations; :func:`mask_text` for free text.
"""

from __future__ import annotations

import re

from pipelines.identity.regions import is_resident_region
from pipelines.identity.resident_id import is_legacy_resident_id, is_resident_id
from pipelines.identity.uscc import uscc_verdict

LONGEST_MASK = 12

_MONTH_DAY = r"(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
_PERSON_NUMBER = re.compile(
    rf"[0-9]{{6}}(?:(?:19[0-9]{{2}}|20[0-4][0-9]){_MONTH_DAY}[0-9X*]{{1,6}}"
    rf"|[1-9][0-9]{_MONTH_DAY}[0-9*]{{3}}(?:[0-9]{{2}})?\Z)"
)
_SEGMENTS = re.compile(r"[0-9]{17}[Xx]|[0-9]+|[^0-9]+")
_LONG_NUMBER = re.compile(r"[0-9]{11}")
_MOBILE_PHONE = re.compile(r"(?:86)?1[3-9][0-9]{9}")
_BANK_CARD = re.compile(r"62[0-9]{14,17}|[3-6][0-9]{15}")


def mask_document_number(code: str | None) -> str | None:
    """The first six characters and stars; of numbers shorter than 15 (passports, permits) only the first third."""
    return None if code is None else _mask_after(code, 6 if len(code) >= 15 else len(code) // 3)


def mask_person_name(name: str | None) -> str | None:
    """The first character and stars; a single character is starred."""
    return None if name is None else _mask_after(name, 1 if len(name) > 1 else 0)


def mask_code(code: str | None) -> str | None:
    """A value of a code column, safe to show.

    Codes of organisations stay readable. A number built like a resident identity number (region, birth date) is
    masked even when its check character is wrong: a mistyped number still points at a person. Everything else is
    treated as free text.
    """
    if code is None or uscc_verdict(code) in ("valid", "issued_nonstandard"):
        return code
    if _PERSON_NUMBER.match(code) and is_resident_region(code[:6]):
        return _mask_after(code, 6)
    return mask_text(code)


def mask_text(content: str | None) -> str | None:
    """Free text without resident identity numbers (18 with check, 15), mobile phones and bank cards (Luhn).

    The text is cut into runs of digits and what lies between, so that each run is judged whole; 15-digit business
    registration numbers that could be an identity number are masked as well.
    """
    if content is None or not _LONG_NUMBER.search(content):
        return content
    return "".join(_mask_segment(segment) for segment in _SEGMENTS.findall(content))


def _mask_segment(segment: str) -> str:
    if is_resident_id(segment.upper()) or is_legacy_resident_id(segment):
        return _mask_after(segment, 6)
    if _MOBILE_PHONE.fullmatch(segment):
        return _mask_after(segment, 3)
    if _BANK_CARD.fullmatch(segment) and _luhn_holds(segment):
        return _mask_after(segment, 6)
    return segment


def _mask_after(text: str, kept: int) -> str:
    return text[:kept] + "*" * min(len(text) - kept, LONGEST_MASK)


def _luhn_holds(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
