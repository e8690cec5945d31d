"""Figures as they are shown: facts of the ledger, summed over days, feeds, categories and departments.

A figure of a month or of a department is the sum of the numerators of its batches over the sum of their denominators,
never the mean of percentages.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from sqlalchemy import case, extract, func, select

from pipelines.catalogue.figure_profiles import FigureDefinition, FigureProfile, Level
from pipelines.ledger.database import Ledger
from pipelines.ledger.models import Batch
from pipelines.ledger.quality_models import Fact
from pipelines.reporting.counts import Ratio

# A weekend without a batch is no silence.
SILENT_DAYS = 3
By = Literal["day", "month", "department", "category", "feed"]
_COLUMNS: dict[By, tuple[Any, ...]] = {
    "day": (Fact.business_date,),
    "month": (extract("year", Fact.business_date), extract("month", Fact.business_date)),
    "department": (Fact.department,),
    "category": (Fact.category,),
    "feed": (Fact.feed,),
}


@dataclass(frozen=True)
class Figure:
    """A figure of one or more batches.

    ``numerator`` and ``denominator`` are those of the definition, summed; a plain count has no denominator.
    ``open_batches`` of the ``batches`` have facts that may still change without anybody running them again.
    """

    definition: FigureDefinition
    numerator: int
    denominator: int | None
    batches: int
    open_batches: int

    @property
    def is_final(self) -> bool:
        """Whether it changes no more, unless a batch is run again."""
        return self.open_batches == 0

    @property
    def level(self) -> Level | None:
        """``good``, ``fair`` or ``bad`` by the thresholds of the profile; None where there are none."""
        return self.definition.level(self.numerator, self.denominator)

    @property
    def text(self) -> str:
        """The value with its unit left out for counts: ``91.20 %``, ``12,345``, ``3.4``; ``—`` where nothing counts."""
        if self.denominator is None:
            return f"{self.numerator:,}"
        if self.definition.is_share:
            return Ratio(self.numerator, self.denominator).text
        return f"{self.numerator / self.denominator:.1f}" if self.denominator else "—"


@dataclass(frozen=True)
class FigureLine:
    """All figures of a profile for what they were summed by; what they were not summed by is None.

    ``month`` is the first day of a month. ``figures`` has the order of the profile; a figure without any fact is
    left out.
    """

    profile: str
    figures: dict[str, Figure]
    day: date | None = None
    month: date | None = None
    department: str | None = None
    category: str | None = None
    feed: str | None = None


def figures_by(
    ledger: Ledger,
    profile: FigureProfile,
    since: date,
    until: date,
    by: Sequence[By],
    *,
    department: str | None = None,
    category: str | None = None,
    feed: str | None = None,
) -> list[FigureLine]:
    """The figures of business dates ``since``..``until`` (both included), summed by ``by`` and sorted by it.

    With an empty ``by`` there is one line for everything, or none when there are no facts.
    """
    columns = [column for name in by for column in _COLUMNS[name]]
    query = (
        select(
            *columns,
            Fact.figure,
            func.sum(Fact.numerator),
            func.sum(Fact.denominator),
            func.count(),
            func.sum(case((Fact.final, 0), else_=1)),
        )
        .where(Fact.profile == profile.profile, Fact.business_date.between(since, until))
        .group_by(*columns, Fact.figure)
    )
    for column, wanted in ((Fact.department, department), (Fact.category, category), (Fact.feed, feed)):
        if wanted is not None:
            query = query.where(column == wanted)
    with ledger.read() as session:
        found = [tuple(row) for row in session.execute(query)]
    definitions = {definition.figure: definition for definition in profile.figures}
    lines: dict[tuple[Any, ...], dict[str, Figure]] = {}
    for *key, code, numerator, denominator, batches, open_batches in found:
        # A figure that the profile no longer has keeps its facts until the month is computed again.
        if code in definitions:
            below = None if denominator is None else int(denominator)
            figure = Figure(definitions[code], int(numerator), below, int(batches), int(open_batches))
            lines.setdefault(tuple(key), {})[code] = figure
    return [
        FigureLine(profile.profile, {code: figures[code] for code in definitions if code in figures}, **_named(by, key))
        for key, figures in sorted(lines.items())
    ]


def figures_by_day(
    ledger: Ledger,
    profile: FigureProfile,
    since: date,
    until: date,
    *,
    department: str | None = None,
    category: str | None = None,
    feed: str | None = None,
) -> list[FigureLine]:
    """One line per feed and business date, as published."""
    by: tuple[By, ...] = ("day", "department", "category", "feed")
    return figures_by(ledger, profile, since, until, by, department=department, category=category, feed=feed)


def figures_by_month(
    ledger: Ledger,
    profile: FigureProfile,
    since: date,
    until: date,
    *,
    by: Sequence[By] = ("department",),
    department: str | None = None,
    category: str | None = None,
    feed: str | None = None,
) -> list[FigureLine]:
    """One line per month and department, or whatever else ``by`` names; ``since`` and ``until`` are days."""
    return figures_by(
        ledger, profile, since, until, ("month", *by), department=department, category=category, feed=feed
    )


@dataclass(frozen=True)
class Silence:
    """How long a feed has had nothing published: ``last`` is its newest published business date up to ``day``."""

    feed: str
    department: str
    day: date
    last: date | None

    @property
    def days(self) -> int | None:
        """Calendar days since then; None when nothing was ever published."""
        return None if self.last is None else (self.day - self.last).days

    @property
    def is_silent(self) -> bool:
        """Whether nothing was published for more than a weekend."""
        return self.days is None or self.days > SILENT_DAYS


def silences(ledger: Ledger, feeds: Iterable[tuple[str, str]], day: date) -> list[Silence]:
    """Every feed (code, department) with its last published business date, the longest silent one first."""
    query = (
        select(Batch.feed, func.max(Batch.business_date))
        .where(Batch.run.is_not(None), Batch.business_date <= day)
        .group_by(Batch.feed)
    )
    with ledger.read() as session:
        last: dict[str, date] = {row[0]: row[1] for row in session.execute(query)}
    found = [Silence(feed, department, day, last.get(feed)) for feed, department in feeds]
    return sorted(found, key=lambda one: (one.last or date.min, one.feed))


def _named(by: Sequence[By], key: tuple[Any, ...]) -> dict[str, Any]:
    """The key of a group under the names of a line."""
    values = iter(key)
    named: dict[str, Any] = {}
    for name in by:
        value = next(values)
        named[name] = date(int(value), int(next(values)), 1) if name == "month" else value
    return named
