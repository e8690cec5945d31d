"""The ways into the receiver that are no HTTP: its SFTP server, and the front-end tables that it consumes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipelines.catalogue.endpoints import Endpoint
from pipelines.sandbox.desk import Desk


@dataclass(frozen=True)
class SftpWay:
    """Files for ``endpoint``, in folders below ``root``; port 0 takes any free one."""

    endpoint: Endpoint
    root: Path
    port: int = 0


@dataclass(frozen=True)
class TablesWay:
    """The tables of ``endpoint`` in the database at ``url``, which holds user and password of the upper side."""

    endpoint: Endpoint
    url: str


@contextmanager
def other_ways(desk: Desk, token: str, sftp: SftpWay | None, tables: TablesWay | None) -> Iterator[list[str]]:
    """Open them, with the token as the password of SFTP; gives a line about each, for people.

    The libraries are loaded when they are needed only.
    """
    lines: list[str] = []
    with ExitStack() as stack:
        if sftp is not None:
            from pipelines.sandbox.sftp_file import SftpReceiver  # noqa: PLC0415

            sftp.root.mkdir(parents=True, exist_ok=True)
            host_key = sftp.root.with_name(f"{sftp.root.name}.host_key")
            receiver = SftpReceiver(desk, sftp.endpoint, sftp.root, host_key, password=token, port=sftp.port)
            stack.enter_context(receiver)
            lines.append(f"SFTP at sftp://127.0.0.1:{receiver.port}, host_key: {receiver.public_key}")
        if tables is not None:
            from pipelines.sandbox.exchange_table import start_consumer  # noqa: PLC0415

            stack.callback(start_consumer(desk, tables.endpoint, tables.url).stop)
            lines.append(f"The front-end tables of {tables.endpoint.endpoint} are consumed")
        yield lines
