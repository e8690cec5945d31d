"""Start processes, notice when one dies, stop all of them whatever happens."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Self

GRACE_SECONDS = 15.0
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class LocalFailure(Exception):
    """Something that was started here did not do its work; the message says where to look."""


@dataclass
class Processes:
    """Processes that live as long as the ``with`` block, each with a log file in ``logs``."""

    logs: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self.logs.mkdir(parents=True, exist_ok=True)
        # What would end this program silently must first end what it started.
        for number in ENDING:
            signal.signal(number, _leave)
        return self

    def __exit__(self, *_: object) -> None:
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave anything behind
        for process in reversed(self.running.values()):
            process.terminate()
        deadline = time.monotonic() + GRACE_SECONDS
        for process in self.running.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            _end_group(process.pid)

    def start(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        """Start ``command`` in a session of its own: Ctrl-C comes to us first, and its children go with it."""
        with (self.logs / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def check(self) -> None:
        """Raise :class:`LocalFailure` when one of them has ended."""
        for name, process in self.running.items():
            if process.poll() is not None:
                raise LocalFailure(f"{name} ended with {process.returncode}; see {self.logs / name}.log")


@contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Keep a second program from starting Airflow on the same database; the lock dies with its holder."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalFailure(f"another 'make run' or 'make up' is using {home}; stop it first") from None
        yield


def free_port(wanted: int = 0) -> int:
    """The wanted port if it is free, any free one for 0."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError as error:
            raise LocalFailure(f"port {wanted} cannot be used ({error.strerror}); name another one") from None
        port: int = probe.getsockname()[1]
        return port


def _end_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return  # the usual case: nothing outlived its parent


def _leave(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)
