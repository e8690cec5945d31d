"""Commands of guiji in processes of their own.

A fork server has the imports ready, so that kills hit work, not imports.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from multiprocessing.process import BaseProcess
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["tests.chaos.child", "tests.chaos.doom", "pipelines.cli", "pipelines.operations.night", "great_expectations"]
)


def start(
    command: Sequence[str], environment: Mapping[str, str], said: Path, deadly: frozenset[str] = frozenset()
) -> BaseProcess:
    """Start ``guiji COMMAND``, or a night without its pages (``night DATE FEED…``).

    It dies at the first fail point of ``deadly``. The fail points that it passes are written to ``said.points``, what
    it prints to ``said.txt``.
    """
    child = CONTEXT.Process(target=_run, args=(list(command), dict(environment), said, deadly))
    child.start()
    return child


def _run(command: list[str], environment: dict[str, str], said: Path, deadly: frozenset[str]) -> None:
    os.environ.update(environment)
    printed = os.open(said.with_suffix(".txt"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    # Imported here: the doom must be armed before anything of the product keeps a primitive for itself.
    from tests.chaos.doom import Doom

    Doom(deadly, said.with_suffix(".points")).arm()
    from pipelines import cli

    if command[0] == "night":
        sys.exit(_night(date.fromisoformat(command[1]), command[2:]))
    sys.argv = ["guiji", *command]
    cli.main()


def _night(day: date, feeds: list[str]) -> int:
    """``guiji run`` without its pages, which take longer than everything else: they are a step of their own."""
    from pipelines.operations.context import open_context
    from pipelines.operations.deliveries import consolidate_stores
    from pipelines.operations.night import run_night

    context = open_context()
    problems = [result.problem for result in run_night(context, day, feeds) if result.problem is not None]
    consolidate_stores(context)
    sys.stderr.writelines(f"{problem}\n" for problem in problems)
    return len(problems)
