"""Tasks of departments: ``guiji tasks``."""

# Commands import what they need when they are called: `guiji --help` must answer at once.

from __future__ import annotations

import typer

app = typer.Typer(help="What departments have to mend, and how far they are.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """What departments have to mend, and how far they are."""
