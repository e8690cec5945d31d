"""Trying changed rules out: ``guiji rules rehearse`` and ``guiji rules stale``."""

# Commands import what they need when they are called: `guiji --help` must answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli_console import err, out

Feeds = Annotated[
    list[str] | None, typer.Option("--feed", help="Only this feed; may be repeated. All feeds unless given.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the group of the rule book."""
    app.command()(rehearse)
    app.command()(stale)


def rehearse(
    change: Annotated[Path, typer.Argument(help="A changed file of expectations/, or a folder of such files.")],
    last: Annotated[int, typer.Option(min=1, help="How many of each feed's last published batches.")] = 5,
    feeds: Feeds = None,
    rows: Annotated[
        Path | None, typer.Option(help="Write every row that would change its outcome to this CSV, without values.")
    ] = None,
) -> None:
    """Judge stored batches by changed rules and show which rows would change outcome. Nothing is switched on."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from pipelines.operations.context import open_context
    from pipelines.operations.rehearsal import rehearse as judge_by_both
    from pipelines.operations.rehearsal_view import rehearsal_table, rehearsal_totals

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("rehearsing", total=None)

        def progress(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total, description=f"rehearsing {what}")

        found = judge_by_both(open_context(), change, last, feeds or (), rows, progress)
    if not found:
        out.print("No stored batch is judged by a rule that this changes.")
        return
    out.print(rehearsal_table(found))
    for sentence in rehearsal_totals(found):
        out.print(sentence, highlight=False, soft_wrap=True)
    if rows is not None:
        out.print(f"Rows: {rows}", soft_wrap=True)


def stale(feeds: Feeds = None) -> None:
    """List published batches that were judged under older rules than today's."""
    from pipelines.operations.context import open_context
    from pipelines.operations.rehearsal_view import stale_table
    from pipelines.operations.stale_batches import stale_batches

    found = stale_batches(open_context(), feeds or ())
    out.print(stale_table(found) if found else "Every published batch was judged by today's rules.")
