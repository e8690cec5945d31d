"""Gates: ``guiji gates``."""

# Commands import what they need when they are called: `guiji --help` must answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from pipelines.cli_console import out, say, user_name

app = typer.Typer(help="Batches that a gate holds, and who lets them pass.", no_args_is_help=True)

RunName = Annotated[str, typer.Argument(help="The run, as 'guiji gates list' shows it.")]
By = Annotated[str | None, typer.Option(help="Who decides; the name you are logged in with unless given.")]
Why = Annotated[str, typer.Option(help="The reason, kept with the decision.")]
Gate = Annotated[str | None, typer.Option(help="Only this gate, such as row_count.")]


@app.command(name="list")
def list_(
    day: Annotated[
        datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="Business date; all unless given.")
    ] = None,
    feed: Annotated[str | None, typer.Option(help="Only this feed.")] = None,
    held: Annotated[bool, typer.Option("--held", help="Only runs that wait for a decision.")] = False,
) -> None:
    """List runs with how many figures passed, failed or could not be compared, and what was decided."""
    from pipelines.operations.context import open_context
    from pipelines.operations.gate_views import gate_lines, list_table

    lines = gate_lines(open_context(), day.date() if day else None, feed, held=held)
    if lines:
        out.print(list_table(lines))
    else:
        say("No run waits for a decision." if held else "No gate was asked yet.")


@app.command()
def show(
    run: RunName,
    everything: Annotated[bool, typer.Option("--all", help="Figures that could not be compared, too.")] = False,
) -> None:
    """Show what every gate said about a run: observed, usual, limits, and why it waits."""
    from pipelines.operations.context import open_context
    from pipelines.operations.gate_views import gate_view, show_table

    view = gate_view(open_context(), run)
    out.print(show_table(view, everything=everything))
    if view.decision is not None:
        decision = view.decision
        say(f"{decision.decision} by {decision.by} on {decision.at:%Y-%m-%d %H:%M} UTC: {decision.why}")
    elif view.waits:
        say(f"held. next: guiji gates release {run} --why …, or guiji gates refuse {run} --why …", style="red")


@app.command()
def release(run: RunName, why: Why, by: By = None) -> None:
    """Let a held run pass its gates and publish what was judged. Row rules are never skipped."""
    from pipelines.operations.context import open_context
    from pipelines.operations.gate_decisions import release as release_run

    published = release_run(open_context(), run, user_name(by), why)
    say(f"{run} is released and published." if published else f"{run} was released and published before.")


@app.command()
def refuse(run: RunName, why: Why, by: By = None) -> None:
    """End a held run; nothing of it is published. The next attempt at the batch is asked by the same gates."""
    from pipelines.operations.context import open_context
    from pipelines.operations.gate_decisions import refuse as refuse_run

    ended = refuse_run(open_context(), run, user_name(by), why)
    say(f"{run} is refused; nothing of it is published." if ended else f"{run} was refused before.")


@app.command()
def learn(
    feed: Annotated[str, typer.Argument(help="Code of the feed.")],
    last: Annotated[int, typer.Option(min=1, help="How many good batches to learn from.")] = 20,
    gate: Gate = None,
    accept: Annotated[bool, typer.Option("--accept", help="Put the learned limits in force.")] = False,
    forget: Annotated[bool, typer.Option("--forget", help="Take back what was accepted before.")] = False,
    by: By = None,
    why: Annotated[str, typer.Option(help="The reason, kept with the limits.")] = "",
) -> None:
    """Show the limits that the last good batches teach, as a difference from those in force; accept them."""
    from pipelines.operations.context import open_context
    from pipelines.operations.gate_learning import accept_limits, forget_limits, learn_limits
    from pipelines.operations.gate_views import learned_table

    if accept and forget:
        raise typer.BadParameter("give --accept or --forget, not both")
    context = open_context()
    if forget:
        say(f"{forget_limits(context, feed, user_name(by), why, gate)} accepted limits are taken back.")
        return
    news = [one for one in learn_limits(context, feed, last, gate) if one.is_news]
    if not news:
        say("Nothing to learn: too few good batches, or the limits in force are the same.")
        return
    category = context.catalogue.category_of(context.catalogue.feed(feed))
    out.print(learned_table(feed, news, {field.code: field.name_zh for field in category.fields}))
    if accept:
        say(f"{accept_limits(context, feed, news, user_name(by), why)} limits are in force from the next batch on.")
    else:
        say(f"nothing is changed. next: guiji gates learn {feed} --last {last} --accept --why …")
