"""What is wrong with a code that is no unified social credit code, so that a clerk can be told what to do."""

from __future__ import annotations

import re

from pipelines.identity.organisation_code import organisation_code_verdict
from pipelines.identity.registration_number import registration_number_verdict
from pipelines.identity.uscc import has_uscc_form, is_denied_uscc, uscc_verdict

_SCIENTIFIC = re.compile(r"[0-9](?:\.[0-9]+)?E\+?[0-9]+")
_FLOAT = re.compile(r"[0-9]{15}000")
_LETTERS = re.compile(r"[0-9A-Z]+")


def uscc_defect(code: str | None) -> str | None:
    """What to look at in a code that :func:`uscc_verdict` calls invalid; None for every other verdict.

    ``scientific_notation`` and ``float_truncated`` (a spreadsheet destroyed it), ``masked``,
    ``registration_number`` and ``organisation_code`` (another code in this column), ``wrong_length``, ``denied``
    (a filler), ``excluded_letter`` (I O S V Z), ``foreign_character``, ``check_mismatch``.
    """
    if code is None or uscc_verdict(code) != "invalid":
        return None
    if _SCIENTIFIC.fullmatch(code):
        return "scientific_notation"
    if "*" in code or "XXX" in code:
        return "masked"
    if registration_number_verdict(code) in ("valid", "legacy"):
        return "registration_number"
    if organisation_code_verdict(code) == "valid":
        return "organisation_code"
    return _defect_of_form(code)


def _defect_of_form(code: str) -> str:
    if len(code) != 18:
        return "wrong_length"
    if is_denied_uscc(code):
        return "denied"
    if _FLOAT.fullmatch(code):
        return "float_truncated"
    if has_uscc_form(code):
        return "check_mismatch"
    return "excluded_letter" if _LETTERS.fullmatch(code) else "foreign_character"
