"""The rule book: ``guiji rules``."""

# Commands import what they need when they are called: `guiji --help` must answer at once.

from __future__ import annotations

import typer

app = typer.Typer(help="The rule book: what is checked, why, and what to do.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The rule book: what is checked, why, and what to do."""
