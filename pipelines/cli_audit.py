"""The hash chain: ``guiji audit``."""

# Commands import what they need when they are called: `guiji --help` must answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli_console import progress_bar, say, user_name

ALTERED = 14

app = typer.Typer(help="Prove that nothing published was altered or removed.", no_args_is_help=True)


@app.command()
def verify(
    since: Annotated[
        str | None, typer.Option(help="Only entries from this position or this day (YYYY-MM-DD) on.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Compare sizes of files; do not read them.")] = False,
    heads: Annotated[
        list[str] | None,
        typer.Option("--head", help="A file with heads that were kept elsewhere, or a head itself; may be repeated."),
    ] = None,
) -> None:
    """Compare chain, ledger, files and logs; one line per problem. Exit code 14 if there is any.

    With a head that was kept elsewhere a chain that was cut off or written anew is found as well.
    """
    from pipelines.operations.audit import heads_of
    from pipelines.operations.audit import verify as verify_chain
    from pipelines.operations.context import open_context

    first = None if since is None else _since(since)
    kept = [head for text in heads or () for head in heads_of(text)]
    with progress_bar() as bar:
        task = bar.add_task("entries of the chain", total=None)
        audit = verify_chain(
            open_context(),
            since=first,
            quick=quick,
            heads=kept,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    for problem in audit.problems:
        say(str(problem), style="red")
    what = "sizes compared" if quick else f"{audit.bytes / 1e6:,.1f} MB read"
    say(f"{audit.entries} entries from {audit.first} on, {audit.runs} runs, {audit.files} files, {what}.")
    say(f"head: {audit.head.position} {audit.head.hash}")
    if audit.problems:
        say(f"{len(audit.problems)} problems.", style="red")
        raise typer.Exit(ALTERED)
    say("Nothing was altered or removed.", style="green")


@app.command()
def show(name: Annotated[str, typer.Argument(metavar="RUN|POSITION", help="A published run, or a position.")]) -> None:
    """Show what an entry says: inputs, configuration, counts, and every file with its hash."""
    from pipelines.operations.audit_view import entry_lines, find_entry
    from pipelines.operations.context import open_context

    for line in entry_lines(find_entry(open_context(), name)):
        say(line)


@app.command()
def head() -> None:
    """Print where the chain ends: position and hash, to be kept where nobody who writes here can write."""
    from pipelines.operations.audit import current_head
    from pipelines.operations.context import open_context

    found = current_head(open_context())
    say(f"{found.position} {found.hash}")


@app.command()
def removal(
    paths: Annotated[list[Path], typer.Argument(help="Files, or folders with all their files, below GUIJI_HOME.")],
    why: Annotated[str, typer.Option(help="The reason, kept in the chain.")],
    by: Annotated[str | None, typer.Option(help="Who decides; the name you are logged in with unless given.")] = None,
) -> None:
    """Note in the chain that files are removed on purpose; remove them afterwards. Nothing is removed by this."""
    from pipelines.operations.audit_files import announce_removal
    from pipelines.operations.context import open_context

    position, files = announce_removal(open_context(), paths, user_name(by), why)
    say(f"entry {position}: {files} files may be missing from now on. Remove them now.")


def _since(text: str) -> int | date:
    if text.isdecimal():
        return int(text)
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text} is neither a position nor a day such as 2026-11-20") from error
