"""Corrected workbooks that departments send back: ``guiji resubmit``."""

# Commands import what they need when they are called: `guiji --help` must answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli_console import err, out, user_name

SOME_REFUSED = 10


def resubmit(
    files: Annotated[list[Path], typer.Argument(help="Workbooks that departments filled in and sent back.")],
    by: Annotated[
        str | None, typer.Option("--by", help="Who sent or took them, for the record; the account unless given.")
    ] = None,
) -> None:
    """Apply corrected department workbooks: match rows, run their batches again, write an answer for each.

    The source is not asked. The same workbook twice is a no-op. Exit code 10 when a file could not be taken; the
    others are done.
    """
    from pipelines.operations.context import open_context
    from pipelines.operations.resubmitting import resubmit_files

    outcomes = resubmit_files(open_context(), files, user_name(by))
    for outcome in outcomes:
        if outcome.problem is not None:
            told = str(outcome.problem)
            if not told.startswith(outcome.name):
                told = f"{outcome.name}: {told}"
            err.print(told, style="red", markup=False, highlight=False, soft_wrap=True)
        elif outcome.result is not None:
            done = outcome.result
            again = " (had come before: nothing new)" if done.repeated else ""
            out.print(
                f"{done.name}{again}: {done.feed}, {done.business_date}, run {done.run}: {done.applied} corrections "
                f"applied, {done.still_wrong} of them in rows with problems left, {done.refused} cells refused",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
            out.print(f"Answer: {done.answer}", markup=False, highlight=False, soft_wrap=True)
    if any(outcome.problem is not None for outcome in outcomes):
        raise typer.Exit(SOME_REFUSED)
