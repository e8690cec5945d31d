"""What judging a batch again would change, found out by judging it; nothing is stored.

Batches of one feed are previewed in the order of their dates: what the first would change is there for the next.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp

from pipelines.catalogue.feeds import Feed
from pipelines.dedupe.settle import compare_with_store
from pipelines.engine.duck import Session, file_literal, identifier, literal
from pipelines.errors import GuijiError
from pipelines.intake.reading import IntakeResult, read_landed
from pipelines.ledger.database import now
from pipelines.ledger.models import Run
from pipelines.operations.attempts import run_folder
from pipelines.operations.backfill_counts import count_lost, no_change
from pipelines.operations.backfill_days import FeedDay, require_stored
from pipelines.operations.cases import OUTCOMES_FILE
from pipelines.operations.context import Context
from pipelines.operations.corrections import apply_corrections
from pipelines.operations.gates import ask_gates, held, is_released
from pipelines.operations.judging import add_deadlines, create_versions, judge_rows, suite_of
from pipelines.operations.noticing import hold_for_lost_columns, notice_files
from pipelines.operations.outbox import owed_rows
from pipelines.operations.pulling import stored_extracts
from pipelines.operations.sightings import create_sightings
from pipelines.operations.streaks import ABSENT, REVOKED
from pipelines.quality.findings import create_findings
from pipelines.quality.gates import failing, gate_of
from pipelines.quality.measures import create_measures
from pipelines.quality.rules import Suite
from pipelines.records.store import BOOKKEEPING, RecordStore


class PreviewedStore(RecordStore):
    """What a record store would hold after batches that nobody publishes; theirs lie below a folder of their own.

    Of those batches only what later ones are compared with is kept: keys, hashes, versions and names of subjects.
    """

    def __init__(self, published: RecordStore, folder: Path) -> None:
        super().__init__(folder, published.category)
        self._published = published
        self.previewed = folder

    def versions(self, session: Session, name: str, hidden_runs: Sequence[str], feed: str | None = None) -> None:
        self._published.versions(session, f"published_{name}", hidden_runs, feed)
        union = "".join(
            f" UNION ALL BY NAME SELECT * FROM read_parquet({file_literal(path)})"
            for path in sorted(self.previewed.glob("*.parquet"))
        )
        session.execute(
            f"CREATE OR REPLACE VIEW {identifier(name)} AS SELECT * FROM {identifier('published_' + name)}{union}"
        )

    def keep(self, session: Session, feed: str, run: str) -> Path:
        """Keep the view ``versions`` for the batches after it; returns the file."""
        columns = [name for name, _ in BOOKKEEPING if name != "flags"] + [self.category.roles.subject_name]
        path = self.previewed / f"{run}.parquet"
        kept = ", ".join(identifier(name) for name in columns)
        session.write_parquet(f"SELECT {kept}, {literal(feed)} AS feed FROM versions", path)
        return path


@dataclass(frozen=True)
class PreviewContext(Context):
    """An installation as it would be after the batches that were previewed.

    ``published`` are its stores as they are, ``scratch`` is where the previewed batches lie.
    """

    published: Mapping[str, RecordStore] = field(default_factory=dict)
    scratch: Path = Path()

    @cached_property
    def previewed(self) -> dict[str, PreviewedStore]:
        """The stores of this context, per category."""
        return {code: PreviewedStore(store, self.scratch / code) for code, store in self.published.items()}

    @cached_property
    def stores(self) -> dict[str, RecordStore]:
        return dict(self.previewed)


@contextmanager
def previewing(context: Context) -> Iterator[PreviewContext]:
    """A context in which batches of one feed can be previewed; what it keeps goes with it."""
    context.settings.scratch.mkdir(parents=True, exist_ok=True)
    scratch = Path(mkdtemp(prefix="preview-", dir=context.settings.scratch))
    same = {one.name: getattr(context, one.name) for one in fields(Context)}
    try:
        yield PreviewContext(**same, published=context.stores, scratch=scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@dataclass(frozen=True)
class Preview:
    """``counts`` of a batch judged again (see :mod:`backfill_counts`), or the ``problem`` that would stop it."""

    counts: dict[str, int]
    problem: str | None = None


def preview_batch(context: PreviewContext, feed: Feed, day: FeedDay) -> Preview:
    """What judging the stored extracts of a day again would change; the day must have some.

    Its counts are exact, as far as the sightings of full dumps do not hang on those of earlier batches that are
    previewed too.
    """
    stored = require_stored(day)
    if day.is_as_stored:
        return Preview(no_change())
    folder = context.scratch / stored.id
    try:
        with context.session() as session:
            return Preview(_judge(context, session, feed, day, stored, folder))
    except GuijiError as error:
        return Preview(no_change(), error.problem)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _judge(
    context: PreviewContext, session: Session, feed: Feed, day: FeedDay, stored: Run, folder: Path
) -> dict[str, int]:
    """The way of :func:`~pipelines.operations.judging.judge_batch`, as far as it decides what changes."""
    category = context.catalogue.category_of(feed)
    result = read_landed(session, stored_extracts(context, stored.id), feed, category, folder)
    apply_corrections(context, session, feed.feed, day.business_date, result.parts, folder)
    noticed = notice_files(context, feed, category, day.business_date, result.parts, result.extracts)
    hold_for_lost_columns(feed, category, noticed.losses)
    run = _imagined_run(feed, day, result)
    suite = suite_of(context, category).on(day.business_date)
    judge_rows(context, session, feed, result.parts, day.business_date, suite, with_history=True)
    compare_with_store(session)
    create_sightings(context, session, feed, run)
    add_deadlines(context, session, feed, category)
    _require_gates(context, session, feed, run, stored, suite, result)
    create_versions(session, category, run)
    versions = context.previewed[feed.category].keep(session, feed.feed, run.id)
    counts = no_change() | {
        str(change): int(rows) for change, rows in session.rows("SELECT change, count(*) FROM changes GROUP BY 1")
    }
    counts["withdrawn"] = session.one(
        "SELECT count(*) FROM sightings WHERE business_date = $day AND reason IN ($absent, $revoked)",
        {"day": day.business_date, "absent": ABSENT, "revoked": REVOKED},
    )[0]
    if day.published is not None:
        counts["lost"] = count_lost(session, run_folder(context, day.published.id) / OUTCOMES_FILE, "settled")
    endpoints = [context.catalogue.endpoints[name] for name in feed.endpoints]
    owed = owed_rows(context, session, versions, run, endpoints, now())
    counts["outbox"] = sum(batch.num_rows for batch in owed) if owed is not None else 0
    return counts


def _imagined_run(feed: Feed, day: FeedDay, result: IntakeResult) -> Run:
    """The run that a batch judged again would be; it stays out of the ledger."""
    return Run(
        id=f"{feed.feed}-{day.business_date:%Y%m%d}-{day.attempts + 1:03d}",
        feed=feed.feed,
        category=feed.category,
        business_date=day.business_date,
        lines_undecoded=result.lines_undecoded,
    )


def _require_gates(
    context: Context, session: Session, feed: Feed, run: Run, stored: Run, suite: Suite, result: IntakeResult
) -> None:
    """Raise :class:`BatchHeldError` when a gate would hold the batch and no release covers its extracts."""
    category = context.catalogue.category_of(feed)
    create_findings(session, suite, category, result.rejects_path)
    create_measures(
        session,
        suite,
        category,
        business_date=run.business_date,
        undecoded=run.lines_undecoded,
        code_lists=context.catalogue.code_lists,
    )
    gates, answers = ask_gates(context, session, feed, run)
    with context.ledger.read() as ledger:
        released = is_released(ledger, stored.id)
    failed = failing(gates, answers)
    if failed and not released:
        raise held(run.id, failed, {gate_of(rule.kwargs): rule.code for rule in gates.rules})
