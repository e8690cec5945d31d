"""Questions that facts do not answer: what a figure would be if reasons were fixed, and what may be unreported."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from sqlalchemy import select

from pipelines.catalogue.figure_profiles import FigureProfile
from pipelines.deadlines.calendar import DAY, load_calendar
from pipelines.deadlines.clock import deadline, load_policy
from pipelines.engine.duck import file_literal, identifier
from pipelines.errors import CatalogueError
from pipelines.ledger.models import Run
from pipelines.operations.context import Context
from pipelines.operations.reports import rule_texts
from pipelines.records.reading import hidden_runs
from pipelines.reporting.underreporting import UnreportedEstimate, add_numbers, create_numbers, estimate_unreported
from pipelines.reporting.what_if import MOST_STEPS, WhatIf, what_if

_VERSIONS = "numbered_versions"


def feeds_of(context: Context, department: str | None = None, feed: str | None = None) -> list[str]:
    """The feeds that a question is about: one, those of a department, or all; raises for unknown ones."""
    if feed is not None:
        return [context.catalogue.feed(feed).feed]
    if department is not None and department not in context.catalogue.departments:
        known = ", ".join(sorted(context.catalogue.departments))
        raise CatalogueError(f"unknown department {department}", remedy=f"use one of {known}")
    return sorted(
        code for code, one in context.catalogue.feeds.items() if department is None or one.department == department
    )


def what_if_of(
    context: Context,
    profile: FigureProfile,
    feeds: Sequence[str],
    since: date,
    until: date,
    *,
    reasons: Sequence[str] = (),
    most: int = MOST_STEPS,
    figure: str | None = None,
) -> WhatIf:
    """See :func:`pipelines.reporting.what_if.what_if`; raises :class:`CatalogueError` for a reason nobody knows.

    A rule that no longer stands in the rule book may still be the reason of stored rows, and can be asked for.
    """
    with context.session() as session:
        found = what_if(
            session,
            context.settings,
            context.ledger,
            profile,
            feeds,
            since,
            until,
            reasons=reasons,
            most=most,
            figure=figure,
        )
    texts = rule_texts(context)
    unknown = [reason for reason in reasons if reason not in texts]
    if unknown and (found.asked is None or not found.asked.rows):
        raise CatalogueError(f"no rule {unknown[0]}", remedy="look it up with 'guiji rules list --text WORD'")
    return found


def unreported_of(context: Context, feeds: Sequence[str], since: date, until: date, today: date) -> UnreportedEstimate:
    """What may be unreported of the decisions of ``since``..``until``, as seen on ``today``: an estimate."""
    with context.session() as session:
        create_numbers(session)
        for code in feeds:
            feed = context.catalogue.feed(code)
            category = context.catalogue.category_of(feed)
            context.stores[category.category].versions(session, _VERSIONS, hidden_runs(context.ledger), code)
            add_numbers(session, code, _VERSIONS, identifier(category.roles.authority), _outcomes(context, code, since))
        return estimate_unreported(session, feeds, since, until, _last_due(context, today))


def _outcomes(context: Context, feed: str, since: date) -> str | None:
    """The outcomes of all published runs since the year of ``since`` began, as far as their folders are kept."""
    query = select(Run.id).where(
        Run.feed == feed, Run.state == "published", Run.business_date >= since.replace(month=1, day=1)
    )
    with context.ledger.read() as ledger:
        runs = list(ledger.scalars(query.order_by(Run.id)))
    files = [context.settings.runs / run / "outcomes.parquet" for run in runs]
    kept = ", ".join(file_literal(file) for file in files if file.is_file())
    return f"read_parquet([{kept}])" if kept else None


def _last_due(context: Context, today: date) -> date:
    """The last day whose decisions have to be here: their deadline lies before ``today``."""
    calendar, policy = load_calendar(context.settings), load_policy(context.settings)
    day = today
    while deadline(calendar, policy, day).date >= today:
        day -= DAY
    return day
