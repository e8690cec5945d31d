"""``guiji housekeeping``: remove what dead processes and crashed attempts left."""

# Commands import what they need when they are called: `guiji --help` must answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

from pipelines.cli_console import out


def housekeeping() -> None:
    """Remove what dead processes and crashed attempts left a day ago or earlier. Files of published runs stay."""
    from pipelines.ledger.database import now
    from pipelines.operations.context import open_context
    from pipelines.operations.housekeeping import keep_house

    removed = keep_house(open_context(), now())
    out.print(f"{removed.leftovers} left-over files and folders removed, {removed.bytes / 1e6:,.1f} MB.")
    out.print(
        f"{len(removed.runs)} crashed runs swept out of the record store, {removed.folders} folders of runs removed."
    )
