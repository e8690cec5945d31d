"""The command ``guiji``: every operation by hand, with help a newcomer can follow and exit codes a script can use.

Exit codes: 0 done; 1 a problem without a code of its own; 2 something configured is wrong; 3 an extract cannot be
read; 4 rows do not add up; 5 an endpoint; 6 a run is held or replaced; 7 the calendar; 8 disk or ledger; 9 a source;
10 at least one feed failed, the others are done; 11 the checked file has problems; 12 a warning could not be sent;
13 nobody watches the clock; 14 the audit found something altered or removed.
"""

# Commands import what they need when they are called: `guiji --help` must answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from pipelines import (
    cli_acts,
    cli_audit,
    cli_backfill,
    cli_backup,
    cli_calendar,
    cli_clock,
    cli_corrections,
    cli_delivery,
    cli_doctor,
    cli_feeds,
    cli_figures,
    cli_gates,
    cli_housekeeping,
    cli_migrate,
    cli_reconcile,
    cli_rehearsal,
    cli_rules,
    cli_sandbox,
    cli_status,
    cli_tasks,
    cli_waivers,
    cli_watch,
    cli_withdrawals,
)
from pipelines.cli_console import err, out, progress_bar
from pipelines.cli_options import FEEDS_FAILED, Day, business_date
from pipelines.errors import BatchHeldError, GuijiError
from pipelines.logs import configure

FILE_HAS_PROBLEMS = 11
STAGES = 3

app = typer.Typer(
    help="归集: department extracts in, acknowledged public credit records out, within seven working days.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(cli_feeds.app, name="feeds")
app.add_typer(cli_backup.app, name="backup")
app.add_typer(cli_calendar.app, name="calendar")
cli_rehearsal.register(cli_rules.app)
app.add_typer(cli_rules.app, name="rules")
app.add_typer(cli_gates.app, name="gates")
app.add_typer(cli_tasks.app, name="tasks")
app.add_typer(cli_waivers.app, name="waivers")
app.add_typer(cli_figures.app, name="figures")
app.add_typer(cli_withdrawals.app, name="withdrawals")
app.add_typer(cli_acts.objection, name="objection")
app.add_typer(cli_reconcile.app, name="reconcile")
app.add_typer(cli_audit.app, name="audit")
app.command()(cli_acts.withdraw)
app.command()(cli_acts.reinstate)
app.add_typer(cli_clock.app, name="clock")
app.add_typer(cli_backfill.app, name="backfill")
app.command()(cli_backfill.rejudge)
app.command()(cli_corrections.resubmit)
app.command()(cli_delivery.deliver)
app.command()(cli_delivery.resend)
app.command()(cli_housekeeping.housekeeping)
for command in (cli_status.status, cli_status.diagnose, cli_status.metrics, cli_status.health):
    app.command()(command)
app.command()(cli_watch.watch)
app.command()(cli_watch.watchdog)
app.command()(cli_migrate.migrate)
app.command()(cli_doctor.doctor)
cli_sandbox.register(app)

Feeds = Annotated[
    list[str] | None, typer.Option("--feed", help="Only this feed; may be repeated. All feeds unless given.")
]


@app.command()
def run(
    day: Day = None,
    feeds: Feeds = None,
    deliver_too: Annotated[bool, typer.Option("--deliver", help="Deliver afterwards what is queued.")] = False,
    at_once: Annotated[int, typer.Option(min=1, help="Feeds to work on side by side, each in its own process.")] = 1,
) -> None:
    """Run the night's batches: pull, judge and publish every feed, settle duplicates, build the reports.

    A feed that fails stops itself only. Running the same date again is safe: the same bytes are a no-op.
    """
    from pipelines.operations.audit import current_head
    from pipelines.operations.clock import today_in_shanghai
    from pipelines.operations.context import open_context
    from pipelines.operations.data_docs import build_docs
    from pipelines.operations.deliveries import consolidate_stores
    from pipelines.operations.night import run_night
    from pipelines.operations.reports import build_site

    chosen = business_date(day)
    if chosen > today_in_shanghai():
        raise typer.BadParameter(f"{chosen} has not come yet; the business date is today's at the latest")
    context = open_context()
    named = feeds or context.catalogue.feed_codes
    with progress_bar() as bar:
        task = bar.add_task("", total=len(named) * STAGES + 2)

        def progress(feed: str, stage: str) -> None:
            bar.update(task, description=f"{feed}: {stage}", advance=0 if stage == "pulling" else 1)

        results = run_night(context, chosen, named, progress, at_once)
        bar.update(task, description="settling duplicates across feeds")
        consolidate_stores(context)
        bar.update(task, description="building the reports", advance=1)
        index = build_site(context, chosen).index
        docs = build_docs(context, chosen)
        bar.update(task, advance=1)
    undelivered: GuijiError | None = None
    if deliver_too:
        try:
            cli_delivery.send(context, None)
        except GuijiError as error:
            undelivered = error
        index = build_site(context, chosen).index
    cli_status.print_day(context, chosen)
    out.print(f"Report: {index}", soft_wrap=True)
    out.print(f"Data Docs: {docs}", soft_wrap=True)
    end = current_head(context)
    out.print(f"Head of the hash chain: {end.position} {end.hash}", highlight=False, soft_wrap=True)
    failed = [result for result in results if result.problem is not None]
    for result in failed:
        became = "is held" if isinstance(result.problem, BatchHeldError) else "failed"
        err.print(
            f"{result.feed} {became}: {result.problem}", style="red", markup=False, highlight=False, soft_wrap=True
        )
    if undelivered is not None:
        err.print(f"delivery: {undelivered}", style="red", markup=False, highlight=False, soft_wrap=True)
    if failed:
        raise typer.Exit(FEEDS_FAILED)
    if undelivered is not None:
        raise typer.Exit(undelivered.exit_code)


@app.command()
def report(day: Day = None) -> None:
    """Build the scorecards and department workbooks of a business date and say where they are."""
    from pipelines.operations.context import open_context
    from pipelines.operations.data_docs import build_docs
    from pipelines.operations.reports import build_site

    context = open_context()
    with progress_bar() as bar:
        task = bar.add_task("building the reports", total=None)

        def progress(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total, description=f"building the reports: {what}")

        index = build_site(context, business_date(day), progress).index
        docs = build_docs(context, business_date(day))
    out.print(f"Report: {index}", soft_wrap=True)
    out.print(f"Data Docs: {docs}", soft_wrap=True)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="The file a department is about to send.")],
    feed: Annotated[str, typer.Option(help="The feed it is meant for.")],
    day: Day = None,
) -> None:
    """Judge a file before it is sent. Nothing is stored, nothing is published. Exit code 11 if there are problems."""
    from pipelines.operations.check import check_file, render_check
    from pipelines.operations.clock import today_in_shanghai
    from pipelines.operations.context import open_context

    context = open_context()
    with progress_bar() as bar:
        bar.add_task(f"judging {file.name}", total=None)
        result = check_file(context, feed, file, day.date() if day else today_in_shanghai())
    render_check(result, out)
    if result.problems:
        raise typer.Exit(FILE_HAS_PROBLEMS)


@app.command()
def trace(
    name: Annotated[str, typer.Argument(help="A document number, a record key (8+ characters) or an upper-level id.")],
) -> None:
    """Follow a record back to its source line and forward to its receipts."""
    from pipelines.operations import trace as tracing
    from pipelines.operations.context import open_context
    from pipelines.operations.trace_view import trace_tree

    context = open_context()
    with context.session() as session:
        found = tracing.find_record_keys(context, session, name)
        if not found:
            raise GuijiError(
                f"no published record is called {name}",
                remedy="give a document number, a record key or an upper-level id; "
                "rows that were quarantined are in the department workbook",
            )
        for category, key in found:
            out.print(trace_tree(tracing.trace(context, session, category, key)))


def main() -> None:
    """Entry point: a problem a user can cause is one message and an exit code, never a stack trace."""
    os.umask(0o077)
    try:
        configure()
        app()
    except GuijiError as error:
        err.print(f"guiji: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)
    except Exception as error:
        if os.environ.get("GUIJI_DEBUG"):
            raise
        from pipelines.operations.night import unexpected

        err.print(f"guiji: {unexpected(error)}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
