"""Reports of a business date: figures, scorecards, department workbooks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from pipelines.operations.context import Context, open_context
from pipelines.operations.figures import recompute_open
from pipelines.operations.judging import suite_of
from pipelines.operations.withdrawals import withdrawals_of
from pipelines.quality.rules import Rule
from pipelines.reporting.metrics import FeedFigures, feed_figures
from pipelines.reporting.site import ReportPaths, build


def rule_texts(context: Context) -> dict[str, Rule]:
    """Every rule of every category by its code."""
    suites = [suite_of(context, category) for category in context.catalogue.categories.values()]
    return {rule.code: rule for suite in suites for rule in (*suite.rules, *suite.batch_rules)}


def figures_of(context: Context, business_date: date) -> list[FeedFigures]:
    """Figures of every feed's batch of a date."""
    with context.session() as session:
        return [
            feed_figures(session, context.settings, context.catalogue, context.ledger, feed, business_date)
            for feed in context.catalogue.feed_codes
        ]


def build_site(
    context: Context, business_date: date, progress: Callable[[int, int, str], None] | None = None
) -> ReportPaths:
    """Bring the report site up to date after the night of a business date; says where its pages and workbooks are.

    ``progress`` hears how many steps are done, how many there are, and what comes next.
    """
    with context.session() as session:
        return build(
            session,
            context.settings,
            context.catalogue,
            context.ledger,
            rule_texts(context),
            business_date,
            progress,
            lambda day: withdrawals_of(context, day),
        )


def build_reports(business_date: date) -> str:
    """For the DAG: build the report of a date; returns the path of its first page.

    Facts that hang on what receivers have yet to say are computed again before.
    """
    context = open_context()
    recompute_open(context)
    return str(build_site(context, business_date).index)
