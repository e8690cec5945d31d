"""How every feed stands now: its last good batch, what is wrong with it in one sentence, and the command that mends it.

Every fact is asked of the ledger once for all feeds, so that hundreds of feeds with years of batches answer at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from sqlalchemy import Select, func, or_, select, tuple_
from sqlalchemy.orm import Session as LedgerSession
from sqlalchemy.orm import load_only

from pipelines.catalogue.feeds import DEFAULT_SCHEDULE, Silence
from pipelines.deadlines.calendar import DAY, WorkingCalendar, load_calendar
from pipelines.ledger.database import now
from pipelines.ledger.models import Batch, Run
from pipelines.operations.clock import today_in_shanghai
from pipelines.operations.context import Context
from pipelines.operations.feed_rhythm import Rhythm, rhythm_of

# How far back rhythm and gaps are looked for; older good batches are looked for only where there is none since.
HABIT_DAYS = 180
GAP_DAYS = 30
# A run that has been at work for longer than any batch takes has lost its process.
LONGEST_RUN = timedelta(hours=12)

MISDESCRIBED, FAILING, HELD, SILENT, INCOMPLETE, NEVER, RUNNING, GOOD = STATES = (
    "misdescribed",
    "failing",
    "held",
    "silent",
    "incomplete",
    "never ran",
    "running",
    "good",
)
# From the loudest to the quietest; within one rank what has lasted longest comes first.
_RANK = {MISDESCRIBED: 0, FAILING: 0, HELD: 0, SILENT: 0, INCOMPLETE: 1, NEVER: 2, RUNNING: 3, GOOD: 4}
WELL = frozenset({RUNNING, GOOD})
OUTCOMES = ("accepted", "duplicate", "quarantined", "blocked", "excluded")


@dataclass(frozen=True)
class FeedState:
    """One feed now.

    ``last_good`` is the business date of its last published batch that had rows, published at ``last_good_at`` (UTC),
    ``age_days`` calendar days ago. The trouble began with the business date ``since`` and has lasted ``days``;
    ``batches`` are those it has cost. ``outcomes`` are the rows of the last good run by outcome.
    """

    feed: str
    department: str
    state: str
    last_good: date | None
    last_good_at: datetime | None
    age_days: int | None
    since: date | None
    days: int
    batches: int
    problem: str | None
    command: str | None
    rhythm: Rhythm
    last_run: str | None
    outcomes: Mapping[str, int]

    @property
    def is_well(self) -> bool:
        return self.state in WELL

    @property
    def loudness(self) -> tuple[int, int, int, str]:
        """What feeds are sorted by: the worst, then the longest in trouble, then the oldest data."""
        return _RANK[self.state], -self.days, -(self.age_days or 0), self.feed


@dataclass(frozen=True)
class _Facts:
    """What the ledger says, by feed, each from one statement.

    ``good_days``: business dates with rows of the last half year, or the last one before. ``unpublished``: recent
    batches without a published run. ``stuck``: the first batch after the last published one, and how many there are.
    ``held``: the first recent batch that waits at a gate. ``first``: the first batch of feeds that never had rows.
    """

    newest: Mapping[str, Run]
    good_days: Mapping[str, Sequence[date]]
    good_runs: Mapping[str, Run]
    unpublished: Mapping[str, Sequence[date]]
    stuck: Mapping[str, tuple[date, int]]
    held: Mapping[str, Run]
    first: Mapping[str, date]


@dataclass(frozen=True)
class _Trouble:
    state: str
    since: date | None = None
    problem: str | None = None
    command: str | None = None
    batches: int = field(default=0)


def read_feed_states(
    context: Context, today: date | None = None, at: datetime | None = None, feeds: Collection[str] = ()
) -> list[FeedState]:
    """Every feed, or those that are named, the loudest first.

    ``today`` is a day in Shanghai, ``at`` an instant in UTC without zone; now unless given.
    """
    day, instant = today or today_in_shanghai(), at or now()
    codes = sorted(feeds or context.catalogue.feed_codes)
    calendar = load_calendar(context.settings)
    with context.ledger.read() as session:
        facts = _facts(session, codes, day)
    found = [_feed_state(context, calendar, code, facts, day, instant) for code in codes]
    return sorted(found, key=lambda one: one.loudness)


def _feed_state(
    context: Context, calendar: WorkingCalendar, code: str, facts: _Facts, today: date, at: datetime
) -> FeedState:
    feed = context.catalogue.feeds.get(code)
    schedule, silence = (DEFAULT_SCHEDULE, Silence()) if feed is None else (feed.schedule, feed.silence)
    good_days = facts.good_days.get(code, ())
    last_good = good_days[-1] if good_days else None
    good_run, newest = facts.good_runs.get(code), facts.newest.get(code)
    rhythm = rhythm_of(calendar, schedule, good_days, silence.working_days)
    if code in context.catalogue.broken_feeds:
        trouble = _misdescribed(code, str(context.catalogue.broken_feeds[code]), last_good, today)
    elif newest is None:
        trouble = _Trouble(NEVER, None, "no batch was ever run", _run_command(code, today - DAY))
    else:
        trouble = (
            _of_newest_run(code, newest, facts.stuck.get(code), at)
            or _silence(calendar, code, newest.business_date, last_good, rhythm, today, facts.first.get(code))
            or _held_before(facts.held.get(code))
            or _gaps(code, facts.unpublished.get(code, ()))
            or _Trouble(GOOD)
        )
    return FeedState(
        feed=code,
        department="" if feed is None else feed.department,
        state=trouble.state,
        last_good=last_good,
        last_good_at=None if good_run is None else good_run.finished_at,
        age_days=None if last_good is None else (today - last_good).days,
        since=trouble.since,
        days=0 if trouble.since is None else max((today - trouble.since).days, 0),
        batches=trouble.batches,
        problem=trouble.problem,
        command=trouble.command,
        rhythm=rhythm,
        last_run=None if newest is None else newest.id,
        outcomes={} if good_run is None else {name: getattr(good_run, name) for name in OUTCOMES},
    )


def _misdescribed(feed: str, problem: str, last_good: date | None, today: date) -> _Trouble:
    since = None if last_good is None else last_good + DAY
    return _Trouble(MISDESCRIBED, since, problem, _run_command(feed, today - DAY))


def _of_newest_run(feed: str, run: Run, stuck: tuple[date, int] | None, at: datetime) -> _Trouble | None:
    """What is wrong because of the last attempt at the newest batch; None when it was published or changed nothing."""
    if run.state in {"published", "unchanged"}:
        return None
    if run.state == "running" and at - run.started_at <= LONGEST_RUN:
        return _Trouble(RUNNING)
    since, batches = stuck or (run.business_date, 1)
    if run.state in {"running", "abandoned"}:
        problem = f"run {run.id} ended while {run.stage}"
    else:
        problem = run.problem or "failed without a message"
    if batches > 1:
        problem = f"nothing was published for {batches} batches since {since}: {problem}"
    if run.state == "held" and run.stage == "judged":
        return _Trouble(HELD, since, problem, f"guiji gates show {run.id}", batches)
    state = HELD if run.state == "held" else FAILING
    command = _backfill_command(feed, since, run.business_date) if batches > 1 else _run_command(feed, since)
    return _Trouble(state, since, problem, command, batches)


def _silence(
    calendar: WorkingCalendar,
    feed: str,
    newest: date,
    last_good: date | None,
    rhythm: Rhythm,
    today: date,
    first: date | None,
) -> _Trouble | None:
    """Whether the feed is later with rows than it ever is; a batch without rows is silence like no batch.

    A feed that never had rows is waited for from its ``first`` batch on.
    """
    yesterday = today - DAY
    since = last_good + DAY if last_good is not None else first or newest
    elapsed = calendar.working_days_between(since - DAY, yesterday)
    if elapsed <= rhythm.allowed:
        return None
    if last_good is None:
        return _Trouble(SILENT, since, "none of its batches ever had rows", f"guiji diagnose {feed}")
    said = f"no rows for {elapsed} working days, {rhythm.words}"
    if calendar.working_days_between(newest, yesterday) > rhythm.allowed:
        return _Trouble(SILENT, since, f"{said}; no batch was tried after {newest}", _run_command(feed, yesterday))
    return _Trouble(SILENT, since, f"{said}; its batches come empty", f"guiji diagnose {feed}")


def _held_before(run: Run | None) -> _Trouble | None:
    """A batch that waits at a gate although later ones were published: the judged run is there to be decided on."""
    if run is None:
        return None
    return _Trouble(HELD, run.business_date, run.problem, f"guiji gates show {run.id}", 1)


def _gaps(feed: str, days: Sequence[date]) -> _Trouble | None:
    """Batches that were tried and never published, although later ones were."""
    if not days:
        return None
    first, last = days[0], days[-1]
    if len(days) == 1:
        return _Trouble(INCOMPLETE, first, f"the batch of {first} was never published", _run_command(feed, first), 1)
    problem = f"{len(days)} batches from {first} to {last} were never published"
    return _Trouble(INCOMPLETE, first, problem, _backfill_command(feed, first, last), len(days))


def _run_command(feed: str, day: date) -> str:
    return f"guiji run --feed {feed} --date {day}"


def _backfill_command(feed: str, first: date, last: date) -> str:
    which = f"--feed {feed} --from {first} --to {last} --reprocess missing_and_errored"
    return f"guiji backfill plan {which} --why 'never published'"


def _facts(session: LedgerSession, codes: Sequence[str], today: date) -> _Facts:
    newest = newest_runs(session, codes)
    good: dict[str, dict[date, str]] = defaultdict(dict)
    for code, day, run in session.execute(_good_batches(codes).where(Batch.business_date >= today - DAY * HABIT_DAYS)):
        good[code][day] = run
    lacking = [code for code in newest if code not in good]
    if lacking:
        batches = _good_batches(lacking)
        found = batches.subquery()
        oldest = select(found.c.feed, func.max(found.c.business_date)).group_by(found.c.feed)
        for code, day, run in session.execute(batches.where(tuple_(Batch.feed, Batch.business_date).in_(oldest))):
            good[code][day] = run
    good_days = {code: sorted(days) for code, days in good.items()}
    return _Facts(
        newest,
        good_days,
        _runs(session, [good[code][days[-1]] for code, days in good_days.items()]),
        _unpublished(session, codes, today - DAY * GAP_DAYS),
        _stuck(session, [code for code, run in newest.items() if run.state not in {"published", "unchanged"}]),
        _held(session, codes, today - DAY * GAP_DAYS),
        _first(session, [code for code in newest if code not in good_days]),
    )


def newest_runs(session: LedgerSession, codes: Sequence[str], business_date: date | None = None) -> dict[str, Run]:
    """The last attempt at each feed's newest batch, or at its batch of a date; without what the manifests hold."""
    batches = select(Batch.id).where(Batch.feed.in_(codes), Batch.business_date == business_date)
    if business_date is None:
        newest = select(Batch.feed, func.max(Batch.business_date).label("day")).where(Batch.feed.in_(codes))
        last = newest.group_by(Batch.feed).subquery()
        batches = select(Batch.id).join(last, (Batch.feed == last.c.feed) & (Batch.business_date == last.c.day))
    query = select(Run).where(Run.batch_id.in_(batches)).order_by(Run.attempt)
    return {run.feed: run for run in session.scalars(query.options(load_only(*_COLUMNS)))}


_COLUMNS = (
    Run.feed,
    Run.business_date,
    Run.state,
    Run.stage,
    Run.started_at,
    Run.finished_at,
    Run.problem,
    *(getattr(Run, name) for name in OUTCOMES),
)


def _good_batches(codes: Sequence[str]) -> Select[str, date, str]:
    """(feed, business date, published run) of batches that had rows."""
    return (
        select(Batch.feed, Batch.business_date, Run.id)
        .join(Run, Run.id == Batch.run)
        .where(Batch.feed.in_(codes), or_(Run.rows_decoded > 0, Run.lines_undecoded > 0))
    )


def _runs(session: LedgerSession, runs: Sequence[str]) -> dict[str, Run]:
    """Runs by feed, one a feed."""
    query = select(Run).where(Run.id.in_(runs))
    return {run.feed: run for run in session.scalars(query.options(load_only(*_COLUMNS)))}


def _unpublished(session: LedgerSession, codes: Sequence[str], since: date) -> dict[str, list[date]]:
    query = select(Batch.feed, Batch.business_date).where(
        Batch.feed.in_(codes), Batch.business_date >= since, Batch.run.is_(None)
    )
    found: dict[str, list[date]] = defaultdict(list)
    for code, day in session.execute(query.order_by(Batch.business_date)):
        found[code].append(day)
    return found


def _held(session: LedgerSession, codes: Sequence[str], since: date) -> dict[str, Run]:
    """By feed: the first recent batch whose last attempt waits at a gate."""
    unpublished = (Batch.feed.in_(codes), Batch.business_date >= since, Batch.run.is_(None))
    last = (
        select(Run.batch_id, func.max(Run.attempt).label("attempt"))
        .join(Batch, Batch.id == Run.batch_id)
        .where(*unpublished)
        .group_by(Run.batch_id)
        .subquery()
    )
    query = (
        select(Run)
        .join(last, (Run.batch_id == last.c.batch_id) & (Run.attempt == last.c.attempt))
        .where(Run.state == "held", Run.stage == "judged")
        .order_by(Run.business_date.desc())
    )
    return {run.feed: run for run in session.scalars(query.options(load_only(*_COLUMNS)))}


def _first(session: LedgerSession, codes: Sequence[str]) -> dict[str, date]:
    query = select(Batch.feed, func.min(Batch.business_date)).where(Batch.feed.in_(codes)).group_by(Batch.feed)
    return {code: day for code, day in session.execute(query) if day is not None}


def _stuck(session: LedgerSession, codes: Sequence[str]) -> dict[str, tuple[date, int]]:
    """By feed: the first batch after the last one that was published, and how many there are."""
    published = select(Batch.feed, func.max(Batch.business_date).label("day"))
    last = published.where(Batch.feed.in_(codes), Batch.run.is_not(None)).group_by(Batch.feed).subquery()
    query = (
        select(Batch.feed, func.min(Batch.business_date), func.count())
        .outerjoin(last, last.c.feed == Batch.feed)
        .where(Batch.feed.in_(codes), Batch.run.is_(None))
        .where(or_(last.c.day.is_(None), Batch.business_date > last.c.day))
        .group_by(Batch.feed)
    )
    return {code: (day, int(count)) for code, day, count in session.execute(query)}
