"""``guiji migrate``: the tables of the ledger."""

# Commands import what they need when they are called: `guiji --help` must answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli_console import say


def migrate(
    to: Annotated[str | None, typer.Option(help="A revision to go to, up or down, such as 0004; base is none.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Go down; without this it is only said what that means.")] = False,
) -> None:
    """Create the ledger's tables or bring them up to date. Safe to repeat."""
    from pipelines.ledger import database
    from pipelines.ledger.revisions import BASE, HEAD, chosen_revision, current_revision, known_revisions
    from pipelines.settings import Settings

    url = Settings().ledger
    ledger = database.open_ledger(url)
    wanted = chosen_revision(to or HEAD)
    with ledger.engine.connect() as connection:
        present = current_revision(connection, ledger.place)
    order = (None, *known_revisions())
    goes_down = order.index(wanted) < order.index(present)
    if goes_down and not yes:
        say(
            f"This would take the ledger {ledger.place} from {present} to {wanted or BASE}: tables, columns and rows "
            "that came with the newer revisions are deleted. Stop everything that uses it and make a backup "
            "('guiji backup create FOLDER') first; then repeat it with --yes."
        )
        return
    database.migrate(url, to or HEAD)
    if goes_down:
        say(
            f"The ledger {ledger.place} is at {wanted or BASE}, for the program of that time; "
            "any other command of this one brings it up again."
        )
    else:
        say(f"The ledger {ledger.place} is up to date.")
