"""Running batches again: ``guiji backfill`` and ``guiji rejudge``."""

# Commands import what they need when they are called: `guiji --help` must answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

import os
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli_console import err, out, progress_bar, say, user_name

if TYPE_CHECKING:
    from pipelines.ledger.operation_models import BackfillPlan
    from pipelines.operations.backfill_planning import Planned
    from pipelines.operations.context import Context

FEEDS_FAILED = 10
NICE = 10

app = typer.Typer(
    help="Run batches of past days again: planned first, with what would change, then slice by slice.",
    no_args_is_help=True,
)


class Replay(StrEnum):
    """Where the rows come from."""

    PULL = "pull"
    JUDGE = "judge"


class Reprocess(StrEnum):
    """Which days, in Airflow's words."""

    MISSING = "missing"
    MISSING_AND_ERRORED = "missing_and_errored"
    ALL = "all"


PlanNumber = Annotated[int, typer.Argument(help="The number of the plan, as 'guiji backfill show' lists it.")]
Day = ["%Y-%m-%d"]


@app.command()
def plan(
    feeds: Annotated[list[str], typer.Option("--feed", help="The feed; may be repeated.")],
    first: Annotated[datetime, typer.Option("--from", formats=Day, help="First business date.")],
    last: Annotated[datetime, typer.Option("--to", formats=Day, help="Last business date.")],
    why: Annotated[str, typer.Option(help="The reason, kept with the plan.")],
    replay: Annotated[
        Replay, typer.Option(help="pull: ask the source again; judge: judge again what was landed.")
    ] = Replay.PULL,
    reprocess: Annotated[
        Reprocess | None,
        typer.Option(help="Which days, in Airflow's words; missing unless given, all with --replay judge."),
    ] = None,
    every_day: Annotated[
        bool, typer.Option("--every-day", help="Also days on which the schedule expects no batch.")
    ] = False,
    by: Annotated[str | None, typer.Option(help="Who plans it; the user of this machine unless given.")] = None,
) -> None:
    """Show what would run again, why, and what that would change; store it as a plan. Asks no source."""
    from pipelines.operations.backfill_planning import Wish, make_plan
    from pipelines.operations.backfill_view import left_out_sentence
    from pipelines.operations.context import open_context

    chosen = reprocess or (Reprocess.ALL if replay is Replay.JUDGE else Reprocess.MISSING)
    wish = Wish(feeds, first.date(), last.date(), replay.value, chosen.value, every_day)
    with progress_bar() as bar:
        task = bar.add_task("looking at the days", total=None)

        def progress(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total, description=what)

        planned = make_plan(open_context(), wish, user_name(by), why, progress)
    left_out = left_out_sentence(planned)
    if planned.number is None:
        say("Nothing to run." + (f" {left_out[0].upper()}{left_out[1:]}." if left_out else ""))
        return
    _print_planned(planned, replay)
    if left_out:
        say(left_out)
    say(f"next: guiji backfill run {planned.number}")


@app.command()
def run(
    number: PlanNumber,
    limit: Annotated[int | None, typer.Option(min=1, help="Run so many batches, then stop.")] = None,
    pause: Annotated[float, typer.Option(min=0, help="Seconds of rest after each batch.")] = 1.0,
    again: Annotated[bool, typer.Option("--again", help="Also what failed before.")] = False,
) -> None:
    """Run a plan in small slices, behind whatever else wants a feed. Safe to kill: the same command goes on.

    Exit code 10 when a slice failed; the others are done.
    """
    from pipelines.operations.backfill_running import run_plan
    from pipelines.operations.context import open_context

    context = open_context()
    # The night comes first on the processors, too.
    os.nice(NICE)
    with progress_bar() as bar:
        task = bar.add_task(f"plan {number}", total=None)

        def progress(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total, description=what)

        outcome = run_plan(context, number, limit=limit, pause=pause, again=again, progress=progress)
    _print_plan(context, outcome.plan)
    for feed, problem in outcome.left.items():
        err.print(f"{feed}: its other batches wait: {problem}", style="yellow", highlight=False, soft_wrap=True)
    if outcome.plan.state == "running":
        say(f"next: guiji backfill run {number}")
    elif outcome.failed:
        say(f"next, when it is mended: guiji backfill run {number} --again")
    if outcome.failed:
        raise typer.Exit(FEEDS_FAILED)


@app.command()
def show(number: Annotated[int | None, typer.Argument(help="One plan; all unless given.")] = None) -> None:
    """List the plans, or show one: what was expected of each batch, and what became of it."""
    from pipelines.operations.backfill_plans import list_plans
    from pipelines.operations.backfill_running import refresh_plan
    from pipelines.operations.backfill_view import plans_table
    from pipelines.operations.context import open_context

    context = open_context()
    if number is not None:
        _print_plan(context, refresh_plan(context, number))
    elif lines := list_plans(context):
        out.print(plans_table(lines))
    else:
        say("There is no plan. Make one with 'guiji backfill plan'.")


@app.command()
def cancel(number: PlanNumber) -> None:
    """Give a plan up. What has run stays; a batch that is at work ends."""
    from pipelines.operations.backfill_plans import cancel_plan
    from pipelines.operations.context import open_context

    cancel_plan(open_context(), number)
    say(f"The plan {number} is given up.")


@app.command()
def airflow(number: PlanNumber) -> None:
    """Print the commands that let Airflow's own backfill run a plan; what Airflow has run, the plan counts as done."""
    from pipelines.operations.backfill_airflow import airflow_commands
    from pipelines.operations.context import open_context

    for command in airflow_commands(open_context(), number) or ["Nothing is left that Airflow would run."]:
        say(command)


def rejudge(
    feed: Annotated[str, typer.Option(help="The feed.")],
    day: Annotated[datetime, typer.Option("--date", formats=Day, help="Business date.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, only show what would change.")] = False,
) -> None:
    """Judge one batch again, by today's rules and mappings, from what was landed. The source is not asked."""
    from pipelines.operations.backfill_planning import preview_one
    from pipelines.operations.context import open_context
    from pipelines.operations.rejudging import rejudge as judge_again

    context = open_context()
    planned = preview_one(context, feed, day.date())
    _print_planned(planned, Replay.JUDGE)
    if not yes:
        say(f"next: guiji rejudge --feed {feed} --date {day:%Y-%m-%d} --yes")
        return
    with progress_bar() as bar:
        bar.add_task(f"judging {feed} {day:%Y-%m-%d} again", total=None)
        done = judge_again(context, feed, day.date())
    say(f"{feed} {day:%Y-%m-%d} is judged again: run {done}")


def _print_planned(planned: Planned, replay: Replay) -> None:
    from pipelines.operations.backfill_view import changed_sentences, planned_table, trouble_sentences

    out.print(planned_table(planned, replay.value))
    for sentence in changed_sentences(planned):
        say(f"changed since: {sentence}")
    for sentence in trouble_sentences(planned):
        say(sentence, style="yellow")


def _print_plan(context: Context, shown: BackfillPlan) -> None:
    from pipelines.operations.backfill_plans import slices_of
    from pipelines.operations.backfill_view import plan_table, stopped_sentences

    slices = slices_of(context, shown.id)
    out.print(plan_table(shown, slices))
    for sentence in stopped_sentences(slices):
        say(sentence, style="red")
