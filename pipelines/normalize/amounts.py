"""Amounts in whatever form they come to plain decimal text in 万元. What is ambiguous stays as it is.

All arithmetic is decimal and exact. Regular spellings are repaired in SQL (``macros/40_amounts.sql``, twins below);
the others, each different text once, here. A numeral parser from a library would not do: they return floats and
drop the unit, and without 元 nobody knows whether 五千 is 元 or 万元.
"""

from __future__ import annotations

import re
from decimal import Decimal

from pipelines.normalize.code_texts import code_without_blanks
from pipelines.normalize.documents import half_width
from pipelines.normalize.steps import Repair
from pipelines.normalize.texts import text_or_null, text_without_invisible, text_without_spreadsheet_trick

# Nothing a repair would change.
TIDY_AMOUNT = r"[0-9]+(?:\.[0-9]{1,6})?"

_PLAIN = re.compile(r"[0-9]{1,14}(?:\.[0-9]{1,8})?")
_YUAN = re.compile(r"(?:人民币|[¥￥])?([0-9]{1,14}(?:\.[0-9]{1,8})?)(?:元|圆)[整正]?")
_TEN_THOUSAND_YUAN = re.compile(r"(?:人民币|[¥￥])?([0-9]{1,14}(?:\.[0-9]{1,6})?)(?:万元|万圆|万)[整正]?")
_WRITTEN = re.compile(
    r"(?:人民币|RMB|CNY|[¥￥])?:?([0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,14})?(\.[0-9]{0,12})?(?:(亿|万)?(元|圆)?[整正]?|RMB|CNY)"
)
_BRACKETED = re.compile(r"([^()]+)\(([^()]+)\)")
_CURRENCY = re.compile(r"^(?:人民币|RMB|CNY|[¥￥]):?")

_DIGITS = {
    character: value
    for value, group in enumerate(
        ("零〇○", "一壹", "二贰贰弐两", "三叁参", "四肆", "五伍", "六陆", "七柒", "八捌", "九玖")
    )
    for character in group
}
_UNITS = {"十": 10, "拾": 10, "百": 100, "佰": 100, "千": 1000, "仟": 1000}
_LARGE = (("亿", 10**8), ("万", 10**4))
_YUAN_PARTS = re.compile(
    r"(?:([^元圆角分整正]+)[元圆])?(?:零?([^元圆角分整正零])角)?(?:零?([^元圆角分整正零])分)?[整正]?"
)


def amount_from_yuan_column(value: str) -> str:
    """A number without a unit in a column whose unit is 元.

    What cannot be expressed in 万元 with six decimals gets its unit spelt out, so that nobody can take it for 万元.
    """
    return (_in_ten_thousand(Decimal(value)) or f"{value}元") if _PLAIN.fullmatch(value) else value


def amount_with_unit(value: str) -> str:
    """5000元, 0.5万元整, ￥1234.50元."""
    if found := _YUAN.fullmatch(value):
        return _in_ten_thousand(Decimal(found[1])) or value
    found = _TEN_THOUSAND_YUAN.fullmatch(value)
    return found[1] if found else value


def amount_repairs(unit: str | None) -> tuple[tuple[str, Repair], ...]:
    """The chain of repairs of an amount field; ``unit`` is the unit of numbers without one (万元 by default)."""
    in_yuan = unit == "元"

    def written(value: str) -> str:
        return _written(value, in_yuan)

    return (
        ("TXT-003", text_without_invisible),
        ("TXT-002", half_width),
        ("TXT-009", code_without_blanks),
        ("TXT-006", text_without_spreadsheet_trick),
        ("TXT-001", text_or_null),
        *((("AMT-003", amount_from_yuan_column),) if in_yuan else ()),
        ("AMT-001", amount_with_unit),
        ("AMT-001", written),
        ("AMT-002", amount_from_numerals),
    )


def amount_from_numerals(value: str) -> str:
    """伍仟元整, 壹万贰仟叁佰元伍角, 2万5千元, 伍仟元整(5000元); only with a unit that leaves no doubt."""
    bracketed = _BRACKETED.fullmatch(value)
    if bracketed:
        outer, inner = (_yuan_or_written(part) for part in bracketed.groups())
        if outer is None or outer != inner:
            return value
        return _in_ten_thousand(outer) or value
    yuan = yuan_from_numerals(_CURRENCY.sub("", value))
    return value if yuan is None else _in_ten_thousand(yuan) or value


def yuan_from_numerals(text: str) -> Decimal | None:
    """The sum in 元 that a text with numerals states; None when it is none or its unit is in doubt."""
    if not any(character in "元圆角分" for character in text):
        # Without 元 only a sum that names 万 or 亿 itself is sure to be counted in 元: 2万5千, 五万.
        if not (text and text[-1] in "万亿千仟百佰" and any(character in "万亿" for character in text)):
            return None
        text += "元"
    found = _YUAN_PARTS.fullmatch(text)
    if found is None:
        return None
    yuan, jiao, fen = found.groups()
    total = Decimal(0) if yuan is None else _number(yuan)
    for part, worth in ((jiao, Decimal("0.1")), (fen, Decimal("0.01"))):
        if part is not None:
            digit = _digit(part)
            if digit is None or total is None:
                return None
            total += digit * worth
    return total


def _written(value: str, in_yuan: bool) -> str:
    found = _WRITTEN.fullmatch(value)
    if in_yuan and _PLAIN.fullmatch(value):
        # The steps before have made 万元 of it.
        return value
    if found is None or not (found[1] or len(found[2] or "") > 1):
        return value
    digits = (found[1] or "0").replace(",", "") + ("" if found[2] in {None, "."} else found[2])
    large, yuan = found[3], found[4]
    if not large and (yuan or in_yuan):
        return _in_ten_thousand(Decimal(digits)) or value
    if large == "亿":
        return _in_ten_thousand(Decimal(digits) * 10**8) or value
    whole, _, decimals = digits.partition(".")
    if len(decimals) > 6:
        decimals = decimals.rstrip("0")
    return value if len(decimals) > 6 else whole + (f".{decimals}" if decimals else "")


def _yuan_or_written(text: str) -> Decimal | None:
    plain = _CURRENCY.sub("", text)
    number = plain.rstrip("元圆整正").replace(",", "")
    if _PLAIN.fullmatch(number):
        return Decimal(number)
    return yuan_from_numerals(plain)


def _in_ten_thousand(yuan: Decimal) -> str | None:
    """元 as 万元; None when six decimals do not hold it."""
    text = f"{yuan.scaleb(-4):f}"
    whole, _, decimals = text.partition(".")
    decimals = decimals.rstrip("0")
    if len(decimals) > 6:
        return None
    return whole + (f".{decimals}" if decimals else "")


def _number(text: str) -> Decimal | None:
    """A number of numerals, digits and units, 一万二千三百 or 2万5千; None when it is none."""
    total = Decimal(0)
    rest = text
    for unit, worth in _LARGE:
        before, found, after = rest.partition(unit)
        if found:
            factor = _below_ten_thousand(before)
            if factor is None:
                return None
            total += factor * worth
            rest = after
    if not rest:
        return total if rest != text else None
    last = _below_ten_thousand(rest)
    return None if last is None else total + last


def _below_ten_thousand(text: str) -> Decimal | None:
    """五千零三十 or 2千3百 or 12.5; units have to fall, None otherwise."""
    if re.fullmatch(r"[0-9]{1,14}(?:\.[0-9]{1,8})?", text):
        return Decimal(text)
    total = Decimal(0)
    pending: int | None = None
    smallest = 10_000
    for index, character in enumerate(text):
        digit = _digit(character)
        unit = _UNITS.get(character)
        if unit is not None:
            # 十二 is twelve; elsewhere a unit needs its digit.
            if unit >= smallest or (pending in {None, 0} and not (unit == 10 and index == 0)):
                return None
            total += (1 if pending is None else pending) * unit
            smallest, pending = unit, None
        elif digit is None or (pending not in {None, 0}):
            return None
        else:
            pending = digit
    if pending:
        # 二百五 may be 205 or 250: after a unit above ten a last digit needs 零 before it.
        if smallest > 10 and smallest < 10_000 and (len(text) < 2 or text[-2] not in "零〇○"):
            return None
        if smallest == 10_000 and len(text) > 1:
            return None
        total += pending
    return total if text else None


def _digit(character: str) -> int | None:
    return int(character) if character in "0123456789" and character else _DIGITS.get(character)
