"""A batch from extract to published records, and a night of them."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pipelines.errors import GuijiError
from pipelines.operations import judging, publishing, pulling
from pipelines.operations.context import Context, open_context

Progress = Callable[[str, str], None]


@dataclass(frozen=True)
class BatchResult:
    """What became of one feed's batch: its run, or the problem that stopped it."""

    feed: str
    run: str | None
    problem: GuijiError | None


def pull_batch(feed_code: str, business_date: date) -> str:
    """Stage 1 with the installation's own settings; see :func:`pipelines.operations.pulling.pull_batch`."""
    return pulling.pull_batch(open_context(), feed_code, business_date)


def judge_batch(run_id: str) -> str:
    """Stage 2 with the installation's own settings; see :func:`pipelines.operations.judging.judge_batch`."""
    return judging.judge_batch(open_context(), run_id)


def publish_batch(run_id: str) -> str:
    """Stage 3 with the installation's own settings; see :func:`pipelines.operations.publishing.publish_batch`."""
    return publishing.publish_batch(open_context(), run_id)


def run_batch(context: Context, feed_code: str, business_date: date, progress: Progress | None = None) -> str:
    """All three stages of one batch; returns the run."""
    report = progress or (lambda _feed, _stage: None)
    report(feed_code, "pulling")
    run = pulling.pull_batch(context, feed_code, business_date)
    report(feed_code, "judging")
    judging.judge_batch(context, run)
    report(feed_code, "publishing")
    publishing.publish_batch(context, run)
    report(feed_code, "done")
    return run


def run_night(
    context: Context, business_date: date, feeds: Sequence[str] = (), progress: Progress | None = None
) -> list[BatchResult]:
    """Run the batches of one business date, all feeds unless some are named.

    A feed that fails stops itself only; its problem is in the result and in the ledger.
    """
    unknown = sorted(set(feeds) - set(context.catalogue.feed_codes))
    if unknown:
        context.catalogue.feed(unknown[0])
    results = []
    for code in feeds or context.catalogue.feed_codes:
        try:
            results.append(BatchResult(code, run_batch(context, code, business_date, progress), None))
        except GuijiError as error:
            results.append(BatchResult(code, None, error))
        except Exception as error:  # noqa: BLE001 - whatever happens in one feed must not stop the others
            results.append(BatchResult(code, None, unexpected(error)))
        if progress is not None and results[-1].problem is not None:
            progress(code, "failed")
    return results


def unexpected(error: Exception) -> GuijiError:
    """An error nobody foresaw, without its text: that may quote a value of a record."""
    frames = traceback.extract_tb(error.__traceback__)
    place = next((frame for frame in reversed(frames) if "pipelines" in frame.filename), frames[-1])
    return GuijiError(
        f"unexpected {type(error).__name__} in {Path(place.filename).name}, line {place.lineno}",
        remedy="nothing of the batch was published; run it again, and report this place if it happens twice",
    )
