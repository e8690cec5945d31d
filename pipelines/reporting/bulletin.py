"""What stands in the bulletin of a month, before it is put into a document or a workbook.

The bulletin holds counts, names of departments and feeds, and texts of rules: nothing of any record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import func, select

from pipelines.catalogue.catalogue import Catalogue
from pipelines.catalogue.figure_profiles import FigureProfile
from pipelines.ledger.database import Ledger
from pipelines.ledger.models import Batch, RuleCount, Run
from pipelines.reporting.figures import FigureLine, Silence, figures_by, figures_by_day, figures_by_month, silences
from pipelines.reporting.underreporting import UnreportedEstimate
from pipelines.reporting.what_if import WhatIf
from pipelines.reporting.words import OWNERS, SEVERITIES, RuleTexts, rule_text

MOST_PROBLEMS = 10
TREND_MONTHS = 6


@dataclass(frozen=True)
class Problem:
    """A rule that rows of the month broke: how many rows, in how many feeds, and what is said about it."""

    rule: str
    severity: str
    owner: str
    rows: int
    feeds: int
    message: str
    fix: str


@dataclass(frozen=True)
class Bulletin:
    """A month by one profile.

    ``until`` is the last day that is covered. ``silent``: feeds without a published batch for more than a weekend up
    to that day, the longest silent one first. ``whole`` and ``before``: this month and the one before, over
    everything; None without facts. ``trend``: the last months up to this one, ``department_trend`` the same by
    department. ``names``: codes of departments, feeds and categories → their Chinese names. ``messages``: the rules of
    ``what_if`` → what they say.
    """

    profile: FigureProfile
    first: date
    until: date
    feeds: int
    silent: tuple[Silence, ...]
    whole: FigureLine | None
    before: FigureLine | None
    departments: tuple[FigureLine, ...]
    categories: tuple[FigureLine, ...]
    trend: tuple[FigureLine, ...]
    department_trend: tuple[FigureLine, ...]
    days: tuple[FigureLine, ...]
    problems: tuple[Problem, ...]
    what_if: WhatIf
    unreported: UnreportedEstimate
    names: Mapping[str, str]
    messages: Mapping[str, str]

    @property
    def title(self) -> str:
        return f"公共信用信息归集质量通报（{self.first.year}年{self.first.month}月）"

    @property
    def made_for(self) -> datetime:
        """The instant that the files give as their own, so that the same month gives the same bytes."""
        return datetime(self.until.year, self.until.month, self.until.day)  # noqa: DTZ001 - file formats take no zone

    @property
    def open_batches(self) -> int:
        """Batches with at least one figure that may still change."""
        if self.whole is None:
            return 0
        return max((figure.open_batches for figure in self.whole.figures.values()), default=0)

    def name(self, code: str | None) -> str:
        return self.names.get(code or "", code or "")


def collect(
    ledger: Ledger,
    catalogue: Catalogue,
    profile: FigureProfile,
    first: date,
    until: date,
    texts: RuleTexts,
    what_if: WhatIf,
    unreported: UnreportedEstimate,
) -> Bulletin:
    """Read the facts of ``first``..``until`` (a month, or what is over of it) and of the months before."""
    trend_first = _months_before(first, TREND_MONTHS - 1)
    before_first = _months_before(first, 1)
    whole = figures_by(ledger, profile, first, until, ())
    before = figures_by(ledger, profile, before_first, first - timedelta(days=1), ())
    feeds = [(feed.feed, feed.department) for feed in catalogue.feeds.values()]
    silent = [one for one in silences(ledger, feeds, until) if one.is_silent]
    return Bulletin(
        profile=profile,
        first=first,
        until=until,
        feeds=len(feeds),
        silent=tuple(silent),
        whole=whole[0] if whole else None,
        before=before[0] if before else None,
        departments=tuple(figures_by(ledger, profile, first, until, ("department",))),
        categories=tuple(figures_by(ledger, profile, first, until, ("category",))),
        trend=tuple(figures_by_month(ledger, profile, trend_first, until, by=())),
        department_trend=tuple(figures_by_month(ledger, profile, trend_first, until)),
        days=tuple(figures_by_day(ledger, profile, first, until)),
        problems=tuple(_problems(ledger, first, until, texts)),
        what_if=what_if,
        unreported=unreported,
        names=_names(catalogue),
        messages={code: rule_text(texts, code).message_zh for step in what_if.steps for code in step.reasons},
    )


def _months_before(first: date, months: int) -> date:
    for _ in range(months):
        first = (first - timedelta(days=1)).replace(day=1)
    return first


def _names(catalogue: Catalogue) -> dict[str, str]:
    return {
        **{code: one.name_zh for code, one in catalogue.departments.items()},
        **{code: one.name_zh for code, one in catalogue.categories.items()},
        **{code: one.name_zh for code, one in catalogue.feeds.items()},
    }


def _problems(ledger: Ledger, first: date, until: date, texts: RuleTexts) -> Iterable[Problem]:
    """The rules that most rows of published batches broke, waived rows aside."""
    broken = func.sum(RuleCount.failed - RuleCount.waived)
    query = (
        select(RuleCount.rule, RuleCount.severity, broken, func.count(Run.feed.distinct()))
        .join(Run, Run.id == RuleCount.run)
        .join(Batch, Batch.run == Run.id)
        .where(
            Run.business_date.between(first, until),
            RuleCount.severity.in_(("block", "warn")),
            RuleCount.failed > RuleCount.waived,
        )
        .group_by(RuleCount.rule, RuleCount.severity)
        .order_by(RuleCount.severity, broken.desc(), RuleCount.rule)
        .limit(MOST_PROBLEMS)
    )
    with ledger.read() as session:
        found = list(session.execute(query))
    for code, severity, rows, feeds in found:
        text = rule_text(texts, code)
        yield Problem(
            code, SEVERITIES[severity], OWNERS[text.owner], int(rows), int(feeds), text.message_zh, text.fix_zh
        )
