"""Where the commands print."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.segment import Segment

from pipelines.errors import GuijiError
from pipelines.plain_text import plain_text


class PlainConsole(Console):
    """A console on which only we set colours: whatever else is printed cannot give the terminal orders."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain_text(segment.text), segment.style)


# A pipe or a log has no width of its own; tables need some. What is shown comes from files and people: brackets in it
# are brackets, no markup.
out = PlainConsole(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 120, markup=False)
err = PlainConsole(stderr=True, markup=False)


def say(text: str, *, style: str | None = None) -> None:
    """Print one line as it is: no markup, no colours of its own, and however long it is, no line break of ours."""
    out.print(text, style=style, highlight=False, soft_wrap=True)


def user_name(by: str | None) -> str:
    """Who does this: the name given with --by, else the account the command runs under.

    Raises:
        GuijiError: the account has no name, as in a container that runs under a bare number.
    """
    if by:
        return by
    try:
        return getpass.getuser()
    except (OSError, KeyError) as error:
        raise GuijiError(
            "Nobody knows who you are: the account this runs under has no name.", remedy="say who it is with --by NAME."
        ) from error


def progress_bar() -> Progress:
    """A bar on the error stream, for as long as it is open."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        transient=True,
    )
