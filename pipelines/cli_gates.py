"""Gates: ``guiji gates``."""

# Commands import what they need when they are called: `guiji --help` must answer at once.

from __future__ import annotations

import typer

app = typer.Typer(help="Batches that a gate holds, and who lets them pass.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Batches that a gate holds, and who lets them pass."""
