"""``guiji withdrawals``: records that should no longer exist, and what is done about many of them at once."""

# Commands import what they need when they are called: `guiji --help` must answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli_console import out
from pipelines.cli_options import By, Note, Yes

if TYPE_CHECKING:
    from pipelines.operations.context import Context
    from pipelines.operations.withdrawing import Intended

app = typer.Typer(help="Records that should no longer exist (拟撤回记录).", invoke_without_command=True)

Day = Annotated[
    datetime | None,
    typer.Option("--date", formats=["%Y-%m-%d"], help="Business date, YYYY-MM-DD; yesterday in Shanghai unless given."),
]
Feeds = Annotated[
    list[str] | None, typer.Option("--feed", help="Only this feed; may be repeated. All feeds unless given.")
]
Most = Annotated[int | None, typer.Option("--most", min=0, help="Withdraw up to this many, whatever the limits say.")]


@app.callback()
def list_(called: typer.Context, day: Day = None, feeds: Feeds = None) -> None:
    """List records that should no longer exist: absent from full dumps, or revoked by their department."""
    from rich.table import Table

    from pipelines.operations.clock import today_in_shanghai
    from pipelines.operations.context import open_context
    from pipelines.operations.withdrawals import withdrawals_of

    if called.invoked_subcommand is not None:
        return
    chosen = day.date() if day else today_in_shanghai() - timedelta(days=1)
    found = withdrawals_of(open_context(), chosen, feeds or ())
    table = Table(title="Withdrawals proposed; nothing is withdrawn by this list (拟撤回记录)")
    for name in ("feed", "document number", "reason", "first seen", "sightings", "believed", "record"):
        table.add_column(name, overflow="fold")
    for one in found:
        table.add_row(
            one.feed,
            one.document_number or "—",
            one.reason,
            one.first_seen.isoformat(),
            f"{one.sightings} of {one.needed}",
            "yes" if one.believed else "not yet",
            one.record_key[:12],
        )
    out.print(table if found else "No withdrawals are proposed.")


@app.command()
def confirm(
    note: Note,
    by: By,
    day: Day = None,
    feeds: Feeds = None,
    records: Annotated[
        list[str] | None, typer.Option("--record", help="Only this record, by its key; may be repeated.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Only those that are: revoked, or absent.")] = None,
    absent_as: Annotated[str, typer.Option(help="The reason under which absent records are withdrawn.")] = "error",
    most: Most = None,
    yes: Yes = False,
) -> None:
    """Withdraw the records whose proposals are believed. Shows them first; too many at once are refused."""
    from pipelines.operations.clock import today_in_shanghai
    from pipelines.operations.context import open_context
    from pipelines.operations.withdrawing import believed_withdrawals, require_moderate

    if reason not in {None, "revoked", "absent"}:
        raise typer.BadParameter("a proposal is revoked or absent")
    context = open_context()
    chosen = day.date() if day else today_in_shanghai() - timedelta(days=1)
    found = believed_withdrawals(
        context, chosen, by, note, feeds=feeds or (), records=records or (), reason=reason, absent_as=absent_as
    )
    intended = [one for one in found if records or not one.also_reported_by]
    _show(found)
    if yes:
        require_moderate(context, intended, most)
    _store(context, intended, yes)


@app.command()
def expired(note: Note, by: By, day: Day = None, most: Most = None, yes: Yes = False) -> None:
    """Withdraw the records whose publication has ended (公示截止期) before a day, today in Shanghai if not given."""
    from pipelines.operations.clock import today_in_shanghai
    from pipelines.operations.context import open_context
    from pipelines.operations.withdrawing import MOST_EXPIRED, expired_withdrawals, require_moderate

    context = open_context()
    intended = expired_withdrawals(context, day.date() if day else today_in_shanghai(), by, note)
    _show(intended)
    if yes:
        require_moderate(context, intended, MOST_EXPIRED if most is None else most)
    _store(context, intended, yes)


def _show(intended: Sequence[Intended]) -> None:
    from rich.table import Table

    table = Table(title="To be withdrawn (待撤回)")
    for name in ("feed", "document number", "reason", "since", "record", "also reported by"):
        table.add_column(name, overflow="fold")
    for one in intended:
        others = ", ".join(one.also_reported_by)
        kept = f"{others}: only by name" if others else ""
        decision = one.decision
        cells = (one.document_number or "—", decision.reason, str(decision.effective_on), one.record_key[:12], kept)
        table.add_row(one.feed, *cells)
    out.print(table if intended else "There is nothing to withdraw.")


def _store(context: Context, intended: Sequence[Intended], yes: bool) -> None:
    from pipelines.operations.withdrawing import withdraw_all

    if not intended:
        return
    if not yes:
        out.print(f"{len(intended)} records would be withdrawn. Nothing was stored; repeat it with --yes.")
        return
    stored = withdraw_all(context, intended)
    out.print(f"{len(stored)} records withdrawn; endpoints are told with the next 'guiji deliver'.")
