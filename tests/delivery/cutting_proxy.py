"""A way to a database that is cut at a chosen moment."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from sqlalchemy import URL

Cut = Literal["before", "after"]


def commit_of(url: URL) -> bytes:
    """A commit as it goes over the wire; READ COMMITTED and AUTOCOMMIT are something else."""
    return b"COMMIT\0" if url.get_backend_name() == "postgresql" else b"\x03COMMIT"


class CuttingProxy:
    """Passes everything on to a port of this machine, until it is told to cut.

    ``decide`` is asked about everything that we say: ``before`` cuts before it arrives, ``after`` when it is done and
    the answer would come back.
    """

    def __init__(self, port: int, decide: Callable[[bytes], Cut | None]) -> None:
        self._target = port
        self._decide = decide
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                muted = threading.Event()
                threading.Thread(target=self._questions, args=(near, far, muted), daemon=True).start()
                threading.Thread(target=self._answers, args=(far, near, muted), daemon=True).start()

    def _questions(self, near: socket.socket, far: socket.socket, muted: threading.Event) -> None:
        with suppress(OSError):
            while data := near.recv(65536):
                cut = self._decide(data)
                if cut == "before":
                    break
                if cut == "after":
                    muted.set()
                far.sendall(data)
        _hang_up(far, near)

    def _answers(self, far: socket.socket, near: socket.socket, muted: threading.Event) -> None:
        with suppress(OSError):
            # Where an answer comes that nobody may hear, the server has done what it was asked.
            while (data := far.recv(65536)) and not muted.is_set():
                near.sendall(data)
        _hang_up(near, far)


def _hang_up(*connections: socket.socket) -> None:
    for connection in connections:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()
