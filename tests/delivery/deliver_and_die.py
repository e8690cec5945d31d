"""Delivers in child processes that kill themselves at a chosen moment; driven line by line over stdin.

A command is a line of JSON: ``kill_at`` has one number per child, which receives SIGKILL at that event (0: never);
``ledger``, ``url``, ``endpoint`` and ``records`` say what to deliver whither. Events are: before a commit, before a
request leaves, after its answer came. The answer is a line of JSON with how each child ended: ``killed``, ``done``,
``conflict`` or ``failed``. The children are forked, because starting Python anew for each would take minutes.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import event

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.catalogue.endpoints import Endpoint
from pipelines.delivery.adapters import open_adapter
from pipelines.delivery.deliver import deliver
from pipelines.errors import GuijiError, RunConflictError
from pipelines.ledger.database import open_ledger
from pipelines.settings import Settings

ENDINGS = {0: "done", 6: "conflict"}


class Doom:
    """Counts events and kills the process at one of them; never for 0."""

    def __init__(self, at: int) -> None:
        self._left = at

    def strike(self, *_: Any) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def child(at: int, ledger_url: str, url: str, description: str, records: Path) -> int:
    doom = Doom(at)
    ledger = open_ledger(ledger_url)
    event.listen(ledger.engine, "commit", doom.strike)
    send = httpx.Client.send

    def doomed_send(*arguments: Any, **named: Any) -> httpx.Response:
        doom.strike()
        response = send(*arguments, **named)
        doom.strike()
        return response

    httpx.Client.send = doomed_send  # type: ignore[method-assign]
    stored = pickle.loads(records.read_bytes())  # noqa: S301 - written by the test beside
    try:
        endpoint = Endpoint.model_validate_json(description).model_copy(update={"url": url, "url_variable": None})
        deliver(
            ledger,
            endpoint,
            open_adapter(endpoint, {endpoint.secret_variable: "letmein-letmein"}),
            load_catalogue(Settings()).categories,
            lambda _category, keys: {key: stored[key] for key in keys},
        )
    except RunConflictError as error:
        return error.exit_code
    except GuijiError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def end_in_child(at: int, command: dict[str, Any]) -> int:
    """Fork a child that delivers; its process id."""
    process = os.fork()
    if process == 0:
        code = 99
        try:
            code = child(at, command["ledger"], command["url"], command["endpoint"], Path(command["records"]))
        finally:
            os._exit(code)
    return process


def main() -> None:
    for line in sys.stdin:
        command = json.loads(line)
        children = [end_in_child(at, command) for at in command["kill_at"]]
        endings = []
        for process in children:
            status = os.waitpid(process, 0)[1]
            killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
            endings.append("killed" if killed else ENDINGS.get(os.waitstatus_to_exitcode(status), "failed"))
        sys.stdout.write(json.dumps(endings) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
