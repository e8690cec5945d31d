"""A TCP proxy in front of a real server that cuts, freezes or drips the server's answer after so many bytes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal

Failure = Literal["cut", "freeze", "drip"]


class FailingProxy:
    """Passes ``good_bytes`` bytes of each connection's answers, then fails; after ``failures`` connections no more."""

    def __init__(self, server: tuple[str, int] | str, good_bytes: int, failure: Failure, failures: int) -> None:
        self.connections = 0
        self._server = server
        self._good_bytes = good_bytes
        self._failure = failure
        self._failures = failures
        self._stopped = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []

    @property
    def port(self) -> int:
        return int(self._listening.getsockname()[1])

    def serve(self) -> None:
        while not self._stopped.is_set():
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            server = self._connect()
            self._sockets += [client, server]
            limit = self._good_bytes if self.connections <= self._failures else None
            threading.Thread(target=self._pass, args=(client, server, None), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, limit), daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()
        for one in (self._listening, *self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _connect(self) -> socket.socket:
        if isinstance(self._server, tuple):
            return socket.create_connection(self._server)
        opened = socket.socket(socket.AF_UNIX)
        opened.connect(self._server)
        return opened

    def _pass(self, source: socket.socket, target: socket.socket, limit: int | None) -> None:
        passed = 0
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if limit is None or passed + len(data) <= limit:
                    target.sendall(data)
                    passed += len(data)
                    continue
                target.sendall(data[: limit - passed])
                self._fail(target, data[limit - passed :])
                break
            target.shutdown(socket.SHUT_RDWR)
            source.shutdown(socket.SHUT_RDWR)

    def _fail(self, target: socket.socket, rest: bytes) -> None:
        if self._failure == "freeze":
            self._stopped.wait()
        elif self._failure == "drip":
            for byte in rest:
                target.sendall(bytes((byte,)))
                if self._stopped.wait(0.05):
                    return


@contextmanager
def failing_proxy(
    server: tuple[str, int] | str, *, good_bytes: int, failure: Failure = "cut", failures: int = 1_000
) -> Iterator[FailingProxy]:
    """A running proxy to ``server``: host and port, or the path of a local socket."""
    proxy = FailingProxy(server, good_bytes, failure, failures)
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.stop()
        thread.join(timeout=5)
