"""What went wrong, and what deserves a look, in one sentence each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from typing import TypeVar

from sqlalchemy import select

from pipelines.intake.changes import VOLUME
from pipelines.ledger.models import Batch, Run
from pipelines.ledger.quality_models import GateDecision
from pipelines.operations.acceptance import withheld_by_profile
from pipelines.operations.context import Context
from pipelines.operations.feed_states import newest_runs
from pipelines.operations.gates import runs_with_compared_rows
from pipelines.operations.settling import owed_runs, settle_notices
from pipelines.operations.waiving import expiring_waivers
from pipelines.operations.withdrawals import withdrawals_of
from pipelines.quality.rules import Rule
from pipelines.quality.suite import load_batch_rules

ENDING_DAYS = 14
_One = TypeVar("_One")


def problems_of(context: Context, business_date: date) -> list[tuple[str, str]]:
    """(feed, problem) of every feed whose last run for the date failed, is held, was abandoned or never took place."""
    with context.ledger.read() as session:
        runs = newest_runs(session, context.catalogue.feed_codes, business_date)
    problems = []
    for feed in context.catalogue.feed_codes:
        if feed in context.catalogue.broken_feeds:
            problem: str | None = str(context.catalogue.broken_feeds[feed])
        elif feed in runs:
            problem = _problem_of(runs[feed])
        else:
            command = f"guiji run --feed {feed} --date {business_date}"
            problem = f"no run for {business_date}; start it with '{command}'"
        if problem is not None:
            problems.append((feed, problem))
    return problems


def _problem_of(run: Run) -> str | None:
    if run.state == "held":
        return f"HELD: {run.problem}"
    if run.state == "failed":
        return run.problem or "failed without a message"
    if run.state in {"running", "abandoned"}:
        return f"run {run.id} ended while {run.stage}; run the batch again"
    return None


def notices_of(context: Context, business_date: date) -> list[tuple[str, str]]:
    """(feed, notice) of what is no failure and should be known all the same.

    What has changed in the files or was left unread, what a source was not told yet, withdrawals to be confirmed, what
    receivers cannot take, waivers that end soon. Each kind is asked of the ledger once for all feeds.
    """
    proposed = _by_feed(withdrawals_of(context, business_date), lambda one: one.feed)
    ending = _by_feed(expiring_waivers(context, business_date, ENDING_DAYS), lambda one: one.waiver.feed)
    withheld = _by_feed(withheld_by_profile(context), lambda one: one[0])
    with context.ledger.read() as session:
        query = select(Run).join(Batch, Batch.run == Run.id).where(Batch.feed.in_(context.catalogue.feeds))
        published = {run.feed: run for run in session.scalars(query.where(Batch.business_date == business_date))}
        ids = [run.id for run in published.values()]
        decisions = {one.run: one for one in session.scalars(select(GateDecision).where(GateDecision.run.in_(ids)))}
        compared = runs_with_compared_rows(session, ids)
        owed = _by_feed(owed_runs(session), lambda run: run.feed)
    rules = {rule.code: rule for rule in load_batch_rules(context.settings)}
    notices: list[tuple[str, str]] = []
    for feed in sorted(context.catalogue.feeds):
        run = published.get(feed)
        found: list[str] = []
        if run is not None:
            found += _gate_notices(decisions.get(run.id), run)
            found += _file_notices(rules, run, is_compared=run.id in compared)
        found += settle_notices(owed.get(feed, ()), run)
        if feed in proposed:
            believed = sum(one.believed for one in proposed[feed])
            found.append(
                f"{len(proposed[feed])} withdrawals proposed, {believed} of them believed; see 'guiji withdrawals'"
            )
        found += [
            f"{count} records are withheld at {endpoint} by its acceptance profile ({rule})"
            for _, endpoint, rule, count in withheld.get(feed, ())
        ]
        if feed in ending:
            found.append(f"{len(ending[feed])} waivers end within {ENDING_DAYS} days; see 'guiji waivers expiring'")
        notices += [(feed, notice) for notice in found]
    return notices


def _by_feed(found: Iterable[_One], feed: Callable[[_One], str]) -> dict[str, list[_One]]:
    grouped: dict[str, list[_One]] = defaultdict(list)
    for one in found:
        grouped[feed(one)].append(one)
    return grouped


def _gate_notices(decision: GateDecision | None, run: Run) -> Iterator[str]:
    """That a run was held and who let it pass."""
    if decision is not None:
        yield (
            f"a gate held run {run.id}; released by {decision.by} on {decision.at:%Y-%m-%d %H:%M} UTC: {decision.why}"
        )


def _file_notices(rules: Mapping[str, Rule], run: Run, *, is_compared: bool) -> Iterator[str]:
    """The findings about the files of a run, in words; the volume only where no gate has compared the rows."""
    for change in (run.manifest or {}).get("changes", ()):
        if is_compared and change["rule"] == VOLUME:
            continue
        rule = rules.get(change["rule"])
        place = f"{change['extract_name']}: " if change["extract_name"] else ""
        text = f"{rule.message_en}; {rule.fix_en}" if rule is not None else "a rule that is gone"
        yield f"{change['rule']} {place}{change['observed']} ({text})"
