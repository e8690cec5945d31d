"""How well a batch went: figures of a feed and of a department, from the ledger and the run's folder."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from datetime import date
from pathlib import Path
from typing import Literal

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.catalogue.catalogue import Catalogue
from pipelines.engine.duck import Session
from pipelines.ledger.database import Ledger
from pipelines.ledger.models import Batch, Outbox, Run
from pipelines.reporting.batches import of_batch, stored_by_batches
from pipelines.reporting.counts import Counts
from pipelines.reporting.file_findings import FileFinding, file_findings
from pipelines.reporting.reasons import ReasonCount, reason_counts
from pipelines.reporting.run_files import run_files
from pipelines.settings import Settings

State = Literal["published", "running", "held", "failed", "missing"]
NO_COUNTS = Counts()
_RUN_COUNTS = tuple(column.name for column in fields(Counts) if column.name in Run.__table__.columns)


@dataclass(frozen=True)
class FeedFigures:
    """One batch in figures.

    ``state`` is ``published`` when the batch has a run that counts; otherwise all counts are 0 and ``problem`` says
    why, if anything says so; ``failure`` names the kind of error. A batch that is ``held`` waits for somebody: its
    files are not what the feed describes. ``file_findings`` say what was noticed about the files, also of a batch
    that is held. ``last_published`` is the newest business date, up to this one, with a published run.
    ``earliest_deadline`` is the first one that was not over on the business date, ``earliest_open_deadline`` the
    first of a delivery that no receiver has confirmed. ``reasons`` is None when the run's folder was cleared.
    """

    feed: str
    feed_name: str
    department: str
    department_name: str
    category: str
    category_name: str
    business_date: date
    state: State
    problem: str | None = None
    failure: str = ""
    last_published: date | None = None
    run: str | None = field(default=None, repr=False)
    counts: Counts = NO_COUNTS
    earliest_deadline: date | None = None
    earliest_open_deadline: date | None = None
    reasons: tuple[ReasonCount, ...] | None = ()
    file_findings: tuple[FileFinding, ...] = ()

    @property
    def conservation(self) -> str:
        return self.counts.conservation

    @property
    def days_stale(self) -> int | None:
        """Calendar days since the last business date that was published; None when there never was one."""
        return None if self.last_published is None else (self.business_date - self.last_published).days

    @property
    def loudness(self) -> tuple[bool, int, int, int, int, str]:
        """Sort key, loudest first: feeds without data by how long, then overdue, rejected, share of problems."""
        stale = 0 if self.state == "published" else (self.days_stale or 1_000_000)
        share = 1_000_000 * self.counts.quarantined // max(self.counts.reportable, 1)
        return (self.state == "published", -stale, -self.counts.overdue, -self.counts.rejected, -share, self.feed)


def feed_figures(
    session: Session, settings: Settings, catalogue: Catalogue, ledger: Ledger, feed_code: str, business_date: date
) -> FeedFigures:
    """Figures of one batch, from its published run; the state and the problem when there is none.

    Raises :class:`StorageError` when single files of the run's folder are missing.
    """
    if feed_code in catalogue.broken_feeds:
        return broken_figures(catalogue, feed_code, business_date)
    feed = catalogue.feed(feed_code)
    with ledger.read() as ledger_session:
        run = _run_to_report(ledger_session, feed_code, business_date)
        base = FeedFigures(
            feed=feed.feed,
            feed_name=feed.name_zh,
            department=feed.department,
            department_name=catalogue.department_of(feed).name_zh,
            category=feed.category,
            category_name=catalogue.category_of(feed).name_zh,
            business_date=business_date,
            state=_state(run),
            problem=None if run is None else without_paths(run.problem, settings),
            last_published=_last_published(ledger_session, feed_code, business_date),
            file_findings=() if run is None else file_findings(run),
        )
        if run is None or run.state != "published":
            return base
        counts = _counts(ledger_session, run) + _delivery(ledger_session, run)
        earliest_open = ledger_session.scalar(select(func.min(Outbox.deadline)).where(of_batch(run), _is_open()))
    files = run_files(settings, run)
    return replace(
        base,
        run=run.id,
        counts=counts,
        earliest_deadline=run.earliest_deadline,
        earliest_open_deadline=earliest_open,
        reasons=reason_counts(session, files) if files.is_kept else None,
    )


def broken_figures(catalogue: Catalogue, feed_code: str, business_date: date) -> FeedFigures:
    """Figures of a feed whose own file is wrong: nothing can run, and that is what must be seen first."""
    problem = catalogue.broken_feeds[feed_code]
    department = Path(problem.file or feed_code).parent.name
    known = catalogue.departments.get(department)
    return FeedFigures(
        feed=feed_code,
        feed_name=feed_code,
        department=department,
        department_name=known.name_zh if known is not None else department,
        category="",
        category_name="",
        business_date=business_date,
        state="failed",
        problem=f"{Path(problem.file or '').name} {problem.line or ''}: {problem.problem} — {problem.remedy}",
        failure=type(problem).__name__,
        last_published=None,
    )


def _run_to_report(session: LedgerSession, feed: str, business_date: date) -> Run | None:
    """The batch's published run, or its last attempt when none was published."""
    batch = session.scalar(select(Batch).where(Batch.feed == feed, Batch.business_date == business_date))
    if batch is None:
        return None
    if batch.run is not None:
        return session.get_one(Run, batch.run)
    return session.scalar(select(Run).where(Run.batch_id == batch.id).order_by(Run.attempt.desc()).limit(1))


def _state(run: Run | None) -> State:
    if run is None:
        return "missing"
    known: dict[str, State] = {"published": "published", "running": "running", "held": "held"}
    return known.get(run.state, "failed")


def _last_published(session: LedgerSession, feed: str, business_date: date) -> date | None:
    return session.scalar(
        select(func.max(Batch.business_date)).where(
            Batch.feed == feed, Batch.run.is_not(None), Batch.business_date <= business_date
        )
    )


def without_paths(problem: str | None, settings: Settings) -> str | None:
    """A problem without the folders of this installation: a page is passed on."""
    if problem is None:
        return None
    for folder in (settings.home_path, settings.inbox.resolve(), settings.inbox, settings.root.resolve()):
        problem = problem.replace(f"{folder}/", "")
    return problem


def _counts(session: LedgerSession, run: Run) -> Counts:
    """Counts of the rows of a published run; what is late is counted over all published runs of its batch."""
    counts = Counts(**{name: getattr(run, name) for name in _RUN_COUNTS})
    stored = session.execute(stored_by_batches().where(Run.batch_id == run.batch_id)).one()
    return replace(counts, timed=int(stored.timed), late=int(stored.late))


def _is_open() -> ColumnElement[bool]:
    return and_(Outbox.accepted_at.is_(None), Outbox.withheld_at.is_(None))


def _delivery(session: LedgerSession, run: Run) -> Counts:
    """Deliveries of a run over all endpoints."""
    is_rejected = and_(Outbox.rejected_at.is_not(None), _is_open())
    owed, sent, confirmed, rejected, withheld, waiting, overdue = session.execute(
        select(
            func.count(),
            func.count(Outbox.sent_at),
            func.count(Outbox.accepted_at),
            func.count().filter(is_rejected),
            func.count().filter(and_(Outbox.withheld_at.is_not(None), Outbox.accepted_at.is_(None))),
            func.count().filter(and_(Outbox.rejected_at.is_(None), _is_open())),
            func.count().filter(and_(Outbox.deadline < run.business_date, _is_open())),
        ).where(of_batch(run))
    ).one()
    return Counts(
        owed=owed,
        sent=sent,
        confirmed=confirmed,
        rejected=rejected,
        withheld=withheld,
        waiting=waiting,
        overdue=overdue,
    )
