"""What went wrong, and what deserves a look, in one sentence each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.intake.changes import VOLUME
from pipelines.ledger.models import Run
from pipelines.operations.acceptance import withheld_by_profile
from pipelines.operations.attempts import published_run
from pipelines.operations.context import Context
from pipelines.operations.gates import are_rows_compared, decision_of
from pipelines.operations.settling import settle_notices
from pipelines.operations.waiving import expiring_waivers
from pipelines.operations.withdrawals import withdrawals_of
from pipelines.quality.suite import load_batch_rules

ENDING_DAYS = 14


def problems_of(context: Context, business_date: date) -> list[tuple[str, str]]:
    """(feed, problem) of every feed whose last run for the date failed, is held, was abandoned or never took place."""
    problems = []
    with context.ledger.read() as session:
        for feed in context.catalogue.feed_codes:
            if feed in context.catalogue.broken_feeds:
                problems.append((feed, str(context.catalogue.broken_feeds[feed])))
                continue
            query = select(Run).where(Run.feed == feed, Run.business_date == business_date)
            run = session.scalar(query.order_by(Run.attempt.desc()).limit(1))
            if run is None:
                problems.append(
                    (
                        feed,
                        f"no run for {business_date}; start it with 'guiji run --feed {feed} --date {business_date}'",
                    )
                )
            elif run.state == "held":
                problems.append((feed, f"HELD: {run.problem}"))
            elif run.state == "failed":
                problems.append((feed, run.problem or "failed without a message"))
            elif run.state in {"running", "abandoned"}:
                problems.append((feed, f"run {run.id} ended while {run.stage}; run the batch again"))
    return problems


def notices_of(context: Context, business_date: date) -> list[tuple[str, str]]:
    """(feed, notice) of what is no failure and should be known all the same.

    What has changed in the files or was left unread, what a source was not told yet, withdrawals to be confirmed, what
    receivers cannot take, waivers that end soon.
    """
    notices: list[tuple[str, str]] = []
    withdrawals = withdrawals_of(context, business_date)
    with context.ledger.read() as session:
        for feed in sorted(context.catalogue.feeds):
            run = published_run(session, feed, business_date)
            found = [] if run is None else [*_gate_notices(session, run), *_file_notices(context, session, run)]
            found += settle_notices(session, feed, run)
            proposed = [one for one in withdrawals if one.feed == feed]
            if proposed:
                believed = sum(one.believed for one in proposed)
                found.append(
                    f"{len(proposed)} withdrawals proposed, {believed} of them believed; see 'guiji withdrawals'"
                )
            found += [
                f"{count} records are withheld at {endpoint} by its acceptance profile ({rule})"
                for endpoint, rule, count in withheld_by_profile(context, feed)
            ]
            ending = [one for one in expiring_waivers(context, business_date, ENDING_DAYS) if one.waiver.feed == feed]
            if ending:
                found.append(f"{len(ending)} waivers end within {ENDING_DAYS} days; see 'guiji waivers expiring'")
            notices += [(feed, notice) for notice in found]
    return notices


def _gate_notices(session: LedgerSession, run: Run) -> Iterator[str]:
    """That a run was held and who let it pass."""
    decision = decision_of(session, run.id)
    if decision is not None:
        yield (
            f"a gate held run {run.id}; released by {decision.by} on {decision.at:%Y-%m-%d %H:%M} UTC: {decision.why}"
        )


def _file_notices(context: Context, session: LedgerSession, run: Run) -> Iterator[str]:
    """The findings about the files of a run, in words; the volume only where no gate has compared the rows."""
    rules = {rule.code: rule for rule in load_batch_rules(context.settings)}
    is_compared = are_rows_compared(session, run.id)
    for change in (run.manifest or {}).get("changes", ()):
        if is_compared and change["rule"] == VOLUME:
            continue
        rule = rules.get(change["rule"])
        place = f"{change['extract_name']}: " if change["extract_name"] else ""
        text = f"{rule.message_en}; {rule.fix_en}" if rule is not None else "a rule that is gone"
        yield f"{change['rule']} {place}{change['observed']} ({text})"
