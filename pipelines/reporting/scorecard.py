"""The page of one batch: figures, reasons, repairs, gates, files, deliveries. No personal data, no clock.

The same inputs give the same bytes: a page shows the business date and what the batch holds, never when or in
which attempt it was made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.ledger.quality_models import GateDecision, GateResult
from pipelines.reporting.charts import outcome_segments
from pipelines.reporting.counts import Counts, Ratio
from pipelines.reporting.details import Details
from pipelines.reporting.languages import Language, Place, render
from pipelines.reporting.metrics import FeedFigures
from pipelines.reporting.problems import problem_text
from pipelines.reporting.reasons import ReasonCount
from pipelines.reporting.site_words import PageRule, PageRules, page_rule
from pipelines.reporting.withdrawals import Withdrawal

SHOWN_WITHDRAWALS = 50
WHAT_IF_STEPS = 5
BAR_WIDTH = 100


@dataclass(frozen=True)
class ReasonLine:
    """One row of the table of reasons. ``width`` of its bar in per cent of the longest."""

    rule: PageRule
    severity: str
    rows: int
    sole: int
    share: Ratio
    width: int


@dataclass(frozen=True)
class WhatIf:
    """What 合规率 would at least be if the reasons up to this one were mended: rows that have no other reason."""

    rule: PageRule
    rows: int
    before: Ratio
    after: Ratio


@dataclass(frozen=True)
class Gates:
    """What the gates said about a run, those that failed first, and what somebody decided."""

    results: tuple[GateResult, ...]
    decisions: tuple[GateDecision, ...]


def batch_path(figures: FeedFigures) -> str:
    return f"batches/{figures.business_date.isoformat()}/{figures.feed}.html"


def workbook_path(figures: FeedFigures) -> str:
    return f"batches/{figures.business_date.isoformat()}/{figures.feed}.xlsx"


def batch_page(
    language: Language,
    figures: FeedFigures,
    details: Details | None,
    rules: PageRules,
    *,
    category_en: str,
    endpoint_names: Mapping[str, str],
    gates: Gates,
    has_workbook: bool,
    withdrawals: Sequence[Withdrawal] = (),
) -> str:
    """The page of one batch as HTML.

    ``details`` is None when the batch has no published run, ``endpoint_names`` the Chinese names by endpoint code.
    ``withdrawals`` are what the feed's batches up to this one suggest; of many the first are shown.
    """
    files = sorted(
        ((page_rule(rules, one.rule), one) for one in figures.file_findings),
        key=lambda pair: ("block", "warn", "info").index(pair[0].severity),
    )
    return render(
        "batch.html.j2",
        Place(batch_path(figures), language),
        {
            "figures": figures,
            "counts": figures.counts,
            "details": details,
            "category_en": category_en,
            "endpoints": endpoint_names,
            "workbook": workbook_path(figures) if has_workbook else None,
            "reasons": reason_lines(figures.reasons or (), figures.counts.received, rules),
            "what_if": what_if(figures.reasons or (), figures.counts, rules),
            "file_findings": files,
            "gates": gates,
            "rule_codes": rules,
            "withdrawals": withdrawals[:SHOWN_WITHDRAWALS],
            "more_withdrawals": len(withdrawals[SHOWN_WITHDRAWALS:]),
            "believed": sum(one.believed for one in withdrawals),
            "segments": outcome_segments(figures.counts),
            "problem": None if figures.state == "published" else problem_text(figures),
        },
    )


def reason_lines(reasons: Sequence[ReasonCount], received: int, rules: PageRules) -> list[ReasonLine]:
    """The reasons with their rules; bars share one scale."""
    longest = max((reason.rows for reason in reasons), default=1)
    return [
        ReasonLine(
            rule=page_rule(rules, reason.code),
            severity=reason.severity,
            rows=reason.rows,
            sole=reason.sole,
            share=Ratio(reason.rows, received),
            width=max(1, BAR_WIDTH * reason.rows // longest),
        )
        for reason in reasons
    ]


def what_if(reasons: Sequence[ReasonCount], counts: Counts, rules: PageRules) -> list[WhatIf]:
    """Step by step, the reasons that alone keep out most rows; a row with two reasons is not counted for either."""
    steps, mended, before = [], 0, counts.compliance
    for reason in sorted((one for one in reasons if one.sole), key=lambda one: (-one.sole, one.code))[:WHAT_IF_STEPS]:
        mended += reason.sole
        after = Ratio(min(counts.accepted + mended, counts.reportable), counts.reportable)
        steps.append(WhatIf(page_rule(rules, reason.code), reason.sole, before, after))
        before = after
    return steps


def gates_of(session: LedgerSession, run: str) -> Gates:
    """What the gates said about a run and what was decided about it."""
    results = session.scalars(select(GateResult).where(GateResult.run == run))
    decisions = session.scalars(select(GateDecision).where(GateDecision.run == run).order_by(GateDecision.id))
    order = {"fail": 0, "pass": 1, "not_applicable": 2}
    ranked = sorted(results, key=lambda one: (order.get(one.outcome, 3), one.gate, one.item))
    return Gates(tuple(ranked), tuple(decisions))
