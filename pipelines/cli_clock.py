"""``guiji clock``: what runs out of time and what it waits for, what will be late, and who had what was late."""

# Commands import what they need when they are called: `guiji --help` must answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pipelines.cli_console import out
from pipelines.errors import CatalogueError

if TYPE_CHECKING:
    from pipelines.operations.context import Context

app = typer.Typer(help="The legal clock of every open record.", invoke_without_command=True)

Today = Annotated[
    datetime | None,
    typer.Option("--today", formats=["%Y-%m-%d"], help="The day to look from; today in Shanghai if not given."),
]
EndpointName = Annotated[str | None, typer.Option("--endpoint", help="Only this endpoint.")]
DepartmentName = Annotated[str | None, typer.Option("--department", help="Only this department.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


@app.callback()
def clock(
    command: typer.Context,
    today: Today = None,
    endpoint: EndpointName = None,
    department: DepartmentName = None,
    by: Annotated[Literal["department", "feed"], typer.Option(help="One line per department, or per feed.")] = (
        "department"
    ),
    overdue: Annotated[bool, typer.Option("--overdue", help="Only what is overdue.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="List single records, the most urgent first.")] = False,
    most: Annotated[int, typer.Option("--limit", min=1, help="How many records --list shows at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Show which records run out of time: overdue, due today, due in 1, 2 and 3 working days, and why they wait."""
    if command.invoked_subcommand is not None:
        return
    from pipelines.operations.clock import today_in_shanghai

    day = today.date() if today else today_in_shanghai()
    if list_:
        _print_records(day, endpoint, department, overdue, most, as_json)
    else:
        _print_clock(day, endpoint, department, overdue, by == "feed", as_json)


def _open(endpoint: str | None, department: str | None) -> Context:
    """The installation; a misspelt endpoint or department is an error, never an empty answer."""
    from pipelines.operations.context import open_context
    from pipelines.operations.deliveries import chosen_endpoints

    context = open_context()
    chosen_endpoints(context, endpoint)
    known = sorted(context.catalogue.departments)
    if department is not None and department not in known:
        raise CatalogueError(f"unknown department {department}", remedy=f"use one of {', '.join(known)}")
    return context


def _print_clock(
    day: date, endpoint: str | None, department: str | None, overdue: bool, by_feed: bool, as_json: bool
) -> None:
    from pipelines.deadlines.calendar import load_calendar
    from pipelines.operations.calendar_views import calendar_notice
    from pipelines.operations.clock import read_clock
    from pipelines.operations.clock_before import not_yet_queued
    from pipelines.operations.clock_view import clock_json, clock_table, merged, not_queued_table, waiting_table

    context = _open(endpoint, department)
    lines = [
        line
        for line in read_clock(context, day)
        if endpoint in {None, line.endpoint}
        and department in {None, line.department}
        and (line.counts["overdue"] or not overdue)
    ]
    waiting = [] if endpoint else [one for one in not_yet_queued(context) if department in {None, one.department}]
    if overdue:
        waiting = [one for one in waiting if one.deadline is not None and one.deadline < day]
    lines = merged(lines, by_feed)
    if as_json:
        out.print_json(data=clock_json(lines, waiting, day), ensure_ascii=False)
        return
    if lines:
        out.print(clock_table(lines, by_feed))
        out.print(waiting_table(lines, by_feed))
    else:
        out.print("Nothing is owed.")
    if waiting:
        out.print(not_queued_table(waiting, load_calendar(context.settings), day))
    if notice := calendar_notice(context, day):
        out.print(notice, style="yellow", highlight=False, soft_wrap=True)


def _print_records(
    day: date, endpoint: str | None, department: str | None, overdue: bool, most: int, as_json: bool
) -> None:
    from pipelines.operations.clock_list import list_open
    from pipelines.operations.clock_view import record_table
    from pipelines.operations.plain_json import writable

    found = list_open(
        _open(endpoint, department), day, overdue=overdue, endpoint=endpoint, department=department, most=most
    )
    if as_json:
        out.print_json(data=[writable(asdict(one) | {"command": one.command}) for one in found], ensure_ascii=False)
    else:
        out.print(record_table(found) if found else "Nothing is owed.")


@app.command()
def forecast(
    days: Annotated[int, typer.Option(min=1, max=120, help="How many calendar days to look ahead.")] = 14,
    endpoint: EndpointName = None,
    department: DepartmentName = None,
    as_json: AsJson = False,
) -> None:
    """Say which open records will be late, and why: queue, speed of the endpoint, habit of the department, holidays."""
    from pipelines.operations.clock_forecast import forecast_late
    from pipelines.operations.clock_view import forecast_table
    from pipelines.operations.plain_json import writable

    context = _open(endpoint, department)
    owners = {feed.feed: feed.department for feed in context.catalogue.feeds.values()}
    found = [
        one
        for one in forecast_late(context, days)
        if endpoint in {None, one.group.endpoint} and department in {None, owners.get(one.group.feed)}
    ]
    if as_json:
        out.print_json(data=[writable(asdict(one)) for one in found], ensure_ascii=False)
    else:
        out.print(forecast_table(found) if found else f"Nothing that is open will be late within {days} days.")


@app.command()
def late(
    first: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First deadline; 30 days ago if not given.")
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last deadline; today if not given.")
    ] = None,
    endpoint: EndpointName = None,
    department: DepartmentName = None,
    list_: Annotated[bool, typer.Option("--list", help="List single records too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Split the delay of every late record: working days with the department, with us, a steward, the receiver."""
    from pipelines.operations.clock import today_in_shanghai
    from pipelines.operations.clock_late import by_department, late_records
    from pipelines.operations.clock_view import delay_table, late_table
    from pipelines.operations.plain_json import writable

    today = today_in_shanghai()
    since = first.date() if first else today - timedelta(days=30)
    until = last.date() if last else today
    found = late_records(_open(endpoint, department), since, until, department=department, endpoint=endpoint)
    sums = by_department(found)
    if as_json:
        departments = [writable(asdict(one) | {"total": one.total}) for one in sums]
        records = [writable(asdict(one) | {"total": one.total}) for one in found]
        out.print_json(data={"departments": departments, "records": records}, ensure_ascii=False)
        return
    if not found:
        out.print(f"No record with a deadline from {since} to {until} was late.")
        return
    out.print(delay_table(sums))
    if list_:
        out.print(late_table(found))
