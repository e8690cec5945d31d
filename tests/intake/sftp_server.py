"""A real SFTP server (asyncssh) in a thread, on this machine only, that can misbehave on request."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import asyncssh

USER, PASSWORD = "dept", "correct-horse"


class SftpServer:
    """Serves ``root``. What it does wrong is set while it runs:

    ``cut_after``: it cuts the connection after so many bytes of file content, ``cuts`` times;
    ``hang_at``: ``"list"``, ``"read"``, ``"login"`` or ``"open"`` (the SFTP session) never answers;
    ``denied``: names of operations that it forbids; ``rename_then_cut``: it renames, and cuts before it says so.
    ``sent`` counts bytes of content, ``logins`` attempts to log in, ``connections`` those accepted.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.port = 0
        self.cut_after: int | None = None
        self.cuts = 0
        self.hang_at: str | None = None
        self.denied: set[str] = set()
        self.rename_then_cut = False
        self.client_key: asyncssh.SSHKey | None = None
        self.sent = self.logins = self.connections = 0
        self.renamed: list[tuple[bytes, bytes]] = []
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sftp-server", daemon=True)
        self._listening: Any = None

    @property
    def known_hosts_line(self) -> str:
        public = self.host_key.export_public_key().decode().split()
        return f"[127.0.0.1]:{self.port} {public[0]} {public[1]}\n"

    @property
    def fingerprint(self) -> str:
        return self.host_key.get_fingerprint()

    def __enter__(self) -> Self:
        self._thread.start()
        self.listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def listen(self) -> None:
        """Accept connections, always at the same port; what hangs at the opening is settled now."""

        async def start() -> asyncssh.SSHAcceptor:
            return await asyncssh.listen(
                "127.0.0.1",
                self.port,
                server_host_keys=[self.host_key],
                server_factory=lambda: _Login(self),
                sftp_factory=None if self.hang_at == "open" else lambda channel: _Files(channel, self),
                login_timeout=0,
            )

        self._listening = self._run(start())
        self.port = self._listening.get_port()

    def refuse(self) -> None:
        """Stop listening and cut what is open."""

        async def stop() -> None:
            self._listening.close()
            await self._listening.wait_closed()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

        if self._listening is not None:
            self._run(stop())
            self._listening = None

    def change_host_key(self) -> None:
        self.refuse()
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.listen()

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)


class _Login(asyncssh.SSHServer):
    def __init__(self, server: SftpServer) -> None:
        self._server = server

    def connection_made(self, connection: asyncssh.SSHServerConnection) -> None:
        self._server.connections += 1

    async def begin_auth(self, username: str) -> bool:
        if self._server.hang_at == "login":
            await asyncio.Event().wait()
        return True

    def password_auth_supported(self) -> bool:
        return self._server.client_key is None

    def public_key_auth_supported(self) -> bool:
        return self._server.client_key is not None

    def validate_password(self, username: str, password: str) -> bool:
        self._server.logins += 1
        return (username, password) == (USER, PASSWORD)

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        self._server.logins += 1
        wanted = self._server.client_key
        return username == USER and wanted is not None and key.public_data == wanted.public_data

    def session_requested(self) -> bool | asyncssh.SSHServerSession[bytes]:
        return _SilentSession() if self._server.hang_at == "open" else True


class _SilentSession(asyncssh.SSHServerSession[bytes]):
    """Grants the SFTP session, and then never answers."""

    def subsystem_requested(self, subsystem: str) -> bool:
        return True


class _Files(asyncssh.SFTPServer):
    def __init__(self, channel: asyncssh.SSHServerChannel[bytes], server: SftpServer) -> None:
        super().__init__(channel, chroot=bytes(server.root))
        self._server = server
        self._content = 0
        self._is_cut = False

    async def read(self, file: Any, offset: int, size: int) -> bytes:
        self._check("read")
        if self._server.hang_at == "read":
            await asyncio.Event().wait()
        data: bytes = super().read(file, offset, size)  # type: ignore[assignment]
        limit = self._server.cut_after
        if limit is not None and self._server.cuts > 0 and self._content >= limit and not self._is_cut:
            self._is_cut = True
            self._server.cuts -= 1
            self.connection.abort()
        self._content += len(data)
        self._server.sent += len(data)
        return data

    async def scandir(self, path: bytes) -> Any:
        self._check("list")
        if self._server.hang_at == "list":
            await asyncio.Event().wait()
        async for name in super().scandir(path):
            yield name

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        self._check("rename")
        super().rename(oldpath, newpath)
        self._server.renamed.append((oldpath, newpath))
        if self._server.rename_then_cut:
            self._server.rename_then_cut = False
            self.connection.abort()

    def remove(self, path: bytes) -> None:
        raise asyncssh.SFTPPermissionDenied("nothing is ever deleted here")

    def _check(self, operation: str) -> None:
        if operation in self._server.denied:
            raise asyncssh.SFTPPermissionDenied("没有权限")


class OtherServer:
    """Accepts TCP connections, says its greeting, and nothing else."""

    def __init__(self, greeting: bytes = b"") -> None:
        self._greeting = greeting
        self._open: list[socket.socket] = []

    def __enter__(self) -> int:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._greet, name="other-server", daemon=True)
        self._thread.start()
        port: int = self._socket.getsockname()[1]
        return port

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        for connection in (self._socket, *self._open):
            connection.close()

    def _greet(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._open.append(connection)
            connection.sendall(self._greeting)
