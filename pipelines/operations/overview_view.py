"""The overview for a terminal, and the same facts as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from pipelines.operations.endpoint_states import EndpointLine
from pipelines.operations.feed_states import STATES, FeedState
from pipelines.operations.overview import Overview
from pipelines.operations.plain_json import writable

# From here on a feed in trouble is the loudest thing on the page.
LOUD_DAYS = 7


def feed_table(feeds: Sequence[FeedState]) -> Table:
    """One row per feed: last good batch and its age, state and for how long, what is wrong."""
    table = Table(pad_edge=False, title="Feeds, the worst first", title_justify="left", show_lines=False)
    table.add_column("feed", overflow="fold")
    table.add_column("last good", min_width=10)
    table.add_column("age", justify="right")
    table.add_column("state", overflow="fold")
    table.add_column("what is wrong", overflow="fold", ratio=1)
    for feed in feeds:
        style = style_of(feed)
        lasting = f" for {feed.days} d" if feed.days and not feed.is_well else ""
        table.add_row(
            Text(feed.feed, style),
            "never" if feed.last_good is None else feed.last_good.isoformat(),
            "—" if feed.age_days is None else f"{feed.age_days} d",
            Text(f"{feed.state.upper() if feed.days >= LOUD_DAYS else feed.state}{lasting}", style),
            Text(feed.problem or ""),
        )
    return table


def commands(overview: Overview) -> list[str]:
    """What mends it, the worst first; each as it can be copied, which no cell of a table can promise."""
    found = [feed.command for feed in overview.troubled]
    found += [line.command for line in overview.endpoints]
    found += [line.command for line in overview.backfills]
    return list(dict.fromkeys(command for command in found if command is not None))


def style_of(feed: FeedState) -> str:
    """How loud a feed is shown."""
    if feed.is_well:
        return "green" if feed.state == "good" else ""
    if feed.days >= LOUD_DAYS:
        return "bold white on red"
    return "yellow" if feed.state in {"incomplete", "never ran"} else "bold red"


def endpoint_table(endpoints: Sequence[EndpointLine]) -> Table:
    """One row per endpoint: overdue, due today, waiting, rejected, withheld, and why nothing leaves."""
    table = Table(pad_edge=False, title="Endpoints", title_justify="left")
    table.add_column("endpoint", overflow="fold")
    for name in ("overdue", "due today", "waiting", "rejected", "withheld"):
        table.add_column(name, justify="right")
    table.add_column("what is wrong", overflow="fold", ratio=1)
    for line in endpoints:
        style = "bold red" if line.is_breaker_open or line.overdue else ""
        counts = (line.overdue, line.due_today, line.waiting, line.rejected, line.withheld)
        table.add_row(Text(line.endpoint, style), *(f"{count:,}" for count in counts), Text(line.obstacle or ""))
    return table


def headline(overview: Overview) -> Text:
    """The whole installation in one line."""
    states = overview.states
    counts = ", ".join(f"{states[state]} {state}" for state in STATES if states[state])
    overdue = sum(line.overdue for line in overview.endpoints)
    breakers = sum(line.is_breaker_open for line in overview.endpoints)
    more = [f"{overdue:,} deliveries overdue"] if overdue else []
    more += [f"{breakers} endpoints left alone"] if breakers else []
    text = f"{overview.today}: {len(overview.feeds)} feeds: {counts or 'none'}"
    return Text("; ".join((text, *more)), "bold red" if overview.troubled or more else "bold green")


def backfill_lines(overview: Overview) -> list[str]:
    """One sentence per backfill that has not ended."""
    return [
        f"backfill {line.plan} ({line.first_day} to {line.last_day}, by {line.by}) is {line.state}: "
        + (", ".join(f"{count} {state}" for state, count in sorted(line.slices.items())) or "no slices")
        for line in overview.backfills
    ]


def overview_json(overview: Overview) -> dict[str, Any]:
    """The same facts for a script; instants in UTC."""
    return {
        "at": writable(overview.at),
        "today": writable(overview.today),
        "states": dict(overview.states),
        "feeds": [writable(asdict(feed)) for feed in overview.feeds],
        "endpoints": [writable(asdict(line) | {"command": line.command}) for line in overview.endpoints],
        "backfills": [writable(asdict(line) | {"command": line.command}) for line in overview.backfills],
    }
