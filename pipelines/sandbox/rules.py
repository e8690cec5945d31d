"""What the receiver checks in one record; one refusal, the first in its own order, is all it tells the sender.

The rules are those that upper platforms were seen to apply: name and code against the subject base (1001, the
only number they are known to give), kind and code of the subject, required fields, characters and dates. The
other numbers are this receiver's own. It reads the code by GB 32100-2015 for itself, because a receiver does not
share its sender's library.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from pipelines.catalogue.categories import Category
from pipelines.sandbox.subjects import Subjects, comparable

LEGAL, PERSON, TRADER = "法人及非法人组织", "自然人", "个体工商户"
PLACEHOLDER = "0" * 17 + "X"
TRADER_PREFIX = "92"

SUBJECT_UNKNOWN = "1001"
CODE_WRONG = "1013"
FIELD_MISSING = "1014"
SAME_DOCUMENT = "1015"
NOT_ALLOWED = "1016"
RECORD_UNKNOWN = "1017"
NO_REASON = "1099"

_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_WEIGHTS = tuple(pow(3, position, 31) for position in range(17))
_DATE = re.compile(r"(\d{4})/(\d{2})/(\d{2})")
_DENIED_CHARACTERS = {"Cc", "Cf", "Cs", "Co", "Cn"}


@dataclass(frozen=True)
class Refusal:
    """Why a record is refused, in the words of the receiver."""

    rule: str
    field: str | None
    message: str


def check(category: Category, data: Mapping[str, str | None], subjects: Subjects | None, today: date) -> Refusal | None:
    """The first rule that ``data`` breaks, or ``None``. ``subjects`` is ``None`` when no subject base is loaded."""
    return (
        _unknown_field(category, data)
        or _missing(category, data)
        or _special_characters(data)
        or _dates(category, data, today)
        or _kind_and_code(category, data, subjects)
        or _subject(category, data, subjects)
    )


def refusal(rule: str, field: str | None, description: str) -> Refusal:
    """A refusal with the message form of the known platforms."""
    return Refusal(rule, field, f"验证规则代码:{rule};错误描述:{description}")


def no_reason() -> Refusal:
    """What a sender is told who has done nothing wrong."""
    return refusal(NO_REASON, None, "系统繁忙，该数据未处理")


def _unknown_field(category: Category, data: Mapping[str, str | None]) -> Refusal | None:
    known = set(category.field_codes)
    for code in data:
        if code not in known:
            return refusal(NOT_ALLOWED, None, "含有数据标准以外的字段")
    return None


def _missing(category: Category, data: Mapping[str, str | None]) -> Refusal | None:
    for field in category.fields:
        if field.required == "always" and not (data.get(field.code) or "").strip():
            return refusal(FIELD_MISSING, field.code, f"{field.name_zh}不能为空")
    return None


def _special_characters(data: Mapping[str, str | None]) -> Refusal | None:
    for code, value in data.items():
        if value and not _allowed(value):
            return refusal(NOT_ALLOWED, code, "含有特殊字符")
    return None


def _allowed(text: str) -> bool:
    if "\ufffd" in text:
        return False
    # Printable text, nearly all there is, needs no look at each character.
    return text.isprintable() or all(
        character in "\n\t" or unicodedata.category(character) not in _DENIED_CHARACTERS for character in text
    )


def _dates(category: Category, data: Mapping[str, str | None], today: date) -> Refusal | None:
    for field in category.fields:
        text = data.get(field.code)
        if field.type != "date" or not text:
            continue
        day = _day(text)
        if day is None:
            return refusal(NOT_ALLOWED, field.code, f"{field.name_zh}不是YYYY/MM/DD格式的日期")
        if field.code == category.roles.decision_date and day > today:
            return refusal(NOT_ALLOWED, field.code, f"{field.name_zh}不能晚于当前日期")
    return None


def _day(text: str) -> date | None:
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    try:
        return date(*(int(part) for part in match.groups()))
    except ValueError:
        return None


def _kind_and_code(category: Category, data: Mapping[str, str | None], subjects: Subjects | None) -> Refusal | None:
    roles = category.roles
    kind = data.get(roles.subject_kind)
    code = data.get(roles.subject_code) or ""
    if kind == PERSON:
        fits = not code
    elif kind in {LEGAL, TRADER}:
        # A code that the base holds was issued, whatever its check character says.
        issued = is_credit_code(code) or (subjects is not None and code in subjects)
        fits = code == PLACEHOLDER or (issued and code.startswith(TRADER_PREFIX) == (kind == TRADER))
    else:
        fits = False
    if fits:
        return None
    return refusal(CODE_WRONG, roles.subject_code, "行政相对人代码_1(统一社会信用代码)不正确")


def is_credit_code(code: str) -> bool:
    """Whether a code is one that was or could have been issued under GB 32100-2015.

    Besides the standard check character, Σ mod 31 itself is taken: some issuers forgot the last subtraction,
    and these codes are legally in use.
    """
    if len(code) != 18 or len(set(code)) == 1 or any(character not in _ALPHABET for character in code):
        return False
    total = sum(_ALPHABET.index(character) * weight for character, weight in zip(code[:17], _WEIGHTS, strict=True)) % 31
    return _ALPHABET.index(code[17]) in {(31 - total) % 31, total}


def _subject(category: Category, data: Mapping[str, str | None], subjects: Subjects | None) -> Refusal | None:
    roles = category.roles
    code = data.get(roles.subject_code) or ""
    if subjects is None or code in {"", PLACEHOLDER}:
        return None
    if comparable(data.get(roles.subject_name) or "") in subjects.get(code, frozenset()):
        return None
    return refusal(SUBJECT_UNKNOWN, roles.subject_name, "未查询到主体或查询到的主体信息不匹配")
