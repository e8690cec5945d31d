"""Business registration numbers (工商注册号), GS 15-2006 of the former administration for industry and commerce.

15 digits: registration authority (6), serial (8), check digit ISO 7064 MOD 11,10. Older forms carry no check:
13 digits, and farmers' cooperatives as region, NA, six digits, X.

Verdicts: ``valid``; ``legacy`` (an older form with a known province); ``person_number`` (a resident identity
number: 15 digits that are no registration number); ``internal_number`` (16 characters, the key of a registration
system instead of the number); ``invalid``. Since 2015 the unified social credit code takes this number's place:
18 characters get the verdict of :func:`pipelines.identity.uscc.uscc_verdict`.
"""

from __future__ import annotations

import re

from pipelines.identity.iso_7064 import mod_11_10_holds
from pipelines.identity.regions import is_business_region
from pipelines.identity.resident_id import is_legacy_resident_id
from pipelines.identity.uscc import uscc_verdict

_LEGACY = re.compile(r"[0-9]{6}(?:[0-9]{7}|NA[0-9]{6}X)")
_INTERNAL = re.compile(r"[0-9A-Z]{16}")


def has_registration_check(code: str | None) -> bool | None:
    """Whether these are 15 digits with a right check digit."""
    return None if code is None else len(code) == 15 and mod_11_10_holds(code)


def registration_number_verdict(code: str | None) -> str | None:
    """``valid``, ``legacy``, ``person_number``, ``internal_number``, ``invalid`` or a verdict on 18 characters."""
    if code is None or len(code) == 18:
        return uscc_verdict(code)
    if len(code) > 1 and code == code[0] * len(code):
        return "invalid"
    if has_registration_check(code):
        return "valid"
    if is_legacy_resident_id(code):
        return "person_number"
    if _LEGACY.fullmatch(code) and is_business_region(code[:6]):
        return "legacy"
    return "internal_number" if _INTERNAL.fullmatch(code) else "invalid"
