"""The batches of all feeds as the pages need them: figures of a batch, of a window, of a month, of a day."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path

from pipelines.catalogue.catalogue import Catalogue
from pipelines.catalogue.feeds import DEFAULT_SCHEDULE
from pipelines.reporting.counts import Counts
from pipelines.reporting.metrics import FeedFigures, State, broken_figures, without_paths
from pipelines.reporting.site_ledger import DELIVERY_COUNTS, NOTHING_OWED, RUN_COUNTS, BatchLine, Delivery
from pipelines.settings import Settings

STATES: Mapping[str, State] = {"published": "published", "running": "running", "held": "held"}


@dataclass(frozen=True)
class FeedName:
    """What a feed is called. ``due_daily``: a day without a batch is a day that is missing."""

    feed: str
    name: str
    department: str
    department_name: str
    category: str
    category_zh: str
    category_en: str
    due_daily: bool


class SiteModel:
    """All batches of the feeds of the catalogue up to ``as_of``, with what became of their deliveries."""

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        lines: Sequence[BatchLine],
        deliveries: Mapping[int, Delivery],
        overdue: Mapping[str, int],
        as_of: date,
    ) -> None:
        self.settings = settings
        self.catalogue = catalogue
        self.as_of = as_of
        self.deliveries = deliveries
        self._overdue = overdue
        self.feeds = {code: _feed_name(catalogue, code) for code in catalogue.feed_codes}
        self.lines: dict[str, list[BatchLine]] = {code: [] for code in self.feeds}
        for line in lines:
            if line.feed in self.lines and line.day <= as_of:
                self.lines[line.feed].append(line)
        self._on = {(line.feed, line.day): line for own in self.lines.values() for line in own}

    @cached_property
    def departments(self) -> dict[str, list[FeedName]]:
        """Department code → its feeds, both in the order of their codes."""
        found: dict[str, list[FeedName]] = defaultdict(list)
        for code in sorted(self.feeds):
            found[self.feeds[code].department].append(self.feeds[code])
        return dict(sorted(found.items()))

    @cached_property
    def nights(self) -> frozenset[date]:
        """Business dates that have a page: those with a batch, and the newest."""
        return frozenset({day for _, day in self._on} | {self.as_of})

    @cached_property
    def _published(self) -> dict[str, list[date]]:
        return {code: [line.day for line in lines if line.is_published] for code, lines in self.lines.items()}

    def line(self, feed: str, day: date) -> BatchLine | None:
        return self._on.get((feed, day))

    def last_published(self, feed: str, day: date) -> date | None:
        """The newest business date up to a day with a published batch."""
        days = self._published[feed]
        position = bisect_right(days, day)
        return days[position - 1] if position else None

    def delivery(self, line: BatchLine) -> Delivery:
        return self.deliveries.get(line.batch, NOTHING_OWED)

    def counts(self, lines: Iterable[BatchLine]) -> Counts:
        """The counts of several batches added up."""
        chosen = [line for line in lines if line.is_published]
        rows = [sum(column) for column in zip(*(line.counts for line in chosen), strict=True)]
        owed = [sum(column) for column in zip(*(self.delivery(line).counts for line in chosen), strict=True)]
        return Counts(**dict(zip(RUN_COUNTS, rows, strict=False)), **dict(zip(DELIVERY_COUNTS, owed, strict=False)))

    def figures(self, feed: str, day: date) -> FeedFigures:
        """One batch in figures, without the reasons, which lie in its run's folder."""
        if feed in self.catalogue.broken_feeds and day == self.as_of:
            broken = broken_figures(self.catalogue, feed, day)
            return replace(broken, last_published=self.last_published(feed, day))
        name, line = self.feeds[feed], self.line(feed, day)
        is_published = line is not None and line.is_published
        return FeedFigures(
            feed=feed,
            feed_name=name.name,
            department=name.department,
            department_name=name.department_name,
            category=name.category,
            category_name=name.category_zh,
            business_date=day,
            state="missing" if line is None else STATES.get(line.state, "failed"),
            problem=None if line is None else without_paths(line.problem, self.settings),
            failure="" if line is None else line.failure,
            last_published=self.last_published(feed, day),
            run=line.run if line is not None and is_published else None,
            counts=self.counts([line]) if line is not None else Counts(),
            earliest_deadline=None if line is None else line.earliest_deadline,
            earliest_open_deadline=None if line is None else self.delivery(line).earliest_open,
        )

    def window(self, feeds: Iterable[str], days: int) -> list[BatchLine]:
        """The batches of the last ``days`` calendar days."""
        first = self.as_of - timedelta(days=days - 1)
        return [line for code in feeds for line in self._since(code, first)]

    def by_day(self, feeds: Iterable[str], days: int) -> dict[date, Counts]:
        """Counts of every one of the last ``days`` calendar days with a published batch."""
        found: dict[date, list[BatchLine]] = defaultdict(list)
        for line in self.window(feeds, days):
            if line.is_published:
                found[line.day].append(line)
        return {day: self.counts(found[day]) for day in sorted(found)}

    def by_month(self, feeds: Iterable[str]) -> dict[str, list[BatchLine]]:
        """``YYYY-MM`` → batches, the newest month first."""
        found: dict[str, list[BatchLine]] = defaultdict(list)
        for code in feeds:
            for line in self.lines[code]:
                found[f"{line.day:%Y-%m}"].append(line)
        return dict(sorted(found.items(), reverse=True))

    def overdue(self, feeds: Iterable[str]) -> int:
        """Deliveries of all batches that no receiver has confirmed although their deadline lay before ``as_of``."""
        return sum(self._overdue.get(code, 0) for code in feeds)

    def _since(self, feed: str, first: date) -> list[BatchLine]:
        lines = self.lines[feed]
        start = bisect_right(lines, first - timedelta(days=1), key=lambda line: line.day)
        return lines[start:]


def _feed_name(catalogue: Catalogue, code: str) -> FeedName:
    if code not in catalogue.feeds:
        department = Path(catalogue.broken_feeds[code].file or code).parent.name
        known = catalogue.departments.get(department)
        return FeedName(code, code, department, department if known is None else known.name_zh, "", "—", "—", False)
    feed = catalogue.feed(code)
    category = catalogue.category_of(feed)
    return FeedName(
        feed=code,
        name=feed.name_zh,
        department=feed.department,
        department_name=catalogue.department_of(feed).name_zh,
        category=feed.category,
        category_zh=category.name_zh,
        category_en=category.name_en,
        due_daily=feed.schedule.split()[2:] == DEFAULT_SCHEDULE.split()[2:],
    )
