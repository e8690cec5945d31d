"""Figures for the bulletin: ``guiji figures``."""

# Commands import what they need when they are called: `guiji --help` must answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pipelines.cli_console import out

if TYPE_CHECKING:
    from pipelines.operations.figures import Recomputed

app = typer.Typer(help="Figures of departments, and the monthly bulletin.", no_args_is_help=True)

Month = Annotated[
    datetime | None,
    typer.Option("--month", formats=["%Y-%m"], help="YYYY-MM; the month of yesterday in Shanghai unless given."),
]
Profile = Annotated[str, typer.Option("--profile", help="Whose definitions: a file of schemas/figures.")]
DepartmentName = Annotated[str | None, typer.Option("--department", help="Only this department.")]
FeedName = Annotated[str | None, typer.Option("--feed", help="Only this feed.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
DEFAULT_PROFILE = "national"


def _days(month: datetime | None) -> tuple[date, date]:
    """First and last day of the month a command is about."""
    from pipelines.operations.clock import today_in_shanghai

    first = (month.date() if month else today_in_shanghai() - timedelta(days=1)).replace(day=1)
    return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)


@app.command()
def show(
    month: Month = None,
    department: DepartmentName = None,
    feed: FeedName = None,
    profile: Profile = DEFAULT_PROFILE,
    by: Annotated[
        Literal["department", "category", "feed", "day", "all"], typer.Option(help="What the figures are summed by.")
    ] = "department",
    as_json: AsJson = False,
) -> None:
    """Show the figures of a month with numerators and denominators; those that may still change are marked.

    Feeds that are silent stand first.
    """
    from pipelines.operations.clock import today_in_shanghai
    from pipelines.operations.context import open_context
    from pipelines.operations.figure_questions import feeds_of
    from pipelines.reporting.figure_tables import figure_table, figures_as_json
    from pipelines.reporting.figures import figures_by, silences

    context = open_context()
    feeds = [(code, context.catalogue.feeds[code].department) for code in feeds_of(context, department, feed)]
    chosen, (first, last) = context.catalogue.profile(profile), _days(month)
    lines = figures_by(
        context.ledger, chosen, first, last, () if by == "all" else (by,), department=department, feed=feed
    )
    covered = min(last, today_in_shanghai() - timedelta(days=1))
    silent = [one for one in silences(context.ledger, feeds, covered) if one.is_silent]
    if as_json:
        out.print_json(json.dumps(figures_as_json(chosen, lines, first, last, silent), ensure_ascii=False))
        return
    for one in silent:
        since = "nothing was ever published" if one.last is None else f"silent for {one.days} days, since {one.last}"
        out.print(f"{one.feed}: {since}", style="bold red", highlight=False)
    out.print(figure_table(chosen, lines, first, last))


@app.command()
def recompute(
    month: Month = None,
    only_open: Annotated[bool, typer.Option("--open", help="All facts that are not final, of whatever month.")] = False,
) -> None:
    """Compute the facts of a month again, after a profile or the calendar was changed. Safe to repeat."""
    from pipelines.operations import figures
    from pipelines.operations.context import open_context

    context = open_context()
    done: Recomputed = figures.recompute_open(context) if only_open else figures.recompute(context, *_days(month))
    out.print(f"The facts of {done.batches} batches were computed again.")
    for feed, day, why in done.skipped:
        out.print(f"{feed} {day}: {why}", markup=False, highlight=False)


@app.command("what-if")
def what_if(
    month: Month = None,
    department: DepartmentName = None,
    feed: FeedName = None,
    profile: Profile = DEFAULT_PROFILE,
    fix: Annotated[
        list[str] | None, typer.Option("--fix", help="A rule code to suppose fixed; may be repeated.")
    ] = None,
    most: Annotated[int, typer.Option(min=1, max=20, help="How many steps to look for.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Say what a figure would be if reasons were fixed: the best ones step by step, the best pair, or those named."""
    from pipelines.operations.context import open_context
    from pipelines.operations.figure_questions import feeds_of, what_if_of
    from pipelines.operations.reports import rule_texts
    from pipelines.reporting.figure_tables import what_if_as_json, what_if_table

    context = open_context()
    found = what_if_of(
        context,
        context.catalogue.profile(profile),
        feeds_of(context, department, feed),
        *_days(month),
        reasons=fix or (),
        most=most,
    )
    if as_json:
        out.print_json(json.dumps(what_if_as_json(found), ensure_ascii=False))
        return
    out.print(what_if_table(found, rule_texts(context)))


@app.command()
def unreported(
    month: Month = None, department: DepartmentName = None, feed: FeedName = None, as_json: AsJson = False
) -> None:
    """Estimate what was decided in a month and never reported. An estimate: it says where to look, nothing more."""
    from pipelines.operations.clock import today_in_shanghai
    from pipelines.operations.context import open_context
    from pipelines.operations.figure_questions import feeds_of, unreported_of
    from pipelines.reporting.figure_tables import unreported_as_json, unreported_table

    context = open_context()
    first, last = _days(month)
    found = unreported_of(context, feeds_of(context, department, feed), first, last, today_in_shanghai())
    if as_json:
        out.print_json(json.dumps(unreported_as_json(found), ensure_ascii=False))
        return
    out.print(unreported_table(found))
    for caveat in found.caveats:
        out.print(f"· {caveat}", highlight=False)


@app.command()
def bulletin(
    month: Month = None,
    profile: Profile = DEFAULT_PROFILE,
    output: Annotated[
        Path | None, typer.Option(help="Folder to write to; bulletins/ of the reports unless given.")
    ] = None,
) -> None:
    """Write the bulletin of a month: a document to print (.docx) and a workbook with all figures (.xlsx)."""
    from pipelines.operations.bulletin import write_bulletin
    from pipelines.operations.context import open_context

    context = open_context()
    first, last = _days(month)
    for path in write_bulletin(context, first, last, context.catalogue.profile(profile), output):
        out.print(path, soft_wrap=True, highlight=False)
