"""References of tasks: short enough for a telephone call, never given twice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

# No I, L, O, U, 0 and 1: none is taken for another when it is read out or written by hand.
_LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH = 4
_MOST_INITIALS = 4


def new_reference(feed: str, rule: str, field: str, is_taken: Callable[[str], bool]) -> str:
    """The reference of a new task, such as ``MP-3F7K``: initials of its feed, then four signs of a hash.

    Derived from what the task is about; ``is_taken`` says which references other tasks have.
    """
    attempt = 0
    while True:
        text = "\x1f".join((feed, rule, field, str(attempt)))
        number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        signs = ""
        for _ in range(_LENGTH):
            number, place = divmod(number, len(_LETTERS))
            signs += _LETTERS[place]
        reference = f"{_initials(feed)}-{signs}"
        if not is_taken(reference):
            return reference
        attempt += 1


def _initials(feed: str) -> str:
    words = [word for word in feed.upper().split("_") if word]
    return words[0][:2] if len(words) == 1 else "".join(word[0] for word in words)[:_MOST_INITIALS]
