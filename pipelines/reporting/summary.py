"""The night at a glance, for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from operator import attrgetter

from rich.table import Table
from rich.text import Text

from pipelines.reporting.metrics import FeedFigures

TOP_REASONS = 3
STATES = {
    "running": ("still running", "yellow"),
    "held": ("HELD until somebody has looked, nothing of the batch was published", "bold red"),
    "failed": ("FAILED, nothing of the batch was published", "bold red"),
    "missing": ("NO DATA for this business date", "bold red"),
}
OUTCOME_WIDTH = 20
OUTCOME_STYLES = {"accepted": "green", "quarantined": "red", "blocked": "magenta"}


def summary_table(figures: Sequence[FeedFigures]) -> Table:
    """One row per feed, loudest first: rows, outcomes, conservation line, top reasons, delivered, deadline."""
    table = Table(show_lines=True, pad_edge=False)
    table.add_column("Feed, rows, outcomes", overflow="fold", min_width=OUTCOME_WIDTH)
    table.add_column("Conservation, rates, top reasons (rows)", overflow="fold", ratio=1)
    table.add_column("Delivered, earliest deadline", overflow="fold", min_width=16)
    for batch in sorted(figures, key=attrgetter("loudness")):
        feed = Text.assemble((batch.feed, "bold"), "\n", (batch.business_date.isoformat(), "dim"))
        if batch.state == "published":
            table.add_row(
                Text("\n").join((feed, *_outcomes(batch))),
                Text("\n").join((_conservation(batch), *_rates(batch), *_reasons(batch), *_file_findings(batch))),
                Text("\n").join((*_delivered(batch), _deadline(batch))),
            )
        else:
            table.add_row(feed, _silence(batch), "—")
    return table


def _silence(batch: FeedFigures) -> Text:
    """Why there are no figures, and for how long there have been none."""
    text = Text(*STATES[batch.state])
    since = "it was never published" if batch.last_published is None else f"last published {batch.last_published}"
    text.append(f"\n{since}" + ("" if batch.days_stale is None else f", {batch.days_stale} days ago"), "default")
    if batch.problem:
        text.append(f"\n{batch.problem}", "default")
    return text


def _outcomes(batch: FeedFigures) -> list[Text]:
    lines = [("rows", batch.counts.received, "bold")]
    lines += [(name, rows, OUTCOME_STYLES.get(name, "")) for name, rows in batch.counts.outcomes.items() if rows]
    return [Text(f"{name:<11}{rows:>{OUTCOME_WIDTH - 11},}", style) for name, rows, style in lines]


def _conservation(batch: FeedFigures) -> Text:
    holds = batch.counts.is_conserved
    return Text(("✓ " if holds else "✗ ") + batch.conservation, "green" if holds else "bold red")


def _rates(batch: FeedFigures) -> list[Text]:
    """Both rates with what they were computed from."""
    return [
        Text(f"{name} {ratio.text} ({ratio.numerator:,} ÷ {ratio.denominator:,})")
        for name, ratio in (("合规率", batch.counts.compliance), ("迟报率", batch.counts.lateness))
    ]


def _reasons(batch: FeedFigures) -> list[Text]:
    if batch.reasons is None:
        return [Text("(the run's rows were cleared)", "dim")]
    return [
        Text(f"{reason.rows:>7,}  {reason.code}", _reason_style(reason.severity))
        for reason in batch.reasons[:TOP_REASONS]
    ]


def _file_findings(batch: FeedFigures) -> list[Text]:
    """What was noticed about the files, by rule; 'guiji status' says it in words."""
    counts = Counter(finding.rule for finding in batch.file_findings)
    return (
        [Text(f"files: {', '.join(f'{rule} × {count}' for rule, count in sorted(counts.items()))}")] if counts else []
    )


def _reason_style(severity: str) -> str:
    return "red" if severity == "block" else "yellow"


def _delivered(batch: FeedFigures) -> list[Text]:
    """Confirmed of owed, then what is not confirmed, by why."""
    counts = batch.counts
    if counts.owed == 0:
        return [Text("nothing owed", "dim")]
    done = "green" if counts.confirmed == counts.owed else ""
    others = (
        ("rejected", counts.rejected, "red"),
        ("waiting", counts.waiting, "yellow"),
        ("withheld", counts.withheld, ""),
    )
    return [
        Text(f"{counts.confirmed:,} of {counts.owed:,}", done),
        *(Text(f"{name} {count:,}", style) for name, count, style in others if count),
    ]


def _deadline(batch: FeedFigures) -> Text:
    """The first deadline of what is still open; a batch of which nothing is open may still have been late."""
    first_open = batch.earliest_open_deadline
    if first_open is not None:
        is_over = first_open < batch.business_date
        note = f" ({batch.counts.overdue:,} overdue)" if is_over else ""
        return Text(f"due {first_open}{note}", "bold red" if is_over else "")
    return Text("nothing open", "green" if batch.counts.owed else "dim")
