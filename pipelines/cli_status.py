"""``guiji status``, ``diagnose``, ``metrics`` and ``health``: how everything stands, for people and for monitors."""

# Commands import what they need when they are called: `guiji --help` must answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli_console import out, say
from pipelines.cli_options import FEEDS_FAILED, AsJson

if TYPE_CHECKING:
    from pipelines.operations.context import Context


OnDay = Annotated[
    datetime | None,
    typer.Option("--date", formats=["%Y-%m-%d"], help="What became of this business date; without it, how all is now."),
]

ToFile = Annotated[Path | None, typer.Option("--file", help="Write to this file, in one step, instead of printing.")]


def status(
    day: OnDay = None,
    as_json: AsJson = False,
) -> None:
    """Show how every feed stands, the worst first: last good batch, what is wrong, and the command that mends it.

    With --date, what became of every feed on that business date: rows, outcomes, reasons, deliveries, deadlines.
    Exit code 10 when a feed has a problem.
    """
    from pipelines.operations.context import open_context

    context = open_context()
    troubled = print_now(context, as_json) if day is None else print_day(context, day.date(), as_json)
    if troubled:
        raise typer.Exit(FEEDS_FAILED)


def print_now(context: Context, as_json: bool = False) -> int:
    """Print how everything stands; how many feeds are in trouble."""
    from pipelines.operations.overview import read_overview
    from pipelines.operations.overview_view import (
        backfill_lines,
        commands,
        endpoint_table,
        feed_table,
        headline,
        overview_json,
    )

    overview = read_overview(context)
    if as_json:
        out.print_json(data=overview_json(overview), ensure_ascii=False)
        return len(overview.troubled)
    out.print(feed_table(overview.feeds))
    if overview.endpoints:
        out.print(endpoint_table(overview.endpoints))
    for line in backfill_lines(overview):
        say(line, style="yellow")
    if found := commands(overview):
        say("next, the worst first:", style="bold")
        for command in found:
            say(f"  {command}")
    out.print(headline(overview), soft_wrap=True)
    return len(overview.troubled)


def print_day(context: Context, day: date, as_json: bool = False) -> int:
    """Print the table and the problems of a business date; how many problems there are."""
    from dataclasses import asdict

    from pipelines.operations.calendar_views import calendar_notice
    from pipelines.operations.plain_json import writable
    from pipelines.operations.reports import figures_of
    from pipelines.operations.status import notices_of, problems_of
    from pipelines.reporting.summary import summary_table

    figures, notices, problems = figures_of(context, day), notices_of(context, day), problems_of(context, day)
    if as_json:
        told = {"notices": notices, "problems": problems}
        lists = {name: [{"feed": feed, "text": text} for feed, text in found] for name, found in told.items()}
        feeds = [writable(asdict(one)) for one in figures]
        out.print_json(data={"date": day.isoformat(), "feeds": feeds, **lists}, ensure_ascii=False)
        return len(problems)
    out.print(summary_table(figures))
    missing_year = calendar_notice(context, day)
    if missing_year is not None:
        say(f"calendar: {missing_year}", style="yellow")
    for feed, notice in notices:
        say(f"{feed}: {notice}", style="yellow")
    for feed, problem in problems:
        say(f"{feed}: {problem}", style="red")
    return len(problems)


def diagnose(
    feed: Annotated[str, typer.Argument(help="The feed to look at.")],
    days: Annotated[int, typer.Option(min=1, max=400, help="How many business dates of history.")] = 30,
    as_json: AsJson = False,
) -> None:
    """Say why a feed is as it is: history, drift, reasons, deliveries, clock, tasks, and what to run next."""
    from rich.text import Text

    from pipelines.operations.context import open_context
    from pipelines.operations.diagnosis import diagnose as diagnose_feed
    from pipelines.operations.diagnosis_view import diagnosis_json, render

    found = diagnose_feed(open_context(), feed, days)
    if as_json:
        out.print_json(data=diagnosis_json(found), ensure_ascii=False)
        return
    for part in render(found):
        out.print(part, soft_wrap=isinstance(part, Text))


def metrics(file: ToFile = None) -> None:
    """Write metrics in the text format of Prometheus, for the textfile collector of its node exporter."""
    from pipelines.operations.context import open_context
    from pipelines.operations.metrics import exposition, read_metrics, write_metrics

    context = open_context()
    if file is None:
        typer.echo(exposition(read_metrics(context)), nl=False)
    else:
        write_metrics(context, file)


def health(file: ToFile = None) -> None:
    """Say as JSON how the installation is. Exit code 0 when it is ok, 10 when it is degraded, 1 when it is failing."""
    from pipelines.operations.context import open_context
    from pipelines.operations.health import health_json, read_health, write_health

    found = read_health(open_context())
    if file is None:
        out.print_json(data=health_json(found), ensure_ascii=False)
    else:
        write_health(found, file)
    if found.verdict != "ok":
        raise typer.Exit(FEEDS_FAILED if found.verdict == "degraded" else 1)
