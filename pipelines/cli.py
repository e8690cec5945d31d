"""The command ``guiji``: every operation by hand, with help a newcomer can follow and exit codes a script can use.

Exit codes: 0 done; 1 a problem without a code of its own; 2 something configured is wrong; 3 an extract cannot be
read; 4 rows do not add up; 5 an endpoint; 6 a run is held or replaced; 7 the calendar; 8 disk or ledger; 9 a source;
10 at least one feed failed, the others are done; 11 the checked file has problems.
"""

# Commands import what they need when they are called: `guiji --help` must answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

import os
import sys
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from pipelines import (
    cli_corrections,
    cli_feeds,
    cli_figures,
    cli_gates,
    cli_rehearsal,
    cli_rules,
    cli_tasks,
    cli_waivers,
)
from pipelines.cli_console import err, out
from pipelines.errors import BatchHeldError, DeliveryError, GuijiError

if TYPE_CHECKING:
    from pipelines.operations.context import Context

FEEDS_FAILED = 10
FILE_HAS_PROBLEMS = 11
STAGES = 3

app = typer.Typer(
    help="归集: department extracts in, acknowledged public credit records out, within seven working days.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(cli_feeds.app, name="feeds")
cli_rehearsal.register(cli_rules.app)
app.add_typer(cli_rules.app, name="rules")
app.add_typer(cli_gates.app, name="gates")
app.add_typer(cli_tasks.app, name="tasks")
app.add_typer(cli_waivers.app, name="waivers")
app.add_typer(cli_figures.app, name="figures")
app.command()(cli_corrections.resubmit)

Day = Annotated[
    datetime | None,
    typer.Option("--date", formats=["%Y-%m-%d"], help="Business date, YYYY-MM-DD; yesterday in Shanghai unless given."),
]
Feeds = Annotated[
    list[str] | None, typer.Option("--feed", help="Only this feed; may be repeated. All feeds unless given.")
]
EndpointName = Annotated[str | None, typer.Option("--endpoint", help="Only this endpoint; all unless given.")]


def business_date(chosen: datetime | None) -> date:
    """The day a command is about."""
    from pipelines.operations.clock import today_in_shanghai

    return chosen.date() if chosen else today_in_shanghai() - timedelta(days=1)


def progress_bar() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        transient=True,
    )


@app.command()
def migrate() -> None:
    """Create the ledger's tables or bring them up to date. Safe to repeat."""
    from pipelines.operations.context import open_context

    context = open_context()
    out.print(f"The ledger {context.ledger.place} is up to date.")


@app.command()
def run(
    day: Day = None,
    feeds: Feeds = None,
    deliver_too: Annotated[bool, typer.Option("--deliver", help="Deliver afterwards what is queued.")] = False,
) -> None:
    """Run the night's batches: pull, judge and publish every feed, settle duplicates, build the reports.

    A feed that fails stops itself only. Running the same date again is safe: the same bytes are a no-op.
    """
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

        results = run_night(context, chosen, named, progress)
        bar.update(task, description="settling duplicates across feeds")
        consolidate_stores(context)
        bar.update(task, description="building the reports", advance=1)
        index = build_site(context, chosen).index
        docs = build_docs(context, chosen)
        bar.update(task, advance=1)
    undelivered: GuijiError | None = None
    if deliver_too:
        try:
            send(context, None)
        except GuijiError as error:
            undelivered = error
        index = build_site(context, chosen).index
    print_status(chosen)
    out.print(f"Report: {index}", soft_wrap=True)
    out.print(f"Data Docs: {docs}", soft_wrap=True)
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
def status(day: Day = None) -> None:
    """Show what became of every feed on a business date: rows, outcomes, reasons, deliveries, deadlines.

    Exit code 10 when a feed has a problem.
    """
    if print_status(business_date(day)):
        raise typer.Exit(FEEDS_FAILED)


def print_status(day: date) -> int:
    """Print the table and the problems; how many problems there are."""
    from pipelines.operations.context import open_context
    from pipelines.operations.reports import figures_of
    from pipelines.operations.status import notices_of, problems_of
    from pipelines.reporting.summary import summary_table

    context = open_context()
    out.print(summary_table(figures_of(context, day)))
    for feed, notice in notices_of(context, day):
        out.print(f"{feed}: {notice}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    problems = problems_of(context, day)
    for feed, problem in problems:
        out.print(f"{feed}: {problem}", style="red", markup=False, highlight=False, soft_wrap=True)
    return len(problems)


@app.command()
def deliver(endpoint: EndpointName = None) -> None:
    """Send what is queued, earliest deadline first, and wait for the receipts."""
    from pipelines.operations.context import open_context

    send(open_context(), endpoint)


def send(context: Context, endpoint: str | None) -> None:
    """Deliver and print what came of it; raises :class:`DeliveryError` when packages are left unsettled."""
    from pipelines.operations.deliveries import deliver_endpoints

    with progress_bar() as bar:
        task = bar.add_task("delivering", total=None)

        def progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        results = deliver_endpoints(context, endpoint, progress)
    for name, result in results.items():
        out.print(
            f"{name}: sent {result.sent}, accepted {result.accepted}, rejected {result.rejected}, "
            f"duplicate {result.duplicate}, waiting {result.waiting}",
            highlight=False,
            soft_wrap=True,
        )
    unsettled = [package for result in results.values() for package in result.failed_packages]
    if unsettled:
        raise DeliveryError(
            f"{len(unsettled)} packages could not be settled, the first because: {unsettled[0].reason}",
            remedy="their records stay queued; deliver again",
        )


@app.command()
def clock(
    today: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The day to look from; today in Shanghai if not given."),
    ] = None,
) -> None:
    """Show which records run out of time: overdue, due today, due in 1, 2 and 3 working days."""
    from rich.table import Table

    from pipelines.operations.clock import BUCKETS, read_clock
    from pipelines.operations.context import open_context

    lines = read_clock(open_context(), today.date() if today else None)
    table = Table(title="Records owed and not accepted yet, by deadline (时限)")
    for name in ("endpoint", "feed", *BUCKETS, "rejected", "withheld", "provisional"):
        table.add_column(name, justify="left" if name in {"endpoint", "feed"} else "right", overflow="fold")
    for line in lines:
        counts = [str(line.counts[name]) for name in BUCKETS]
        table.add_row(line.endpoint, line.feed, *counts, *map(str, (line.rejected, line.withheld, line.provisional)))
    out.print(table if lines else "Nothing is owed.")


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


@app.command()
def withdrawals(day: Day = None, feeds: Feeds = None) -> None:
    """List records that should no longer exist: absent from full dumps, or revoked by their department."""
    from rich.table import Table

    from pipelines.operations.context import open_context
    from pipelines.operations.withdrawals import withdrawals_of

    found = withdrawals_of(open_context(), business_date(day), feeds or ())
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
def watch() -> None:
    """Look at every open deadline once and leave a heartbeat, as the DAG clock_watch does."""
    from pipelines.operations.clock import watch_clock
    from pipelines.operations.context import open_context

    for name, count in watch_clock(open_context()).items():
        out.print(f"{name}: {count}", highlight=False)


@app.command()
def sandbox(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes any free one.")] = 8765,
    store: Annotated[
        Path | None, typer.Option(help="Where it keeps what it accepted; below GUIJI_HOME unless given.")
    ] = None,
    subjects: Annotated[Path | None, typer.Option(help="CSV of code and name: the subject base for rule 1001.")] = None,
    port_file: Annotated[Path | None, typer.Option(help="Written with the port once it answers.")] = None,
    variable: Annotated[
        str, typer.Option(help="Environment variable that holds the token it demands.")
    ] = "GUIJI_PROVINCE_TOKEN",
) -> None:
    """Serve the reference receiver until it is stopped: validates, assigns ids, stores what it accepted."""
    from pipelines.sandbox.server import serve
    from pipelines.settings import Settings

    kept = store or Settings().home_path / "sandbox.sqlite"
    serve("127.0.0.1", port, kept, subjects, os.environ.get(variable, ""), port_file)


def main() -> None:
    """Entry point: a problem a user can cause is one message and an exit code, never a stack trace."""
    os.umask(0o077)
    try:
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
