"""An SFTP connection: how we know that the server is the right one, and how its account is opened."""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from paramiko import HostKeys, PKey, Transport
from paramiko.hostkeys import HostKeyEntry
from paramiko.pkey import UnknownKeyType
from paramiko.ssh_exception import AuthenticationException, BadAuthenticationType, IncompatiblePeer, SSHException

from pipelines.errors import GuijiError
from pipelines.network.sftp_client import BROKEN, NamesAsBytes
from pipelines.network.time_limit import TimeLimitError, cut_after

SSH_PORT = 22
# The library logs stack traces of errors that it raises as well; none should stand in front of an operator.
_LOG = "pipelines.network.sftp"
logging.getLogger(_LOG).setLevel(logging.CRITICAL)


class ConnectionTrouble(Exception):
    """A connection could not be made or did not hold; that may pass."""


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
        return self.host if self.port == SSH_PORT else f"[{self.host}]:{self.port}"


@dataclass(frozen=True)
class Account:
    """What opens an account, and what the errors about it say.

    Either ``key`` or ``password`` is there; ``variable`` is the environment variable it came from. ``known`` are the
    keys of servers that stand in ``known_from``. ``owner`` answers for the server ("the department"), ``described_in``
    says where user and kind of proof stand. ``error`` is the class of the errors that are not worth another try.
    """

    server: Server
    user: str
    key: PKey | None
    password: str | None
    variable: str
    known: HostKeys
    known_from: str
    owner: str
    described_in: str
    error: type[GuijiError]


def connect(account: Account, seconds: float) -> tuple[Transport, NamesAsBytes]:
    """Open the account; the caller closes the transport.

    Raises :class:`ConnectionTrouble` for what may pass and ``account.error`` for the rest. A refused account and an
    unknown server are never tried again: the one locks accounts, the other helps whoever sits between.
    """
    server = account.server
    try:
        connection = socket.create_connection((server.host, server.port), timeout=seconds)
    except OSError as error:
        raise trouble(error, seconds) from error
    transport = Transport(connection)
    transport.set_log_channel(_LOG)
    # One clock only, ``cut_after``: the library's own ends in the same moment, and calls a silent server a cut line.
    transport.banner_timeout = transport.auth_timeout = transport.channel_timeout = 2 * seconds
    try:
        with cut_after(seconds, connection.fileno):
            _greet(transport, seconds, account)
            _log_in(transport, account)
            return transport, _open_client(transport, seconds)
    except TimeLimitError as error:
        transport.close()
        raise ConnectionTrouble(str(error)) from error
    except BaseException:
        transport.close()
        raise


def trouble(error: BaseException, seconds: float) -> ConnectionTrouble:
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
    return ConnectionTrouble(problem)


def _greet(transport: Transport, seconds: float, account: Account) -> None:
    """Agree on keys, and check that the server is who we think; nothing of the account has been said yet."""
    server, where = account.server, account.known_from
    keys = dict(account.known.lookup(server.known_name) or {})
    options = transport.get_security_options()
    options.key_types = sorted(options.key_types, key=lambda kind: _plain(kind) not in keys)
    try:
        transport.start_client()
        shown = transport.get_remote_server_key()
    except IncompatiblePeer as error:
        raise account.error(
            f"the server and we have no method in common: {error}",
            remedy="ask its operators to allow current methods (Ed25519 or RSA with SHA-2, curve25519, AES)",
            file=server.address,
        ) from error
    except BROKEN as error:
        raise trouble(error, seconds) from error
    line = (HostKeyEntry([server.known_name], shown).to_line() or "").strip()
    if not keys:
        raise account.error(
            f"the server is not in {where}; it shows {shown.get_name()} {shown.fingerprint}",
            remedy=f"compare this fingerprint with the one {account.owner} tells you, then add the line: {line}",
            file=server.address,
        )
    expected = keys.get(shown.get_name())
    if expected is None or expected.asbytes() != shown.asbytes():
        prints = ", ".join(sorted(f"{key.get_name()} {key.fingerprint}" for key in keys.values()))
        raise account.error(
            f"the server shows another key than {where} has: {shown.get_name()} {shown.fingerprint}, known is {prints}",
            remedy=f"send nothing until {account.owner} says that it changed its key, with this fingerprint; then "
            f"replace the old line by: {line}",
            file=server.address,
        )


def _log_in(transport: Transport, account: Account) -> None:
    server, variable = account.server, account.variable
    try:
        if account.key is not None:
            further = transport.auth_publickey(account.user, account.key)
        else:
            further = transport.auth_password(account.user, account.password or "")
    except BadAuthenticationType as error:
        raise account.error(
            f"the server does not open the account this way, it wants {', '.join(error.allowed_types)}",
            remedy=f"say so in {account.described_in}, and give us a key or a password accordingly",
            file=server.address,
        ) from error
    except AuthenticationException as error:
        raise account.error(
            "the server refuses the account; it was not tried again, so that it is not locked",
            remedy=f"check the user in {account.described_in} and the environment variable {variable}",
            file=server.address,
        ) from error
    except BROKEN as error:
        raise account.error(
            "the connection ended while the account was being opened; it was not tried again, so that it is not locked",
            remedy=f"check the environment variable {variable}, ask the operators of the server, then run again",
            file=server.address,
        ) from error
    if further:
        raise account.error(
            f"the server wants more than one proof: {', '.join(further)}",
            remedy="ask for an account that a key or a password alone opens",
            file=server.address,
        )


def _open_client(transport: Transport, seconds: float) -> NamesAsBytes:
    try:
        channel = transport.open_session()
        channel.settimeout(seconds)
        channel.invoke_subsystem("sftp")
        return NamesAsBytes(channel)
    except BROKEN as error:
        raise trouble(error, seconds) from error


def private_key(path: str, passphrase: str | None, variable: str, error: type[GuijiError], server: Server) -> PKey:
    """The private key in the file that the environment variable ``variable`` names."""
    try:
        # The library hands the passphrase on to one that takes bytes only.
        key: PKey = PKey.from_path(path, passphrase.encode() if passphrase else None)  # type: ignore[arg-type]
    except OSError as cause:
        raise error(
            f"the private key cannot be read: {cause.strerror}",
            remedy=f"check the path in the environment variable {variable} and who may read the file",
            file=server.address,
        ) from cause
    except (TypeError, ValueError, SSHException, UnknownKeyType) as cause:
        raise error(
            "the private key cannot be opened",
            remedy=f"let {variable} name an OpenSSH private key, and key_passphrase_variable its passphrase if it has "
            "one (ssh-keygen -p converts other formats)",
            file=server.address,
        ) from cause
    return key


def variable_value(
    name: str, what: str, error: type[GuijiError], server: Server, environment: Mapping[str, str]
) -> str:
    """What an environment variable holds; ``error`` when it is empty."""
    value = environment.get(name, "")
    if not value:
        raise error(f"the {what} is missing", remedy=f"set the environment variable {name}", file=server.address)
    return value


def _plain(kind: str) -> str:
    """The kind of key behind a kind of signature."""
    return "ssh-rsa" if kind.startswith("rsa-sha2-") else kind.removesuffix("-cert-v01@openssh.com")
