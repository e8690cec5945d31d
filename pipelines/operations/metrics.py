"""What a monitoring system reads, in the text format of Prometheus: bounded labels, numbers, nothing personal.

Labels are names from the catalogue and words of ours: feeds, endpoints, states, outcomes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.ledger.models import Heartbeat
from pipelines.ledger.operation_models import ChainHead
from pipelines.operations.context import Context
from pipelines.operations.feed_states import STATES, FeedState
from pipelines.operations.overview import Overview, read_overview
from pipelines.operations.written_whole import write_whole

Labels = Mapping[str, str]
_ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclass(frozen=True)
class Metric:
    """One gauge with its samples; a sample is labels and value."""

    name: str
    help: str
    samples: tuple[tuple[Labels, float], ...]


def write_metrics(context: Context, path: Path) -> None:
    """Write the metrics to a file at once: a reader sees the old file or the new one, never half of one.

    The file may be read by everybody on the machine: the collector runs under an account of its own.
    """
    write_whole(path, exposition(read_metrics(context)), mode=0o644)


def read_metrics(context: Context, at: datetime | None = None) -> list[Metric]:
    """All metrics as of an instant (UTC without zone), now unless given."""
    overview = read_overview(context, at=at)
    with context.ledger.read() as session:
        return [
            *_feeds(overview),
            *_endpoints(overview),
            *_backfills(overview),
            *_heartbeats(session, overview.at),
            *_chain(session),
            Metric("guiji_metrics_timestamp_seconds", "When these metrics were read.", ((_NONE, _epoch(overview.at)),)),
        ]


def exposition(metrics: Iterable[Metric]) -> str:
    """Metrics in the text exposition format of Prometheus, version 0.0.4."""
    lines: list[str] = []
    for metric in metrics:
        lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} gauge"]
        for labels, value in metric.samples:
            named = ",".join(f'{name}="{text.translate(_ESCAPED)}"' for name, text in labels.items())
            lines.append(f"{metric.name}{f'{{{named}}}' if named else ''} {value:.15g}")
    return "\n".join(lines) + "\n"


_NONE: Labels = {}


def _feeds(overview: Overview) -> Iterator[Metric]:
    feeds = sorted(overview.feeds, key=lambda feed: feed.feed)
    counts = overview.states
    yield Metric("guiji_feeds", "Feeds by state.", tuple(({"state": state}, counts[state]) for state in STATES))
    yield Metric(
        "guiji_feed_trouble_days",
        "Calendar days since the trouble of a feed began; 0 when it is well.",
        tuple(({"feed": feed.feed}, 0 if feed.is_well else feed.days) for feed in feeds),
    )
    yield Metric(
        "guiji_feed_last_good_batch_age_seconds",
        "Seconds since the last batch with rows was published.",
        tuple(({"feed": feed.feed}, _seconds(feed.last_good_at, overview.at)) for feed in feeds if feed.last_good_at),
    )
    yield Metric(
        "guiji_feed_unpublished_batches",
        "Batches that the present trouble of a feed has cost.",
        tuple(({"feed": feed.feed}, feed.batches) for feed in feeds),
    )
    yield Metric("guiji_feed_rows", "Rows of the last good batch by outcome.", tuple(_rows(feeds)))


def _rows(feeds: Iterable[FeedState]) -> Iterator[tuple[Labels, float]]:
    for feed in feeds:
        for outcome, rows in feed.outcomes.items():
            yield {"feed": feed.feed, "outcome": outcome}, rows


def _endpoints(overview: Overview) -> Iterator[Metric]:
    lines = sorted(overview.endpoints, key=lambda line: line.endpoint)
    yield Metric(
        "guiji_outbox_records",
        "Record versions that an endpoint has not accepted, by why.",
        tuple(
            ({"endpoint": line.endpoint, "state": state}, count)
            for line in lines
            for state, count in (("waiting", line.waiting), ("rejected", line.rejected), ("withheld", line.withheld))
        ),
    )
    yield Metric(
        "guiji_outbox_oldest_waiting_seconds",
        "For how long the oldest record version has waited for an answer of an endpoint.",
        tuple(
            ({"endpoint": line.endpoint}, _seconds(line.oldest, overview.at) if line.oldest else 0) for line in lines
        ),
    )
    yield Metric(
        "guiji_deadline_records",
        "Record versions whose legal deadline is over, or ends today.",
        tuple(
            ({"endpoint": line.endpoint, "due": due}, count)
            for line in lines
            for due, count in (("overdue", line.overdue), ("today", line.due_today))
        ),
    )
    yield Metric(
        "guiji_endpoint_breaker_open",
        "1 while an endpoint is left alone because it was found dead.",
        tuple(({"endpoint": line.endpoint}, int(line.is_breaker_open)) for line in lines),
    )


def _backfills(overview: Overview) -> Iterator[Metric]:
    states = ("waiting", "running", "done", "failed")
    yield Metric(
        "guiji_backfill_slices",
        "Slices of backfills that have not ended, by state.",
        tuple(({"state": state}, sum(line.slices.get(state, 0) for line in overview.backfills)) for state in states),
    )


def _heartbeats(session: LedgerSession, at: datetime) -> Iterator[Metric]:
    beats = session.scalars(select(Heartbeat).order_by(Heartbeat.name)).all()
    yield Metric(
        "guiji_heartbeat_age_seconds",
        "Seconds since the last sign of life.",
        tuple(({"name": beat.name}, _seconds(beat.at, at)) for beat in beats),
    )


def _chain(session: LedgerSession) -> Iterator[Metric]:
    position = session.scalar(select(ChainHead.position))
    yield Metric(
        "guiji_chain_position",
        "Entries of the hash chain of what was published.",
        () if position is None else ((_NONE, position),),
    )


def _seconds(since: datetime | None, at: datetime) -> float:
    """Rounded to whole seconds; never below 0, whatever two clocks say."""
    return 0.0 if since is None else max(round((at - since).total_seconds()), 0)


def _epoch(instant: datetime) -> float:
    return round((instant - datetime(1970, 1, 1)).total_seconds())  # noqa: DTZ001 -- both are UTC without zone
