"""What people say about themselves and their reasons, as the ledger keeps it."""

from __future__ import annotations

from pipelines.identity.masking import mask_text

LONGEST_NAME = 100


def name_of(by: str) -> str:
    """Who says so, in at most 100 characters; numbers of persons are masked."""
    return (mask_text(by.strip()) or "")[:LONGEST_NAME]


def reason_of(why: str) -> str:
    """A reason is read by many; numbers of persons have no place in it."""
    return mask_text(why.strip()) or ""
