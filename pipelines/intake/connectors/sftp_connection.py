"""The SFTP account of a feed: where it is, which server key is known, and what opens it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from paramiko import HostKeys, PKey, Transport
from paramiko.hostkeys import InvalidHostKey
from paramiko.ssh_exception import SSHException

from pipelines.catalogue.sources import SftpSource
from pipelines.errors import SourceError
from pipelines.intake.connectors.patience import Trouble
from pipelines.network import sftp_connection
from pipelines.network.sftp_client import NamesAsBytes
from pipelines.network.sftp_connection import Account, ConnectionTrouble, Server
from pipelines.settings import Settings


def server_of(source: SftpSource, environment: Mapping[str, str] = os.environ) -> Server:
    """The server that the feed names, or its ``host_variable`` where that is set."""
    given = "" if source.host_variable is None else environment.get(source.host_variable, "")
    if not given:
        return Server(source.host, source.port)
    try:
        parts = urlsplit(f"//{given}")
        server = Server(parts.hostname or "", parts.port or source.port)
    except ValueError:
        server = Server("", 0)
    if not server.host or "@" in given or "/" in given:
        raise SourceError(
            "the address of the SFTP server is neither a host nor host:port",
            remedy=f"mend the environment variable {source.host_variable}",
        )
    return server


def connect(source: SftpSource, settings: Settings, server: Server) -> tuple[Transport, NamesAsBytes]:
    """Open the account; the caller closes the transport.

    Raises :class:`Trouble` for what may pass and :class:`SourceError` for the rest.
    """
    known, where = _known_hosts(source, settings, server)
    key = None if source.key_variable is None else _private_key(source.key_variable, source, server)
    password = None if source.password_variable is None else _variable(source.password_variable, "password", server)
    account = Account(
        server=server,
        user=source.user,
        key=key,
        password=password,
        variable=source.key_variable or source.password_variable or "",
        known=known,
        known_from=str(where),
        owner="the department",
        described_in="the feed's YAML",
        error=SourceError,
    )
    try:
        return sftp_connection.connect(account, source.timeout_seconds)
    except ConnectionTrouble as error:
        raise passing(error) from error


def trouble(error: BaseException, seconds: float) -> Trouble:
    """What a broken connection is called."""
    return passing(sftp_connection.trouble(error, seconds))


def passing(error: ConnectionTrouble) -> Trouble:
    """Trouble with a connection as trouble with a source."""
    return Trouble(str(error), remedy="ask the operators of the server, then run again; what was transferred is kept")


def _known_hosts(source: SftpSource, settings: Settings, server: Server) -> tuple[HostKeys, Path]:
    if source.known_hosts is not None:
        path = settings.schemas / source.known_hosts
    else:
        path = Path(_variable(source.known_hosts_variable or "", "path of the known_hosts file", server))
    try:
        return HostKeys(str(path)), path
    except (OSError, UnicodeDecodeError, InvalidHostKey, SSHException) as error:
        raise SourceError(
            "the keys of known servers cannot be read",
            remedy="make it a known_hosts file as OpenSSH writes it; ssh-keyscan prints its lines",
            file=path,
        ) from error


def _private_key(variable: str, source: SftpSource, server: Server) -> PKey:
    path = _variable(variable, "path of the private key", server)
    passphrase = None
    if source.key_passphrase_variable is not None:
        passphrase = _variable(source.key_passphrase_variable, "passphrase of the key", server)
    return sftp_connection.private_key(path, passphrase, variable, SourceError, server)


def _variable(name: str, what: str, server: Server) -> str:
    return sftp_connection.variable_value(name, what, SourceError, server, os.environ)
