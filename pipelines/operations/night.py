"""A batch from extract to published records, and a night of them."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pipelines.errors import GuijiError
from pipelines.operations import judging, publishing, pulling
from pipelines.operations.attempts import load_run
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


def publish_batch(run_id: str) -> bool:
    """Stage 3 with the installation's own settings; see :func:`pipelines.operations.publishing.publish_batch`.

    Whether the run is published; ``False`` for one that ended as unchanged.
    """
    context = open_context()
    publishing.publish_batch(context, run_id)
    return load_run(context, run_id).state == "published"


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
    context: Context,
    business_date: date,
    feeds: Sequence[str] = (),
    progress: Progress | None = None,
    at_once: int = 1,
) -> list[BatchResult]:
    """Run the batches of one business date, all feeds unless some are named.

    A feed that fails stops itself only; its problem is in the result and in the ledger. With ``at_once`` above 1 so
    many feeds are worked on side by side, each in a process of its own with the memory limit of one.
    """
    unknown = sorted(set(feeds) - set(context.catalogue.feed_codes))
    if unknown:
        context.catalogue.feed(unknown[0])
    chosen = feeds or context.catalogue.feed_codes
    if at_once > 1 and len(chosen) > 1:
        from pipelines.operations.side_by_side import run_side_by_side  # noqa: PLC0415 - it runs our batches

        return run_side_by_side(context, business_date, chosen, at_once, progress or (lambda _feed, _stage: None))
    results = []
    for code in chosen:
        results.append(batch_result(context, code, business_date, progress))
        if progress is not None and results[-1].problem is not None:
            progress(code, "failed")
    return results


def batch_result(context: Context, code: str, business_date: date, progress: Progress | None) -> BatchResult:
    """Run one batch; whatever happens in it is a result, so that it does not stop the others."""
    try:
        return BatchResult(code, run_batch(context, code, business_date, progress), None)
    except GuijiError as error:
        return BatchResult(code, None, error)
    except Exception as error:  # noqa: BLE001 - whatever happens in one feed must not stop the others
        return BatchResult(code, None, unexpected(error))


def unexpected(error: Exception) -> GuijiError:
    """An error nobody foresaw, without its text: that may quote a value of a record."""
    frames = traceback.extract_tb(error.__traceback__)
    place = next((frame for frame in reversed(frames) if "pipelines" in frame.filename), frames[-1])
    return GuijiError(
        f"unexpected {type(error).__name__} in {Path(place.filename).name}, line {place.lineno}",
        remedy="nothing of the batch was published; run it again, and report this place if it happens twice",
    )
