"""The folders of an SFTP account, spoken to over one connection that is opened when it is needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TypeVar

from paramiko import HostKeys, SSHException, Transport
from paramiko.hostkeys import HostKeyEntry, InvalidHostKey

from pipelines.catalogue.endpoints import Endpoint
from pipelines.catalogue.protocols import SftpFile
from pipelines.delivery.address import endpoint_secret, endpoint_server
from pipelines.delivery.replies import Trouble
from pipelines.errors import DeliveryError
from pipelines.network.sftp_client import BROKEN, NamesAsBytes, StatusError
from pipelines.network.sftp_connection import Account, ConnectionTrouble, connect, private_key, trouble, variable_value
from pipelines.network.sftp_upload import IncompleteError, upload
from pipelines.network.time_limit import TimeLimitError, cut_after

Answer = TypeVar("Answer")
# The text of other refusals is the server's own: most have no better code for a full disk or a quota.
FAILURE = 4


def account_of(endpoint: Endpoint, section: SftpFile, environment: Mapping[str, str] = os.environ) -> Account:
    """What opens the account of an endpoint; a :class:`DeliveryError` names what is missing or cannot be read."""
    server = endpoint_server(endpoint, environment)
    secret = endpoint_secret(endpoint, environment)
    described_in = f"schemas/endpoints/{endpoint.endpoint}.yaml"
    key = None
    if section.authentication == "key":
        passphrase = None
        if section.passphrase_variable is not None:
            what = "passphrase of the key"
            passphrase = variable_value(section.passphrase_variable, what, DeliveryError, server, environment)
        key = private_key(secret, passphrase, endpoint.secret_variable, DeliveryError, server)
    return Account(
        server=server,
        user=section.user,
        key=key,
        password=secret if key is None else None,
        variable=endpoint.secret_variable,
        known=_pinned(section.host_key, server.known_name, described_in),
        known_from=described_in,
        owner="the receiver",
        described_in=described_in,
        error=DeliveryError,
    )


def _pinned(host_key: str, name: str, described_in: str) -> HostKeys:
    known = HostKeys()
    try:
        entry = HostKeyEntry.from_line(f"{name} {host_key}")
    except (InvalidHostKey, SSHException):
        entry = None
    if entry is None or entry.key is None:
        raise DeliveryError(
            "sftp_file.host_key is no public key",
            remedy="put the kind and the key there, as ssh-keyscan prints them behind the name",
            file=described_in,
        )
    known.add(name, entry.key.get_name(), entry.key)
    return known


class SftpFolders:
    """Files by their paths, which begin at the first folder of the account.

    Every call raises :class:`Trouble` for what may pass, and :class:`DeliveryError` when the account may not do it or a
    folder is missing. ``seconds`` bound each exchange.
    """

    def __init__(self, account: Account, seconds: float) -> None:
        self._account = account
        self._seconds = seconds
        self._open: tuple[Transport, NamesAsBytes] | None = None

    def close(self) -> None:
        """Let go of the connection."""
        if self._open is not None:
            self._open[0].close()
            self._open = None

    def size(self, path: str) -> int | None:
        """Size in bytes of the file at ``path``; None when there is none."""
        attributes = self._ask(path, lambda client: _if_there(lambda: client.stat(path.encode())))
        return None if attributes is None else attributes.st_size or 0

    def read(self, path: str, most: int) -> bytes | None:
        """The file at ``path``; None when there is none. One of more than ``most`` bytes is trouble."""

        def fetch(client: NamesAsBytes) -> bytes | None:
            remote = _if_there(lambda: client.reader(path.encode()))
            if remote is None:
                return None
            content: bytes = remote.read(most + 1)
            remote.close()
            return content

        content = self._ask(path, fetch)
        if content is not None and len(content) > most:
            raise Trouble("broken", f"{path} has more than {most} bytes")
        return content

    def write(self, path: str, content: bytes) -> None:
        """Write a file as a whole, replacing what lies there, and check that the server has all of it on its disk."""

        def put(client: NamesAsBytes) -> None:
            upload(client, path.encode(), content, self._seconds)

        self._ask(path, put, bounded=False)

    def rename(self, old: str, new: str) -> bool:
        """Give a file another name at once, never that of another one; ``False`` when it is not there."""

        def move(client: NamesAsBytes) -> bool:
            client.rename(old.encode(), new.encode())
            return True

        return self._ask(new, lambda client: _if_there(lambda: move(client))) is not None

    def remove(self, path: str) -> None:
        """Delete a file, if it is there."""
        self._ask(path, lambda client: _if_there(lambda: client.remove(path.encode())))

    def _ask(self, path: str, question: Callable[[NamesAsBytes], Answer], *, bounded: bool = True) -> Answer:
        try:
            client = self._client()
        except ConnectionTrouble as error:
            raise Trouble("unreachable", str(error)) from error
        try:
            if not bounded:
                return question(client)
            with cut_after(self._seconds, client.descriptor):
                return question(client)
        except StatusError as error:
            raise self._refusal(path, error) from error
        except IncompleteError as error:
            raise Trouble("broken", f"{path}: {error}") from error
        except TimeLimitError as error:
            self.close()
            raise Trouble("ambiguous", f"{path}: {error}") from error
        except BROKEN as error:
            self.close()
            raise Trouble("ambiguous", f"{path}: {trouble(error, self._seconds)}") from error

    def _client(self) -> NamesAsBytes:
        if self._open is None:
            self._open = connect(self._account, self._seconds)
        return self._open[1]

    def _refusal(self, path: str, error: StatusError) -> Trouble | DeliveryError:
        place = f"{self._account.server.address}/{path}"
        if error.is_denied:
            return DeliveryError(
                "the account may not do this; everything stays queued",
                remedy="ask the receiver to let the account write and rename files there",
                file=place,
            )
        if error.is_missing:
            return DeliveryError(
                "there is no such folder; everything stays queued",
                remedy=f"check the folders in {self._account.described_in}, or ask the receiver to make it",
                file=place,
            )
        said = f"status {error.code}" + (f": {error.text}" if error.text else "")
        reason = ", which most servers say when the disk or the quota is full" if error.code == FAILURE else ""
        return Trouble("broken", f"{path}: the server refuses ({said}){reason}")


def _if_there(question: Callable[[], Answer]) -> Answer | None:
    try:
        return question()
    except StatusError as error:
        if error.is_missing:
            return None
        raise
