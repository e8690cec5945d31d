"""An account at a front-end database that may do no more than docs/endpoints.md asks for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from sqlalchemy import URL, Engine, text

from pipelines.catalogue.protocols import ExchangeTable

PASSWORD = "letmein-letmein"


def without_account(url: URL, port: int | None = None) -> URL:
    """The address alone, as an endpoint's file has it."""
    return URL.create(url.drivername, host=url.host, port=port or url.port, database=url.database)


@contextmanager
def new_account(upper: Engine) -> Iterator[str]:
    """The name of an account without any right, dropped afterwards."""
    user = f"guiji_{uuid4().hex[:10]}"
    with upper.begin() as connection:
        if upper.dialect.name == "postgresql":
            connection.execute(text(f"CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}'"))
        else:
            connection.execute(text(f"CREATE USER {account(upper, user)} IDENTIFIED BY '{PASSWORD}'"))
    try:
        yield user
    finally:
        with upper.begin() as connection:
            if upper.dialect.name == "postgresql":
                connection.execute(text(f"DROP OWNED BY {user}"))
                connection.execute(text(f"DROP ROLE {user}"))
            else:
                connection.execute(text(f"DROP USER {account(upper, user)}"))


def account(upper: Engine, user: str) -> str:
    """An account as GRANT wants it."""
    return user if upper.dialect.name == "postgresql" else f"'{user}'@'127.0.0.1'"


def grant_needed_rights(upper: Engine, user: str, section: ExchangeTable) -> None:
    """What docs/endpoints.md lists, and nothing more."""
    views = section.holdings.views.values() if section.holdings else ()
    rights = dict.fromkeys(section.tables.values(), "INSERT, SELECT, DELETE")
    rights |= dict.fromkeys((section.receipts, *views), "SELECT")
    with upper.begin() as connection:
        for table, right in rights.items():
            named = upper.dialect.identifier_preparer.quote_identifier(table)
            connection.execute(text(f"GRANT {right} ON {named} TO {account(upper, user)}"))
