"""Delivers in child processes that are killed, at a chosen event or after some time; driven line by line over stdin.

A command is a line of JSON: ``ledger``, ``endpoint``, ``environment`` and ``records`` say what to deliver whither;
``strike_at`` is the event at which the child kills itself (0: never) and ``seconds`` how long it may live (null: as
long as it likes). Events are: before a commit to a database, before a call of the adapter, after it. The answer is a
line of JSON: ``killed``, ``done``, or why the delivery failed. Children are forked, because starting Python anew for
each would take minutes.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine, event

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.catalogue.categories import Category
from pipelines.catalogue.endpoints import Endpoint
from pipelines.delivery.adapter import Adapter, Holding, OutgoingPackage
from pipelines.delivery.adapters import open_adapter
from pipelines.delivery.deliver import deliver
from pipelines.delivery.replies import Inquiry, Receipts, SubmitReply
from pipelines.errors import GuijiError
from pipelines.ledger.database import open_ledger
from pipelines.settings import Settings

Answer = TypeVar("Answer")


class Doom:
    """Counts events and kills the process at one of them; never for 0."""

    def __init__(self, at: int) -> None:
        self._left = at

    def strike(self, *_: Any) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class DoomedAdapter(Adapter):
    """An adapter that is struck before and after each of its calls."""

    def __init__(self, adapter: Adapter, doom: Doom) -> None:
        self._adapter = adapter
        self._doom = doom
        self.place = adapter.place

    def close(self) -> None:
        self._adapter.close()

    def submit(self, package: OutgoingPackage) -> SubmitReply:
        return self._struck(lambda: self._adapter.submit(package))

    def receipts(self, package: OutgoingPackage) -> Receipts:
        return self._struck(lambda: self._adapter.receipts(package))

    def inquire(self, package: OutgoingPackage) -> Inquiry:
        return self._struck(lambda: self._adapter.inquire(package))

    def retract(self, package: OutgoingPackage, record_keys: Collection[str]) -> frozenset[str]:
        return self._struck(lambda: self._adapter.retract(package, record_keys))

    def holdings(self, category: Category) -> Iterator[Holding] | None:
        return self._adapter.holdings(category)

    def shape(self, category: Category, data: Mapping[str, str]) -> str:
        return self._adapter.shape(category, data)

    def reference(self, *arguments: Any) -> str:
        return self._adapter.reference(*arguments)

    def _struck(self, call: Callable[[], Answer]) -> Answer:
        self._doom.strike()
        try:
            return call()
        finally:
            self._doom.strike()


def child(command: dict[str, Any]) -> str:
    doom = Doom(command["strike_at"])
    ledger = open_ledger(command["ledger"])
    # Of all databases: the receiver's may be one.
    event.listen(Engine, "commit", doom.strike)
    stored = pickle.loads(Path(command["records"]).read_bytes())  # noqa: S301 - written by the test beside
    endpoint = Endpoint.model_validate_json(command["endpoint"])
    try:
        adapter = DoomedAdapter(open_adapter(endpoint, command["environment"]), doom)
        deliver(
            ledger,
            endpoint,
            adapter,
            load_catalogue(Settings()).categories,
            lambda _category, keys: {key: stored[key] for key in keys},
            force=True,
        )
    except GuijiError as error:
        return str(error)
    return "done"


def outlive(process: int, seconds: float | None) -> int:
    """Wait for a child, and kill it when its time is up; how it ended, as ``os.waitpid`` tells it."""
    limit = None if seconds is None else time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return status
        if limit is not None and time.monotonic() >= limit:
            os.kill(process, signal.SIGKILL)
            return os.waitpid(process, 0)[1]
        time.sleep(0.002)


def main() -> None:
    load_catalogue(Settings())
    for line in sys.stdin:
        command = json.loads(line)
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            code = 99
            try:
                os.write(writing, child(command).encode())
                code = 0
            except BaseException:
                traceback.print_exc()
                raise
            finally:
                os._exit(code)
        os.close(writing)
        status = outlive(process, command["seconds"])
        with os.fdopen(reading, encoding="utf-8") as said:
            ending = said.read()
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            ending = "killed"
        elif status != 0:
            ending = "crashed"
        sys.stdout.write(json.dumps(ending) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
