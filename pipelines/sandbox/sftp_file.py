"""The receiver's SFTP server (asyncssh): one account, shut into one folder, and what it does wrong on request."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Self, TypeVar

import asyncssh

from pipelines.catalogue.endpoints import Endpoint
from pipelines.errors import DeliveryError
from pipelines.sandbox.desk import Desk
from pipelines.sandbox.misbehaviour import Misbehaviour
from pipelines.sandbox.sftp_consumer import Consumer

Answer = TypeVar("Answer")
START_SECONDS = 20


class SftpReceiver:
    """Serves the folders of ``endpoint`` below ``root`` and takes what is put there.

    The account is the one that the endpoint's file names, opened by ``password`` or by ``authorized_key``, a public key
    in the form of OpenSSH. ``host_key`` is the file of the server's private key, made when it is missing.
    """

    def __init__(
        self,
        desk: Desk,
        endpoint: Endpoint,
        root: Path,
        host_key: Path,
        *,
        password: str | None = None,
        authorized_key: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        interval: float = 1.0,
    ) -> None:
        if endpoint.sftp_file is None:
            raise DeliveryError(
                f"{endpoint.endpoint} does not take files over SFTP", remedy="give it a section sftp_file"
            )
        self.port = port
        self._host = host
        self._root = root
        self._host_key = _host_key(host_key)
        self._login = _Login(endpoint.sftp_file.user, password, authorized_key, desk.misbehaviour)
        self._misbehaviour = desk.misbehaviour
        self._consumer = Consumer(desk, endpoint, endpoint.sftp_file, root, interval)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sftp-server", daemon=True)
        self._listening: asyncssh.SSHAcceptor | None = None

    @property
    def public_key(self) -> str:
        """What the sender pins as ``host_key``."""
        return " ".join(self._host_key.export_public_key().decode().split()[:2])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen, and begin to take files; a :class:`DeliveryError` names the address when it cannot be had."""
        self._thread.start()
        try:
            self._listening = self._run(self._listen())
        except OSError as error:
            self._end_loop()
            raise DeliveryError(
                f"the address {self._host}:{self.port} cannot be served ({error.strerror})",
                remedy="stop what uses it, or take another port (0 for any free one)",
            ) from error
        self.port = self._listening.get_port()
        self._consumer.start()

    def stop(self) -> None:
        """Stop listening, cut what is open, and finish the file at hand."""
        self._run(self._close())
        self._consumer.stop()
        self._end_loop()

    async def _listen(self) -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            self._host,
            self.port,
            server_host_keys=[self._host_key],
            server_factory=lambda: _Account(self._login),
            sftp_factory=lambda channel: _Files(channel, self._root, self._misbehaviour, self._consumer),
        )

    async def _close(self) -> None:
        if self._listening is not None:
            self._listening.close()
            await self._listening.wait_closed()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    def _run(self, coroutine: Coroutine[Any, Any, Answer]) -> Answer:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(START_SECONDS)

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class _Login:
    """Who may enter."""

    def __init__(self, user: str, password: str | None, key: str | None, misbehaviour: Misbehaviour) -> None:
        self.misbehaviour = misbehaviour
        self.password = password
        self.key = None if key is None else asyncssh.import_public_key(key)
        self.user = user

    def opens(self, user: str, password: str) -> bool:
        if self.misbehaviour.takes("wrong_token"):
            return False
        wanted = (self.password or "").encode()
        return user == self.user and secrets.compare_digest(wanted, password.encode())


class _Account(asyncssh.SSHServer):
    def __init__(self, login: _Login) -> None:
        self._login = login

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        if self._login.misbehaviour.takes("busy"):
            conn.abort()

    def password_auth_supported(self) -> bool:
        return self._login.password is not None

    def public_key_auth_supported(self) -> bool:
        return self._login.key is not None

    def validate_password(self, username: str, password: str) -> bool:
        return self._login.opens(username, password)

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        wanted = self._login.key
        return username == self._login.user and wanted is not None and key.public_data == wanted.public_data


class _Files(asyncssh.SFTPServer):
    """``slow`` opens files after a while; failures, lost answers and cuts happen at the renaming of a file.

    A cut happens in the middle of a file already, if it is one of more than a block.
    """

    def __init__(
        self, channel: asyncssh.SSHServerChannel[bytes], root: Path, misbehaviour: Misbehaviour, consumer: Consumer
    ) -> None:
        super().__init__(channel, chroot=os.fsencode(root))
        self._misbehaviour = misbehaviour
        self._consumer = consumer

    async def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> Any:
        if slowness := self._misbehaviour.takes("slow"):
            await asyncio.sleep(slowness.seconds)
        # A list that is asked for is as new as can be.
        await asyncio.to_thread(self._consumer.write_list, os.fsdecode(os.path.basename(path)))  # noqa: PTH119 - bytes
        return super().open(path, pflags, attrs)

    def write(self, file_obj: Any, offset: int, data: bytes) -> Any:
        if self._misbehaviour.takes("full_disk"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if offset > 0 and self._misbehaviour.takes("cut"):
            self.connection.abort()
        return super().write(file_obj, offset, data)

    async def rename(self, oldpath: bytes, newpath: bytes) -> None:
        if self._misbehaviour.takes("fail_before"):
            raise asyncssh.SFTPFailure("not now")
        super().rename(oldpath, newpath)
        self._consumer.wake()
        if self._misbehaviour.takes("cut"):
            self.connection.abort()
        if loss := self._misbehaviour.takes("lose_answer"):
            await asyncio.sleep(loss.seconds)
        if self._misbehaviour.takes("fail_after"):
            raise asyncssh.SFTPFailure("something broke")


def _host_key(path: Path) -> asyncssh.SSHKey:
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            asyncssh.generate_private_key("ssh-ed25519").write_private_key(path)
        return asyncssh.read_private_key(path)
    except (OSError, asyncssh.KeyImportError) as error:
        raise DeliveryError(
            "the server's own key cannot be read or made", remedy="delete it, or mend its permissions", file=path
        ) from error
