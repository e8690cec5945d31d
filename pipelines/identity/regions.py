"""Which region codes can stand at the head of a number (GB/T 2260, first four digits, 1980 to today).

Codes live as long as the numbers that carry them: a county abolished in 1990 still heads resident identity
numbers. So only the province and prefecture are looked at, over the whole history of the standard. Business
codes are never rejected for their region, see :func:`pipelines.identity.uscc.uscc_warnings`.
"""

from __future__ import annotations

from functools import cache

# Province to the prefecture numbers (third and fourth digit) that GB/T 2260 has ever listed; 90 groups the counties
# under direct provincial rule. 81, 82 and 83 head the residence permits of Hong Kong, Macao and Taiwan residents.
PREFECTURES = {
    "11": "00-02",
    "12": "00-02",
    "13": "00-11 21-30 90",
    "14": "00-11 21-27 90",
    "15": "00-09 21-29",
    "21": "00-14 21-22 90",
    "22": "00-08 21-26 90",
    "23": "00-12 21-27 90",
    "31": "00-02",
    "32": "00-13 21-27 90",
    "33": "00-11 21-27 90",
    "34": "00-18 21-29",
    "35": "00-09 21-27 90",
    "36": "00-11 21-26 90",
    "37": "00-17 21-29 90",
    "41": "00-17 21-30 90",
    "42": "00-13 21-29 90",
    "43": "00-13 21-31 90",
    "44": "00-29 51-53 90",
    "45": "00-14 21-28",
    "46": "00-04 90",
    "50": "00-03",
    "51": "00-39 90",
    "52": "00-06 21-27",
    "53": "00-09 21-35",
    "54": "00-06 21-27",
    "61": "00-10 21-27",
    "62": "00-12 21-30",
    "63": "00-02 21-28",
    "64": "00-05 21-22",
    "65": "00-05 21-32 40-43 90",
    "71": "00",
    "81": "00",
    "82": "00",
    "83": "00",
}

# Business codes are also issued by national authorities: 100000, and 990000 where no region applies (domain of
# GB 32100, section 4: "never validate against the current list only").
NATIONAL_PREFIXES = frozenset({"10", "99"})


@cache
def prefectures() -> frozenset[str]:
    """Every known four-digit head of a region code."""
    known = set()
    for province, ranges in PREFECTURES.items():
        for part in ranges.split():
            first, _, last = part.partition("-")
            known |= {f"{province}{number:02d}" for number in range(int(first), int(last or first) + 1)}
    return frozenset(known)


def is_resident_region(region: str) -> bool:
    """Whether a six-digit code can head a resident identity number."""
    return region[:4] in prefectures()


def is_business_region(region: str) -> bool:
    """Whether six characters have the form of a region code with a known province or a national prefix."""
    digits = len(region) == 6 and region.isascii() and region.isdigit()
    return digits and (region[:2] in PREFECTURES or region[:2] in NATIONAL_PREFIXES)
