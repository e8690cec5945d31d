"""The dictionary of authorities: what they are called, what they were called, and the code that each has."""

from __future__ import annotations

from datetime import date

from pydantic import Field as Value

from pipelines.catalogue.yaml_source import Document, Strict, parse


class FormerName(Strict):
    """A name that the authority gave up; ``until``: the first day on which it was no longer right."""

    name: str
    until: date


class Authority(Strict):
    """One authority: its present name, its unified social credit code, and the other names it is met under.

    ``short`` are abbreviations that departments write; they are as good as the name.
    """

    name: str
    code: str = Value(pattern=r"^[0-9A-Z]{18}$")
    short: tuple[str, ...] = ()
    former: tuple[FormerName, ...] = ()


class Authorities(Strict):
    """The dictionary as a whole.

    ``covers`` are the regions, as the first digits of their codes, of which it knows every authority: only there does
    an unknown name mean anything.
    """

    source: str = ""
    covers: tuple[str, ...] = ()
    authorities: tuple[Authority, ...] = ()


def load_authorities(document: Document) -> Authorities:
    """Parse and check the dictionary; a name or code that two authorities have is a :class:`CatalogueError`."""
    loaded = parse(document, Authorities)
    seen: dict[str, str] = {}
    for index, authority in enumerate(loaded.authorities):
        for text in (authority.code, authority.name, *authority.short, *(former.name for former in authority.former)):
            owner = seen.setdefault(text, authority.name)
            if owner != authority.name:
                raise document.error(
                    f"{text} belongs to {owner} and {authority.name}",
                    remedy="leave it with one of them; a name that two authorities bear can name neither",
                    at=("authorities", index),
                )
    return loaded
