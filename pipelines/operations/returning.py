"""Corrected workbooks that departments put where their ``corrections:`` says: taken in every night."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from sqlalchemy import select

from pipelines.catalogue.feeds import Department, Feed
from pipelines.errors import ExtractError, GuijiError
from pipelines.intake.connectors import connector_of
from pipelines.intake.connectors.contract import Pull, PullRequest
from pipelines.ledger.quality_models import Resubmission
from pipelines.operations.attempts import feed_lock
from pipelines.operations.context import Context, open_context
from pipelines.operations.resubmitting import Outcome, resubmit


def departments_with_corrections() -> list[str]:
    """For the DAG: departments whose workbooks come back by themselves, sorted."""
    departments = open_context().catalogue.departments.values()
    return sorted(department.department for department in departments if department.corrections is not None)


def take_in_returned(department: str, business_date: date) -> list[str]:
    """For the DAG: take in what came back from a department; the answers' paths.

    Raises :class:`ExtractError` at the end when a file could not be taken; the others are done.
    """
    outcomes = take_in(open_context(), department, business_date)
    problems = [outcome for outcome in outcomes if outcome.problem is not None]
    if problems:
        raise ExtractError(
            f"{len(problems)} of {len(outcomes)} workbooks of {department} could not be taken: "
            + "; ".join(f"{outcome.name}: {outcome.problem}" for outcome in problems),
            remedy="they stay where they are; mend what is said of each, or take them away",
        )
    return [str(outcome.result.answer) for outcome in outcomes if outcome.result is not None]


def take_in(context: Context, department: str, business_date: date) -> list[Outcome]:
    """Pull the workbooks of a department, apply each, then tell the source which were taken.

    A file that cannot be taken stops itself only and stays at the source; one that was applied before is passed over.
    Raises :class:`SourceError` when the source is down.
    """
    described = context.catalogue.departments[department]
    if described.corrections is None:
        return []
    feed = _as_feed(described)
    with feed_lock(context, feed.feed):
        connector = connector_of(feed)
        pulled = connector.pull(_request(context, feed, business_date))
        outcomes = _apply(context, pulled, described.name_zh)
        receipt = _of_taken(pulled, [extract.name for extract in pulled.extracts], outcomes)
        if receipt is not None:
            connector.settle(context.settings, feed, receipt)
    return outcomes


def _apply(context: Context, pulled: Pull, by: str) -> list[Outcome]:
    outcomes = []
    for extract in pulled.extracts:
        if _is_done(context, extract.sha256):
            outcomes.append(Outcome(extract.name, None, None))
            continue
        try:
            outcomes.append(Outcome(extract.name, resubmit(context, extract.path, by, name=extract.name), None))
        except GuijiError as error:
            outcomes.append(Outcome(extract.name, None, error))
    return outcomes


def _is_done(context: Context, sha256: str) -> bool:
    """Whether a run with this workbook was published."""
    with context.ledger.read() as session:
        found = session.scalars(select(Resubmission.manifest).where(Resubmission.sha256 == sha256)).all()
    return any("run" in manifest for manifest in found)


def _of_taken(pulled: Pull, names: Sequence[str], outcomes: Sequence[Outcome]) -> dict[str, object] | None:
    """The receipt for the files that were taken, and for what stands beside them."""
    if pulled.receipt is None:
        return None
    refused = {name for name, outcome in zip(names, outcomes, strict=True) if outcome.problem is not None}
    files = [file for file in pulled.receipt["files"] if file["name"] not in refused]
    return {**pulled.receipt, "files": files} if files else None


def _request(context: Context, feed: Feed, business_date: date) -> PullRequest:
    workspace = context.settings.scratch / "sources" / feed.feed
    workspace.mkdir(parents=True, exist_ok=True)
    return PullRequest(context.settings, feed, business_date, workspace, may_be_empty=True)


def _as_feed(department: Department) -> Feed:
    """What connectors ask for: a feed whose source is where the workbooks come back to."""
    return Feed.model_validate(
        {
            "feed": f"{department.department}_corrections",
            "name_zh": f"{department.name_zh}更正",
            "category": "corrections",
            "edition": 0,
            "source": department.corrections.model_dump() if department.corrections is not None else None,
            "department": department.department,
        }
    )
