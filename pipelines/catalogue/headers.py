"""Column headers, compared without their typing habits."""

from __future__ import annotations

import re
import unicodedata

_IGNORED = re.compile(r"[\s\u200b-\u200f\ufeff_,，、.。:：;；*＊'\"“”‘’\-—]+")
_BRACKETS = str.maketrans("〔［【｛（〕］】｝）", "((((()))))")


def normalise_header(text: str) -> str:
    """A header without blanks, width, case, bracket style and stray punctuation.

    ``"行政相对人代码＿1 (统一社会信用代码)"`` and ``"行政相对人代码_1（统一社会信用代码）"`` become the same text.
    """
    plain = unicodedata.normalize("NFKC", text).translate(_BRACKETS)
    return _IGNORED.sub("", plain).replace("[", "(").replace("]", ")").casefold()


_NUMBERED_CODE = re.compile(r"代码([1-9])\((.+)\)\Z")
_STATED_UNIT = re.compile(r"\((?:单位)?(?:人民币)?((?:十|百|千|万|百万|千万|亿)?(?:元|美元|港元|欧元))\)\Z")


def numbered_code(header: str) -> tuple[str, str] | None:
    """Number and text of ``行政相对人代码_2(工商注册号)`` → ``("2", "工商注册号")``; None for any other header.

    Editions of the standard number the codes of a subject differently; the text says which one is meant.
    """
    found = _NUMBERED_CODE.search(normalise_header(header))
    return (found[1], found[2]) if found else None


def stated_unit(header: str) -> str | None:
    """The unit that a header states at its end: ``罚款金额（元）``, ``金额(单位:万元)``; None without one."""
    found = _STATED_UNIT.search(normalise_header(header))
    return found[1] if found else None
