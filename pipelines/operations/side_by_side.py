"""Batches of several feeds side by side, in a few processes. One that dies takes its own feed along and no more."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from pipelines.errors import GuijiError
from pipelines.logs import configure
from pipelines.operations.context import Context, open_context
from pipelines.operations.night import BatchResult, Progress, batch_result
from pipelines.settings import Settings

# A fork server imports these once; the second judge alone takes seconds.
PRELOADED = ["pipelines.operations.side_by_side", "pipelines.quality.great_expectations_engine"]


@dataclass
class _Worker:
    process: BaseProcess
    line: Connection
    feed: str


def run_side_by_side(
    context: Context, business_date: date, feeds: Sequence[str], at_once: int, progress: Progress
) -> list[BatchResult]:
    """Run the batches of these feeds, ``at_once`` at the same time; results in the order of ``feeds``.

    ``progress`` is called in this process. When this process ends, those that it started end with their stage.
    """
    waiting = deque(feeds)
    results: dict[str, BatchResult] = {}
    workers: list[_Worker] = []
    try:
        while waiting or workers:
            while waiting and len(workers) < at_once:
                workers.append(_begin(context.settings, waiting.popleft(), business_date))
            for line in wait([worker.line for worker in workers]):
                worker = next(one for one in workers if one.line is line)
                heard = _hear(worker)
                if not isinstance(heard, BatchResult):
                    progress(*heard)
                    continue
                results[worker.feed] = heard
                if heard.problem is not None:
                    progress(worker.feed, "failed")
                if waiting and _asked(worker, waiting[0], business_date):
                    waiting.popleft()
                else:
                    workers.remove(worker)
                    _end(worker)
    finally:
        for worker in workers:
            worker.process.terminate()
            _end(worker)
    return [results[feed] for feed in feeds]


def _begin(settings: Settings, feed: str, business_date: date) -> _Worker:
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(PRELOADED)
    ours, theirs = processes.Pipe()
    process = processes.Process(target=_work, args=(settings, theirs))
    process.start()
    # Only the process itself holds its end now: when it dies, ours says so.
    theirs.close()
    worker = _Worker(process, ours, feed)
    _asked(worker, feed, business_date)
    return worker


def _asked(worker: _Worker, feed: str, business_date: date) -> bool:
    """Whether the process could still be given another batch."""
    try:
        worker.line.send((feed, business_date))
    except (BrokenPipeError, ConnectionResetError):
        return False
    worker.feed = feed
    return True


def _hear(worker: _Worker) -> BatchResult | tuple[str, str]:
    try:
        heard: BatchResult | tuple[str, str] = worker.line.recv()
    except (EOFError, ConnectionResetError):
        worker.process.join()
        code = worker.process.exitcode or 0
        died = GuijiError(
            f"its process was ended by signal {-code}" if code < 0 else f"its process ended with exit code {code}",
            remedy="nothing half done is visible; see whether the machine ran out of memory, then run it again",
        )
        return BatchResult(worker.feed, None, died)
    return heard


def _end(worker: _Worker) -> None:
    worker.line.close()
    worker.process.join()


def _work(settings: Settings, line: Connection) -> None:
    """Run what is asked for until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the process that started this one, and it decides
    configure()
    context = open_context(settings)

    def tell(feed: str, stage: str) -> None:
        line.send((feed, stage))

    while True:
        try:
            feed, business_date = line.recv()
        except EOFError:
            return
        line.send(batch_result(context, feed, business_date, tell))
