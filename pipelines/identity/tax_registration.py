"""Tax registration numbers (税务登记号) from before the merger of 2015.

* 15 characters: region (6) and organisation code (9); for a sole trader the 15-digit identity number;
* 17 and 20 characters: the identity number of a sole trader (15 or 18) and two digits;
* 20 characters also: a 15-digit identity number and five letters or digits, as some offices numbered branches;
* 18 characters: a unified social credit code, or the identity number of a sole trader.

Verdicts: ``valid``, ``person_number`` (lawful, but personal data: restrict and mask it), ``invalid``; 18 characters
get the verdict of :func:`pipelines.identity.uscc.uscc_verdict`.
"""

from __future__ import annotations

import re

from pipelines.identity.organisation_code import organisation_code_verdict
from pipelines.identity.resident_id import is_legacy_resident_id, is_resident_id
from pipelines.identity.uscc import uscc_verdict

_REGION_AND_ORGANISATION = re.compile(r"[0-9]{6}[0-9A-Z]{9}")
_SEVENTEEN = re.compile(r"[0-9]{17}")
_TWENTY = re.compile(r"[0-9]{17}[0-9X][0-9]{2}")
_LEGACY_AND_FIVE = re.compile(r"[0-9]{15}[0-9A-Z]{5}")


def tax_registration_verdict(code: str | None) -> str | None:
    """``valid``, ``person_number``, ``invalid`` or a verdict on 18 characters; None for None."""
    if code is None or len(code) == 18:
        return uscc_verdict(code)
    if _REGION_AND_ORGANISATION.fullmatch(code) and organisation_code_verdict(code[6:]) == "valid":
        return "valid"
    return "person_number" if _is_person(code) else "invalid"


def _is_person(code: str) -> bool:
    if len(code) == 15:
        return bool(is_legacy_resident_id(code))
    if _SEVENTEEN.fullmatch(code):
        return bool(is_legacy_resident_id(code[:15]))
    if _TWENTY.fullmatch(code) and is_resident_id(code[:18]):
        return True
    return _LEGACY_AND_FIVE.fullmatch(code) is not None and bool(is_legacy_resident_id(code[:15]))
