"""One bound on a whole exchange: the time-outs of drivers begin anew with each byte that arrives."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Lock, Timer


class TimeLimitError(Exception):
    """An exchange took longer than it may; its connection was cut."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no complete answer within {seconds:g} seconds")


@contextmanager
def cut_after(seconds: float, descriptor: Callable[[], int | None]) -> Iterator[None]:
    """Cut the connection when the block takes longer than ``seconds``, which then ends with :class:`TimeLimitError`.

    ``descriptor`` gives the socket's descriptor as soon as there is one. Whatever waits on the socket wakes up with an
    error of its own, which is replaced.
    """
    lock = Lock()
    is_over = was_cut = False

    def cut() -> None:
        nonlocal was_cut
        with lock:
            if not is_over:
                was_cut = True
                cut_connection(descriptor())

    timer = Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception:
        with lock:
            is_over = True
        if not was_cut:
            raise
    finally:
        timer.cancel()
        with lock:
            is_over = True
    if was_cut:
        raise TimeLimitError(seconds)


def cut_connection(descriptor: int | None) -> None:
    """Shut a socket down, whichever thread waits on it; one that is closed already is let be."""
    if descriptor is None or descriptor < 0:
        return
    # A copy of the descriptor: the driver still owns, and closes, its own.
    with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as twin:
        twin.shutdown(socket.SHUT_RDWR)
