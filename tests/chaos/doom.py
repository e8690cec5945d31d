"""Fail points: the moments before and after product code makes something last, and a process that dies at one.

What makes things last are a few primitives: the commit of a ledger transaction, a commit to a Delta log, and putting a
file in its place or taking it away. They are watched here, so a new one anywhere in the product is a new fail point.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Container
from functools import wraps
from pathlib import Path
from threading import local
from types import FrameType
from typing import Any

from deltalake import DeltaTable
from sqlalchemy import Connection

from pipelines.settings import PROJECT_ROOT

PRODUCT = f"{PROJECT_ROOT}/pipelines/"
# All ledger transactions are committed there, on behalf of somebody else.
ON_BEHALF = "pipelines.ledger.database"
PRIMITIVES: tuple[tuple[Any, str], ...] = (
    (Connection, "_commit_impl"),
    (DeltaTable, "create"),
    (DeltaTable, "create_write_transaction"),
    *((os, name) for name in ("rename", "replace", "link", "unlink", "rmdir")),
    *((shutil, name) for name in ("rmtree", "copyfile", "copy2", "copytree")),
)
Strike = Callable[[str], None]


class Doom:
    """Dies at the first fail point it comes to that is ``deadly``; writes down all fail points it passes.

    A fail point is told as ``before rename pipelines.engine.duck:Session.write_parquet:123 < …``: the primitive, and
    the functions and lines of the product that led there, the innermost first.
    """

    def __init__(self, deadly: Container[str], passed: Path) -> None:
        self._deadly = deadly
        self._passed = passed.open("a", buffering=1, encoding="utf-8")
        self._nested = local()

    def arm(self) -> None:
        for owner, name in PRIMITIVES:
            setattr(owner, name, self._watched(getattr(owner, name), name.strip("_")))

    def _watched(self, real: Callable[..., Any], name: str) -> Callable[..., Any]:
        @wraps(real)
        def watched(*arguments: Any, **named: Any) -> Any:
            place = None if getattr(self._nested, "inside", False) else _place(sys._getframe(1))
            if place is None:
                return real(*arguments, **named)
            self._pass(f"before {name} {place}")
            self._nested.inside = True
            try:
                result = real(*arguments, **named)
            finally:
                self._nested.inside = False
            self._pass(f"after {name} {place}")
            return result

        return watched

    def _pass(self, point: str) -> None:
        deadly = point in self._deadly
        self._passed.write(f"{'died ' if deadly else ''}{point}\n")
        if deadly:
            os.kill(os.getpid(), signal.SIGKILL)


def _place(frame: FrameType | None) -> str | None:
    """The functions of the product on the stack, the innermost first; None when it is not there at all."""
    found = []
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(PRODUCT):
            module = frame.f_globals["__name__"]
            if module != ON_BEHALF:
                found.append(f"{module}:{code.co_qualname}:{frame.f_lineno}")
        frame = frame.f_back
    return " < ".join(found) or None


def site(point: str) -> str:
    """Module and function of the product that a fail point belongs to."""
    module, function, _line = point.split(" ")[2].split(":")
    named = [part for part in function.split(".") if not part.startswith("<")]
    return f"{module}:{'.'.join(named)}"
