"""``guiji tasks``: what departments have to mend, the loudest first, and one task with its whole life."""

# Commands import what they need when they are called: `guiji --help` must answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli_console import out, say

if TYPE_CHECKING:
    from pipelines.operations.task_views import TaskLine, TaskView

BAR = 40

app = typer.Typer(help="What departments have to mend, and how far they are.", no_args_is_help=True)

Reference = Annotated[str, typer.Argument(help="Reference of the task, such as MP-3F7K.")]
By = Annotated[str, typer.Option(help="Who says so.")]


@app.callback()
def _group() -> None:
    """What departments have to mend, and how far they are."""


@app.command(name="list")
def list_(
    departments: Annotated[list[str] | None, typer.Option("--department", help="Only of this department.")] = None,
    owners: Annotated[
        list[str] | None, typer.Option("--owner", help="Only the work of: department, us or upper.")
    ] = None,
    states: Annotated[
        list[str] | None,
        typer.Option(
            "--state", help="open, acknowledged, fixed, reopened, verified, waived; the first four unless given."
        ),
    ] = None,
    feeds: Annotated[list[str] | None, typer.Option("--feed", help="Only of this feed.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the tasks as JSON.")] = False,
) -> None:
    """List tasks, the loudest first: blocking ones, then by rows × days. Red: open for more than 7 working days."""
    from pipelines.operations.context import open_context
    from pipelines.operations.task_life import UNFINISHED
    from pipelines.operations.task_views import list_tasks

    lines = list_tasks(
        open_context(),
        departments=departments or (),
        owners=owners or (),
        states=states or UNFINISHED,
        feeds=feeds or (),
    )
    if json_:
        out.print_json(data=[line.as_json() for line in lines], ensure_ascii=False)
    elif not lines:
        out.print("There are no such tasks.")
    else:
        _print_list(lines)


@app.command()
def show(
    reference: Reference,
    json_: Annotated[bool, typer.Option("--json", help="Print the task as JSON.")] = False,
) -> None:
    """Show one task: what is wrong and what to do, some of its rows, its history and how many rows were open when."""
    from pipelines.operations.context import open_context
    from pipelines.operations.task_views import view_task

    view = view_task(open_context(), reference)
    if json_:
        from dataclasses import asdict

        out.print_json(data=asdict(view), ensure_ascii=False, default=str)
    else:
        _print_task(view)


@app.command()
def acknowledge(
    reference: Reference, by: By, why: Annotated[str | None, typer.Option(help="What was agreed.")] = None
) -> None:
    """Record that its owner knows about a task."""
    _change(reference, "acknowledged", by, why)


@app.command()
def fixed(
    reference: Reference, by: By, why: Annotated[str | None, typer.Option(help="What was mended, and where.")] = None
) -> None:
    """Record that its owner calls a task fixed; the next batch that has its rows verifies or reopens it."""
    _change(reference, "fixed", by, why)


@app.command()
def reopen(reference: Reference, by: By, why: Annotated[str, typer.Option(help="What is still to be done.")]) -> None:
    """Take back that a task was acknowledged or fixed."""
    _change(reference, "reopened", by, why)


def _change(reference: str, state: str, by: str, why: str | None) -> None:
    from pipelines.operations.context import open_context
    from pipelines.operations.task_life import change_task

    task = change_task(open_context(), reference, state, by, why)
    say(f"{task.reference}: {task.state}")


def _print_list(lines: list[TaskLine]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(title="Tasks (待办问题)", title_justify="left")
    for heading in ("task", "state", "feed", "rule", "field", "severity", "owner"):
        table.add_column(heading, overflow="fold")
    for heading in ("rows", "days"):
        table.add_column(heading, justify="right")
    for line in lines:
        cells = (line.reference, line.state, line.feed, line.rule, line.field or "—", line.severity, line.owner)
        table.add_row(
            *(Text(cell) for cell in cells),
            f"{line.rows:,}",
            str(line.days),
            style="red" if line.overdue else None,
        )
    out.print(table)
    rows, late = sum(line.rows for line in lines), sum(line.overdue for line in lines)
    say(f"{len(lines)} tasks, {rows:,} rows; {late} tasks open for more than 7 working days")


def _print_task(view: TaskView) -> None:
    line = view.line
    say(f"{line.reference}  {line.state}, {line.rows:,} rows open ({line.waived:,} waived, {line.rows_ever:,} ever)")
    say(f"{line.feed}  {line.rule} v{line.rule_version}  {line.field}  {line.severity}, work of: {line.owner}")
    for name in ("message_zh", "fix_zh", "message_en", "fix_en"):
        if view.texts.get(name):
            say(f"  {view.texts[name]}")
    if view.source:
        say(f"  ({view.source})")
    since = f", open since {line.open_since} ({line.days} days)" if line.open_since else ""
    say(f"first seen {line.first_seen}, last seen {line.last_seen}{since}", style="red" if line.overdue else None)
    for how, (rows, days) in sorted(view.closed.items()):
        say(f"closed, {how}: {rows:,} rows in {days / rows:.1f} days on average")
    if view.examples:
        say("rows:")
    for one in view.examples:
        say(f"  {one.row}  {one.observed or '（空）'}  since {one.since}")
    say("open rows:")
    most = max((rows for _, rows in view.timeline), default=0)
    for day, rows in view.timeline:
        bar = "█" * max(round(BAR * rows / most), 1) if rows else "·"
        say(f"  {day}  {bar} {rows:,}")
    say("history:")
    for event in view.history:
        why = f": {event.why}" if event.why else ""
        say(f"  {event.at:%Y-%m-%d %H:%M}Z  {event.event} → {event.state}, {event.rows:,} rows, by {event.by}{why}")
