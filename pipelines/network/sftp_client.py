"""paramiko's SFTP client with names as bytes: it takes every name for UTF-8 and fails on a folder with one in GBK."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Any

from paramiko.message import Message
from paramiko.sftp import (
    CMD_CLOSE,
    CMD_EXTENDED,
    CMD_HANDLE,
    CMD_NAME,
    CMD_OPEN,
    CMD_OPENDIR,
    CMD_READDIR,
    CMD_WRITE,
    SFTP_EOF,
    SFTP_FLAG_CREATE,
    SFTP_FLAG_READ,
    SFTP_FLAG_TRUNC,
    SFTP_FLAG_WRITE,
    SFTP_NO_SUCH_FILE,
    SFTP_OK,
    SFTP_OP_UNSUPPORTED,
    SFTP_PERMISSION_DENIED,
    SFTPError,
    int64,
)
from paramiko.sftp_attr import SFTPAttributes
from paramiko.sftp_client import SFTPClient
from paramiko.sftp_file import SFTPFile
from paramiko.ssh_exception import SSHException

_LONGEST_TEXT = 100
# What can go wrong on the way, as opposed to what the server answers; the library takes all text for UTF-8.
BROKEN = (SSHException, SFTPError, OSError, EOFError, UnicodeDecodeError)


class StatusError(Exception):
    """The server's answer to a request is an error; ``code`` is that of the protocol (draft-ietf-secsh-filexfer-02).

    ``text`` is what the server says about it, as far as it is readable: most reasons have no code of their own.
    """

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(f"status {code}")
        self.code = code
        self.text = text

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

    def new_file(self, path: bytes) -> bytes:
        """The handle of a file, opened for writing and empty."""
        flags = SFTP_FLAG_WRITE | SFTP_FLAG_CREATE | SFTP_FLAG_TRUNC
        return self._expect(CMD_HANDLE, CMD_OPEN, path, flags, SFTPAttributes()).get_binary()

    def write_blocks(self, handle: bytes, blocks: Iterable[tuple[int, bytes]]) -> None:
        """Write blocks, each at its offset, and wait until the server has answered about all of them."""
        answers = _Answers(self)
        for offset, block in blocks:
            self._async_request(answers, CMD_WRITE, handle, int64(offset), block)  # type: ignore[attr-defined]
            answers.wanted += 1
        while answers.wanted:
            self._read_response()  # type: ignore[attr-defined]
        if answers.refusal is not None:
            raise answers.refusal

    def bring_to_disk(self, handle: bytes) -> None:
        """Have the server bring a written file to its disk (fsync), if it is one that can."""
        try:
            self._request(CMD_EXTENDED, b"fsync@openssh.com", handle)
        except StatusError as error:
            if error.code != SFTP_OP_UNSUPPORTED:
                raise

    def close_file(self, handle: bytes) -> None:
        """Close a handle."""
        self._request(CMD_CLOSE, handle)

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
        # The text beside the code is in whatever encoding the server has; the library takes it for UTF-8 and fails.
        code = message.get_int()
        if code == SFTP_EOF:
            raise EOFError
        if code != SFTP_OK:
            text = message.get_binary().decode("utf-8", "replace")
            raise StatusError(code, "".join(character for character in text if character.isprintable())[:_LONGEST_TEXT])


class _Answers:
    """The answers to several requests, in whatever order they come; the first refusal is kept."""

    def __init__(self, client: NamesAsBytes) -> None:
        self._client = client
        self.wanted = 0
        self.refusal: StatusError | None = None

    def _async_response(self, _kind: int, answer: Message, _number: int) -> None:
        # The library calls this by its name.
        self.wanted -= 1
        try:
            self._client._convert_status(answer)
        except StatusError as error:
            self.refusal = self.refusal or error


class _Reader(SFTPFile):
    def __del__(self) -> None:
        """Nothing is said to the server: the library's own farewell waits for a lock that this thread may hold.

        The garbage collector comes at any moment, also while a request is being made. A handle that was never closed
        ends with its connection.
        """

    def _prefetch_thread(self, *arguments: Any) -> None:
        # When the connection breaks, whoever reads is told; a second report, from this thread, would go to stderr.
        try:
            super()._prefetch_thread(*arguments)  # type: ignore[misc]
        except BROKEN:
            threading.current_thread().name = "prefetch of a broken connection"
