"""Plans of backfills as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.table import Table

from pipelines.ledger.database import now
from pipelines.ledger.operation_models import BackfillPlan, BackfillSlice
from pipelines.operations.backfill_counts import COUNTS
from pipelines.operations.backfill_planning import UNKNOWN, Planned, PlannedSlice
from pipelines.operations.backfill_plans import PlanLine


def planned_table(planned: Planned, replay: str) -> Table:
    """One row per feed and day: why it is in the plan, what is known of it, what would change; totals."""
    how = "pulled again" if replay == "pull" else "judged again from what was landed"
    table = Table(title=f"What would be {how}; nothing has run yet", show_footer=True)
    slices = planned.slices
    table.add_column("feed, day", overflow="fold", footer=f"{len(slices)} batches")
    table.add_column("why", overflow="fold")
    _add_counts(table, [one.counts for one in slices])
    table.add_column("how sure", overflow="fold", footer=_sureness(slices))
    for one in slices:
        table.add_row(
            f"{one.day.feed} {one.day.business_date}", one.day.state, *_cells(one.counts), "\n".join(_known(one))
        )
    return table


def trouble_sentences(planned: Planned) -> Iterator[str]:
    """Of each batch that did not end well: what stopped it last, and what would stop it again."""
    for one in planned.slices:
        newest, batch = one.day.newest, f"{one.day.feed} {one.day.business_date}"
        if newest is not None and one.day.state in {"failed", "held"}:
            was = newest.problem or f"ended while {newest.stage}"
            yield f"{batch} {newest.state} {_age(newest.started_at, now())} ago: {was}"
        if one.problem is not None:
            yield f"{batch} would be stopped: {one.problem}"


def left_out_sentence(planned: Planned) -> str | None:
    """How many days are not in the plan, by their state."""
    if not planned.left_out:
        return None
    return "left as they are: " + "; ".join(f"{count} {state}" for state, count in sorted(planned.left_out.items()))


def changed_sentences(planned: Planned) -> list[str]:
    """What has changed since the batches of the plan were judged, each thing once per feed."""
    days: dict[tuple[str, str], int] = {}
    for one in planned.slices:
        for words in one.day.differs:
            days[one.day.feed, words] = days.get((one.day.feed, words), 0) + 1
    return [f"{feed}: {words} ({count} batches)" for (feed, words), count in days.items()]


def plans_table(lines: Sequence[PlanLine]) -> Table:
    """One row per plan."""
    table = Table("plan", "state", "replay", "reprocess", "days", "slices", "by", "why")
    for line in lines:
        plan = line.plan
        slices = ", ".join(f"{count} {state}" for state, count in sorted(line.slices.items()))
        table.add_row(str(plan.id), plan.state, plan.replay, plan.reprocess, _days(plan), slices, plan.by, plan.why)
    return table


def plan_table(plan: BackfillPlan, slices: Sequence[BackfillSlice]) -> Table:
    """One row per slice: what was expected, and what its run has changed; totals of the slices that are done."""
    title = f"plan {plan.id} ({plan.state}): {plan.replay}, {plan.reprocess}, {_days(plan)}, by {plan.by}: {plan.why}"
    table = Table(title=title, show_footer=True)
    table.add_column("feed, day", overflow="fold", footer=f"{len(slices)} batches")
    table.add_column("state", overflow="fold")
    table.add_column("", footer="expected\nactual")
    ended = [one for one in slices if one.state == "done"]
    expected, actual = [_expected(one) for one in ended], [one.actual for one in ended]
    for name in COUNTS:
        table.add_column(name, justify="right", footer=f"{_total(expected, name):,}\n{_total(actual, name):,}")
    table.add_column("run", overflow="fold")
    for one in slices:
        pairs = zip(_cells(_expected(one)), _cells(one.actual), strict=True)
        table.add_row(
            f"{one.feed} {one.business_date}",
            f"{one.state}\n({one.reason})",
            "expected\nactual",
            *("\n".join(pair) for pair in pairs),
            (one.run or "").rpartition("-")[2],
        )
    return table


def stopped_sentences(slices: Sequence[BackfillSlice]) -> list[str]:
    """What stopped each slice that failed."""
    return [f"{one.feed} {one.business_date} failed: {one.problem}" for one in slices if one.state == "failed"]


def _add_counts(table: Table, counts: Sequence[Mapping[str, int] | None]) -> None:
    for name in COUNTS:
        table.add_column(name, justify="right", footer=f"{_total(counts, name):,}")


def _total(counts: Sequence[Mapping[str, int] | None], name: str) -> int:
    return sum(one[name] for one in counts if one is not None)


def _cells(counts: Mapping[str, int] | None) -> list[str]:
    return ["?" if counts is None else f"{counts[name]:,}" for name in COUNTS]


def _sureness(slices: Sequence[PlannedSlice]) -> str:
    unknown = sum(one.sure == UNKNOWN for one in slices)
    return f"totals leave out {unknown} unknown" if unknown else ""


def _known(one: PlannedSlice) -> Iterator[str]:
    if one.problem is not None:
        yield "would be stopped"
    yield one.sure
    if one.day.stored is not None:
        yield f"landed {_age(one.day.stored.started_at, now())} ago"


def _age(since: datetime, until: datetime) -> str:
    seconds = max(0, int((until - since).total_seconds()))
    for size, name in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size} {name}"
    return f"{seconds} seconds"


def _days(plan: BackfillPlan) -> str:
    return f"{plan.first_day} to {plan.last_day}"


def _expected(one: BackfillSlice) -> dict[str, int] | None:
    found: dict[str, Any] = one.expected or {}
    return found.get("counts")
