"""Figures for the bulletin: ``guiji figures``."""

# Commands import what they need when they are called: `guiji --help` must answer at once.

from __future__ import annotations

import typer

app = typer.Typer(help="Figures of departments, and the monthly bulletin.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Figures of departments, and the monthly bulletin."""
