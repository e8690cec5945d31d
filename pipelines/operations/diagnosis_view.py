"""A diagnosis for a terminal, and the same facts as JSON. Nothing in it is about a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from pipelines.operations.diagnosis import (
    DAY_OFF,
    EMPTY,
    FAILED,
    HELD,
    NOTHING,
    PUBLISHED,
    RUNNING,
    DayState,
    Diagnosis,
    Drift,
)
from pipelines.operations.overview_view import endpoint_table, style_of
from pipelines.operations.plain_json import writable
from pipelines.quality.rule_words import amount

_BLOCKS = {
    PUBLISHED: ("█", "green"),
    EMPTY: ("░", "yellow"),
    HELD: ("▒", "magenta"),
    FAILED: ("▓", "red"),
    RUNNING: ("▶", "cyan"),
    NOTHING: ("·", "red"),
    DAY_OFF: (" ", ""),
}
_MOST_TASKS = 5


def render(diagnosis: Diagnosis) -> Iterator[RenderableType]:
    """The page, part by part: verdict, history, drift, reasons, deliveries, tasks, what to run next."""
    yield Text(diagnosis.verdict, style_of(diagnosis.feed))
    yield strip(diagnosis.history)
    yield Text(f"rhythm: {diagnosis.feed.rhythm.words}; silent after {diagnosis.feed.rhythm.allowed} working days")
    if diagnosis.quarantined is not None:
        usually = "" if diagnosis.usually is None else f", usually {diagnosis.usually:.1%}"
        yield Text(f"quarantined or blocked: {diagnosis.quarantined:.1%} of the last good batch{usually}")
    if diagnosis.drift or diagnosis.changes:
        yield _drift_table(diagnosis)
    if diagnosis.reasons:
        yield _reason_table(diagnosis)
    if diagnosis.endpoints:
        yield endpoint_table(diagnosis.endpoints)
        yield from _withheld(diagnosis)
    if diagnosis.tasks:
        yield _task_table(diagnosis)
    if diagnosis.commands:
        yield Text("next:", "bold")
        yield from (Text(f"  {command}") for command in diagnosis.commands)


def strip(history: Sequence[DayState]) -> Text:
    """The history as blocks, one per business date, with what they mean and how often each came."""
    if not history:
        return Text("no days")
    text = Text.assemble((f"{history[0].day} ", "dim"))
    for one in history:
        block, style = _BLOCKS[one.state]
        text.append(block, style)
    text.append(f" {history[-1].day}\n", "dim")
    counts = Counter(one.state for one in history)
    words = {NOTHING: "no batch"}
    shown = [state for state in _BLOCKS if counts[state] and state != DAY_OFF]
    text.append("  ".join(f"{_BLOCKS[state][0]} {words.get(state, state)} {counts[state]}" for state in shown), "dim")
    return text


def diagnosis_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """The same facts for a script; instants in UTC."""
    found: dict[str, Any] = writable(asdict(diagnosis))
    return {"verdict": diagnosis.verdict, **found, "commands": diagnosis.commands}


def _drift_table(diagnosis: Diagnosis) -> Table:
    table = Table(pad_edge=False, title="Drift of the last run", title_justify="left")
    table.add_column("what", overflow="fold")
    for name in ("observed", "usual"):
        table.add_column(name, justify="right", overflow="fold")
    table.add_column("allowed", overflow="fold")
    for one in diagnosis.drift:
        name = f"{one.gate} {one.item}".rstrip()
        shown = (amount(one.gate, one.observed), amount(one.gate, one.usual), _allowed(one))
        table.add_row(Text(name, "red" if one.outside else "yellow"), *shown)
    for rule, extract, observed in diagnosis.changes:
        table.add_row(Text(f"{rule} {extract}".rstrip(), "yellow"), Text(observed), "", "")
    return table


def _allowed(one: Drift) -> str:
    low, high = (None if limit is None else amount(one.gate, limit) for limit in (one.low, one.high))
    if low is None or high is None:
        return f"from {low}" if low is not None else f"up to {high}"
    return f"{low} to {high}"


def _reason_table(diagnosis: Diagnosis) -> Table:
    table = Table(pad_edge=False, title="Top reasons of the last good batch", title_justify="left")
    table.add_column("rule", overflow="fold")
    table.add_column("severity")
    table.add_column("rows", justify="right")
    table.add_column("usually", justify="right")
    table.add_column("trend")
    for one in diagnosis.reasons:
        trend = Text(one.trend, "red" if one.trend == "rising" else "")
        table.add_row(one.rule, one.severity, f"{one.rows:,}", f"{one.usual:,.0f}", trend)
    return table


def _withheld(diagnosis: Diagnosis) -> Iterator[Text]:
    for line in diagnosis.endpoints:
        for rule, count in sorted(line.rules.items()):
            yield Text(f"{line.endpoint}: {count:,} withheld ({rule})", "yellow")


def _task_table(diagnosis: Diagnosis) -> Table:
    more = len(diagnosis.tasks) - _MOST_TASKS
    title = "Open tasks, the oldest first" + (f" ({more} more)" if more > 0 else "")
    table = Table(pad_edge=False, title=title, title_justify="left")
    for name in ("task", "rule", "field", "owner", "state"):
        table.add_column(name, overflow="fold")
    table.add_column("rows", justify="right")
    table.add_column("open since")
    for task in diagnosis.tasks[:_MOST_TASKS]:
        since = "—" if task.open_since is None else task.open_since.isoformat()
        names = (task.reference, task.rule, task.field, task.owner, task.state)
        table.add_row(*names, f"{task.rows:,}", since)
    return table
