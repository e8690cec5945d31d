"""Which revisions of the ledger's tables there are, and which one a ledger has."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from pipelines.errors import StorageError

MIGRATIONS = Path(__file__).parent / "migrations"
HEAD, BASE = "head", "base"


@lru_cache(maxsize=1)
def known_revisions() -> tuple[str, ...]:
    """Every revision, oldest first: what the names of the migrations begin with."""
    return tuple(sorted(path.name.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py")))


def chosen_revision(name: str) -> str | None:
    """The revision called so, ``head`` being the newest and ``base`` none; :class:`StorageError` for an unknown one."""
    if name == HEAD:
        return known_revisions()[-1]
    if name not in {BASE, *known_revisions()}:
        raise StorageError(
            f"there is no revision {name} of the ledger", remedy=f"use one of {BASE}, {', '.join(known_revisions())}"
        )
    return None if name == BASE else name


def current_revision(connection: Connection, place: str) -> str | None:
    """The revision of the tables behind a connection, ``None`` when there are none yet.

    ``place`` is the ledger's address, for the message. Raises :class:`StorageError` for a revision that this program
    does not know.
    """
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    newest = known_revisions()[-1]
    if found is not None and found not in known_revisions():
        raise StorageError(
            f"the ledger is of revision {found}, and this program knows revisions up to {newest}",
            file=place,
            remedy="run the newer guiji that made it, or have that one take the ledger back with "
            f"'guiji migrate --to {newest}'",
        )
    return found
