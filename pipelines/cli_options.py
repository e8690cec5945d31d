"""Options that several commands share."""

# ruff: noqa: PLC0415 -- commands import what they need when they are called

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated

import typer

Note = Annotated[str, typer.Option(help="Why, and on which paper it rests; no personal data.")]
By = Annotated[str, typer.Option(help="Who decides it.")]
Yes = Annotated[bool, typer.Option("--yes", help="Store it; without this nothing is stored, and shown what would be.")]
Day = Annotated[
    datetime | None,
    typer.Option("--date", formats=["%Y-%m-%d"], help="Business date, YYYY-MM-DD; yesterday in Shanghai unless given."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
FEEDS_FAILED = 10


def business_date(chosen: datetime | None) -> date:
    """The day a command is about."""
    from pipelines.operations.clock import today_in_shanghai

    return chosen.date() if chosen else today_in_shanghai() - timedelta(days=1)
