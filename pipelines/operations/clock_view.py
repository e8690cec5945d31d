"""The clock as tables for a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any

from rich.table import Table

from pipelines.deadlines.attribution import PARTIES
from pipelines.deadlines.calendar import WorkingCalendar
from pipelines.deadlines.clock import BEIJING_TIME
from pipelines.deadlines.forecast import Prediction
from pipelines.operations.clock import BUCKETS, ClockLine, bucket
from pipelines.operations.clock_before import HELD, NotYetQueued
from pipelines.operations.clock_late import DepartmentDelay, LateRecord
from pipelines.operations.clock_list import OpenRecord
from pipelines.operations.clock_rows import OWNER
from pipelines.operations.plain_json import writable

UNKNOWN = "unknown"
WAITING = {
    "publication": "accepted, not published yet",
    "rejected": "rejected: the department must mend it",
    "profile": "withheld by acceptance profile",
    "manual": "to be done by hand",
    "receipt": "sent, no receipt yet",
    "sending": "in a package that is not taken yet",
    "earlier": "queued, behind an earlier version",
    "consolidation": "queued, not consolidated",
    "queue": "queued",
    "breaker": "queued, the endpoint is left alone (breaker)",
    "window": "queued, outside the endpoint's hours",
    "quarantine": "quarantined, not a record yet",
    "held": "batch held",
}


def merged(lines: Sequence[ClockLine], by_feed: bool) -> list[ClockLine]:
    """Lines by department, endpoint and family, or by feed as they are."""
    if by_feed:
        return list(lines)
    found: dict[tuple[str, str, str], ClockLine] = {}
    for line in lines:
        key = (line.department, line.endpoint, line.family)
        found[key] = _sum(found[key], line) if key in found else line
    return [found[key] for key in sorted(found)]


def _sum(one: ClockLine, other: ClockLine) -> ClockLine:
    def add(left: dict[str, int], right: dict[str, int]) -> dict[str, int]:
        return {name: left.get(name, 0) + right.get(name, 0) for name in [*left, *(right.keys() - left.keys())]}

    since = dict(one.since)
    for name, instant in other.since.items():
        since[name] = min(since.get(name, instant), instant)
    return ClockLine(
        one.endpoint,
        "",
        add(one.counts, other.counts),
        one.rejected + other.rejected,
        one.provisional + other.provisional,
        one.withheld + other.withheld,
        one.family,
        one.department,
        add(one.waiting, other.waiting),
        since,
        add(one.rules, other.rules),
        one.corrections + other.corrections,
    )


def clock_table(lines: Sequence[ClockLine], by_feed: bool) -> Table:
    """One row per department, endpoint and family, and how much time is left."""
    table = Table(title="Records owed and not accepted yet, by deadline (时限)", title_justify="left")
    names = ["department", "endpoint", *(["feed"] if by_feed else []), "about"]
    for name in names:
        table.add_column(name, overflow="fold")
    for name in (*BUCKETS, "corrections", "provisional"):
        table.add_column(name, justify="right", style="red" if name == "overdue" else None)
    for line in lines:
        place = [line.department or "—", line.endpoint, *([line.feed] if by_feed else []), line.family]
        numbers = [*(line.counts[name] for name in BUCKETS), line.corrections, line.provisional]
        table.add_row(*place, *(f"{number:,}" if number else "·" for number in numbers))
    return table


def waiting_table(lines: Sequence[ClockLine], by_feed: bool) -> Table:
    """What the same records wait for, since when and whose move it is."""
    table = Table(title="What they are waiting for", title_justify="left")
    for name in (
        "department",
        "endpoint",
        *(["feed"] if by_feed else []),
        "about",
        "waiting for",
        "whose move",
        "since",
    ):
        table.add_column(name, overflow="fold")
    table.add_column("records", justify="right")
    for line in lines:
        place = [line.department or "—", line.endpoint, *([line.feed] if by_feed else []), line.family]
        for waiting, count in sorted(line.waiting.items(), key=lambda one: -one[1]):
            rules = f" ({', '.join(sorted(line.rules))})" if waiting == "profile" else ""
            cells = (f"{WAITING[waiting]}{rules}", OWNER[waiting], _local(line.since[waiting]), f"{count:,}")
            table.add_row(*place, *cells)
    return table


def not_queued_table(found: Sequence[NotYetQueued], calendar: WorkingCalendar, today: date) -> Table:
    """Rows with a clock that are owed to no endpoint yet."""
    table = Table(title="Not in any outbox yet: quarantined rows and held batches", title_justify="left")
    for name in ("department", "feed", "waiting for", "whose move"):
        table.add_column(name, overflow="fold")
    for name in (*BUCKETS, UNKNOWN):
        table.add_column(name, justify="right", style="red" if name == "overdue" else None)
    sums: dict[tuple[str, str, str, str], dict[str, int]] = {}
    for one in found:
        key = (one.department or "—", one.feed, one.waiting, one.owner)
        counts = sums.setdefault(key, dict.fromkeys((*BUCKETS, UNKNOWN), 0))
        # The rows of a held batch have deadlines of their own; its earliest one says how urgent the decision is.
        counts[UNKNOWN if one.deadline is None else bucket(calendar, today, one.deadline)] += one.rows
    for (department, feed, waiting, owner), counts in sorted(sums.items()):
        note = f"{WAITING[waiting]}, by its earliest deadline" if waiting == HELD else WAITING[waiting]
        table.add_row(department, feed, note, owner, *(f"{count:,}" if count else "·" for count in counts.values()))
    return table


def record_table(records: Sequence[OpenRecord]) -> Table:
    """Single records, the most urgent first."""
    table = Table(title="Open records, the most urgent first", title_justify="left")
    for name in ("document number", "endpoint", "feed", "deadline", "days left", "waiting for", "whose move", "more"):
        table.add_column(name, overflow="fold", justify="right" if name == "days left" else "left")
    for one in records:
        why = f" ({one.why})" if one.why else ""
        table.add_row(
            one.document_number or "—",
            one.endpoint,
            one.feed,
            f"{one.deadline}{' (provisional)' if one.provisional else ''}",
            str(one.days_left),
            f"{WAITING[one.waiting]}{why}",
            one.owner,
            one.command,
            style="red" if one.days_left < 0 else None,
        )
    return table


def forecast_table(found: Sequence[Prediction]) -> Table:
    """What will be late, and why."""
    table = Table(title="Open records that will be late", title_justify="left")
    for name in ("deadline", "endpoint", "feed", "late", "of", "accepted", "late by", "because"):
        table.add_column(name, overflow="fold", justify="right" if name in {"late", "of", "late by"} else "left")
    for one in found:
        group = one.group
        table.add_row(
            group.deadline.isoformat(),
            group.endpoint,
            group.feed,
            f"{one.late:,}",
            f"{group.records:,}",
            "not foreseen" if one.accepted is None else one.accepted.isoformat(),
            "—" if one.working_days is None else f"{one.working_days} working days",
            one.reason,
        )
    return table


def delay_table(found: Sequence[DepartmentDelay]) -> Table:
    """Late records by department, and who had them for how many working days."""
    table = Table(title="Late records: working days from the decision, by who had them", title_justify="left")
    table.add_column("department", overflow="fold")
    for name in ("late", "still open", "days", *PARTIES):
        table.add_column(name, justify="right")
    for one in found:
        numbers = (one.records, one.still_open, one.total, *(one.days[party] for party in PARTIES))
        table.add_row(one.department or "—", *(f"{number:,}" for number in numbers))
    return table


def late_table(found: Sequence[LateRecord]) -> Table:
    """Late records one by one."""
    table = Table(title="Late records", title_justify="left")
    for name in ("record", "endpoint", "feed", "decided", "deadline", "stopped"):
        table.add_column(name, overflow="fold")
    for name in ("days", *PARTIES):
        table.add_column(name, justify="right")
    for one in found:
        numbers = (one.total, *(one.days[party] for party in PARTIES))
        stopped = "open" if one.stopped_at is None else _local(one.stopped_at)
        place = (one.record_key[:12], one.endpoint, one.feed, one.decision_date.isoformat(), one.deadline.isoformat())
        table.add_row(*place, stopped, *map(str, numbers))
    return table


def clock_json(lines: Sequence[ClockLine], not_queued: Sequence[NotYetQueued], today: date) -> dict[str, Any]:
    """The clock for a program."""
    return {
        "today": today.isoformat(),
        "open": [writable(asdict(line) | {"total": line.total}) for line in lines],
        "not_queued": [writable(asdict(one)) for one in not_queued],
    }


def _local(instant: datetime) -> str:
    """An instant of the ledger (UTC) as people here write it."""
    return f"{instant.replace(tzinfo=instant.tzinfo or UTC).astimezone(BEIJING_TIME):%m-%d %H:%M}"
