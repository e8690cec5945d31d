"""What the folder and the SFTP connector offer to the steps that they share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

from pipelines.deadlines.clock import BEIJING_TIME
from pipelines.errors import ExtractError
from pipelines.intake.connectors.file_names import FileName
from pipelines.intake.landing import LandedExtract

NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class SourceFile:
    """A file in a folder of a source. ``modified`` and ``changed`` are nanoseconds since 1970.

    ``changed`` is the latest time at which the content can have changed, as far as the source knows.
    ``trouble`` says why the file must not be taken.
    """

    name: FileName
    size: int
    modified: int
    changed: int
    trouble: str | None = None

    @property
    def modified_at(self) -> datetime:
        """When the file was last modified, by the clock in China."""
        return datetime.fromtimestamp(self.modified // NANOSECONDS, BEIJING_TIME)

    @property
    def modified_day(self) -> date:
        return self.modified_at.date()

    def is_as(self, other: SourceFile) -> bool:
        """Whether nothing shows that the content is another one."""
        return (self.size, self.modified, self.changed) == (other.size, other.modified, other.changed)


class FileChangedError(ExtractError):
    """A file is no longer what the listing of its folder said."""


def changed_while_taken(place: str) -> FileChangedError:
    return FileChangedError(
        "the file changed while it was being taken",
        remedy="run again once the department has finished; source.complete in the feed's YAML says how to know",
        file=place,
    )


class FileTree(Protocol):
    """The files of an inbox or of an account; a folder is a relative path of text.

    What the department has to mend is an :class:`ExtractError`; what is wrong with the source, or with our access to
    it, a :class:`SourceError`.
    """

    @property
    def clock_doubt_seconds(self) -> float:
        """How far the clock that gives the times of files may be from ours."""
        ...

    def place(self, folder: str, name: str = "") -> str:
        """A folder, or a file in it, as people should read it."""
        ...

    def files(self, folder: str) -> list[SourceFile] | None:
        """What lies directly in a folder, except other folders; None when there is no such folder."""
        ...

    def find(self, folder: str, name: FileName) -> SourceFile | None:
        """One file by its name."""
        ...

    def land(self, folder: str, file: SourceFile) -> LandedExtract:
        """Land a file; :class:`FileChangedError` when it is no longer what ``file`` says."""
        ...

    def read(self, folder: str, file: SourceFile, most: int) -> bytes:
        """The first ``most`` bytes of a file."""
        ...

    def sha256(self, folder: str, file: SourceFile) -> str | None:
        """The hash of a file's content; None where the file would have to be transferred for it."""
        ...

    def rename(self, folder: str, file: SourceFile, target_folder: str, target: FileName) -> None:
        """Move a file to a name that is free; missing folders are made."""
        ...

    def remove_copy(self, folder: str, file: SourceFile) -> None:
        """Delete a file whose bytes are kept elsewhere at the source."""
        ...

    def effort(self) -> dict[str, Any]:
        """What the transfer took, for the manifest."""
        ...
