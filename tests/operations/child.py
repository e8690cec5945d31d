"""``guiji run`` in a process of its own. A fork server has the imports ready, so that kills hit work, not imports."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping
from datetime import date
from multiprocessing.process import BaseProcess

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["tests.operations.child", "pipelines.cli", "pipelines.operations.night", "great_expectations"]
)


def start(environment: Mapping[str, str], day: date, die_after: str | None = None) -> BaseProcess:
    """Start a run; ``die_after`` names a function (module:path) after whose first return the process kills itself."""
    child = CONTEXT.Process(target=_run, args=(dict(environment), day.isoformat(), die_after))
    child.start()
    return child


def _run(environment: dict[str, str], day: str, die_after: str | None) -> None:
    os.environ.update(environment)
    if die_after is not None:
        _arm(die_after)
    cli = importlib.import_module("pipelines.cli")
    sys.exit(cli.app(["run", "--date", day], standalone_mode=False))


def _arm(place: str) -> None:
    module_name, _, path = place.partition(":")
    owner = importlib.import_module(module_name)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    real = getattr(owner, name)

    def die(*args: object, **kwargs: object) -> None:
        real(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, die)
