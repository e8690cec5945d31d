"""``guiji backup``: ledger and lake saved, checked and put back."""

# Commands import what they need when they are called: `guiji --help` must answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli_console import err, progress_bar, say
from pipelines.errors import StorageError

app = typer.Typer(help="Save ledger and lake together, check what was saved, put it back.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(help="The folder of the backup.")]
MOST_LISTED = 20


@app.command()
def create(folder: Folder) -> None:
    """Save the ledger and the files that it knows into a new folder. Others may go on working."""
    from pipelines.operations.backup import create_backup
    from pipelines.operations.context import open_context

    context = open_context()
    with _bar() as progress:
        backup = create_backup(context, folder, progress)
    say(
        f"{backup.folder}: {backup.files} files, {backup.bytes / 1e6:.1f} MB, {backup.runs} runs, {backup.database} "
        f"ledger of revision {backup.revision}, as of {backup.created_at} UTC"
    )
    _list(backup.lost)
    if backup.lost:
        raise StorageError(
            f"the backup is whole, but {len(backup.lost)} published files were not in the lake any more",
            file=context.settings.home_path,
            remedy="take them from an older backup, or run their batches again",
        )


@app.command()
def check(folder: Folder) -> None:
    """Read every byte of a backup again and compare it with what was saved."""
    from pipelines.operations.backup import check_backup

    with _bar() as progress:
        backup, wrong = check_backup(folder, progress)
    _list(wrong)
    if wrong:
        raise StorageError(
            f"{len(wrong)} things are wrong with the backup", file=folder, remedy="use another one and find out why"
        )
    say(f"{folder} is whole: {backup.files} files, {backup.bytes / 1e6:.1f} MB, as of {backup.created_at} UTC")


@app.command()
def restore(
    folder: Folder,
    home: Annotated[Path, typer.Option(help="The new home, GUIJI_HOME from then on; nothing may be in it.")],
) -> None:
    """Put a backup into a new home; a PostgreSQL ledger into the empty database that GUIJI_LEDGER_URL names."""
    from pipelines.operations.restoring import restore_backup

    with _bar() as progress:
        backup, owed = restore_backup(folder, home, progress)
    say(f"{home} is as it was at {backup.created_at} UTC: {backup.runs} runs, {owed} things owed to endpoints.")
    say("What was published or delivered since then is not known here: set GUIJI_HOME, run those nights again,")
    say("and compare with the endpoints before anything is delivered: guiji reconcile, guiji reconcile repair.")


def _list(sentences: list[str] | tuple[str, ...]) -> None:
    for sentence in sentences[:MOST_LISTED]:
        err.print(sentence, style="red", highlight=False, soft_wrap=True)
    if len(sentences) > MOST_LISTED:
        err.print(f"and {len(sentences) - MOST_LISTED} more", style="red", highlight=False)


@contextmanager
def _bar() -> Iterator[Callable[[str, int, int], None]]:
    with progress_bar() as bar:
        task = bar.add_task("", total=None)

        def progress(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total or None)

        yield progress
