"""The scorecard pages: one per batch, one per department, an index. Inline everything, no personal data, no clock.

The same inputs give the same bytes: a page shows the business date and what the batch holds, never when or in
which attempt it was made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, reduce
from operator import add, attrgetter
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipelines.reporting.charts import outcome_segments, reason_bars
from pipelines.reporting.counts import Counts, Ratio
from pipelines.reporting.details import Details
from pipelines.reporting.file_findings import file_finding_lines
from pipelines.reporting.metrics import DepartmentFigures, FeedFigures
from pipelines.reporting.reasons import ReasonCount
from pipelines.reporting.withdrawals import Withdrawal
from pipelines.reporting.words import OWNERS, SEVERITIES, RuleTexts, chinese_date, rule_text

TEMPLATES = Path(__file__).parent / "templates"
CHARTED_REASONS = 10
SHOWN_WITHDRAWALS = 50


@dataclass(frozen=True)
class ReasonLine:
    """One row of the table of reasons, with the rule's texts."""

    code: str
    severity: str
    severity_name: str
    message: str
    fix: str
    owner: str
    rows: int
    sole: int
    share: str


def feed_page(
    figures: FeedFigures,
    details: Details | None,
    texts: RuleTexts,
    *,
    endpoint_names: Mapping[str, str],
    workbook: str | None,
    withdrawals: Sequence[Withdrawal] = (),
) -> str:
    """The scorecard of one batch as HTML.

    ``details`` is None when the batch has no published run, ``workbook`` the file name beside the page, if one was
    written, ``endpoint_names`` the Chinese names by endpoint code. ``withdrawals`` are what the feed's batches up to
    this one suggest; of many the first are shown.
    """
    return _render(
        "feed.html.j2",
        figures=figures,
        counts=figures.counts,
        details=details,
        endpoints=endpoint_names,
        workbook=workbook,
        **_reasons(figures.reasons or (), figures.counts.received, texts),
        file_findings=file_finding_lines(figures.file_findings, texts),
        withdrawals=withdrawals[:SHOWN_WITHDRAWALS],
        more_withdrawals=len(withdrawals[SHOWN_WITHDRAWALS:]),
        believed=sum(one.believed for one in withdrawals),
        segments=outcome_segments(figures.counts),
    )


def department_page(figures: DepartmentFigures, texts: RuleTexts, workbooks: Sequence[str]) -> str:
    """The scorecard of a department: its figures summed and its feeds. ``workbooks``: feeds that have one."""
    counts = figures.counts
    return _render(
        "department.html.j2",
        figures=figures,
        counts=counts,
        workbooks=frozenset(workbooks),
        **_reasons(figures.reasons, counts.received, texts),
        segments=outcome_segments(counts),
    )


def index_page(departments: Sequence[DepartmentFigures], business_date: date, workbooks: Sequence[str]) -> str:
    """All departments of a business date, the loudest first; feeds without data stand above everything."""
    feeds = sorted((feed for department in departments for feed in department.feeds), key=attrgetter("loudness"))
    counts = reduce(add, (feed.counts for feed in feeds), Counts())
    return _render(
        "index.html.j2",
        departments=departments,
        feeds=feeds,
        silent=[feed for feed in feeds if feed.state != "published"],
        counts=counts,
        open_deadline=min((feed.earliest_open_deadline for feed in feeds if feed.earliest_open_deadline), default=None),
        business_date=business_date,
        workbooks=frozenset(workbooks),
        segments=outcome_segments(counts),
    )


def _reasons(reasons: Sequence[ReasonCount], received: int, texts: RuleTexts) -> dict[str, Any]:
    lines = []
    for reason in reasons:
        text = rule_text(texts, reason.code)
        lines.append(
            ReasonLine(
                code=reason.code,
                severity=reason.severity,
                severity_name=SEVERITIES.get(reason.severity, reason.severity),
                message=text.message_zh,
                fix=text.fix_zh,
                owner=OWNERS.get(text.owner, text.owner),
                rows=reason.rows,
                sole=reason.sole,
                share=Ratio(reason.rows, received).text,
            )
        )
    return {"reasons": lines, "bars": reason_bars(reasons[:CHARTED_REASONS], texts)}


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["thousands"] = lambda number: f"{number:,}"
    environment.filters["chinese_date"] = chinese_date
    return environment


def _render(template: str, **context: Any) -> str:
    return _environment().get_template(template).render(**context)
