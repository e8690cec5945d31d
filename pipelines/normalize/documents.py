"""Names and document numbers, and the keys by which they are compared: twins of ``macros/21_names.sql``."""

from __future__ import annotations

import re

from pipelines.normalize.texts import holds_han

_WIDE_BRACKETS = str.maketrans("()﹙﹚", "（）（）")
_HALF_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
_UPPER = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_DOCUMENT_BRACKETS = str.maketrans("[](){}【】「」〈〉﹝﹞﹙﹚‐‑‒–—―−", "〔〕" * 8 + "-" * 7)
_MIDDLE_DOTS = str.maketrans("•・‧∙⋅", "·" * 5)
_UNSEEN = "\x00-\x20\x7f-\xa0\xad\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ufff9-\ufffb"
_NOT_IN_DOCUMENT_KEY = re.compile(f"[{_UNSEEN}]")
_NOT_IN_NAME_KEY = re.compile(rf"[{_UNSEEN}()\[\]{{}}【】〔〕「」〈〉﹝﹞﹙﹚]|[ .,;:。、]+\Z")


def name_with_wide_brackets(value: str) -> str:
    """Brackets in a Chinese name are full-width; the brackets of a Latin name stay."""
    return value.translate(_WIDE_BRACKETS) if holds_han(value) else value


def half_width(value: str) -> str:
    """Full-width letters, digits and punctuation to half-width."""
    return value.translate(_HALF_WIDTH)


def ascii_upper(value: str) -> str:
    """The letters a-z in upper case; no other character changes."""
    return value.translate(_UPPER)


def canonical_document_number(value: str) -> str | None:
    """The number of a document without its typing habits: brackets, width, dashes, blanks and case.

    For keys only: 第 and 号 stay, and the form that is shown is never altered.
    """
    plain = half_width(value).translate(_DOCUMENT_BRACKETS)
    return ascii_upper(_NOT_IN_DOCUMENT_KEY.sub("", plain)) or None


def name_key(value: str) -> str | None:
    """A name for comparison only: no brackets, blanks, width, case or trailing punctuation; one middle dot."""
    plain = half_width(value).translate(_MIDDLE_DOTS)
    return ascii_upper(_NOT_IN_NAME_KEY.sub("", plain)) or None
