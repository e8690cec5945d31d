"""The pages that gather batches: overview, nights, departments, feeds, months, rules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from operator import attrgetter
from typing import Any

from pipelines.catalogue.figure_profiles import DEFAULT_PROFILE, FigureDefinition, FigureProfile
from pipelines.ledger.quality_models import Task
from pipelines.reporting.calendars import Cell, Link, calendar, is_due, month_row, strip
from pipelines.reporting.charts import Trend, amount_trend, outcome_segments, share_trend, spark
from pipelines.reporting.counts import Counts
from pipelines.reporting.figures import Figure
from pipelines.reporting.languages import Language, Place, render
from pipelines.reporting.metrics import FeedFigures
from pipelines.reporting.problems import ProblemText, problem_text
from pipelines.reporting.reasons import ReasonCount
from pipelines.reporting.scorecard import reason_lines, what_if
from pipelines.reporting.site_ledger import BatchLine, MonthFact, RuleDay
from pipelines.reporting.site_model import FeedName, SiteModel
from pipelines.reporting.site_words import PageRule, PageRules, page_rule

TREND_DAYS = 90
RECENT_DAYS = 30
LISTED_BATCHES = 60
LISTED_TASKS = 40
LISTED_REASONS = 20
LISTED_MONTHS = 13


@dataclass(frozen=True)
class SiteData:
    """What all pages are made from. ``reasons``: batch → its reasons, of the recent ones. ``workbooks``: batches that
    have one, as ``date/feed``."""

    model: SiteModel
    rules: PageRules
    tasks: Sequence[Task]
    facts: Mapping[tuple[str, str], Sequence[MonthFact]]
    rules_by_feed: Mapping[str, Sequence[RuleDay]]
    rules_by_day: Mapping[str, Sequence[RuleDay]]
    reasons: Mapping[int, Sequence[ReasonCount]]
    workbooks: frozenset[str]

    def recent_reasons(self, feeds: Iterable[str]) -> list[ReasonCount]:
        """The reasons of the last days added up, must-fix first, then by rows."""
        found: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
        for line in self.model.window(feeds, RECENT_DAYS):
            for reason in self.reasons.get(line.batch, ()):
                sums = found[reason.code, reason.severity]
                sums[0] += reason.rows
                sums[1] += reason.sole
        merged = [ReasonCount(*key, *sums) for key, sums in found.items()]
        return sorted(merged, key=lambda one: (one.severity != "block", -one.rows, one.code))

    def tasks_of(self, feeds: Iterable[str]) -> list[Task]:
        wanted = set(feeds)
        return [task for task in self.tasks if task.feed in wanted]


@dataclass(frozen=True)
class Alarm:
    """A feed that somebody must look at now. ``problem`` is None when the batch came and something is overdue."""

    figures: FeedFigures
    problem: ProblemText | None
    overdue: int


@dataclass(frozen=True)
class FeedLine:
    """One feed in a table: its last night, its last days."""

    figures: FeedFigures
    name: FeedName
    cells: Sequence[Cell]
    recent: Counts
    spark: str
    has_batch: bool
    has_workbook: bool


@dataclass(frozen=True)
class DepartmentLine:
    """One department on the overview."""

    code: str
    name: str
    feeds: Sequence[FeedLine]
    published: int
    last: Counts
    recent: Counts
    spark: str
    overdue: int
    open_rows: int
    oldest: date | None

    @property
    def loudness(self) -> tuple[object, ...]:
        return (self.feeds[0].figures.loudness[:2], -self.overdue, self.feeds[0].figures.loudness)


@dataclass(frozen=True)
class Window:
    """Counts of a stretch of days: ``days`` calendar days up to the last business date."""

    days: int
    counts: Counts
    batches: int


@dataclass(frozen=True)
class Charts:
    """Three figures by day, drawn on scales of their own, and the figures themselves."""

    received: Trend
    compliance: Trend
    lateness: Trend
    days: Mapping[date, Counts]


@dataclass(frozen=True)
class MonthLine:
    """One month: batches that came, batches that did not, counts, figures by profile."""

    month: str
    published: int
    others: int
    counts: Counts
    facts: Sequence[tuple[FigureProfile, Sequence[Figure]]]


def overview(data: SiteData, language: Language) -> tuple[str, str]:
    """The first page: what is wrong tonight, how it went lately, every department, the loudest first."""
    model = data.model
    feeds = list(model.feeds)
    departments = department_lines(data)
    lines = sorted((line for one in departments for line in one.feeds), key=lambda line: line.figures.loudness)
    return _page(
        "index.html.j2",
        "index.html",
        language,
        as_of=model.as_of,
        alarms=_alarms(model, lines),
        departments=departments,
        lines=lines,
        last=model.counts(model.window(feeds, 1)),
        windows=_windows(model, feeds),
        charts=_charts(model, feeds),
        open_deadline=_earliest(lines),
    )


def department_page(data: SiteData, department: str, language: Language) -> tuple[str, str]:
    """One department: feeds, figures by month, what is open, what mending would bring, calendar."""
    model = data.model
    feeds = [feed.feed for feed in model.departments[department]]
    lines = sorted((_feed_line(data, feed) for feed in feeds), key=lambda line: line.figures.loudness)
    return _page(
        "department.html.j2",
        f"departments/{department}.html",
        language,
        as_of=model.as_of,
        code=department,
        name=model.departments[department][0].department_name,
        alarms=_alarms(model, lines),
        lines=lines,
        calendar=calendar(model, feeds, _day_link(model)),
        open_deadline=_earliest(lines),
        **_about(data, feeds),
    )


def feed_page(data: SiteData, feed: str, language: Language) -> tuple[str, str]:
    """One feed: its calendar first, then trends, months, what is open and its batches."""
    model = data.model
    line = _feed_line(data, feed)
    batches = [
        (one, model.counts([one]), f"{one.day.isoformat()}/{feed}" in data.workbooks)
        for one in reversed(model.lines[feed])
    ]
    return _page(
        "feed.html.j2",
        f"feeds/{feed}.html",
        language,
        as_of=model.as_of,
        line=line,
        name=line.name,
        alarms=_alarms(model, [line]),
        calendar=calendar(model, [feed], _batch_link(model, feed)),
        batches=batches[:LISTED_BATCHES],
        link=_batch_link(model, feed),
        more_batches=len(batches[LISTED_BATCHES:]),
        open_deadline=line.figures.earliest_open_deadline,
        **_about(data, [feed]),
    )


def night_page(data: SiteData, day: date, language: Language) -> tuple[str, str]:
    """All batches of one business date, the loudest first."""
    model = data.model
    feeds = [feed for feed in model.feeds if model.line(feed, day) is not None or is_due(model, feed, day)]
    figures = sorted((model.figures(feed, day) for feed in feeds), key=attrgetter("loudness"))
    lines = [
        FeedLine(
            one,
            model.feeds[one.feed],
            (),
            one.counts,
            "",
            _batch_link(model, one.feed)(day) is not None,
            f"{day.isoformat()}/{one.feed}" in data.workbooks,
        )
        for one in figures
    ]
    counts = model.counts([line for feed in feeds if (line := model.line(feed, day)) is not None])
    return _page(
        "night.html.j2",
        f"batches/{day.isoformat()}/index.html",
        language,
        day=day,
        alarms=[Alarm(one, problem_text(one), 0) for one in figures if one.state != "published"],
        lines=lines,
        counts=counts,
        segments=outcome_segments(counts),
        open_deadline=_earliest(lines),
    )


def month_page(data: SiteData, month: str, language: Language) -> tuple[str, str]:
    """One month: departments and feeds with numerators and denominators, and its days."""
    model = data.model
    departments = []
    for feeds in model.departments.values():
        codes = [feed.feed for feed in feeds]
        line = _month_line(data, month, codes)
        if line.published or line.others:
            own = [(feed, _month_line(data, month, [feed.feed])) for feed in feeds]
            departments.append((feeds[0], line, [pair for pair in own if pair[1].published or pair[1].others]))
    year, number = int(month[:4]), int(month[5:])
    return _page(
        "month.html.j2",
        f"months/{month}.html",
        language,
        month=month,
        total=_month_line(data, month, list(model.feeds)),
        departments=departments,
        calendar=[month_row(model, list(model.feeds), year, number, _day_link(model))],
    )


def months_page(data: SiteData, language: Language) -> tuple[str, str]:
    """All months, the newest first."""
    feeds = list(data.model.feeds)
    months = [_month_line(data, month, feeds, lines) for month, lines in data.model.by_month(feeds).items()]
    return _page("months.html.j2", "months/index.html", language, months=months)


def rules_page(data: SiteData, language: Language) -> tuple[str, str]:
    """All rules of the book by family, with how often they were broken lately."""
    families: dict[str, list[tuple[PageRule, RuleDay | None]]] = defaultdict(list)
    for code in sorted(data.rules):
        families[data.rules[code].family].append((data.rules[code], _sum(code, data.rules_by_feed.get(code, ()))))
    return _page(
        "rules.html.j2",
        "rules/index.html",
        language,
        families=dict(sorted(families.items())),
        days=RECENT_DAYS,
        as_of=data.model.as_of,
    )


def rule_page(data: SiteData, code: str, language: Language) -> tuple[str, str]:
    """One rule: texts, source, and how often it was asked, by feed and by day."""
    by_feed = [one for one in data.rules_by_feed.get(code, ()) if one.feed in data.model.feeds]
    failing = sorted((one for one in by_feed if one.failed), key=lambda one: (-one.failed, str(one.feed)))
    passing = [one for one in by_feed if not one.failed]
    return _page(
        "rule.html.j2",
        f"rules/{code}.html",
        language,
        rule=page_rule(data.rules, code),
        total=_sum(code, by_feed),
        feeds=[(data.model.feeds[str(one.feed)], one) for one in failing],
        passing=passing,
        rest=_sum(code, passing),
        by_day=list(reversed(data.rules_by_day.get(code, ()))),
        tasks=[task for task in data.tasks if task.rule == code and task.feed in data.model.feeds][:LISTED_TASKS],
        feed_names=data.model.feeds,
        days=RECENT_DAYS,
        as_of=data.model.as_of,
    )


def department_lines(data: SiteData) -> list[DepartmentLine]:
    """All departments, the loudest first."""
    model = data.model
    found = []
    for code, names in model.departments.items():
        feeds = [name.feed for name in names]
        tasks = data.tasks_of(feeds)
        lines = sorted((_feed_line(data, feed) for feed in feeds), key=lambda line: line.figures.loudness)
        by_day = model.by_day(feeds, TREND_DAYS)
        found.append(
            DepartmentLine(
                code=code,
                name=names[0].department_name,
                feeds=lines,
                published=sum(line.figures.state == "published" for line in lines),
                last=model.counts(model.window(feeds, 1)),
                recent=model.counts(model.window(feeds, RECENT_DAYS)),
                spark=spark({day: one.compliance for day, one in by_day.items()}, model.as_of, TREND_DAYS),
                overdue=model.overdue(feeds),
                open_rows=sum(task.rows for task in tasks),
                oldest=min((task.first_seen for task in tasks), default=None),
            )
        )
    return sorted(found, key=attrgetter("loudness"))


def _page(template: str, path: str, language: Language, **context: Any) -> tuple[str, str]:
    place = Place(path, language)
    return place.file, render(template, place, context)


def _about(data: SiteData, feeds: list[str]) -> dict[str, Any]:
    """What department and feed pages say alike."""
    model = data.model
    recent = model.counts(model.window(feeds, RECENT_DAYS))
    reasons = data.recent_reasons(feeds)
    tasks = data.tasks_of(feeds)
    by_month = list(model.by_month(feeds).items())[:LISTED_MONTHS]
    return {
        "windows": _windows(model, feeds),
        "charts": _charts(model, feeds),
        "recent": recent,
        "recent_days": RECENT_DAYS,
        "reasons": reason_lines(reasons[:LISTED_REASONS], recent.received, data.rules),
        "what_if": what_if(reasons, recent, data.rules),
        "months": [_month_line(data, month, feeds, lines) for month, lines in by_month],
        "tasks": [(task, page_rule(data.rules, task.rule), (model.as_of - task.first_seen).days) for task in tasks][
            :LISTED_TASKS
        ],
        "more_tasks": len(tasks[LISTED_TASKS:]),
        "feed_names": model.feeds,
        "segments": outcome_segments(recent),
    }


def _alarms(model: SiteModel, lines: Sequence[FeedLine]) -> list[Alarm]:
    """What must be seen first: batches that did not come, then deliveries that are overdue."""
    silent = [Alarm(line.figures, problem_text(line.figures), 0) for line in lines if line.figures.state != "published"]
    late = [Alarm(line.figures, None, overdue) for line in lines if (overdue := model.overdue([line.figures.feed]))]
    return silent + sorted(late, key=lambda alarm: -alarm.overdue)


def _feed_line(data: SiteData, feed: str) -> FeedLine:
    model = data.model
    by_day = model.by_day([feed], TREND_DAYS)
    return FeedLine(
        figures=model.figures(feed, model.as_of),
        name=model.feeds[feed],
        cells=strip(model, feed, _batch_link(model, feed)),
        recent=model.counts(model.window([feed], RECENT_DAYS)),
        spark=spark({day: one.compliance for day, one in by_day.items()}, model.as_of, TREND_DAYS),
        has_batch=_batch_link(model, feed)(model.as_of) is not None,
        has_workbook=f"{model.as_of.isoformat()}/{feed}" in data.workbooks,
    )


def _windows(model: SiteModel, feeds: list[str]) -> list[Window]:
    found = []
    for days in (1, RECENT_DAYS, TREND_DAYS):
        lines = [line for line in model.window(feeds, days) if line.is_published]
        found.append(Window(days, model.counts(lines), len(lines)))
    return found


def _charts(model: SiteModel, feeds: list[str]) -> Charts:
    days = model.by_day(feeds, TREND_DAYS)
    return Charts(
        amount_trend({day: one.received for day, one in days.items()}, model.as_of, TREND_DAYS),
        share_trend({day: one.compliance for day, one in days.items()}, model.as_of, TREND_DAYS),
        share_trend({day: one.lateness for day, one in days.items()}, model.as_of, TREND_DAYS),
        days,
    )


def _month_line(data: SiteData, month: str, feeds: list[str], lines: Sequence[BatchLine] | None = None) -> MonthLine:
    chosen = data.model.by_month(feeds).get(month, []) if lines is None else lines
    sums: dict[tuple[str, str], list[MonthFact]] = defaultdict(list)
    for feed in feeds:
        for fact in data.facts.get((month, feed), ()):
            sums[fact.profile, fact.figure].append(fact)
    profiles = sorted(data.model.catalogue.profiles.values(), key=lambda one: one.profile != DEFAULT_PROFILE)
    facts = {
        profile.profile: {
            definition.figure: _figure(definition, sums[profile.profile, definition.figure])
            for definition in profile.figures
            if (profile.profile, definition.figure) in sums
        }
        for profile in profiles
    }
    shown = [(profile, list(facts[profile.profile].values())) for profile in profiles if facts[profile.profile]]
    published = sum(line.is_published for line in chosen)
    return MonthLine(month, published, len(chosen) - published, data.model.counts(chosen), shown)


def _figure(definition: FigureDefinition, facts: Sequence[MonthFact]) -> Figure:
    """Facts of one figure added up: a sum of numerators over a sum of denominators."""
    below = [fact.denominator for fact in facts if fact.denominator is not None]
    return Figure(
        definition,
        sum(fact.numerator for fact in facts),
        sum(below) if below else None,
        sum(fact.batches for fact in facts),
        sum(fact.open_batches for fact in facts),
    )


def _sum(code: str, several: Sequence[RuleDay]) -> RuleDay | None:
    """Counts of one rule added up; None when it was never asked."""
    if not several:
        return None
    judged, applied, failed, waived = (sum(column) for column in list(zip(*several, strict=True))[3:])
    return RuleDay(code, None, None, judged, applied, failed, waived)


def _earliest(lines: Iterable[FeedLine]) -> date | None:
    open_ones = (line.figures.earliest_open_deadline for line in lines)
    return min((day for day in open_ones if day is not None), default=None)


def _batch_link(model: SiteModel, feed: str) -> Link:
    def link(day: date) -> str | None:
        known = model.line(feed, day) is not None and feed not in model.catalogue.broken_feeds
        return f"batches/{day.isoformat()}/{feed}.html" if known else None

    return link


def _day_link(model: SiteModel) -> Link:
    days = model.nights

    def link(day: date) -> str | None:
        return f"batches/{day.isoformat()}/index.html" if day in days else None

    return link
