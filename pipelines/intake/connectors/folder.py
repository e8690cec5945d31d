"""The folder connector: files that a department drops into the inbox."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.sources import FolderSource
from pipelines.errors import ExtractError, SourceError
from pipelines.intake.connectors.contract import Pull, PullRequest
from pipelines.intake.connectors.file_names import FileName, locate, locate_or_make, readable
from pipelines.intake.connectors.file_settling import settle_files
from pipelines.intake.connectors.file_tree import SourceFile, changed_while_taken
from pipelines.intake.connectors.files import pull_files
from pipelines.intake.landing import LandedExtract, land
from pipelines.settings import Settings


def pull(request: PullRequest) -> Pull:
    """Land the files that ``feed.source`` describes for the business date."""
    return pull_files(InboxFiles(request.settings), request, _source(request.feed))


def settle(settings: Settings, feed: Feed, receipt: Mapping[str, Any]) -> Sequence[str]:
    """Move or rename the files of a published batch."""
    return settle_files(InboxFiles(settings), _source(feed), receipt)


def _source(feed: Feed) -> FolderSource:
    if not isinstance(feed.source, FolderSource):
        raise TypeError(f"{feed.feed} is no folder feed")
    return feed.source


class InboxFiles:
    """The files below the inbox. Symbolic links are followed as long as they stay in it."""

    clock_doubt_seconds = 0.0

    def __init__(self, settings: Settings) -> None:
        self._inbox = settings.inbox.resolve()
        self._landing = settings.landing

    def place(self, folder: str, name: str = "") -> str:
        return str(self._inbox / folder / name)

    def files(self, folder: str) -> list[SourceFile] | None:
        path = self._folder(folder)
        if path is None:
            return None
        with self._reading(folder):
            names = [readable(os.fsencode(entry.name)) for entry in path.iterdir()]
        files = (self._look(path, folder, name) for name in names)
        return [file for file in files if file is not None]

    def find(self, folder: str, name: FileName) -> SourceFile | None:
        path = self._folder(folder)
        if path is None or not os.path.lexists(_path(path, name)):
            return None
        return self._look(path, folder, name) or SourceFile(name, 0, 0, 0, "is no file")

    def land(self, folder: str, file: SourceFile) -> LandedExtract:
        path = self._existing(folder)
        place = self.place(folder, file.name.text)
        try:
            landed = land(_path(path, file.name).resolve(), self._landing, name=file.name.text)
        except ExtractError as error:
            raise ExtractError(error.problem, remedy=error.remedy, file=place) from error
        after = self._look(path, folder, file.name)
        if after is None or not after.is_as(file) or landed.size != file.size:
            raise changed_while_taken(place)
        return landed

    def read(self, folder: str, file: SourceFile, most: int) -> bytes:
        with self._reading(folder, file.name.text), _path(self._existing(folder), file.name).open("rb") as source:
            return source.read(most)

    def sha256(self, folder: str, file: SourceFile) -> str:
        with self._reading(folder, file.name.text), _path(self._existing(folder), file.name).open("rb") as source:
            return hashlib.file_digest(source, "sha256").hexdigest()

    def rename(self, folder: str, file: SourceFile, target_folder: str, target: FileName) -> None:
        with self._writing(folder, file.name.text):
            parent = self._made(target_folder, file.name.encoding)
            source, destination = _path(self._existing(folder), file.name), _path(parent, target)
            try:
                source.rename(destination)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                # Another file system: the file appears there whole or not at all, and only then goes here.
                beside = _path(parent, target.called(f".{target.text}.part"))
                shutil.copy2(source, beside)
                beside.rename(destination)
                source.unlink()

    def remove_copy(self, folder: str, file: SourceFile) -> None:
        with self._writing(folder, file.name.text):
            _path(self._existing(folder), file.name).unlink()

    def effort(self) -> dict[str, Any]:
        return {"attempts": 1, "resumed_bytes": 0}

    def _look(self, path: Path, folder: str, name: FileName) -> SourceFile | None:
        """What lies under this name; None for what is no file, or went away meanwhile."""
        full = _path(path, name)
        link = full.is_symlink()
        try:
            found = full.stat()
        except OSError as error:
            if link:
                return SourceFile(name, 0, 0, 0, "is a symbolic link that leads nowhere")
            if isinstance(error, FileNotFoundError):
                return None
            raise self._refused(error, folder, name.text) from error
        if not stat.S_ISREG(found.st_mode):
            return None
        trouble = "leads out of the inbox through a symbolic link" if link and not self._is_inside(full) else None
        changed = max(found.st_mtime_ns, found.st_ctime_ns)
        return SourceFile(name, found.st_size, found.st_mtime_ns, changed, trouble)

    def _folder(self, folder: str) -> Path | None:
        with self._reading(folder):
            found = locate(os.fsencode(self._inbox), folder, _is_folder)
        return None if found is None else self._checked(Path(os.fsdecode(found)), folder)

    def _existing(self, folder: str) -> Path:
        path = self._folder(folder)
        if path is None:
            raise ExtractError(
                "the folder went away", remedy="ask who moved it, put it back and run again", file=self.place(folder)
            )
        return path

    def _made(self, folder: str, encoding: str) -> Path:
        made = locate_or_make(
            os.fsencode(self._inbox), folder, encoding, _is_folder, lambda path: Path(os.fsdecode(path)).mkdir()
        )
        return self._checked(Path(os.fsdecode(made)), folder)

    def _checked(self, path: Path, folder: str) -> Path:
        if not self._is_inside(path):
            raise ExtractError(
                "the folder leads out of the inbox through a symbolic link",
                remedy="put the folder itself into the inbox, or mount it there",
                file=self.place(folder),
            )
        return path

    def _is_inside(self, path: Path) -> bool:
        return path.resolve().is_relative_to(self._inbox)

    @contextmanager
    def _reading(self, folder: str, name: str = "") -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._refused(error, folder, name) from error

    def _refused(self, error: OSError, folder: str, name: str) -> SourceError:
        return SourceError(
            f"cannot be read: {error.strerror}",
            remedy="let the account that guiji runs under read it, and run again",
            file=self.place(folder, name),
        )

    @contextmanager
    def _writing(self, folder: str, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SourceError(
                f"the file cannot be moved: {error.strerror}",
                remedy="let the account that guiji runs under write there, or set source.afterwards.do: leave",
                file=self.place(folder, name),
            ) from error


def _path(folder: Path, name: FileName) -> Path:
    return folder / os.fsdecode(name.raw)


def _is_folder(path: bytes) -> bool:
    try:
        return stat.S_ISDIR(Path(os.fsdecode(path)).stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
