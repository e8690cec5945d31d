"""``guiji feeds``: add a department without a line of Python, and find out why its columns are read as they are."""

# Commands import what they need when they are called: `guiji --help` must answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli_console import out, say

if TYPE_CHECKING:
    from pipelines.operations.feed_proposal import Proposal

FILE_HAS_PROBLEMS = 11

app = typer.Typer(help="Feeds: propose one from a sample, try it, explain it, list them.", no_args_is_help=True)

SampleFile = Annotated[Path, typer.Argument(help="A file as the department sends it.")]


@app.command()
def new(
    file: SampleFile,
    department: Annotated[
        str | None, typer.Option(help="Code of the department: letters, digits, _. Described too if it is new.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="The feed's own name (code: <department>_<name>); the category's unless given."),
    ] = None,
    category: Annotated[
        str | None, typer.Option(help="What kind of record it is, when the sample does not say.")
    ] = None,
    edition: Annotated[int | None, typer.Option(help="Edition of the standard, when the sample does not say.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write the feed there instead of installing it below schemas/departments.")
    ] = None,
) -> None:
    """Look at a sample and write a feed for it: category, header, columns with scores, and what is left to decide.

    Nothing is ever replaced. Cells of the sample do not appear, except words of columns with a code list.
    """
    from pipelines.catalogue.catalogue import load_catalogue
    from pipelines.operations.feed_proposal import propose
    from pipelines.operations.feed_writing import write_proposal
    from pipelines.settings import Settings

    settings = Settings()
    catalogue = load_catalogue(settings)
    proposal = propose(catalogue, file, department=department, name=name, category=category, edition=edition)
    written = write_proposal(proposal, settings, catalogue, output)
    for line in _described(proposal):
        say(line)
    for path in written:
        say(f"written: {path}")
    target = written[0] if output is not None else proposal.feed
    say(f"next: settle each TODO in it, then guiji feeds test {target} {file}")


def _described(proposal: Proposal) -> Iterator[str]:
    sample, matching = proposal.sample, proposal.matching
    facts = ["zip" if sample.archive else None, sample.kind, sample.encoding, sample.delimiter]
    yield f"{sample.name}: {', '.join(fact for fact in facts if fact)}"
    for table in proposal.tables:
        where = f"sheet {table.sheet}, " if table.sheet else ""
        header = f"header on line {table.header_line}" if table.header_line else "names in each record"
        yield f"  {where}{header}, {len(table.columns)} columns"
    scores = ", ".join(f"{name} {score}" for name, score in proposal.scores)
    yield f"category: {scores} (of 100); edition {matching.edition}"
    yield (
        f"columns: {len(matching.proposed)} proposed ({matching.known} of them known), "
        f"{len(matching.doubtful)} doubtful, {len(matching.unmapped)} fill nothing"
    )


@app.command()
def test(
    feed: Annotated[str, typer.Argument(help="Code of a feed, or the YAML file of one that is not installed.")],
    file: SampleFile,
    rows: Annotated[int, typer.Option(min=0, max=100, help="How many rows to show in standard form.")] = 5,
    json_: Annotated[bool, typer.Option("--json", help="Print the trial as JSON.")] = False,
    day: Annotated[
        datetime | None,
        typer.Option("--date", formats=["%Y-%m-%d"], help="As if received on this day; today in China if not given."),
    ] = None,
) -> None:
    """Show what a feed makes of a file: first rows in standard form, origin of each field, repairs, problems.

    Nothing is stored. Persons are masked. Exit code 11 when rows would not be accepted or control totals do not agree.
    """
    from pipelines.operations.clock import today_in_shanghai
    from pipelines.operations.context import open_context
    from pipelines.operations.feed_trial import find_feed, try_feed
    from pipelines.operations.feed_trial_view import render_trial

    context, found = find_feed(open_context(), feed)
    trial = try_feed(context, found, file, day.date() if day else today_in_shanghai(), rows)
    if json_:
        out.print_json(data=trial.as_json(), ensure_ascii=False, default=str)
    else:
        render_trial(trial, out)
    if not trial.is_fine:
        raise typer.Exit(FILE_HAS_PROBLEMS)


@app.command()
def explain(
    feed: Annotated[str, typer.Argument(help="Code of the feed.")],
    field: Annotated[str, typer.Argument(help="Code or header of a field, or a setting such as schedule.")],
    extract: Annotated[
        Path | None, typer.Option(help="As it holds for this extract: a file, or the name of one.")
    ] = None,
) -> None:
    """Say which layer decides how a field is filled: extract, feed, department, defaults, edition or category.

    The most specific one wins; the others are shown below it.
    """
    from rich.table import Table
    from rich.text import Text

    from pipelines.operations.feed_explanation import explain_field
    from pipelines.settings import Settings

    settings = Settings()
    decisions = explain_field(settings, feed, field, extract)
    if not decisions:
        say(f"{field}: no layer says anything; it stays empty")
        return
    table = Table(title=f"{feed}: {field}", title_justify="left")
    for heading in ("", "layer", "where", "what"):
        table.add_column(heading, overflow="fold")
    root = settings.root.resolve()
    for decision in decisions:
        file = decision.file.resolve()
        shown = file.relative_to(root) if file.is_relative_to(root) else file
        cells = ("→" if decision.decides else "", decision.layer, f"{shown}:{decision.line}", decision.what)
        table.add_row(*(Text(cell) for cell in cells), style=None if decision.decides else "dim")
    out.print(table)


@app.command(name="list")
def list_() -> None:
    """List all feeds: department, category, edition, source, schedule, dump; broken ones with what is wrong."""
    from rich.table import Table
    from rich.text import Text

    from pipelines.catalogue.catalogue import load_catalogue
    from pipelines.operations.feed_explanation import list_feeds
    from pipelines.settings import Settings

    lines = list_feeds(load_catalogue(Settings()))
    table = Table()
    for heading in ("feed", "department", "category", "edition", "source", "schedule", "dump"):
        table.add_column(heading, overflow="fold")
    for line in lines:
        if line.problem is None:
            cells = (
                line.feed,
                line.department,
                line.category,
                str(line.edition),
                line.source,
                line.schedule,
                line.dump,
            )
            table.add_row(*(Text(cell) for cell in cells))
    out.print(table if lines else "There are no feeds.")
    for line in lines:
        if line.problem is not None:
            say(f"{line.feed}: {line.problem}", style="red")
