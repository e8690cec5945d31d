"""First stage of a batch: the bytes are landed, the rows come out as text."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import date
from typing import Any

from sqlalchemy import insert, select

from pipelines.catalogue.feeds import Feed
from pipelines.errors import BatchHeldError, GuijiError
from pipelines.intake.connectors import connector_of
from pipelines.intake.connectors.contract import Pull, PullRequest
from pipelines.intake.landing import LandedExtract, landed_path
from pipelines.intake.reading import IntakeResult, read_landed
from pipelines.intake.totals import check_totals
from pipelines.ledger.database import now
from pipelines.ledger.models import Batch, Extract, Run
from pipelines.operations.attempts import begin_run, feed_lock, mark_failed, mark_held, published_run, run_folder
from pipelines.operations.context import Context
from pipelines.operations.corrections import apply_corrections, correction_hashes
from pipelines.operations.fingerprint import fingerprint
from pipelines.operations.settling import owed_runs, settle_what_is_owed


def pull_batch(context: Context, feed_code: str, business_date: date) -> str:
    """Open a new run of a batch, land its extracts and decode their rows; returns the run.

    What a source is still owed from earlier batches is settled first; that it could not be is no reason not to pull.
    When the batch was published from the same bytes under the same rules, the run ends here as ``unchanged``.
    A problem marks the run failed, or held when somebody has to look, and is raised again; other feeds are not
    touched.
    """
    feed = context.catalogue.feed(feed_code)
    with feed_lock(context, feed_code):
        run = begin_run(context, feed, business_date)
        try:
            settle_what_is_owed(context, feed)
            pulled = connector_of(feed).pull(_request(context, feed, business_date))
            corrections = correction_hashes(context, feed_code, business_date)
            mark = fingerprint(context, feed, (extract.sha256 for extract in pulled.extracts), corrections)
            if not _is_unchanged(context, run, mark, pulled):
                _read(context, feed, run, pulled, mark)
        except BatchHeldError as error:
            mark_held(context, run.id, error)
            raise
        except GuijiError as error:
            mark_failed(context, run.id, error)
            raise
    return run.id


def _request(context: Context, feed: Feed, business_date: date) -> PullRequest:
    workspace = context.settings.scratch / "sources" / feed.feed
    workspace.mkdir(parents=True, exist_ok=True)
    earlier = _earlier(context, feed, business_date)
    return PullRequest(
        settings=context.settings,
        feed=feed,
        business_date=business_date,
        workspace=workspace,
        watermark=_watermark(context, feed, business_date),
        earlier=tuple(extract for extract in earlier if extract.path.exists()),
        lost=tuple(extract.name for extract in earlier if not extract.path.exists()),
        owed=_owed(context, feed, business_date),
        category=context.catalogue.category_of(feed),
    )


def _earlier(context: Context, feed: Feed, business_date: date) -> tuple[LandedExtract, ...]:
    """What the published run of this batch was made of."""
    with context.ledger.read() as session:
        published = published_run(session, feed.feed, business_date)
        if published is None:
            return ()
        query = select(Extract).where(Extract.run == published.id).order_by(Extract.position)
        found = [(extract.sha256, extract.name, extract.bytes) for extract in session.scalars(query)]
    landing = context.settings.landing
    return tuple(LandedExtract(sha, name, landed_path(landing, sha), size) for sha, name, size in found)


def _owed(context: Context, feed: Feed, business_date: date) -> tuple[Mapping[str, Any], ...]:
    """Receipts of the feed's other batches that could not be settled yet."""
    with context.ledger.read() as session:
        runs = [run for run in owed_runs(session, feed.feed) if run.business_date != business_date]
        receipts = [(run.manifest or {}).get("source", {}).get("receipt") for run in runs]
    return tuple(receipt for receipt in receipts if receipt is not None)


def _watermark(context: Context, feed: Feed, business_date: date) -> str | None:
    """Where the last published batch before this one ended; repeating a batch starts where it started before."""
    query = (
        select(Run.manifest)
        .join(Batch, Batch.run == Run.id)
        .where(Batch.feed == feed.feed, Batch.business_date < business_date)
        .order_by(Batch.business_date.desc())
        .limit(1)
    )
    with context.ledger.read() as session:
        manifest = session.scalar(query)
    found: str | None = (manifest or {}).get("source", {}).get("watermark")
    return found


def _source(pulled: Pull) -> dict[str, Any]:
    """What the manifest of a run keeps about its source."""
    receipt = None if pulled.receipt is None else dict(pulled.receipt)
    return {**pulled.facts, "pulled_at": now().isoformat(), "watermark": pulled.watermark, "receipt": receipt}


def _is_unchanged(context: Context, run: Run, mark: str, pulled: Pull) -> bool:
    """Record a no-op when the published run of this batch came from the same bytes under the same rules."""
    with context.ledger.write() as session:
        published = published_run(session, run.feed, run.business_date)
        if published is None or published.fingerprint != mark:
            return False
        found = session.get_one(Run, run.id)
        found.state, found.stage, found.swept = "unchanged", "pulled", True
        found.fingerprint, found.finished_at = mark, now()
        found.manifest = {"source": _source(pulled)}
        found.settled_at = None if pulled.receipt is not None else now()
    return True


def _read(context: Context, feed: Feed, run: Run, pulled: Pull, mark: str) -> None:
    folder = run_folder(context, run.id)
    shutil.rmtree(folder, ignore_errors=True)
    source = _source(pulled)
    _note_landed(context, run, pulled, source)
    with context.session() as session:
        result = read_landed(session, list(pulled.extracts), feed, context.catalogue.category_of(feed), folder)
        apply_corrections(context, session, feed.feed, run.business_date, result.parts, folder)
        totals = check_totals(session, result, pulled.declared)
    _record(context, run, result, mark, {**source, "totals": totals})


def _note_landed(context: Context, run: Run, pulled: Pull, source: dict[str, Any]) -> None:
    """Keep what was landed before it is read: of an extract that cannot be read this is all there is to know."""
    landed = [{"name": extract.name, "sha256": extract.sha256, "bytes": extract.size} for extract in pulled.extracts]
    with context.ledger.write() as session:
        session.get_one(Run, run.id).manifest = {"source": source, "landed": landed}


def _record(context: Context, run: Run, result: IntakeResult, mark: str, source: dict[str, Any]) -> None:
    with context.ledger.write() as session:
        found = session.get_one(Run, run.id)
        found.stage, found.fingerprint = "pulled", mark
        found.rows_decoded, found.lines_undecoded = result.rows_decoded, result.lines_undecoded
        found.manifest = {"parts": [part.as_json() for part in result.parts], "source": source}
        found.settled_at = None if source["receipt"] is not None else now()
        if not result.extracts:
            return
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
