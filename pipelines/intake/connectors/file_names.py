"""What files are called at a source, and which names are extracts, markers or control totals."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from pipelines.catalogue.sources import Files

# A name is bytes; what they say is not recorded anywhere. The last one takes whatever is left.
NAME_ENCODINGS = ("utf-8", "gb18030", "latin-1")

# What editors, file managers and unfinished uploads leave beside the real files.
_NEVER_EXTRACTS = ("~$", ".", "Thumbs.db")
_UNFINISHED = (".tmp", ".part", ".crdownload", ".filepart")


@dataclass(frozen=True, order=True)
class FileName:
    """A name as people read it, and the encoding that gives back its bytes."""

    text: str
    encoding: str

    @property
    def raw(self) -> bytes:
        return self.text.encode(self.encoding)

    def called(self, text: str) -> FileName:
        """Another name in the same encoding."""
        return FileName(text, self.encoding)


def readable(raw: bytes) -> FileName:
    """The name that these bytes are; Chinese names come in UTF-8 or, from old Windows servers, in GBK."""
    for encoding in NAME_ENCODINGS:
        try:
            name = FileName(raw.decode(encoding), encoding)
            if name.raw == raw:
                return name
        except UnicodeError:
            continue
    raise ValueError("latin-1 decodes every name")


def dated(text: str, business_date: date) -> str:
    """``{date}`` and ``{day}`` filled in."""
    return text.replace("{date}", business_date.isoformat()).replace("{day}", f"{business_date:%Y%m%d}")


class NameRules:
    """The roles of names at one source on one business date."""

    def __init__(self, source: Files, business_date: date) -> None:
        self.folder = dated(source.path, business_date)
        self.pattern = dated(source.pattern, business_date)
        self._marker = None if source.complete.marker is None else dated(source.complete.marker, business_date)
        self._totals = None if source.totals is None else dated(source.totals.file, business_date)
        self._taken_suffix = source.afterwards.suffix if source.afterwards.do == "rename" else None
        self._companions = [_shape(name) for name in (self._marker, self._totals) if name is not None]

    def is_extract(self, name: str) -> bool:
        """Whether the name matches the pattern and is neither leftover, marker, control totals nor taken before."""
        return (
            fnmatchcase(name, self.pattern)
            and not name.startswith(_NEVER_EXTRACTS)
            and not name.endswith(_UNFINISHED)
            and not (self._taken_suffix is not None and name.endswith(self._taken_suffix))
            and not any(shape.fullmatch(name) for shape in self._companions)
        )

    def marker(self, name: str) -> str | None:
        """The marker that says that the extract with this name is finished."""
        return None if self._marker is None else _beside(self._marker, name)

    def totals(self, name: str) -> str | None:
        """The file with the control totals of the extract with this name."""
        return None if self._totals is None else _beside(self._totals, name)

    def speaks_for_all(self, name: str) -> bool:
        """Whether this marker or totals file speaks for the whole folder: its name depends on no extract's."""
        return name in {self._marker, self._totals}


def free_name(name: str, number: int) -> str:
    """The name to take when ``number`` files have it already: ``a.csv``, ``a-2.csv``, ``a-3.csv``."""
    path = PurePosixPath(name)
    return name if number == 0 else f"{path.stem}-{number + 1}{path.suffix}"


def locate(root: bytes, folder: str, is_folder: Callable[[bytes], bool]) -> bytes | None:
    """The path below ``root`` whose parts read as ``folder``; None when there is none."""
    path = root
    for part in PurePosixPath(folder).parts:
        found = _part_in(path, part, is_folder)
        if found is None:
            return None
        path = found
    return path


def locate_or_make(
    root: bytes, folder: str, encoding: str, is_folder: Callable[[bytes], bool], make: Callable[[bytes], None]
) -> bytes:
    """The same; what is missing is made, with names in ``encoding``."""
    path = root
    for part in PurePosixPath(folder).parts:
        found = _part_in(path, part, is_folder)
        if found is None:
            found = posixpath.join(path, _encoded(part, encoding))
            make(found)
        path = found
    return path


def _part_in(path: bytes, part: str, is_folder: Callable[[bytes], bool]) -> bytes | None:
    candidates = dict.fromkeys(posixpath.join(path, part.encode(encoding)) for encoding in NAME_ENCODINGS[:2])
    return next((candidate for candidate in candidates if is_folder(candidate)), None)


def _encoded(part: str, encoding: str) -> bytes:
    try:
        return part.encode(encoding)
    except UnicodeEncodeError:
        return part.encode()


def _beside(template: str, name: str) -> str:
    parts = {"{name}": name, "{stem}": PurePosixPath(name).stem}
    return re.sub(r"\{name\}|\{stem\}", lambda found: parts[found[0]], template)


def _shape(template: str) -> re.Pattern[str]:
    pieces = re.split(r"\{name\}|\{stem\}", template)
    return re.compile(".+".join(re.escape(piece) for piece in pieces), re.DOTALL)
