"""The working-day calendar: ``guiji calendar``."""

# Commands import what they need when they are called: `guiji --help` must answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli_console import out, say, user_name
from pipelines.errors import CalendarError

app = typer.Typer(help="Working days: which are known, and by when something is due.", no_args_is_help=True)


@app.command(name="import")
def import_(
    file: Annotated[Path, typer.Argument(help="A notice (.txt, .docx, .html), a table of days (.csv) or our YAML.")],
    yes: Annotated[bool, typer.Option("--yes", help="Load it; without this only what would change is shown.")] = False,
    year: Annotated[int | None, typer.Option(help="The year to take from a table that has several.")] = None,
    source: Annotated[str | None, typer.Option(help="Where a table comes from, if it does not say so.")] = None,
    by: Annotated[str | None, typer.Option(help="Who loads it; the name you are logged in with unless given.")] = None,
) -> None:
    """Load a State Council notice: shows the days and open deadlines that change; --yes makes it so."""
    from pipelines.operations.calendar_import import install, plan_import
    from pipelines.operations.calendar_views import import_lines
    from pipelines.operations.context import open_context

    context = open_context()
    plan = plan_import(context, file, year, source)
    for line in import_lines(plan):
        say(line)
    if not plan.is_news:
        say("Nothing to load: the calendar says the same already.")
    elif yes:
        change = install(context, plan, user_name(by))
        say(f"{plan.path.name} is written; {change.changed} of {change.examined} open deadlines were changed.")
    else:
        say(f"nothing is changed. next: guiji calendar import {file} --yes")


@app.command()
def show(year: Annotated[int, typer.Argument(min=1950, max=2100, help="The year to draw.")]) -> None:
    """Draw a year: days off, make-up working days, and whether it is provisional."""
    from pipelines.deadlines.calendar import load_calendar
    from pipelines.operations.calendar_views import year_panels, year_title
    from pipelines.settings import Settings

    calendar = load_calendar(Settings())
    say(year_title(calendar, year), style=None if calendar.knows(year) else "yellow")
    out.print(year_panels(calendar, year))


@app.command(name="list")
def list_() -> None:
    """List where the calendar comes from, which years are known, and what is missing."""
    from pipelines.operations.calendar_views import arrangement_table, calendar_notice
    from pipelines.operations.clock import today_in_shanghai
    from pipelines.operations.context import open_context

    context = open_context()
    out.print(arrangement_table(context))
    notice = calendar_notice(context, today_in_shanghai())
    if notice is not None:
        say(notice, style="yellow")


@app.command()
def changes() -> None:
    """List when open deadlines were worked out anew, by whom, why, and what changed."""
    from pipelines.operations.calendar_views import change_table
    from pipelines.operations.context import open_context
    from pipelines.operations.deadline_changes import deadline_changes

    found = deadline_changes(open_context())
    out.print(change_table(found) if found else "No open deadline was ever worked out anew.")


@app.command()
def deadline(
    days: Annotated[
        list[str] | None, typer.Argument(help="Decision dates, YYYY-MM-DD; read from standard input unless given.")
    ] = None,
    policy: Annotated[
        str | None, typer.Option(help="The limit, as in policies.yaml; the default unless given.")
    ] = None,
    assume_weekends: Annotated[
        bool, typer.Option("--assume-weekends", help="Take Monday to Friday for working days of an unknown year.")
    ] = False,
) -> None:
    """Print the deadline of each decision date. A year that is not known is an error (exit code 7)."""
    from pipelines.deadlines.calendar import load_calendar
    from pipelines.deadlines.clock import deadline as deadline_of
    from pipelines.deadlines.policies import load_policies
    from pipelines.settings import Settings

    settings = Settings()
    calendar, policies = load_calendar(settings), load_policies(settings)
    chosen = policies.default if policy is None else policies.named(policy)
    lines = []
    for text in days or sys.stdin.read().split():
        try:
            day = date.fromisoformat(text)
        except ValueError as error:
            raise CalendarError(f"{text[:20]!r} is no date", remedy="write it as 2026-01-31") from error
        found = deadline_of(calendar, chosen, day)
        if found.provisional and not assume_weekends:
            raise CalendarError(
                f"the deadline of {day} needs the working days of {found.needs_year}, which are not known",
                remedy="import the notice (guiji calendar import FILE), or say --assume-weekends for an estimate",
            )
        mark = f" provisional, {found.needs_year} is not known" if found.provisional else ""
        lines.append(f"{day} {found.date}{mark}")
    for line in lines:
        say(line)
