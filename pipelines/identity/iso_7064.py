"""The check character system ISO/IEC 7064 MOD 11,10, which business registration numbers use."""

from __future__ import annotations


def mod_11_10_product(digits: str) -> int:
    """The running product after ``digits`` (ASCII digits only); 10 at the start, always 1-10."""
    product = 10
    for digit in digits:
        product = ((product + int(digit)) % 10 or 10) * 2 % 11
    return product


def mod_11_10_holds(digits: str) -> bool:
    """Whether the last digit is the check digit of those before it; False for anything but ASCII digits."""
    if not (digits.isascii() and digits.isdigit()):
        return False
    return (mod_11_10_product(digits[:-1]) + int(digits[-1])) % 10 == 1
