"""Codes for samples and tests: formally right, belonging to nobody.

Nothing in the pipeline may call this on received data: a check character is never computed and filled in.
"""

from __future__ import annotations

from datetime import date

from pipelines.identity.iso_7064 import mod_11_10_product
from pipelines.identity.organisation_code import organisation_code_check_character
from pipelines.identity.resident_id import resident_id_check_character
from pipelines.identity.uscc import uscc_check_character


def synthetic_organisation_code(serial: str) -> str:
    """Nine characters from a serial of eight (0-9 A-Z); raises ValueError for another serial."""
    check = organisation_code_check_character(serial) if len(serial) == 8 else None
    if check is None:
        raise ValueError(f"an organisation serial is eight characters 0-9 A-Z, not {serial!r}")
    return serial + check


def synthetic_uscc(prefix: str, region: str, serial: str) -> str:
    """18 characters from department and kind (2), region (6) and organisation serial (8), with both checks.

    Raises ValueError when the parts have other lengths or letters outside the alphabet (I O S V Z).
    """
    body = prefix + region + synthetic_organisation_code(serial)
    check = uscc_check_character(body) if len(prefix) == 2 and len(region) == 6 else None
    if check is None:
        raise ValueError(f"not the parts of a unified social credit code: {prefix!r}, {region!r}, {serial!r}")
    return body + check


def synthetic_resident_id(region: str, birth: date, serial: int) -> str:
    """18 characters from region (6 digits), birth date and serial (0-999; odd for men)."""
    body = f"{region}{birth:%Y%m%d}{serial:03d}"
    check = resident_id_check_character(body) if len(region) == 6 and len(body) == 17 else None
    if check is None:
        raise ValueError("a region is six digits and a serial 0-999")
    return body + check


def synthetic_registration_number(region: str, serial: str) -> str:
    """15 digits from the registration authority (6 digits) and a serial (8 digits)."""
    body = region + serial
    if len(region) != 6 or len(serial) != 8 or not (body.isascii() and body.isdigit()):
        raise ValueError(f"a region is six digits and a serial eight, not {region!r}, {serial!r}")
    return body + str((11 - mod_11_10_product(body)) % 10)
