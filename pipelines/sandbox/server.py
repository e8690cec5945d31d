"""The receiver as a process: one uvicorn server that says when and where it is ready."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.errors import DeliveryError
from pipelines.sandbox.app import create_app
from pipelines.settings import Settings


class AnnouncedServer(uvicorn.Server):
    """A server that writes its port to a file once it answers, and takes the file away when it stops."""

    def __init__(self, app: FastAPI, listening: socket.socket, port_file: Path | None = None) -> None:
        super().__init__(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=3))
        self._listening = listening
        self._port_file = port_file

    @property
    def port(self) -> int:
        return int(self._listening.getsockname()[1])

    def run_here(self) -> None:
        """Serve until asked to stop."""
        self.run(sockets=[self._listening])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._port_file is not None and self.started:
            # Whoever waits for the file must never read half of it.
            draft = self._port_file.with_name(f".{self._port_file.name}.{os.getpid()}")
            draft.write_text(f"{self.port}\n", encoding="ascii")
            draft.replace(self._port_file)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Here and not after run(): the signal that stopped the server is raised once more before that returns.
        await super().shutdown(sockets)
        if self._port_file is not None:
            self._port_file.unlink(missing_ok=True)


def serve(
    host: str,
    port: int,
    store: Path,
    subjects: Path | None,
    token: str,
    port_file: Path | None = None,
) -> None:
    """Run the receiver for the categories of this installation until it is told to stop (SIGINT, SIGTERM).

    ``port`` 0 takes any free port; ``port_file`` receives the number as soon as the receiver answers.
    Raises :class:`DeliveryError` for a missing token or an address that is taken.
    """
    if not token:
        raise DeliveryError("the sandbox receiver has no token", remedy="set the variable that holds the token")
    if port_file is not None:
        port_file.parent.mkdir(parents=True, exist_ok=True)
        port_file.unlink(missing_ok=True)
    app = create_app(store, load_catalogue(Settings()).categories, token, subjects=subjects)
    with listen(host, port) as listening:
        AnnouncedServer(app, listening, port_file).run_here()


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; a :class:`DeliveryError` names the address when it cannot be had."""
    try:
        return socket.create_server((host, port))
    except OSError as error:
        raise DeliveryError(
            f"the address {host}:{port} cannot be served ({error.strerror})",
            remedy="stop what uses it, or take another port (0 for any free one)",
        ) from error
