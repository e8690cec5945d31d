"""Plans of backfills: which batches would run again, why, and what that is expected to change. No source is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from pipelines.catalogue.feeds import Feed
from pipelines.errors import RunConflictError
from pipelines.ledger.database import now
from pipelines.ledger.operation_models import BackfillPlan, BackfillSlice
from pipelines.operations.backfill_counts import usual_counts
from pipelines.operations.backfill_days import FeedDay, days_of_feed, require_stored
from pipelines.operations.batch_preview import PreviewContext, preview_batch, previewing
from pipelines.operations.clock import today_in_shanghai
from pipelines.operations.context import Context
from pipelines.operations.fingerprint import configuration_hash
from pipelines.operations.people import name_of, reason_of

Replay = Literal["pull", "judge"]
Reprocess = Literal["missing", "missing_and_errored", "all"]
Progress = Callable[[int, int, str], None]

EXACT, AS_STORED, ESTIMATE, UNKNOWN = "exact", "if the source sends the same", "estimate", "unknown"
_ERRORED = ("failed", "held")
_CHOSEN: dict[str, tuple[str, ...]] = {
    "missing": ("missing",),
    "missing_and_errored": ("missing", *_ERRORED),
    "all": ("missing", *_ERRORED, "stale", "current"),
}


@dataclass(frozen=True)
class Wish:
    """What somebody wants to run again; ``every_day`` takes days in on which the schedule expects nothing."""

    feeds: Sequence[str]
    first: date
    last: date
    replay: Replay
    reprocess: Reprocess
    every_day: bool = False


@dataclass(frozen=True)
class PlannedSlice:
    """One batch of a plan and what it is expected to change.

    ``sure``: how well that is known: ``exact``, ``if the source sends the same``, ``estimate`` (medians of the last
    good batches) or ``unknown`` (then there are no ``counts``). ``problem`` is what would stop the batch.
    """

    day: FeedDay
    counts: dict[str, int] | None
    sure: str
    problem: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {"counts": self.counts, "sure": self.sure, "problem": self.problem}


@dataclass(frozen=True)
class Planned:
    """A plan, and how many days were left out of it by their state. ``number`` is None when there is nothing to do."""

    number: int | None
    slices: tuple[PlannedSlice, ...]
    left_out: Counter[str]


def make_plan(context: Context, wish: Wish, by: str, why: str, progress: Progress | None = None) -> Planned:
    """Look at every day, work out what would change, and store the plan.

    Raises :class:`RunConflictError` for days that have not come, no reason, and what cannot be judged again at all.
    """
    _require_sense(wish, why)
    report = progress or (lambda _done, _total, _what: None)
    feeds = [context.catalogue.feed(code) for code in dict.fromkeys(wish.feeds)]
    left_out: Counter[str] = Counter()
    chosen: dict[str, list[FeedDay]] = {}
    for feed in feeds:
        days = days_of_feed(context, feed, wish.first, wish.last)
        chosen[feed.feed] = [day for day in days if _left_out(wish, day) is None]
        left_out.update(reason for reason in (_left_out(wish, day) for day in days) if reason is not None)
    slices: list[PlannedSlice] = []
    total = sum(len(days) for days in chosen.values())
    for feed in feeds:
        with previewing(context) as preview:
            usual = usual_counts(context, feed.feed)
            for day in chosen[feed.feed]:
                report(len(slices), total, f"{feed.feed} {day.business_date}")
                slices.append(_slice(preview, feed, day, wish.replay, usual))
    number = _store(context, wish, feeds, slices, by, why) if slices else None
    return Planned(number, tuple(slices), left_out)


def preview_one(context: Context, feed_code: str, business_date: date) -> Planned:
    """What judging one batch again would change, without a plan.

    Raises :class:`RunConflictError` where nothing is stored that could be judged.
    """
    feed = context.catalogue.feed(feed_code)
    [day] = days_of_feed(context, feed, business_date, business_date)
    require_stored(day)
    with previewing(context) as preview:
        return Planned(None, (_slice(preview, feed, day, "judge", None),), Counter())


def _require_sense(wish: Wish, why: str) -> None:
    if wish.last < wish.first:
        raise RunConflictError("the last day lies before the first", remedy="give --from and --to in their order")
    if wish.last > today_in_shanghai():
        raise RunConflictError(f"{wish.last} has not come yet", remedy="let the plan end today at the latest")
    if wish.replay == "judge" and wish.reprocess == "missing":
        raise RunConflictError(
            "of missing batches nothing is stored that could be judged",
            remedy="pull them with --replay pull, or judge --reprocess missing_and_errored or all",
        )
    if not why.strip():
        raise RunConflictError("nothing says why", remedy="give the reason with --why")


def _left_out(wish: Wish, day: FeedDay) -> str | None:
    """Why a day is not in the plan; None when it is."""
    if day.state == "not expected":
        return None if wish.every_day and wish.replay == "pull" else day.state
    if day.state not in _CHOSEN[wish.reprocess]:
        return day.state
    if wish.replay == "pull":
        return None
    if day.stored is None:
        return f"{day.state}, nothing stored to judge"
    if day.is_as_stored:
        return day.state if day.state == "current" else f"{day.state}, judged by today's rules already"
    return None


def _slice(
    context: PreviewContext, feed: Feed, day: FeedDay, replay: Replay, usual: dict[str, int] | None
) -> PlannedSlice:
    if day.stored is None:
        return PlannedSlice(day, usual, ESTIMATE if usual is not None else UNKNOWN)
    preview = preview_batch(context, feed, day)
    return PlannedSlice(day, preview.counts, EXACT if replay == "judge" else AS_STORED, preview.problem)


def _store(
    context: Context, wish: Wish, feeds: Sequence[Feed], slices: Sequence[PlannedSlice], by: str, why: str
) -> int:
    plan = BackfillPlan(
        replay=wish.replay,
        reprocess=wish.reprocess,
        first_day=wish.first,
        last_day=wish.last,
        state="planned",
        by=name_of(by),
        why=reason_of(why),
        created_at=now(),
        basis=basis_of(context, feeds),
    )
    with context.ledger.write() as ledger:
        ledger.add(plan)
        ledger.flush()
        ledger.add_all(
            BackfillSlice(
                plan=plan.id,
                feed=one.day.feed,
                business_date=one.day.business_date,
                reason=one.day.state,
                state="waiting",
                attempts_before=one.day.attempts,
                expected=one.as_json(),
            )
            for one in slices
        )
    return plan.id


def basis_of(context: Context, feeds: Sequence[Feed]) -> dict[str, str]:
    """Feed → what its configuration and the rules are at this moment, as a hash."""
    return {feed.feed: configuration_hash(context, feed) for feed in feeds}
