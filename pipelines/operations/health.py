"""The health of the installation for a monitor: one word, the checks it comes from, and how old what they saw is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pipelines.ledger.database import now
from pipelines.operations.context import Context
from pipelines.operations.feed_states import SILENT, FeedState
from pipelines.operations.overview import Overview, read_overview
from pipelines.operations.plain_json import writable
from pipelines.operations.watchdog import check_heart
from pipelines.operations.written_whole import write_whole

Verdict = Literal["ok", "degraded", "failing"]
_BADNESS: dict[Verdict, int] = {"ok": 0, "degraded": 1, "failing": 2}


@dataclass(frozen=True)
class Check:
    """One check. ``age_seconds``: how long ago what it looks at gave its last sign of life, if it gives any."""

    name: str
    verdict: Verdict
    said: str
    age_seconds: int | None = None
    command: str | None = None


@dataclass(frozen=True)
class Health:
    """``verdict`` is the worst of the checks; ``at`` in UTC without zone."""

    verdict: Verdict
    at: datetime
    checks: tuple[Check, ...]


def read_health(context: Context, at: datetime | None = None) -> Health:
    """How the installation is, at an instant (UTC without zone), now unless given."""
    overview = read_overview(context, at=at or now())
    checks = (
        Check("ledger", "ok", "it answers"),
        *_feeds(overview),
        *_endpoints(overview),
        _deadlines(overview),
        _watch(context, overview.at),
    )
    return Health(max((check.verdict for check in checks), key=_BADNESS.__getitem__), overview.at, checks)


def health_json(health: Health) -> dict[str, Any]:
    """The same as JSON; instants in UTC."""
    found: dict[str, Any] = writable(asdict(health))
    return found


def write_health(health: Health, path: Path) -> None:
    """Write it to a file in one step, readable by everybody on the machine: it names feeds and endpoints only."""
    write_whole(path, json.dumps(health_json(health), ensure_ascii=False, indent=1) + "\n", mode=0o644)


def _feeds(overview: Overview) -> Iterator[Check]:
    """All feeds in trouble are a failure of ours; some are theirs."""
    silent = [feed for feed in overview.feeds if feed.state == SILENT]
    others = [feed for feed in overview.troubled if feed.state != SILENT]
    freshest = [feed.last_good_at for feed in overview.feeds if feed.last_good_at is not None]
    age = None if not freshest else max(int((overview.at - max(freshest)).total_seconds()), 0)
    all_of_them = bool(overview.feeds) and len(overview.troubled) == len(overview.feeds)
    for name, found in (("feeds", others), ("silence", silent)):
        verdict: Verdict = "ok" if not found else "failing" if all_of_them else "degraded"
        said = f"{len(found)} of {len(overview.feeds)} feeds: {_named(found)}" if found else "no feed is in trouble"
        yield Check(name, verdict, said, age, found[0].command if found else None)


def _named(feeds: list[FeedState]) -> str:
    """The three loudest by name."""
    named = ", ".join(f"{feed.feed} ({feed.state}, {feed.days} d)" for feed in feeds[:3])
    return named if len(feeds) <= 3 else f"{named} and {len(feeds) - 3} more"


def _endpoints(overview: Overview) -> Iterator[Check]:
    for line in overview.endpoints:
        age = None if line.oldest is None else max(int((overview.at - line.oldest).total_seconds()), 0)
        if line.is_held or line.is_breaker_open:
            yield Check(f"endpoint {line.endpoint}", "degraded", line.obstacle or "it is left alone", age, line.command)
        else:
            yield Check(f"endpoint {line.endpoint}", "ok", f"{line.waiting} waiting, {line.rejected} rejected", age)


def _deadlines(overview: Overview) -> Check:
    overdue = sum(line.overdue for line in overview.endpoints)
    today = sum(line.due_today for line in overview.endpoints)
    said = f"{overdue} overdue, {today} due today"
    return Check(
        "deadlines", "degraded" if overdue else "ok", said, command="guiji clock --overdue" if overdue else None
    )


def _watch(context: Context, at: datetime) -> Check:
    """Nobody watching the clock is a failure: warnings are what keeps deadlines."""
    if context.catalogue.notices is None:
        return Check("clock watch", "ok", "nobody is to be warned")
    heart = check_heart(context, at)
    age = None if heart.at is None else int((at - heart.at).total_seconds())
    if heart.problems:
        return Check("clock watch", "failing", "; ".join(heart.problems), age, "guiji watch")
    return Check("clock watch", "ok", f"{heart.examined} open records were examined", age)
