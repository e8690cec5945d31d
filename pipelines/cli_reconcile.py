"""``guiji reconcile``: what we believe endpoints show against what they hold, and what to do about differences."""

# Commands import what they need when they are called: `guiji --help` must answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli_console import out
from pipelines.cli_options import By, Yes

app = typer.Typer(help="Compare what endpoints hold with what we believe (对账).", invoke_without_command=True)

EndpointName = Annotated[str | None, typer.Option("--endpoint", help="Only this endpoint; all unless given.")]
Kinds = Annotated[list[str] | None, typer.Option("--kind", help="Only this kind; may be repeated.")]


@app.callback()
def reconcile(
    called: typer.Context,
    endpoint: EndpointName = None,
    category: Annotated[str | None, typer.Option(help="Only this category; all unless given.")] = None,
    by: Annotated[str, typer.Option(help="Who asks.")] = "guiji reconcile",
) -> None:
    """Ask endpoints what they hold, compare both ways, keep what differs as tasks."""
    from rich.table import Table

    from pipelines.operations.context import open_context
    from pipelines.operations.reconciliation import reconcile_endpoints

    if called.invoked_subcommand is not None:
        return
    outcomes = reconcile_endpoints(open_context(), by, endpoint, category)
    table = Table(title="Records compared, both ways (对账)")
    for name in ("endpoint", "category", "ours", "theirs", "agreed", "differences"):
        table.add_column(name, justify="left" if name in {"endpoint", "category"} else "right", overflow="fold")
    for one in outcomes:
        counts = (one.ours, one.theirs, one.agreed, one.differences)
        cells = ("—", "—", "—", one.problem) if one.problem else tuple(str(count) for count in counts)
        table.add_row(one.endpoint, one.category, *cells)
    out.print(table if outcomes else "No endpoint has taken anything yet.")
    if any(one.differences for one in outcomes):
        out.print("Which they are: guiji reconcile differences. What can be done: guiji reconcile repair.")


@app.command()
def differences(endpoint: EndpointName = None) -> None:
    """List the differences that are open, oldest first."""
    from rich.table import Table

    from pipelines.operations.context import open_context
    from pipelines.operations.deliveries import chosen_endpoints
    from pipelines.operations.reconciliation import open_differences

    context = open_context()
    chosen_endpoints(context, endpoint)
    found = open_differences(context, endpoint)
    table = Table(title="Open differences (对账差异)")
    for name in ("no.", "endpoint", "kind", "feed", "record", "their id", "what", "done"):
        table.add_column(name, overflow="fold")
    for one in found:
        key = (one.record_key or "—")[:12]
        facts = (one.endpoint, one.kind, one.feed or "—", key, one.upper_id or "—", one.detail)
        table.add_row(str(one.id), *facts, one.resolution or "")
    out.print(table if found else "There are no differences.")


@app.command()
def repair(
    by: By,
    endpoint: EndpointName = None,
    kinds: Kinds = None,
    most: Annotated[int, typer.Option(min=0, help="Repair up to this many.")] = 1000,
    yes: Yes = False,
) -> None:
    """Show what can be done about open differences, and do it with --yes: delivered with the next 'guiji deliver'."""
    from collections import Counter

    from pipelines.operations.context import open_context
    from pipelines.operations.holdings import KINDS
    from pipelines.operations.repairing import plan_repair
    from pipelines.operations.repairing import repair as repair_differences

    unknown = set(kinds or ()) - set(KINDS)
    if unknown:
        raise typer.BadParameter(f"unknown kind {min(unknown)}; use one of {', '.join(KINDS)}")
    context = open_context()
    planned = plan_repair(context, endpoint, kinds or ())
    counts = Counter((one.difference.endpoint, one.difference.kind, one.action or one.why_not) for one in planned)
    for (name, kind, what), count in sorted(counts.items()):
        out.print(f"{name} {kind}: {count} × {what}", highlight=False, soft_wrap=True)
    possible = sum(one.action is not None for one in planned)
    if not possible:
        out.print("There is nothing to repair.")
    elif not yes:
        out.print(f"{possible} differences would be repaired. Nothing was stored; repeat it with --yes.")
    else:
        repaired = repair_differences(context, planned, by, most)
        out.print(f"{repaired} differences repaired; deliver, then reconcile again.")
