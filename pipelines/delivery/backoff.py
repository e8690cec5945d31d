"""How long to wait before asking again."""

from __future__ import annotations

import math
from datetime import timedelta

from tenacity import RetryCallState

from pipelines.catalogue.endpoints import Retry
from pipelines.delivery.replies import Trouble


def growing(first: timedelta, factor: float, longest: timedelta, count: int) -> timedelta:
    """The pause after ``count`` (from 1) failures: ``first`` × ``factor``ᶜ⁻¹, never above ``longest``."""
    if count < 1:
        raise ValueError("failures count from 1")
    steps = count - 1
    # Compared as logarithms, so that a large count cannot overflow.
    if first >= longest or steps * math.log(factor) >= math.log(longest / first):
        return longest
    return min(longest, first * factor**steps)


def delay(attempt: int, retry: Retry) -> timedelta:
    """The pause after attempt number ``attempt`` (from 1) at a call."""
    first, longest = (timedelta(seconds=seconds) for seconds in (retry.first_seconds, retry.longest_seconds))
    return growing(first, retry.factor, longest, attempt)


class Wait:
    """Tenacity's waiting rule for an endpoint: the back-off, or longer when the receiver says so (Retry-After)."""

    def __init__(self, retry: Retry) -> None:
        self._retry = retry

    def __call__(self, state: RetryCallState) -> float:
        pause = delay(state.attempt_number, self._retry)
        trouble = _trouble(state)
        if trouble is not None and trouble.retry_after is not None:
            pause = max(pause, trouble.retry_after)
        return pause.total_seconds()


class Stop:
    """Tenacity's stopping rule: all attempts used, or told to stay away longer than a run may wait."""

    def __init__(self, retry: Retry, longest: timedelta) -> None:
        self._attempts = retry.attempts
        self._longest = longest

    def __call__(self, state: RetryCallState) -> bool:
        trouble = _trouble(state)
        told = trouble.retry_after if trouble is not None else None
        return state.attempt_number >= self._attempts or (told is not None and told > self._longest)


def _trouble(state: RetryCallState) -> Trouble | None:
    error = state.outcome.exception() if state.outcome is not None else None
    return error if isinstance(error, Trouble) else None
