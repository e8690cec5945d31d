"""The receiver as a process: one uvicorn server that says when and where it is ready."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.errors import DeliveryError
from pipelines.sandbox.app import create_app
from pipelines.sandbox.certificates import make_certificates, tls_context
from pipelines.sandbox.misbehaviour import Misbehaviour
from pipelines.sandbox.other_ways import SftpWay, TablesWay, other_ways
from pipelines.settings import Settings


class AnnouncedServer(uvicorn.Server):
    """A server that says so once it answers: to ``ready``, with its address, and in a file that holds its port.

    The file is taken away when it stops. With ``tls`` it speaks HTTPS only.
    """

    def __init__(
        self,
        app: FastAPI,
        listening: socket.socket,
        port_file: Path | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        ready: Callable[[str], None] = lambda _url: None,
    ) -> None:
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=3)
        if tls is not None:
            config.ssl_context_factory = lambda _config, _default: tls
        super().__init__(config)
        self._listening = listening
        self._port_file = port_file
        self._ready = ready

    @property
    def port(self) -> int:
        return int(self._listening.getsockname()[1])

    @property
    def url(self) -> str:
        host = self._listening.getsockname()[0]
        return f"{'https' if self.config.is_ssl else 'http'}://{host}:{self.port}"

    def run_here(self) -> None:
        """Serve until asked to stop."""
        self.run(sockets=[self._listening])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.started:
            return
        self._ready(self.url)
        if self._port_file is not None:
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
    *,
    certificates: Path | None = None,
    sftp: SftpWay | None = None,
    tables: TablesWay | None = None,
    ready: Callable[[str], None] = lambda _url: None,
) -> None:
    """Run the receiver for the categories of this installation until it is told to stop (SIGINT, SIGTERM).

    ``port`` 0 takes any free port; ``port_file`` receives the number as soon as the receiver answers, and ``ready`` is
    told for people where that is. With a folder for ``certificates`` it makes new ones there and speaks HTTPS. Files
    over ``sftp`` and front-end ``tables`` come to the same desk.
    Raises :class:`DeliveryError` for a missing token or an address that is taken.
    """
    if not token:
        raise DeliveryError("the sandbox receiver has no token", remedy="set the variable that holds the token")
    if port_file is not None:
        port_file.parent.mkdir(parents=True, exist_ok=True)
        port_file.unlink(missing_ok=True)
    misbehaviour = Misbehaviour()
    categories = load_catalogue(Settings()).categories
    app = create_app(store, categories, token, subjects=subjects, misbehaviour=misbehaviour)
    tls = None
    if certificates is not None:
        make_certificates(certificates)
        tls = tls_context(certificates, misbehaviour)
    with other_ways(app.state.desk, token, sftp, tables) as lines, listen(host, port) as listening:

        def announce(url: str) -> None:
            ready(f"The receiver answers at {url}; its page is {url}/ (Ctrl-C stops it).")
            for line in lines:
                ready(line)

        AnnouncedServer(app, listening, port_file, tls=tls, ready=announce).run_here()


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; a :class:`DeliveryError` names the address when it cannot be had."""
    try:
        return socket.create_server((host, port))
    except OSError as error:
        raise DeliveryError(
            f"the address {host}:{port} cannot be served ({error.strerror})",
            remedy="stop what uses it, or take another port (0 for any free one)",
        ) from error
