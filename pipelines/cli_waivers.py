"""Waivers: ``guiji waivers``."""

# Commands import what they need when they are called: `guiji --help` must answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli_console import out

if TYPE_CHECKING:
    from pipelines.operations.waiving import ShownWaiver

app = typer.Typer(help="Records that are excused from a rule for a while.", no_args_is_help=True)

Day = Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Last business date it holds for, YYYY-MM-DD.")]


@app.command()
def grant(
    approver: Annotated[str, typer.Option(help="Who answers for it.")],
    why: Annotated[str, typer.Option(help="Why; no personal data.")],
    until: Day,
    reference: Annotated[str | None, typer.Argument(help="Row reference as in the department workbook.")] = None,
    rule: Annotated[str | None, typer.Option(help="The rule that the row is excused from.")] = None,
    task: Annotated[str | None, typer.Option(help="Instead of a row: every open row of this task.")] = None,
    run: Annotated[str | None, typer.Option(help="Instead of a reference: this run, with --row.")] = None,
    row: Annotated[int | None, typer.Option(help="Number of the row in the run.")] = None,
) -> None:
    """Excuse a row, as it stands, from a rule; run its batch again to have it judged so.

    Nothing sticks to other content: a row that changes is judged in full.
    """
    from pipelines.operations.context import open_context
    from pipelines.operations.waiver_granting import Approval, grant_by_number, grant_by_row, grant_by_task

    given = [reference is not None, task is not None, run is not None]
    if sum(given) != 1 or (task is None) == (rule is None) or (run is None) != (row is None):
        raise typer.BadParameter("give a row reference with --rule, or --run and --row with --rule, or --task")
    context, approval = open_context(), Approval(approver, why, until.date())
    if task is not None:
        granted = grant_by_task(context, task, approval)
    elif run is not None and row is not None:
        granted = grant_by_number(context, run, row, rule or "", approval)
    else:
        granted = grant_by_row(context, reference or "", rule or "", approval)
    numbers = ", ".join(str(number) for number in granted.numbers)
    out.print(
        f"waived {granted.rule} until {until.date()} for {len(granted.numbers)} rows of {granted.feed}: {numbers}"
    )
    out.print(f"judge them so with 'guiji run --feed {granted.feed} --date {granted.business_date}'")


@app.command(name="list")
def list_(
    feed: Annotated[str | None, typer.Option(help="Only this feed.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Expired and revoked ones too.")] = False,
) -> None:
    """Waivers in force, those that end first first."""
    from pipelines.operations.clock import today_in_shanghai
    from pipelines.operations.context import open_context
    from pipelines.operations.waiving import list_waivers

    _print(list_waivers(open_context(), today_in_shanghai(), feed, in_force_only=not everything))


@app.command()
def expiring(days: Annotated[int, typer.Option(min=0, help="How many days to look ahead.")] = 30) -> None:
    """Waivers that end soon: after that the rows are judged in full."""
    from pipelines.operations.clock import today_in_shanghai
    from pipelines.operations.context import open_context
    from pipelines.operations.waiving import expiring_waivers

    _print(expiring_waivers(open_context(), today_in_shanghai(), days))


@app.command()
def revoke(
    numbers: Annotated[list[int], typer.Argument(help="Numbers of the waivers.")],
    by: Annotated[str, typer.Option(help="Who revokes them.")],
    why: Annotated[str, typer.Option(help="Why.")],
) -> None:
    """End waivers at once; what was published stays published."""
    from pipelines.operations.context import open_context
    from pipelines.operations.waiving import revoke_waivers

    out.print(f"{revoke_waivers(open_context(), numbers, by, why)} waivers revoked")


def _print(shown: Sequence[ShownWaiver]) -> None:
    from rich.table import Table

    if not shown:
        out.print("no waivers")
        return
    table = Table("no.", "feed", "rule", "for", "until", "state", "approver", "why")
    for one in shown:
        waiver = one.waiver
        rule = f"{waiver.rule} v{waiver.rule_version}"
        cells = (waiver.feed, rule, waiver.granted_for, str(waiver.until), one.state, waiver.approver, waiver.why)
        table.add_row(str(waiver.id), *cells)
    out.print(table)
