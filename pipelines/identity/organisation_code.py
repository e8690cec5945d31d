"""Organisation codes (组织机构代码), GB 11714-1997: eight characters 0-9 A-Z and a check character.

C9 = 11 - Σ c·w mod 11 with weights 3 7 9 10 5 8 4 2; 10 is written X, 11 is written 0. Hyphens are taken out
before. The same nine characters stand at places 9-17 of a unified social credit code.
"""

from __future__ import annotations

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
VALUES = {character: value for value, character in enumerate(ALPHABET)}
WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
CHECK_CHARACTERS = "0X987654321"


def organisation_code_check_character(code: str | None) -> str | None:
    """The check character that belongs to the first eight characters; None when they are not 0-9 A-Z."""
    if code is None or len(code) < 8:
        return None
    total = 0
    for character, weight in zip(code, WEIGHTS, strict=False):
        value = VALUES.get(character)
        if value is None:
            return None
        total += value * weight
    return CHECK_CHARACTERS[total % 11]


def organisation_code_verdict(code: str | None) -> str | None:
    """``valid`` or ``invalid``; None for None. Eight times the same character is a filler, never a code."""
    if code is None:
        return None
    if len(code) != 9 or code[:8] == code[0] * 8:
        return "invalid"
    return "valid" if code[8] == organisation_code_check_character(code) else "invalid"
