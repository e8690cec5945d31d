"""Corrected workbooks that departments send back: taken in, applied, judged again, answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from sqlalchemy import Select, func, select

from pipelines.errors import ExtractError, GuijiError
from pipelines.intake.corrected_workbook import CorrectedWorkbook, read_corrected
from pipelines.intake.landing import LandedExtract, land
from pipelines.ledger.database import now
from pipelines.ledger.models import Run
from pipelines.ledger.quality_models import Resubmission
from pipelines.operations import judging, publishing, pulling
from pipelines.operations.attempts import feed_lock, published_run, run_folder
from pipelines.operations.context import Context
from pipelines.operations.people import name_of
from pipelines.operations.reports import rule_texts
from pipelines.reporting.correction_answer import write_answer


@dataclass(frozen=True)
class Resubmitted:
    """What became of one returned workbook.

    ``repeated``: the same bytes had come before, so nothing was new. ``applied`` corrections were taken, the rows of
    ``still_wrong`` of them have problems left, ``refused`` cells were not taken. ``answer`` is the file for the
    department.
    """

    name: str
    feed: str
    business_date: date
    run: str
    sha256: str
    repeated: bool
    applied: int
    still_wrong: int
    refused: int
    answer: Path


@dataclass(frozen=True)
class Outcome:
    """One file: what became of it, or the problem that stopped it."""

    name: str
    result: Resubmitted | None
    problem: GuijiError | None


def resubmit_files(context: Context, files: list[Path], by: str) -> list[Outcome]:
    """Take in returned workbooks in the order given; one that cannot be taken stops itself only."""
    outcomes = []
    for file in files:
        try:
            outcomes.append(Outcome(file.name, resubmit(context, file, by), None))
        except GuijiError as error:
            outcomes.append(Outcome(file.name, None, error))
    return outcomes


def resubmit(context: Context, file: Path, by: str, *, name: str | None = None) -> Resubmitted:
    """Take in one returned workbook: land it, record it, run its batch again from what is landed, answer it.

    ``by`` is who sent or took it; ``name`` what the department called it. The batch is judged whole: rows that nobody
    corrected come out as they were. The same workbook again is a recorded no-op; when the batch could not be published
    the first time (held, a process that died), it is tried again. Raises :class:`ExtractError` for a file that is no
    workbook of ours, and whatever stops the batch; the workbook then stays recorded and counts with its next run.
    """
    called = name or file.name
    if not file.is_file():
        raise ExtractError("there is no such file", remedy="check the path of the workbook", file=called)
    book = read_corrected(file, called)
    meta = book.meta
    feed = context.catalogue.feed(meta.feed)
    _require_batch(context, book, called)
    landed = land(file, context.settings.landing, name=called)
    with feed_lock(context, meta.feed):
        repeated = not _record(context, book, landed, by)
    run = pulling.pull_landed(context, meta.feed, meta.business_date)
    judging.judge_batch(context, run)
    publishing.publish_batch(context, run)
    with context.ledger.read() as ledger:
        published = published_run(ledger, meta.feed, meta.business_date)
    if published is None:
        raise ValueError(f"the batch of {run} was published a moment ago")
    category = context.catalogue.category_of(feed)
    answer = context.settings.answers / meta.business_date.isoformat() / f"{meta.feed}-{landed.sha256[:12]}.xlsx"
    with context.session() as session:
        figures = write_answer(
            session,
            context.settings.scratch,
            run_folder(context, published.id),
            landed.sha256,
            (context.catalogue.department_of(feed).name_zh, feed.name_zh, called),
            meta.business_date,
            {field.code: field.name_zh for field in category.fields},
            rule_texts(context),
            answer,
        )
    with context.ledger.write() as ledger:
        found = ledger.scalars(_of_workbook(meta.feed, meta.business_date, landed.sha256)).one()
        found.corrections, found.refused = figures.applied, figures.refused
        found.manifest = {**found.manifest, "run": published.id, "still_wrong": figures.still_wrong}
    return Resubmitted(
        called,
        meta.feed,
        meta.business_date,
        published.id,
        landed.sha256,
        repeated,
        figures.applied,
        figures.still_wrong,
        figures.refused,
        answer,
    )


def _require_batch(context: Context, book: CorrectedWorkbook, name: str) -> None:
    """Whether the workbook shows a batch of this installation that counts."""
    meta = book.meta
    with context.ledger.read() as ledger:
        shown = ledger.scalar(
            select(Run.id)
            .where(Run.feed == meta.feed, Run.business_date == meta.business_date)
            .where(Run.fingerprint == meta.fingerprint)
            .limit(1)
        )
        published = published_run(ledger, meta.feed, meta.business_date)
    if shown is None or published is None:
        raise ExtractError(
            f"the workbook shows a batch of {meta.feed} of {meta.business_date} that this installation does not know",
            remedy="take it in where it was made, or make the report again and have the corrections moved there",
            file=name,
        )


def _record(context: Context, book: CorrectedWorkbook, landed: LandedExtract, by: str) -> bool:
    """Put the workbook at the end of its batch's list; False when it stands there already."""
    meta = book.meta
    with context.ledger.write() as ledger:
        if ledger.scalar(_of_workbook(meta.feed, meta.business_date, landed.sha256)) is not None:
            return False
        last = ledger.scalar(
            select(func.max(Resubmission.position)).where(
                Resubmission.feed == meta.feed, Resubmission.business_date == meta.business_date
            )
        )
        ledger.add(
            Resubmission(
                feed=meta.feed,
                business_date=meta.business_date,
                position=(last or 0) + 1,
                sha256=landed.sha256,
                name=landed.name[:255],
                bytes=landed.size,
                by=name_of(by),
                received_at=now(),
                corrections=0,
                refused=0,
                manifest={
                    "workbook_fingerprint": meta.fingerprint,
                    "lines": sum(len(sheet.rows) for sheet in book.sheets),
                },
            )
        )
    return True


def _of_workbook(feed: str, business_date: date, sha256: str) -> Select[Resubmission]:
    return select(Resubmission).where(
        Resubmission.feed == feed, Resubmission.business_date == business_date, Resubmission.sha256 == sha256
    )
