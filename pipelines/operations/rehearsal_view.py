"""A rehearsal, and batches under older rules, as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Table

from pipelines.operations.rehearsal import RehearsedBatch
from pipelines.operations.stale_batches import StaleBatch

MOST_CODES = 6


def rehearsal_table(batches: Sequence[RehearsedBatch]) -> Table:
    """One row per batch: how many rows would change their outcome, from what to what, and because of which rules."""
    table = Table(title="What the changed rules would do; nothing is switched on", show_lines=True)
    table.add_column("feed, date", overflow="fold")
    table.add_column("rows", justify="right")
    table.add_column("would change", justify="right")
    table.add_column("outcome now → then (first rows)", overflow="fold")
    table.add_column("rule: rows now → then", overflow="fold")
    for batch in batches:
        moves = [f"{move.before} → {move.after}: {move.rows:,} ({', '.join(move.examples)})" for move in batch.moves]
        rules = [f"{rule.code} ({rule.how}): {rule.rows:,} → {rule.rows_then:,}" for rule in batch.rules]
        table.add_row(
            f"{batch.feed}\n{batch.business_date.isoformat()}",
            f"{batch.rows:,}",
            f"{batch.rows_moved:,}",
            batch.problem or "\n".join(moves) or "—",
            "\n".join(rules) or "—",
        )
    return table


def rehearsal_totals(batches: Iterable[RehearsedBatch]) -> list[str]:
    """One sentence per feed, over all of its batches."""
    by_feed: dict[str, list[RehearsedBatch]] = {}
    for batch in batches:
        by_feed.setdefault(batch.feed, []).append(batch)
    return [
        f"{feed}: {sum(batch.rows_moved for batch in found):,} of {sum(batch.rows for batch in found):,} rows "
        f"of {len(found)} batches would change their outcome"
        for feed, found in by_feed.items()
    ]


def stale_table(batches: Sequence[StaleBatch]) -> Table:
    """One row per batch: which rules are new, gone or different since it was judged."""
    table = Table(title="Published batches judged under older rules; run them again to judge them by today's")
    for name in ("feed", "date", "run", "added", "dropped", "changed"):
        table.add_column(name, overflow="fold")
    for batch in batches:
        changed = "a rule asks something else under the same version" if batch.silently else _codes(batch.changed)
        table.add_row(
            batch.feed,
            batch.business_date.isoformat(),
            batch.run,
            _codes(batch.added),
            _codes(batch.dropped),
            changed,
        )
    return table


def _codes(codes: Sequence[str]) -> str:
    more = f" and {len(codes) - MOST_CODES} more" if len(codes) > MOST_CODES else ""
    return (", ".join(codes[:MOST_CODES]) + more) or "—"
