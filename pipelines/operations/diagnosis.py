"""Everything the ledger knows about why one feed is as it is, for whoever has to mend it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from statistics import median
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.catalogue.feeds import Feed
from pipelines.deadlines.calendar import DAY, WorkingCalendar, load_calendar
from pipelines.identity.masking import mask_text
from pipelines.ledger.database import now
from pipelines.ledger.models import Batch, RuleCount, Run
from pipelines.ledger.quality_models import GateResult, Task
from pipelines.operations.clock import today_in_shanghai
from pipelines.operations.context import Context
from pipelines.operations.endpoint_states import EndpointLine, read_endpoint_states
from pipelines.operations.feed_states import GOOD, FeedState, read_feed_states
from pipelines.operations.task_life import UNFINISHED

COMPARED_BATCHES = 10
MOST_REASONS = 5
# A figure this near to its limit, as a share of the allowed distance, is worth a look before it holds a batch.
NEAR = 0.8

PUBLISHED, EMPTY, HELD, FAILED, RUNNING, NOTHING, DAY_OFF = (
    "published",
    "empty",
    "held",
    "failed",
    "running",
    "nothing",
    "day off",
)


@dataclass(frozen=True)
class DayState:
    """What became of one business date: ``nothing`` where no batch was tried on a working day."""

    day: date
    state: str
    rows: int


@dataclass(frozen=True)
class Drift:
    """A figure of the last judged run outside its limits, or near one of them (``outside`` is false then)."""

    gate: str
    item: str
    observed: float
    usual: float | None
    low: float | None
    high: float | None
    outside: bool


@dataclass(frozen=True)
class Reason:
    """A rule that rows of the last good batch broke; ``usual`` is the median of the good batches before it."""

    rule: str
    severity: str
    rows: int
    usual: float

    @property
    def trend(self) -> str:
        if self.rows > self.usual * 1.5:
            return "rising"
        return "falling" if self.rows < self.usual / 1.5 else "as usual"


@dataclass(frozen=True)
class OpenTask:
    """A task of the feed that is not finished."""

    reference: str
    rule: str
    field: str
    owner: str
    state: str
    rows: int
    open_since: date | None


@dataclass(frozen=True)
class Diagnosis:
    """One feed. ``changes`` are (rule, extract, what was observed) about the files of the last run, masked.

    ``quarantined`` is the share of rows of the last good batch that were quarantined or blocked, ``usually`` the
    median share of those before it; None without any.
    """

    feed: FeedState
    at: datetime
    history: Sequence[DayState]
    drift: Sequence[Drift]
    changes: Sequence[tuple[str, str, str]]
    reasons: Sequence[Reason]
    quarantined: float | None
    usually: float | None
    endpoints: Sequence[EndpointLine]
    tasks: Sequence[OpenTask]

    @property
    def verdict(self) -> str:
        """The whole diagnosis in one sentence."""
        feed = self.feed
        if not feed.is_well:
            lasting = f" for {feed.days} days" if feed.days else ""
            return f"{feed.feed} is {feed.state}{lasting}: {feed.problem}"
        overdue = sum(line.overdue for line in self.endpoints)
        outside = sum(one.outside for one in self.drift)
        more = [f"{overdue} deliveries are overdue"] if overdue else []
        more += [f"{outside} figures are outside their limits"] if outside else []
        more += [f"{len(self.tasks)} tasks are open"] if self.tasks else []
        last = "no batch yet" if feed.last_good is None else f"last good batch {feed.last_good}"
        well = "is well" if feed.state == GOOD else f"is {feed.state}"
        return f"{feed.feed} {well}: {'; '.join((last, *more))}"

    @property
    def commands(self) -> list[str]:
        """What to run next, the most important first; each as it can be typed."""
        found = [] if self.feed.command is None else [self.feed.command]
        found += [line.command for line in self.endpoints if line.command is not None]
        if self.drift and self.feed.last_run is not None:
            found.append(f"guiji gates show {self.feed.last_run}")
        found += [f"guiji rules explain {reason.rule}" for reason in self.reasons if reason.trend == "rising"]
        found += [f"guiji tasks show {task.reference}" for task in self.tasks[:1]]
        own = f"guiji diagnose {self.feed.feed}"
        return [command for command in dict.fromkeys(found) if command != own]


def diagnose(
    context: Context, feed_code: str, days: int = 30, today: date | None = None, at: datetime | None = None
) -> Diagnosis:
    """Diagnose one feed by its last ``days`` business dates. Raises :class:`CatalogueError` for an unknown feed."""
    if feed_code not in context.catalogue.broken_feeds:
        context.catalogue.feed(feed_code)
    day, instant = today or today_in_shanghai(), at or now()
    (state,) = read_feed_states(context, day, instant, [feed_code])
    described = context.catalogue.feeds.get(feed_code)
    with context.ledger.read() as session:
        good = _good_runs(session, feed_code)
        last_run = None if state.last_run is None else session.get(Run, state.last_run)
        shares = [(run.quarantined + run.blocked) / (run.rows_decoded + run.lines_undecoded) for run in good]
        return Diagnosis(
            feed=state,
            at=instant,
            history=_history(session, feed_code, load_calendar(context.settings), day, days),
            drift=_drift(session, state.last_run, described),
            changes=_changes(last_run),
            reasons=_reasons(session, [run.id for run in good]),
            quarantined=shares[0] if shares else None,
            usually=median(shares[1:]) if len(shares) > 1 else None,
            endpoints=read_endpoint_states(context, day, instant, feed_code),
            tasks=_tasks(session, feed_code),
        )


def _history(session: LedgerSession, feed: str, calendar: WorkingCalendar, today: date, days: int) -> list[DayState]:
    """One entry per business date, the oldest first; a batch counts by its published run, else by its last attempt."""
    first = today - DAY * days
    rows = Run.rows_decoded + Run.lines_undecoded
    query = (
        select(Batch.business_date, case((Batch.run == Run.id, PUBLISHED), else_=Run.state), rows)
        .join(Run, Run.batch_id == Batch.id)
        .where(Batch.feed == feed, Batch.business_date >= first)
        .where((Batch.run == Run.id) | Batch.run.is_(None))
        .order_by(Batch.business_date, Run.attempt)
    )
    known: dict[date, DayState] = {}
    for day, state, count in session.execute(query):
        shown = FAILED if state == "abandoned" else EMPTY if state == PUBLISHED and not count else state
        known[day] = DayState(day, shown, int(count))
    found = []
    for step in range(days):
        day = first + DAY * step
        found.append(known.get(day) or DayState(day, NOTHING if calendar.estimate(day) else DAY_OFF, 0))
    return found


def _good_runs(session: LedgerSession, feed: str) -> Sequence[Run]:
    """The published runs with rows that say what is usual, the latest business date first."""
    query = select(Run).join(Batch, Batch.run == Run.id)
    query = query.where(Batch.feed == feed, Run.rows_decoded + Run.lines_undecoded > 0)
    return session.scalars(query.order_by(Batch.business_date.desc()).limit(COMPARED_BATCHES + 1)).all()


def _drift(session: LedgerSession, run: str | None, feed: Feed | None) -> list[Drift]:
    if run is None or feed is None:
        return []
    query = select(GateResult).where(GateResult.run == run, GateResult.outcome.in_(("pass", "fail")))
    found = []
    for result in session.scalars(query.order_by(GateResult.id)):
        if result.observed is None:
            continue
        outside = result.outcome == "fail"
        if outside or _is_near(result.observed, result.usual, result.low, result.high):
            about = (result.observed, result.usual, result.low, result.high)
            found.append(Drift(result.gate, result.item, *about, outside))
    return sorted(found, key=lambda one: not one.outside)


def _is_near(observed: float, usual: float | None, low: float | None, high: float | None) -> bool:
    """Whether a figure has gone most of the way from the usual one to the limit on its side."""
    limit = None if usual is None else high if observed > usual else low
    if usual is None or limit is None or limit == usual:
        return False
    return (observed - usual) / (limit - usual) >= NEAR


def _changes(run: Run | None) -> list[tuple[str, str, str]]:
    changes: Sequence[dict[str, Any]] = () if run is None else (run.manifest or {}).get("changes", ())
    return [(one["rule"], one["extract_name"] or "", mask_text(one["observed"]) or "") for one in changes]


def _reasons(session: LedgerSession, runs: Sequence[str]) -> list[Reason]:
    """What broke most rows of the last good batch, beside what is usual; ``runs``: the latest first."""
    if not runs:
        return []
    query = select(RuleCount.run, RuleCount.rule, RuleCount.severity, RuleCount.failed).where(
        RuleCount.run.in_(runs), RuleCount.failed > 0
    )
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    severities: dict[str, str] = {}
    for run, rule, severity, failed in session.execute(query):
        counts[rule][run] = int(failed)
        severities[rule] = severity
    return sorted(_ranked(counts, severities, runs), key=lambda one: (-one.rows, one.rule))[:MOST_REASONS]


def _ranked(counts: dict[str, dict[str, int]], severities: dict[str, str], runs: Sequence[str]) -> Iterator[Reason]:
    for rule, by_run in counts.items():
        rows = by_run.get(runs[0], 0)
        if rows:
            before = [by_run.get(run, 0) for run in runs[1:]]
            yield Reason(rule, severities[rule], rows, median(before) if before else float(rows))


def _tasks(session: LedgerSession, feed: str) -> list[OpenTask]:
    query = select(Task).where(Task.feed == feed, Task.state.in_(UNFINISHED))
    tasks = session.scalars(query.order_by(func.coalesce(Task.open_since, Task.first_seen), Task.reference))
    return [
        OpenTask(task.reference, task.rule, task.field, task.owner, task.state, task.rows, task.open_since)
        for task in tasks
    ]
