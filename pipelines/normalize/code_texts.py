"""Repairs of codes: the slow twins of ``pipelines/engine/macros/22_code_texts.sql``.

A repair takes away what is not part of the code; it never changes the code itself. The one exception is the
resident identity number of 15 digits, whose form of 18 follows from it.
"""

from __future__ import annotations

import re

from pipelines.identity.resident_id import resident_id_15_to_18
from pipelines.normalize.documents import ascii_upper

_BLANKS = re.compile("[ \t\n\x0b\x0c\r\x85\u2028\u2029\u3000]+")
_LABEL = re.compile(
    "^'?(?:(?:统一社会信用代码|社会信用代码|信用代码|组织机构代码|工商注册号|工商登记码|注册号|税务登记号|纳税人识别号"
    "|事业单位证书号|居民身份证号码|居民身份证号|身份证号码|身份证号|居民身份证|身份证|证件号码|代码):?'?)+"
)
_COPY_NUMBER = re.compile(r"(?:[;,.:、。]*\((?:[0-9]{1,3}[/-][0-9]{1,3})?\))+\Z")
_PUNCTUATION = re.compile(r"([0-9A-Za-z)])[;,.:、。]+\Z")
_DECIMAL_TAIL = re.compile(r"([0-9]+)\.0+")
_HYPHEN = "‐‑‒–—−-"
_HYPHENS = re.compile(f"[{_HYPHEN}]+")
_HYPHENATED_CODE = re.compile(f"[0-9A-Za-z{_HYPHEN}]*[0-9A-Za-z][0-9A-Za-z{_HYPHEN}]*")
_HYPHENATED_DIGITS = re.compile(f"[0-9{_HYPHEN}]*[0-9][0-9{_HYPHEN}]*")


def code_without_blanks(value: str) -> str:
    """No blanks and line breaks anywhere."""
    return _BLANKS.sub("", value)


def code_without_label(value: str) -> str:
    """Without "统一社会信用代码:" typed in front of the code."""
    return _LABEL.sub("", value)


def code_without_copy_number(value: str) -> str:
    """Without the number of a licence copy behind the code, and what parts the two: (1/1), ;(1-1), ()."""
    return _COPY_NUMBER.sub("", value)


def code_without_punctuation(value: str) -> str:
    """Without what was typed behind the code: a semicolon, a full stop. What stands between two codes stays."""
    return _PUNCTUATION.sub(r"\1", value)


def digits_without_decimal_tail(value: str) -> str:
    """410000.0, what a spreadsheet library makes of a number, is 410000."""
    found = _DECIMAL_TAIL.fullmatch(value)
    return found[1] if found else value


def code_in_upper_case(value: str) -> str:
    """Letters in upper case; a word for a masked value ("<masked>") is no code and stays."""
    return value if "<" in value else ascii_upper(value)


def code_without_hyphens(value: str) -> str:
    """Hyphens inside a code of letters and digits go."""
    return _HYPHENS.sub("", value) if _HYPHENATED_CODE.fullmatch(value) else value


def digits_without_hyphens(value: str) -> str:
    """The same for registration numbers, where a hyphen among letters may belong to the number."""
    return _HYPHENS.sub("", value) if _HYPHENATED_DIGITS.fullmatch(value) else value


def code_of_18_digits(value: str) -> str:
    """A resident identity number of the first generation in its form of today; anything else as it is."""
    return resident_id_15_to_18(value) or value
