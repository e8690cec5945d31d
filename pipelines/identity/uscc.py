"""Unified social credit codes (统一社会信用代码), GB 32100-2015.

18 characters of a 31-letter alphabet (no I O S V Z): registering department (1), kind of organisation (1), region
(6, GB/T 2260), organisation code with its own check (9, GB 11714), check character (1):
C18 = (31 - Σ c·w mod 31) mod 31 with weights 3^(i-1) mod 31.

Verdicts, in the order in which they are looked for:

``person_number``
    the number of a person in a column for organisations: a resident identity number with known region, real birth
    date and right check, or a 15-digit one that is not a business registration number. First, because one
    identity number in thirty passes the check of GB 32100 too, and because it must be masked at once.
``placeholder``
    seventeen zeros and X: the official filler for subjects without a code.
``invalid`` (fillers)
    one character eighteen times, 123456789012345678, or an organisation code of zeros, although some of them
    satisfy the check.
``valid``
    the check holds. An unknown department, kind, region or a wrong organisation code inside only warns
    (:func:`uscc_warnings`): such codes are issued.
``issued_nonstandard``
    the check fails, the organisation code inside is right, and the check character is exactly the one that an
    issuer known to have calculated differently would have printed:

    * Σ mod 31 instead of its complement (161 of the 191 failing codes among three million real ones; Hubei,
      Sichuan, Guangxi, Anhui), or
    * ISO 7064 MOD 37-2 over 36 letters, read from the left, in codes of the Fujian pilot of 2015 (region 35,
      organisation code starting with M0; all known pilot codes satisfy it).

    "The organisation code is right" alone would not do: every typing error in the eight characters before it or in
    the check character itself would be accepted. The predicate used here accepts one such error in thirty,
    and only with a flag. Codes that are issued and fit neither are ``invalid`` until a registry vouches for them.
``invalid``
    anything else. :mod:`pipelines.identity.uscc_defect` says what a person should look at.

A check character is never computed and filled in.
"""

from __future__ import annotations

import re

from pipelines.identity import iso_7064, organisation_code
from pipelines.identity.regions import is_business_region
from pipelines.identity.resident_id import is_legacy_resident_id, is_resident_id

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
VALUES = {character: value for value, character in enumerate(ALPHABET)}
WEIGHTS = tuple(pow(3, place, 31) for place in range(17))
PILOT_WEIGHTS = (*(pow(2, place, 37) for place in range(17)), 1)
PLACEHOLDER = "0" * 17 + "X"
DENIED = "123456789012345678"

# Department and kind: GB 32100 table 1 and its amendments, with 54 and 55 (village and residents' committees).
PREFIXES = frozenset(
    department + kind
    for department, kinds in {
        "1": "1239",
        "2": "19",
        "3": "123459",
        "4": "19",
        "5": "123459",
        "6": "129",
        "7": "129",
        "8": "19",
        "9": "1239",
        "A": "19",
        "N": "1239",
        "Y": "1",
    }.items()
    for kind in kinds
)

_FORM = re.compile(f"[{ALPHABET}]{{18}}")


def has_uscc_form(code: str) -> bool:
    """18 characters of the alphabet."""
    return _FORM.fullmatch(code) is not None


def uscc_check_character(code: str | None) -> str | None:
    """The check character GB 32100 gives to the first 17 characters; None when they are not of its alphabet."""
    total = _weighted_sum(code)
    return None if total is None else ALPHABET[-total % 31]


def uscc_verdict(code: str | None) -> str | None:
    """``valid``, ``issued_nonstandard``, ``placeholder``, ``person_number`` or ``invalid``; None for None."""
    if code is None:
        return None
    if is_resident_id(code):
        return "person_number"
    if not has_uscc_form(code):
        person = is_legacy_resident_id(code) and not iso_7064.mod_11_10_holds(code)
        return "person_number" if person else "invalid"
    if code == PLACEHOLDER:
        return "placeholder"
    if is_denied_uscc(code):
        return "invalid"
    total = _weighted_sum(code)
    if total is not None and code[17] == ALPHABET[-total % 31]:
        return "valid"
    if organisation_code.organisation_code_verdict(code[8:17]) != "valid":
        return "invalid"
    complement_omitted = total is not None and code[17] == ALPHABET[total % 31]
    return "issued_nonstandard" if complement_omitted or _is_pilot(code) else "invalid"


def uscc_warnings(code: str | None) -> list[str] | None:
    """What is unusual about a well-formed code; nothing here rejects. None for None.

    ``unknown_prefix`` (department and kind), ``unknown_region`` (no digits, or no province),
    ``organisation_code_check`` (characters 9-17 fail GB 11714).
    """
    if code is None:
        return None
    if code == PLACEHOLDER or not has_uscc_form(code):
        return []
    found = []
    if code[:2] not in PREFIXES:
        found.append("unknown_prefix")
    if not is_business_region(code[2:8]):
        found.append("unknown_region")
    if organisation_code.organisation_code_verdict(code[8:17]) != "valid":
        found.append("organisation_code_check")
    return found


def _weighted_sum(code: str | None) -> int | None:
    if code is None or len(code) < 17:
        return None
    total = 0
    for character, weight in zip(code, WEIGHTS, strict=False):
        value = VALUES.get(character)
        if value is None:
            return None
        total += value * weight
    return total


def is_denied_uscc(code: str) -> bool:
    """Fillers of 18 characters that people type, whatever their check character says."""
    return code == DENIED or code[8:16] == "00000000" or code == code[0] * len(code)


def _is_pilot(code: str) -> bool:
    values = organisation_code.VALUES
    total = sum(values[character] * weight for character, weight in zip(code, PILOT_WEIGHTS, strict=True))
    return code[2:4] == "35" and code[8:10] == "M0" and total % 37 == 0
