"""The bound on an exchange with a source: one that takes too long is trouble that may pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipelines.intake.connectors.patience import Trouble
from pipelines.network.time_limit import TimeLimitError, cut_after


@contextmanager
def time_limit(seconds: float, descriptor: Callable[[], int | None]) -> Iterator[None]:
    """Like :func:`cut_after`, but ends with :class:`Trouble`."""
    try:
        with cut_after(seconds, descriptor):
            yield
    except TimeLimitError as error:
        raise Trouble(
            str(error), remedy="ask the operators of the source, or raise source.timeout_seconds in the feed's YAML"
        ) from error
