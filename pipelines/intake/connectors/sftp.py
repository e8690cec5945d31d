"""The SFTP connector: files of an account at a department's server."""

from __future__ import annotations

import hashlib
import posixpath
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from paramiko import Transport
from paramiko.sftp_attr import SFTPAttributes

from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.sources import SftpSource
from pipelines.errors import ExtractError, SourceError
from pipelines.intake.connectors.contract import Pull, PullRequest
from pipelines.intake.connectors.file_names import FileName, locate, locate_or_make, readable
from pipelines.intake.connectors.file_settling import settle_files
from pipelines.intake.connectors.file_tree import NANOSECONDS, SourceFile, changed_while_taken
from pipelines.intake.connectors.files import pull_files
from pipelines.intake.connectors.patience import Trouble, patiently
from pipelines.intake.connectors.sftp_connection import connect, server_of, trouble
from pipelines.intake.connectors.sftp_transfer import forget_old_transfers, transfer
from pipelines.intake.landing import LandedExtract, land
from pipelines.network.sftp_client import BROKEN, NamesAsBytes, StatusError
from pipelines.settings import Settings

Answer = TypeVar("Answer")


def pull(request: PullRequest) -> Pull:
    """Land the files that ``feed.source`` describes for the business date."""
    source = _source(request.feed)
    with AccountFiles(source, request.settings, request.workspace / "transfers", request.progress) as account:
        pulled = pull_files(account, request, source)
    forget_old_transfers(request.workspace / "transfers")
    return pulled


def settle(settings: Settings, feed: Feed, receipt: Mapping[str, Any]) -> Sequence[str]:
    """Move or rename the files of a published batch."""
    source = _source(feed)
    with AccountFiles(source, settings, settings.scratch) as account:
        return settle_files(account, source, receipt)


def _source(feed: Feed) -> SftpSource:
    if not isinstance(feed.source, SftpSource):
        raise TypeError(f"{feed.feed} is no SFTP feed")
    return feed.source


class AccountFiles:
    """The files below the first folder of an account, over one connection that is opened again when it breaks.

    ``transfers`` is the folder for what is transferred in part. Symbolic links are not followed: where they lead only
    the server knows.
    """

    # A day: the clock of the server may be set to local time and take it for UTC.
    clock_doubt_seconds = 86_400.0

    def __init__(
        self,
        source: SftpSource,
        settings: Settings,
        transfers: Path,
        progress: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._source = source
        self._settings = settings
        self._server = server_of(source)
        self._transfers = transfers
        self._progress = progress
        self._open: tuple[Transport, NamesAsBytes] | None = None
        self._connections = 0
        self._resumed = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def place(self, folder: str, name: str = "") -> str:
        return f"{self._server.address}/{posixpath.normpath(posixpath.join(folder, name))}"

    def files(self, folder: str) -> list[SourceFile] | None:
        def list_folder(client: NamesAsBytes) -> list[SourceFile] | None:
            path = _locate(client, folder)
            if path is None:
                return None
            found = (_file(readable(raw), attributes) for raw, attributes in client.entries(path or b"."))
            return [file for file in found if file is not None]

        return self._ask(self.place(folder), list_folder)

    def find(self, folder: str, name: FileName) -> SourceFile | None:
        def look(client: NamesAsBytes) -> SourceFile | None:
            path = _locate(client, folder)
            attributes = None if path is None else _attributes(client, posixpath.join(path, name.raw))
            return None if attributes is None else _file(name, attributes) or SourceFile(name, 0, 0, 0, "is no file")

        return self._ask(self.place(folder, name.text), look)

    def land(self, folder: str, file: SourceFile) -> LandedExtract:
        place = self.place(folder, file.name.text)
        mark = hashlib.sha256(f"{place}\n{file.name.encoding}".encode()).hexdigest()[:32]
        partial = self._transfers / f"{mark}-{file.size}-{file.modified}"

        def tell(done: int) -> None:
            self._progress(f"{place}: {done:,} of {file.size:,} bytes")

        def fetch(client: NamesAsBytes) -> int | None:
            path = posixpath.join(_existing(client, folder, place), file.name.raw)
            if _attributes(client, path) is None:
                return None
            return transfer(client, path, file, partial, seconds=self._source.timeout_seconds, progress=tell)

        resumed = self._ask(place, fetch)
        after = self.find(folder, file.name)
        if resumed is None or after is None or not after.is_as(file):
            partial.unlink(missing_ok=True)
            raise changed_while_taken(place)
        self._resumed += resumed
        landed = land(partial, self._settings.landing, name=file.name.text)
        partial.unlink()
        return landed

    def read(self, folder: str, file: SourceFile, most: int) -> bytes:
        place = self.place(folder, file.name.text)

        def fetch(client: NamesAsBytes) -> bytes:
            remote = client.reader(posixpath.join(_existing(client, folder, place), file.name.raw))
            data: bytes = remote.read(most)
            remote.close()
            return data

        return self._ask(place, fetch)

    def sha256(self, folder: str, file: SourceFile) -> None:
        return None

    def rename(self, folder: str, file: SourceFile, target_folder: str, target: FileName) -> None:
        place = self.place(folder, file.name.text)

        def move(client: NamesAsBytes) -> None:
            parent = locate_or_make(
                b"", target_folder, file.name.encoding, lambda path: _is_folder(client, path), client.mkdir
            )
            origin = posixpath.join(_existing(client, folder, place), file.name.raw)
            destination = posixpath.join(parent, target.raw)
            try:
                client.rename(origin, destination)
            except StatusError:
                # The answer to an earlier attempt may have been lost with its connection.
                if _attributes(client, origin) is not None or _attributes(client, destination) is None:
                    raise

        self._ask(place, move, remedy="let the account move files there, or set source.afterwards.do: leave")

    def remove_copy(self, folder: str, file: SourceFile) -> None:
        raise AssertionError("nothing is known to be a copy on a server whose files have no hash")

    def effort(self) -> dict[str, Any]:
        return {"attempts": self._connections, "resumed_bytes": self._resumed}

    def _ask(
        self,
        place: str,
        question: Callable[[NamesAsBytes], Answer],
        *,
        remedy: str = "ask the operators of the server to let the account list and read its files",
    ) -> Answer:
        """Ask the server, over a new connection after one that broke."""

        def once() -> Answer:
            try:
                return question(self._client())
            except StatusError:
                raise
            except BROKEN as error:
                self._close()
                raise trouble(error, self._source.timeout_seconds) from error
            except Trouble:
                self._close()
                raise

        try:
            return patiently(self._source.retries, place, once, self._progress)
        except StatusError as error:
            refused = "the account may not do this" if error.is_denied else f"the server refuses with {error}"
            raise SourceError(refused, remedy=remedy, file=place) from error

    def _client(self) -> NamesAsBytes:
        if self._open is None:
            self._connections += 1
            self._open = connect(self._source, self._settings, self._server)
        return self._open[1]

    def _close(self) -> None:
        if self._open is not None:
            self._open[0].close()
            self._open = None


def _file(name: FileName, attributes: SFTPAttributes) -> SourceFile | None:
    """A file as the server describes it; None for folders, pipes and devices."""
    kind = None if attributes.st_mode is None else stat.S_IFMT(attributes.st_mode)
    if kind not in {None, stat.S_IFREG, stat.S_IFLNK}:
        return None
    modified = (attributes.st_mtime or 0) * NANOSECONDS
    trouble = "is a symbolic link, and links of a server are not followed" if kind == stat.S_IFLNK else None
    if attributes.st_size is None:
        trouble = "has no size: the server does not tell it"
    return SourceFile(name, attributes.st_size or 0, modified, modified, trouble)


def _attributes(client: NamesAsBytes, path: bytes) -> SFTPAttributes | None:
    try:
        return client.lstat(path)
    except StatusError as error:
        if error.is_missing:
            return None
        raise


def _is_folder(client: NamesAsBytes, path: bytes) -> bool:
    try:
        mode = client.stat(path).st_mode
    except StatusError as error:
        if error.is_missing:
            return False
        raise
    return mode is None or stat.S_ISDIR(mode)


def _locate(client: NamesAsBytes, folder: str) -> bytes | None:
    return locate(b"", folder, lambda path: _is_folder(client, path))


def _existing(client: NamesAsBytes, folder: str, place: str) -> bytes:
    path = _locate(client, folder)
    if path is None:
        raise ExtractError("the folder went away", remedy="ask who moved it, then run again", file=place)
    return path
