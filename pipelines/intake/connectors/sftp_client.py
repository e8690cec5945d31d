"""paramiko's SFTP client with names as bytes: it takes every name for UTF-8 and fails on a folder with one in GBK."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from paramiko.message import Message
from paramiko.sftp import (
    CMD_CLOSE,
    CMD_HANDLE,
    CMD_NAME,
    CMD_OPEN,
    CMD_OPENDIR,
    CMD_READDIR,
    SFTP_EOF,
    SFTP_FLAG_READ,
    SFTP_NO_SUCH_FILE,
    SFTP_OK,
    SFTP_PERMISSION_DENIED,
    SFTPError,
)
from paramiko.sftp_attr import SFTPAttributes
from paramiko.sftp_client import SFTPClient
from paramiko.sftp_file import SFTPFile
from paramiko.ssh_exception import SSHException

# What can go wrong on the way, as opposed to what the server answers; the library takes all text for UTF-8.
BROKEN = (SSHException, SFTPError, OSError, EOFError, UnicodeDecodeError)


class StatusError(Exception):
    """The server's answer to a request is an error; ``code`` is that of the protocol (draft-ietf-secsh-filexfer-02)."""

    def __init__(self, code: int) -> None:
        super().__init__(f"status {code}")
        self.code = code

    @property
    def is_missing(self) -> bool:
        return self.code == SFTP_NO_SUCH_FILE

    @property
    def is_denied(self) -> bool:
        return self.code == SFTP_PERMISSION_DENIED


class NamesAsBytes(SFTPClient):
    """The client, with a listing and an opening of its own. Raises :class:`StatusError` where the server refuses."""

    def entries(self, folder: bytes) -> Iterator[tuple[bytes, SFTPAttributes]]:
        """Name and attributes of everything in a folder; links are not followed."""
        handle = self._expect(CMD_HANDLE, CMD_OPENDIR, folder).get_binary()
        while True:
            try:
                answer = self._expect(CMD_NAME, CMD_READDIR, handle)
            except EOFError:
                break
            for _ in range(answer.get_int()):
                name = answer.get_binary()
                answer.get_binary()
                attributes = SFTPAttributes._from_msg(answer)  # type: ignore[attr-defined]
                if name not in {b".", b".."}:
                    yield name, attributes
        self._request(CMD_CLOSE, handle)

    def reader(self, path: bytes) -> SFTPFile:
        """A file, opened for reading."""
        answer = self._expect(CMD_HANDLE, CMD_OPEN, path, SFTP_FLAG_READ, SFTPAttributes())
        return _Reader(self, answer.get_binary())

    def descriptor(self) -> int:
        """The descriptor of the connection's socket."""
        found: int = self.sock.get_transport().sock.fileno()
        return found

    def _expect(self, kind: int, request: int, *arguments: Any) -> Message:
        found, answer = self._request(request, *arguments)
        if found != kind:
            raise SFTPError("the server answers what was not asked")
        message: Message = answer
        return message

    def _request(self, kind: int, *arguments: Any) -> tuple[int, Any]:
        answer: tuple[int, Any] = super()._request(kind, *arguments)  # type: ignore[misc]
        return answer

    def _convert_status(self, message: Message) -> None:
        # The text beside the code is in whatever encoding the server has, and would be taken for UTF-8.
        code = message.get_int()
        if code == SFTP_EOF:
            raise EOFError
        if code != SFTP_OK:
            raise StatusError(code)


class _Reader(SFTPFile):
    def _prefetch_thread(self, *arguments: Any) -> None:
        # When the connection breaks, whoever reads is told; a second report, from this thread, would go to stderr.
        try:
            super()._prefetch_thread(*arguments)  # type: ignore[misc]
        except BROKEN:
            threading.current_thread().name = "prefetch of a broken connection"
