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
