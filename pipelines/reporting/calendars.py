"""The feed calendar: what became of every day, one row a month; a colour never says anything alone."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from pipelines.reporting.counts import Counts
from pipelines.reporting.site_model import SiteModel

MONTHS_SHOWN = 13
STRIP_DAYS = 30
DAYS_IN_ROW = 31
# Lower bounds of 合规率 in ten-thousandths for the shades of a good day, darkest first.
SHADES = (("full", 9_950), ("high", 9_500), ("low", 8_000), ("poor", 0))
# The loudest first: what a day of several feeds is shown as.
_LOUDNESS = ("failed", "held", "missing", "running", "poor", "low", "high", "full", "empty", "none")
# Read without colour: in black and white, on paper, by colour-blind readers.
GLYPHS = {"failed": "×", "held": "‖", "missing": "–", "running": "…", "poor": "!", "empty": "○"}


@dataclass(frozen=True)
class Cell:
    """One day. ``kind`` is a shade for published batches, else ``held``, ``failed``, ``missing``, ``running``,
    ``empty`` (published without a row) or ``none`` (nothing was due). ``link`` is a page below the site's folder."""

    day: date
    kind: str
    glyph: str
    counts: Counts
    feeds: int
    link: str | None

    @property
    def is_weekend(self) -> bool:
        return self.day.weekday() >= 5


@dataclass(frozen=True)
class CalendarRow:
    """One month: a cell per day of the month, None beyond its end or after the last business date."""

    month: str
    cells: tuple[Cell | None, ...]


Link = Callable[[date], str | None]


def calendar(model: SiteModel, feeds: Sequence[str], link: Link) -> list[CalendarRow]:
    """The last months up to the newest business date, the newest first; at least the current one.

    Of several feeds, a day shows the loudest. ``link`` gives the page of a day.
    """
    first = min((model.lines[feed][0].day for feed in feeds if model.lines[feed]), default=model.as_of)
    rows = []
    year, month = model.as_of.year, model.as_of.month
    for _ in range(MONTHS_SHOWN):
        if (year, month) < (first.year, first.month):
            break
        rows.append(month_row(model, feeds, year, month, link))
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)
    return rows


def month_row(model: SiteModel, feeds: Sequence[str], year: int, month: int, link: Link) -> CalendarRow:
    """The days of one month."""
    length = monthrange(year, month)[1]
    days = (date(year, month, number) for number in range(1, length + 1))
    cells = [cell(model, feeds, day, link) if day <= model.as_of else None for day in days]
    return CalendarRow(f"{year:04d}-{month:02d}", (*cells, *[None] * (DAYS_IN_ROW - length)))


def strip(model: SiteModel, feed: str, link: Link) -> list[Cell]:
    """The last days of one feed, the newest last."""
    days = (model.as_of - timedelta(days=back) for back in reversed(range(STRIP_DAYS)))
    return [cell(model, [feed], day, link) for day in days]


def cell(model: SiteModel, feeds: Sequence[str], day: date, link: Link) -> Cell:
    """One day of one or several feeds."""
    lines = [line for feed in feeds if (line := model.line(feed, day)) is not None]
    counts = model.counts(lines)
    kinds = [_kind(model, feed, day) for feed in feeds]
    kind = min(kinds, key=_LOUDNESS.index, default="none")
    if kind in {"poor", "low", "high", "full", "empty"} and len(feeds) > 1:
        kind = shade(counts)
    return Cell(day, kind, GLYPHS.get(kind, ""), counts, len(lines), link(day) if lines or kind == "missing" else None)


def shade(counts: Counts) -> str:
    """How well a published batch went, by 合规率."""
    ratio = counts.compliance
    if ratio.denominator == 0:
        return "empty"
    return next(name for name, least in SHADES if ratio.numerator * 10_000 >= least * ratio.denominator)


def _kind(model: SiteModel, feed: str, day: date) -> str:
    line = model.line(feed, day)
    if line is not None:
        if line.is_published:
            return shade(model.counts([line]))
        return line.state if line.state in {"held", "running"} else "failed"
    return "missing" if is_due(model, feed, day) or day == model.as_of else "none"


def is_due(model: SiteModel, feed: str, day: date) -> bool:
    """Whether a feed that reports daily has begun to by a day."""
    lines = model.lines[feed]
    return model.feeds[feed].due_daily and bool(lines) and lines[0].day <= day
