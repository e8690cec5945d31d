"""How the days of a feed stand: missing, failed, held, or judged under rules or mappings that are not today's."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal

from croniter import CroniterError, croniter
from sqlalchemy import select

from pipelines.catalogue.feeds import Feed
from pipelines.errors import CatalogueError, RunConflictError
from pipelines.ledger.models import Batch, Extract, Run
from pipelines.ledger.quality_models import GateDecision
from pipelines.operations.context import Context
from pipelines.operations.corrections import correction_hashes
from pipelines.operations.fingerprint import deciding_parts, differences, fingerprint_of, marks_of
from pipelines.operations.gates import REFUSE
from pipelines.operations.noticing import feed_file
from pipelines.operations.stale_batches import StaleBatch, stale_batches
from pipelines.operations.waiving import waiver_marks

State = Literal["missing", "failed", "held", "stale", "current", "not expected"]
DAY = timedelta(days=1)
_MOST_CODES = 6


@dataclass(frozen=True)
class FeedDay:
    """One business date of a feed.

    ``state``: ``missing`` (expected, never tried), ``failed`` and ``held`` (the newest attempt), ``stale`` (published,
    and what decides the batch is not what it was), ``current``, ``not expected``. ``newest`` is the newest attempt,
    ``published`` the one that counts, ``stored`` the one whose extracts would be judged again. ``differs`` says what
    has changed since the stored attempt was judged, in words.
    """

    feed: str
    business_date: date
    state: State
    attempts: int = 0
    newest: Run | None = None
    published: Run | None = None
    stored: Run | None = None
    differs: tuple[str, ...] = ()

    @property
    def is_as_stored(self) -> bool:
        """Whether judging the stored extracts again would be a recorded no-op."""
        return self.state == "current" or (self.stored is self.published is not None and not self.differs)


def is_expected(feed: Feed, business_date: date) -> bool:
    """Whether the feed's schedule (China time) fires on the day after a business date: then the date has a batch.

    Raises :class:`CatalogueError` for a schedule that is none.
    """
    midnight = datetime.combine(business_date + DAY, time())
    try:
        fires = croniter(feed.schedule, midnight - timedelta(seconds=1)).get_next(datetime)
    except CroniterError as error:
        raise CatalogueError(
            f"{feed.schedule} is no schedule", remedy="write five fields of cron", file=feed_file(feed)
        ) from error
    return bool(fires.date() == midnight.date())


def days_of_feed(context: Context, feed: Feed, first: date, last: date) -> list[FeedDay]:
    """Every business date of a feed from ``first`` to ``last``."""
    with context.ledger.read() as session:
        query = select(Run).where(Run.feed == feed.feed, Run.business_date.between(first, last)).order_by(Run.attempt)
        attempts: dict[date, list[Run]] = defaultdict(list)
        for run in session.scalars(query):
            attempts[run.business_date].append(run)
        batches = select(Batch.run).where(Batch.feed == feed.feed, Batch.business_date.between(first, last))
        counting = set(session.scalars(batches))
        of_feed = select(GateDecision.run).join(Run, Run.id == GateDecision.run).where(Run.feed == feed.feed)
        refused = set(session.scalars(of_feed.where(GateDecision.decision == REFUSE)))
    rules = {batch.run: _rules(batch) for batch in stale_batches(context, [feed.feed], (first, last))}
    days = []
    for number in range((last - first).days + 1):
        day = first + DAY * number
        if attempts[day]:
            days.append(_tried(context, feed, day, attempts[day], counting, refused, rules))
        else:
            days.append(FeedDay(feed.feed, day, "missing" if is_expected(feed, day) else "not expected"))
    return days


def require_stored(day: FeedDay) -> Run:
    """The attempt whose extracts would be judged again; raises :class:`RunConflictError` where there is none."""
    if day.stored is None:
        raise RunConflictError(
            f"nothing of {day.feed} for {day.business_date} was landed and read, so nothing can be judged again",
            remedy=f"pull it: guiji run --feed {day.feed} --date {day.business_date}",
        )
    return day.stored


def _tried(
    context: Context,
    feed: Feed,
    day: date,
    attempts: list[Run],
    counting: set[str | None],
    refused: set[str],
    rules: dict[str, str],
) -> FeedDay:
    newest = attempts[-1]
    published = next((run for run in attempts if run.id in counting), None)
    # Of an attempt that ended before its rows were read nobody knows whether it had all the department sent.
    read = [run for run in attempts if run.stage != "pulling" and run.id not in refused]
    stored = read[-1] if read else None
    if stored is not None and stored.state == "unchanged":
        # The source has given out again what the published run was made of: what came in between counts no more.
        stored = published
    differs = _differences(context, feed, stored, rules) if stored is not None else ()
    state: State
    if newest.state == "held":
        state = "held"
    elif newest.state not in {"published", "unchanged"}:
        state = "failed"
    else:
        state = "stale" if differs else "current"
    return FeedDay(feed.feed, day, state, newest.attempt, newest, published, stored, differs)


def _differences(context: Context, feed: Feed, run: Run, rules: dict[str, str]) -> tuple[str, ...]:
    """What decides the batch of a run and is not what it was when the run was made; empty when all is as it was."""
    with context.ledger.read() as session:
        extracts = list(session.scalars(select(Extract.sha256).where(Extract.run == run.id)))
    corrections = correction_hashes(context, feed.feed, run.business_date)
    waivers = waiver_marks(context, feed.feed, run.business_date)
    parts = deciding_parts(context, feed, extracts, corrections, waivers)
    if fingerprint_of(parts) == run.fingerprint:
        return ()
    marks = (run.manifest or {}).get("marks")
    found = differences(marks, marks_of(parts)) if marks is not None else []
    if run.id in rules:
        found.insert(0, rules[run.id])
    return tuple(found) or ("something that was not recorded when it was judged",)


def _rules(batch: StaleBatch) -> str:
    if batch.silently:
        return "a rule asks something else under the same version"
    named = (("added", batch.added), ("dropped", batch.dropped), ("changed", batch.changed))
    return "rules " + "; ".join(f"{how} {_codes(codes)}" for how, codes in named if codes)


def _codes(codes: tuple[str, ...]) -> str:
    more = f" and {len(codes) - _MOST_CODES} more" if len(codes) > _MOST_CODES else ""
    return ", ".join(codes[:_MOST_CODES]) + more
