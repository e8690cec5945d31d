"""Repairs of text and names: the slow twins of ``pipelines/engine/macros/20_text.sql``."""

from __future__ import annotations

import re

BLANKS = " \t\n\x0b\x0c\r\u3000"
BREAKS = "\t\n\x0b\x0c\r\x85\u2028\u2029"

# What stands for "nothing" in every kind of field. 0 is a value in amounts, code lists and free text.
NOTHING = (
    r"[-—–－/／\\_]+|无|（?空）?|\(空\)|暂无|不详|\\[Nn]|[Nn]/[Aa]|[Nn][Aa][Nn]|[Nn]one|[Uu]ndefined|UNDEFINED"
    r"|[\[(<]?[Nn][Uu][Ll][Ll][\])>]?"
)
_EMPTY_TEXT = re.compile(NOTHING)
_EMPTY_NAME = re.compile(NOTHING + "|0")
_INVISIBLE = re.compile("[\x00-\x08\x0e-\x1f\x7f\xad\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
_BLANK_LIKE = re.compile("[\xa0\u2002\u2003\u2009\u202f]")
_LINE_BREAK = re.compile(f"[ \u3000]*[{BREAKS}][ \u3000{BREAKS}]*")
_HAN = re.compile("[\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")
_SPREADSHEET_TRICK = re.compile(r"^'?=\"[ \u3000]*([^\"']*?)[ \u3000]*\"\Z|^'[ \u3000]*([^']*)\Z")

_NAMED = {
    "nbsp": " ",
    "ensp": " ",
    "emsp": " ",
    "lt": "<",
    "gt": ">",
    "quot": '"',
    "apos": "'",
    "ldquo": "“",
    "rdquo": "”",
    "lsquo": "‘",
    "rsquo": "’",
    "middot": "·",
    "mdash": "—",
    "ndash": "–",
    "hellip": "…",
    "times": "×",
    "yen": "¥",
    "bull": "•",
}
_NUMERIC_ENTITY = re.compile(r"&#(?:[0-9]{1,7}|[xX][0-9A-Fa-f]{1,6});")
_BLOCK = "br|p|div|li|tr|td|th|hr|h[1-6]"
_INLINE = "span|b|i|u|em|strong|font|sub|sup|a|img|ul|ol|table|tbody"
_BLOCK_TAG = re.compile(rf"</?(?:{_BLOCK}|{_BLOCK.upper()})(?:[ /][^<>]{{0,300}})?>")
_INLINE_TAG = re.compile(rf"</?(?:{_INLINE}|{_INLINE.upper()})(?:[ /][^<>]{{0,300}})?>")
_ENTITY = re.compile(rf"&(?:{'|'.join(_NAMED)}|amp);|{_NUMERIC_ENTITY.pattern}")


def text_or_null(value: str) -> str | None:
    """None for the tokens that mean "nothing"."""
    return None if not value or _EMPTY_TEXT.fullmatch(value) else value


def name_or_null(value: str) -> str | None:
    """None for the tokens that mean "nothing" where 0 is one of them."""
    return None if not value or _EMPTY_NAME.fullmatch(value) else value


def text_without_invisible(value: str) -> str:
    """Invisible characters go; blanks that only look like one become one.

    C1 control characters stay: they are traces of a wrong decoding, which no one may hide.
    """
    return _BLANK_LIKE.sub(" ", _INVISIBLE.sub("", value))


def text_on_one_line(value: str) -> str:
    """Line breaks and tabs, with the blanks around them, become one blank."""
    return _LINE_BREAK.sub(" ", value)


def holds_han(value: str) -> bool:
    """Whether a Chinese character occurs."""
    return _HAN.search(value) is not None


def name_on_one_line(value: str) -> str:
    """In a Chinese name a line break separates nothing."""
    return _LINE_BREAK.sub("", value) if holds_han(value) else text_on_one_line(value)


def trimmed(value: str) -> str:
    """No blanks at either end."""
    return value.strip(BLANKS)


def text_without_spreadsheet_trick(value: str) -> str:
    """What people type to keep a spreadsheet from reading a number: a leading apostrophe, ``="0012"``."""
    found = _SPREADSHEET_TRICK.search(value)
    return value if found is None else (found[1] or "") + (found[2] or "")


def text_without_markup(value: str) -> str:
    """Entities unescaped and tags taken out, once. Text escaped twice is left alone: nobody knows what was meant."""
    if not _has_markup(value):
        return value
    plain = value
    for name, character in _NAMED.items():
        plain = plain.replace(f"&{name};", character)
    for entity in _NUMERIC_ENTITY.findall(value):
        plain = plain.replace(entity, _entity_character(entity))
    plain = text_on_one_line(text_without_invisible(plain.replace("&amp;", "&")))
    plain = _INLINE_TAG.sub("", _BLOCK_TAG.sub(" ", plain))
    return value if _has_markup(plain) else plain


def _has_markup(value: str) -> bool:
    return any(pattern.search(value) for pattern in (_ENTITY, _BLOCK_TAG, _INLINE_TAG))


def _entity_character(entity: str) -> str:
    digits = entity[2:-1]
    point = int(digits[1:], 16) if digits[0] in "xX" else int(digits)
    return entity if 0xD800 <= point <= 0xDFFF or point > 0x10FFFF else chr(point)
