"""An SFTP connection: where the server is, how we know that it is the right one, and how its account is opened."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from paramiko import HostKeys, PKey, Transport
from paramiko.hostkeys import HostKeyEntry, InvalidHostKey
from paramiko.pkey import UnknownKeyType
from paramiko.ssh_exception import AuthenticationException, BadAuthenticationType, IncompatiblePeer, SSHException

from pipelines.catalogue.sources import SftpSource
from pipelines.errors import SourceError
from pipelines.intake.connectors.patience import Trouble
from pipelines.intake.connectors.sftp_client import BROKEN, NamesAsBytes
from pipelines.intake.connectors.time_limit import time_limit
from pipelines.settings import Settings

_SSH_PORT = 22
# The library logs stack traces of errors that it raises as well; none should stand in front of an operator.
_LOG = "pipelines.intake.sftp"
logging.getLogger(_LOG).setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Server:
    """Where an account is."""

    host: str
    port: int

    @property
    def address(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"sftp://{host}:{self.port}"

    @property
    def known_name(self) -> str:
        """What a known_hosts file calls it."""
        return self.host if self.port == _SSH_PORT else f"[{self.host}]:{self.port}"


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

    Raises :class:`Trouble` for what may pass and :class:`SourceError` for the rest. A refused account and an unknown
    server are never tried again: the one locks accounts, the other helps whoever sits between.
    """
    known, where = _known_hosts(source, settings, server)
    key = None if source.key_variable is None else _private_key(source.key_variable, source, server)
    password = None if source.password_variable is None else _variable(source.password_variable, "password", server)
    seconds = source.timeout_seconds
    try:
        connection = socket.create_connection((server.host, server.port), timeout=seconds)
    except OSError as error:
        raise trouble(error, seconds) from error
    transport = Transport(connection)
    transport.set_log_channel(_LOG)
    transport.banner_timeout = transport.auth_timeout = transport.channel_timeout = seconds
    try:
        with time_limit(seconds, connection.fileno):
            _greet(transport, seconds, known, where, server)
            _log_in(transport, source, key, password, server)
            return transport, _open_client(transport, seconds)
    except BaseException:
        transport.close()
        raise


def trouble(error: BaseException, seconds: float) -> Trouble:
    """What a broken connection is called."""
    if isinstance(error, TimeoutError):
        problem = f"no answer within {seconds:g} seconds"
    elif isinstance(error, ConnectionRefusedError):
        problem = "nobody listens there"
    elif isinstance(error, socket.gaierror):
        problem = "the name of the host is unknown here"
    elif isinstance(error, OSError) and error.strerror:
        problem = f"the connection failed: {error.strerror}"
    else:
        problem = "the connection was cut"
    return Trouble(problem, remedy="ask the operators of the server, then run again; what was transferred is kept")


def _greet(transport: Transport, seconds: float, known: HostKeys, where: Path, server: Server) -> None:
    """Agree on keys, and check that the server is who we think; nothing of the account has been said yet."""
    keys = dict(known.lookup(server.known_name) or {})
    options = transport.get_security_options()
    options.key_types = sorted(options.key_types, key=lambda kind: _plain(kind) not in keys)
    try:
        transport.start_client(timeout=seconds)
        shown = transport.get_remote_server_key()
    except IncompatiblePeer as error:
        raise SourceError(
            f"the server and we have no method in common: {error}",
            remedy="ask its operators to allow current methods (Ed25519 or RSA with SHA-2, curve25519, AES)",
            file=server.address,
        ) from error
    except BROKEN as error:
        raise trouble(error, seconds) from error
    line = (HostKeyEntry([server.known_name], shown).to_line() or "").strip()
    if not keys:
        raise SourceError(
            f"the server is not in {where}; it shows {shown.get_name()} {shown.fingerprint}",
            remedy=f"compare this fingerprint with the one the department tells you, then add the line: {line}",
            file=server.address,
        )
    expected = keys.get(shown.get_name())
    if expected is None or expected.asbytes() != shown.asbytes():
        prints = ", ".join(sorted(f"{key.get_name()} {key.fingerprint}" for key in keys.values()))
        raise SourceError(
            f"the server shows another key than {where} has: {shown.get_name()} {shown.fingerprint}, known is {prints}",
            remedy="send nothing until the department says that it changed its key, with this fingerprint; then "
            f"replace the old line by: {line}",
            file=server.address,
        )


def _log_in(transport: Transport, source: SftpSource, key: PKey | None, password: str | None, server: Server) -> None:
    variable = source.key_variable or source.password_variable
    try:
        if key is not None:
            further = transport.auth_publickey(source.user, key)
        else:
            further = transport.auth_password(source.user, password or "")
    except BadAuthenticationType as error:
        raise SourceError(
            f"the server does not open the account this way, it wants {', '.join(error.allowed_types)}",
            remedy="give the feed key_variable or password_variable accordingly",
            file=server.address,
        ) from error
    except AuthenticationException as error:
        raise SourceError(
            "the server refuses the account; it was not tried again, so that it is not locked",
            remedy=f"check source.user in the feed's YAML and the environment variable {variable}",
            file=server.address,
        ) from error
    except BROKEN as error:
        raise SourceError(
            "the connection ended while the account was being opened; it was not tried again, so that it is not locked",
            remedy=f"check the environment variable {variable}, ask the operators of the server, then run again",
            file=server.address,
        ) from error
    if further:
        raise SourceError(
            f"the server wants more than one proof: {', '.join(further)}",
            remedy="ask for an account that a key or a password alone opens",
            file=server.address,
        )


def _open_client(transport: Transport, seconds: float) -> NamesAsBytes:
    try:
        channel = transport.open_session(timeout=seconds)
        channel.settimeout(seconds)
        channel.invoke_subsystem("sftp")
        return NamesAsBytes(channel)
    except BROKEN as error:
        raise trouble(error, seconds) from error


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
    passphrase: bytes | None = None
    if source.key_passphrase_variable is not None:
        passphrase = _variable(source.key_passphrase_variable, "passphrase of the key", server).encode()
    try:
        # The library hands the passphrase on to one that takes bytes only.
        key: PKey = PKey.from_path(path, passphrase)  # type: ignore[arg-type]
    except OSError as error:
        raise SourceError(
            f"the private key cannot be read: {error.strerror}",
            remedy=f"check the path in the environment variable {variable} and who may read the file",
            file=server.address,
        ) from error
    except (TypeError, ValueError, SSHException, UnknownKeyType) as error:
        raise SourceError(
            "the private key cannot be opened",
            remedy=f"let {variable} name an OpenSSH private key, and key_passphrase_variable its passphrase if it has "
            "one (ssh-keygen -p converts other formats)",
            file=server.address,
        ) from error
    return key


def _variable(name: str, what: str, server: Server) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise SourceError(f"the {what} is missing", remedy=f"set the environment variable {name}", file=server.address)
    return value


def _plain(kind: str) -> str:
    """The kind of key behind a kind of signature."""
    return "ssh-rsa" if kind.startswith("rsa-sha2-") else kind.removesuffix("-cert-v01@openssh.com")
