"""First stage of a batch: the bytes are landed, the rows come out as text."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from datetime import date
from time import perf_counter
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.catalogue.feeds import Feed
from pipelines.errors import RunConflictError, StorageError
from pipelines.intake.connectors import connector_of
from pipelines.intake.connectors.contract import Pull, PullRequest
from pipelines.intake.landing import LandedExtract, landed_path
from pipelines.intake.reading import IntakeResult, read_landed
from pipelines.intake.totals import check_totals
from pipelines.ledger.database import now
from pipelines.ledger.models import Batch, Extract, Run
from pipelines.operations.attempts import (
    attempt,
    begin_run,
    feed_lock,
    load_run,
    log_stage,
    published_run,
    run_folder,
)
from pipelines.operations.context import Context
from pipelines.operations.corrections import apply_corrections, correction_hashes
from pipelines.operations.fingerprint import deciding_parts, fingerprint_of, marks_of
from pipelines.operations.settling import owed_runs, settle_what_is_owed
from pipelines.operations.waiving import waiver_marks

# What a run's manifest says about its own pull and not about the source.
_OF_ONE_PULL = frozenset({"pulled_at", "watermark", "receipt", "settle_problem", "left_at_source"})


def pull_batch(context: Context, feed_code: str, business_date: date) -> str:
    """Open a new run of a batch, land its extracts and decode their rows; returns the run.

    What a source is still owed from earlier batches is settled first; that it could not be is no reason not to pull.
    When the batch was published from the same bytes under the same rules, the run ends here as ``unchanged``.
    A problem marks the run failed, or held when somebody has to look, and is raised again; other feeds are not
    touched.
    """
    return _pull(context, feed_code, business_date, _ask_source)


def pull_landed(context: Context, feed_code: str, business_date: date) -> str:
    """Open a new run of a published batch from the extracts it was made of; the source is not asked.

    For what comes to a batch later and not from its source, such as corrections. Otherwise as :func:`pull_batch`.
    Raises :class:`RunConflictError` when the batch was never published and :class:`StorageError` when the landing no
    longer has what it was made of.
    """
    return _pull(context, feed_code, business_date, _from_landing)


def pull_stored(context: Context, feed_code: str, business_date: date, attempt: str) -> str:
    """Open a new run of a batch from the extracts that an earlier attempt had read, published or not.

    Otherwise as :func:`pull_landed`. What the source is still owed for an attempt that was never published, it is owed
    for the new run.
    """
    return _pull(
        context, feed_code, business_date, lambda context, _feed, _day: _stored(context, load_run(context, attempt))
    )


def _pull(context: Context, feed_code: str, business_date: date, take: Callable[[Context, Feed, date], Pull]) -> str:
    feed = context.catalogue.feed(feed_code)
    with feed_lock(context, feed_code):
        began = perf_counter()
        run = begin_run(context, feed, business_date)
        with attempt(context, run.id):
            pulled = take(context, feed, business_date)
            corrections = correction_hashes(context, feed_code, business_date)
            deciding = deciding_parts(
                context,
                feed,
                (extract.sha256 for extract in pulled.extracts),
                corrections,
                waiver_marks(context, feed_code, business_date),
            )
            if not _is_unchanged(context, run, fingerprint_of(deciding), pulled):
                _read(context, feed, run, pulled, deciding)
        log_stage(context, run.id, began)
    return run.id


def _ask_source(context: Context, feed: Feed, business_date: date) -> Pull:
    settle_what_is_owed(context, feed)
    return connector_of(feed).pull(_request(context, feed, business_date))


def _from_landing(context: Context, feed: Feed, business_date: date) -> Pull:
    """What the published run of the batch was made of, as its source would give it out again."""
    with context.ledger.read() as session:
        published = published_run(session, feed.feed, business_date)
    if published is None:
        raise RunConflictError(
            f"no run of {feed.feed} for {business_date.isoformat()} was published",
            remedy="run the batch from its source first",
        )
    return _stored(context, published)


def _stored(context: Context, attempt: Run) -> Pull:
    """What an attempt was made of, as its source would give it out again."""
    source = dict((attempt.manifest or {}).get("source", {}))
    extracts = stored_extracts(context, attempt.id)
    facts = {name: fact for name, fact in source.items() if name not in _OF_ONE_PULL}
    receipt = None if attempt.state == "published" else source.get("receipt")
    return Pull(extracts, {**facts, "again_from_landing": True}, receipt=receipt, watermark=source.get("watermark"))


def stored_extracts(context: Context, attempt: str) -> tuple[LandedExtract, ...]:
    """What an attempt was made of; raises :class:`StorageError` when the landing no longer has all of it."""
    with context.ledger.read() as session:
        extracts = _extracts_of(context, session, attempt)
    lost = sorted({extract.name for extract in extracts if not extract.path.exists()})
    if lost:
        raise StorageError(
            f"the landing no longer has what this batch was made of: {', '.join(lost)}",
            remedy="restore the landing from a backup, or run the batch from its source again",
            file=context.settings.landing,
        )
    return extracts


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
        return () if published is None else _extracts_of(context, session, published.id)


def _extracts_of(context: Context, session: LedgerSession, attempt: str) -> tuple[LandedExtract, ...]:
    query = select(Extract).where(Extract.run == attempt).order_by(Extract.position)
    landing = context.settings.landing
    return tuple(
        LandedExtract(extract.sha256, extract.name, landed_path(landing, extract.sha256), extract.bytes)
        for extract in session.scalars(query)
    )


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


def _read(context: Context, feed: Feed, run: Run, pulled: Pull, deciding: Mapping[str, Any]) -> None:
    folder = run_folder(context, run.id)
    shutil.rmtree(folder, ignore_errors=True)
    source = _source(pulled)
    _note_landed(context, run, pulled, source)
    with context.session() as session:
        result = read_landed(session, list(pulled.extracts), feed, context.catalogue.category_of(feed), folder)
        # Totals are about what was sent; corrections come after that.
        totals = check_totals(session, result, pulled.declared) or source.get("totals", [])
        apply_corrections(context, session, feed.feed, run.business_date, result.parts, folder)
    _record(context, run, result, deciding, {**source, "totals": totals})


def _note_landed(context: Context, run: Run, pulled: Pull, source: dict[str, Any]) -> None:
    """Keep what was landed before it is read: of an extract that cannot be read this is all there is to know."""
    landed = [{"name": extract.name, "sha256": extract.sha256, "bytes": extract.size} for extract in pulled.extracts]
    with context.ledger.write() as session:
        session.get_one(Run, run.id).manifest = {"source": source, "landed": landed}


def _record(
    context: Context, run: Run, result: IntakeResult, deciding: Mapping[str, Any], source: dict[str, Any]
) -> None:
    with context.ledger.write() as session:
        found = session.get_one(Run, run.id)
        found.stage, found.fingerprint = "pulled", fingerprint_of(deciding)
        found.rows_decoded, found.lines_undecoded = result.rows_decoded, result.lines_undecoded
        parts = [part.as_json() for part in result.parts]
        found.manifest = {"parts": parts, "source": source, "marks": marks_of(deciding)}
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
