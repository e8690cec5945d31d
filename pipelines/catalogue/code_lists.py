"""Code lists: which values a field may hold, since when, and what departments write instead."""

from __future__ import annotations

from datetime import date

from pipelines.catalogue.yaml_source import Document, Strict, parse


class Entry(Strict):
    """One value of a list. ``name`` is the standard form; ``code`` and ``synonyms`` are mapped to it."""

    code: str
    name: str
    synonyms: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None


class CodeList(Strict):
    """A list of values with dates of validity.

    ``open_entry`` names the entry that must be followed by a hyphen and the concrete class ("其他-补办").
    ``stored`` says whether the standard form of a field is the entry's name or its code. ``defects`` and
    ``conditions`` are what a value outside the list means (domain reference 8 and 1.3); a list that is not
    ``waivable`` is kept to by every record.
    """

    code_list: str
    title: str
    source: str
    entries: tuple[Entry, ...]
    open_entry: str | None = None
    stored: str = "name"
    defects: tuple[int, ...] = ()
    conditions: tuple[str, ...] = ()
    waivable: bool = True

    def standard(self, entry: Entry) -> str:
        return entry.code if self.stored == "code" else entry.name

    @property
    def values(self) -> tuple[str, ...]:
        """All standard values, whenever valid."""
        return tuple(self.standard(entry) for entry in self.entries)

    def spellings(self) -> dict[str, str]:
        """Every spelling that has exactly one meaning → its standard value."""
        return {
            spelling: self.standard(entry)
            for entry in self.entries
            for spelling in (entry.name, entry.code, *entry.synonyms)
        }


def load_code_list(document: Document) -> CodeList:
    """Parse and check one list; two entries may not share a spelling."""
    loaded = parse(document, CodeList)
    owner: dict[str, int] = {}
    for index, entry in enumerate(loaded.entries):
        for spelling in {entry.name, entry.code, *entry.synonyms}:
            if spelling in owner:
                raise document.error(
                    f"the spelling {spelling} belongs to two entries",
                    remedy="keep it at one of them",
                    at=("entries", index),
                )
            owner[spelling] = index
    if loaded.stored not in {"name", "code"}:
        raise document.error("stored must be name or code", remedy="write one of the two", at=("stored",))
    if loaded.open_entry is not None and loaded.open_entry not in {entry.name for entry in loaded.entries}:
        raise document.error(
            f"open_entry {loaded.open_entry} is not an entry",
            remedy="name one of the entries",
            at=("open_entry",),
        )
    return loaded
