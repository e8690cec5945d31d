"""Trouble with a source that may pass, and how often a source is asked again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type

from pipelines.catalogue.sources import Retries
from pipelines.errors import SourceError

CHINA = timezone(timedelta(hours=8))

Answer = TypeVar("Answer")


class Trouble(Exception):
    """Trouble that may be gone at the next attempt; ``pause`` is how long the source asks to be left alone."""

    def __init__(self, problem: str, *, remedy: str, pause: timedelta | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy
        self.pause = pause


def patiently(
    retries: Retries, place: str, call: Callable[[], Answer], progress: Callable[[str], None] = lambda _text: None
) -> Answer:
    """Call until it answers; raises :class:`SourceError` about ``place`` when patience ends.

    Only :class:`Trouble` is tried again. A source that asks for a longer pause than ``retries.longest_seconds`` is left
    alone at once, and the error says until when.
    """

    def pause(state: RetryCallState) -> float:
        own = min(retries.longest_seconds, retries.first_seconds * 2.0 ** (state.attempt_number - 1))
        return max(own, _asked(state))

    def stop(state: RetryCallState) -> bool:
        return state.attempt_number >= retries.attempts or _asked(state) > retries.longest_seconds

    def tell(state: RetryCallState) -> None:
        progress(f"{place}: attempt {state.attempt_number} failed, {_trouble(state).problem}")

    attempts = Retrying(retry=retry_if_exception_type(Trouble), wait=pause, stop=stop, before_sleep=tell, reraise=True)
    try:
        answer: Answer = attempts(call)
    except Trouble as trouble:
        raise _final(trouble, retries, place, attempts.statistics["attempt_number"]) from None
    return answer


def _final(trouble: Trouble, retries: Retries, place: str, attempts: int) -> SourceError:
    if trouble.pause is not None and trouble.pause.total_seconds() > retries.longest_seconds:
        until = (datetime.now(UTC) + trouble.pause).astimezone(CHINA)
        return SourceError(
            f"{trouble.problem}; the source asks to be left alone until {until:%Y-%m-%d %H:%M:%S} (UTC+8)",
            remedy="run the batch again after that",
            file=place,
        )
    times = "once" if attempts == 1 else f"{attempts} times"
    return SourceError(f"{trouble.problem} (tried {times})", remedy=trouble.remedy, file=place)


def _trouble(state: RetryCallState) -> Trouble:
    error = state.outcome.exception() if state.outcome is not None else None
    if not isinstance(error, Trouble):
        raise TypeError("only trouble is waited for")
    return error


def _asked(state: RetryCallState) -> float:
    asked = _trouble(state).pause
    return 0.0 if asked is None else asked.total_seconds()
