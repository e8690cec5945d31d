"""First stage of a batch: the bytes are landed, the rows come out as text."""

from __future__ import annotations

import shutil
from datetime import date

from sqlalchemy import insert

from pipelines.catalogue.feeds import Feed
from pipelines.errors import GuijiError
from pipelines.intake.folder import find_extracts
from pipelines.intake.landing import LandedExtract, land
from pipelines.intake.reading import IntakeResult, read_landed
from pipelines.ledger.database import now
from pipelines.ledger.models import Extract, Run
from pipelines.operations.attempts import begin_run, feed_lock, mark_failed, published_run, run_folder
from pipelines.operations.context import Context
from pipelines.operations.fingerprint import fingerprint


def pull_batch(context: Context, feed_code: str, business_date: date) -> str:
    """Open a new run of a batch, land its extracts and decode their rows; returns the run.

    When the batch was published from the same bytes under the same rules, the run ends here as ``unchanged``.
    A problem marks the run failed and is raised again; other feeds are not touched.
    """
    feed = context.catalogue.feed(feed_code)
    with feed_lock(context, feed_code):
        run = begin_run(context, feed, business_date)
        try:
            landed = [
                land(path, context.settings.landing) for path in find_extracts(context.settings, feed, business_date)
            ]
            mark = fingerprint(context, feed, (extract.sha256 for extract in landed))
            if not _is_unchanged(context, run, mark):
                _read(context, feed, run, landed, mark)
        except GuijiError as error:
            mark_failed(context, run.id, str(error))
            raise
    return run.id


def _is_unchanged(context: Context, run: Run, mark: str) -> bool:
    """Record a no-op when the published run of this batch came from the same bytes under the same rules."""
    with context.ledger.write() as session:
        published = published_run(session, run.feed, run.business_date)
        if published is None or published.fingerprint != mark:
            return False
        found = session.get_one(Run, run.id)
        found.state, found.stage, found.swept = "unchanged", "pulled", True
        found.fingerprint, found.finished_at = mark, now()
    return True


def _read(context: Context, feed: Feed, run: Run, landed: list[LandedExtract], mark: str) -> None:
    folder = run_folder(context, run.id)
    shutil.rmtree(folder, ignore_errors=True)
    with context.session() as session:
        result = read_landed(session, landed, feed, context.catalogue.category_of(feed), folder)
    _record(context, run, result, mark)


def _record(context: Context, run: Run, result: IntakeResult, mark: str) -> None:
    with context.ledger.write() as session:
        found = session.get_one(Run, run.id)
        found.stage, found.fingerprint = "pulled", mark
        found.rows_decoded, found.lines_undecoded = result.rows_decoded, result.lines_undecoded
        found.manifest = {"parts": [part.as_json() for part in result.parts]}
        session.execute(
            insert(Extract),
            [
                {
                    "run": run.id,
                    "position": position,
                    "sha256": manifest["sha256"],
                    "name": manifest["name"],
                    # An extract with the same bytes as another one of the batch has no rows of its own.
                    "bytes": manifest.get("bytes", 0),
                    "rows_decoded": manifest.get("rows_decoded", 0),
                    "lines_undecoded": manifest.get("lines_undecoded", 0),
                    "manifest": manifest,
                }
                for position, manifest in enumerate(result.extracts)
            ],
        )
