"""Waivers: ``guiji waivers``."""

# Commands import what they need when they are called: `guiji --help` must answer at once.

from __future__ import annotations

import typer

app = typer.Typer(help="Records that are excused from a rule for a while.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Records that are excused from a rule for a while."""
