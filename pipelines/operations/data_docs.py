"""Data Docs of a night: every batch with its rules and gates, published, held or refused."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.catalogue.feeds import Feed
from pipelines.ledger.models import Run
from pipelines.ledger.quality_models import GateResult
from pipelines.operations.attempts import published_run, run_folder
from pipelines.operations.context import Context, open_context
from pipelines.operations.gates import GATES_FILE, decision_of
from pipelines.operations.judging import VALIDATION_FILE
from pipelines.quality.data_docs import BatchDocs, GateFigure, build_data_docs
from pipelines.quality.rule_words import amount, figure_zh, limits


def build_docs(context: Context, business_date: date) -> Path:
    """Build the Data Docs of a date from what its runs kept; returns their first page. Old nights are removed.

    They are built once, after all feeds: rebuilding them per batch would cost more with every run.
    """
    batches = []
    with context.ledger.read() as ledger:
        for _code, feed in sorted(context.catalogue.feeds.items()):
            batch = _batch(context, ledger, feed, business_date)
            if batch is not None:
                batches.append(batch)
    settings = context.settings
    return build_data_docs(batches, business_date, settings.data_docs, settings.data_docs_nights)


def build_night_docs(business_date: date) -> str:
    """For the DAG: build the Data Docs of a date with the installation's own settings."""
    return str(build_docs(open_context(), business_date))


def _batch(context: Context, ledger: LedgerSession, feed: Feed, business_date: date) -> BatchDocs | None:
    """The run of a feed that counts for the date, else the last that was judged."""
    run = published_run(ledger, feed.feed, business_date)
    if run is None:
        query = select(Run).where(Run.feed == feed.feed, Run.business_date == business_date)
        run = ledger.scalar(query.order_by(Run.attempt.desc()).limit(1))
    if run is None:
        return None
    rules = run_folder(context, run.id) / VALIDATION_FILE
    gates = run_folder(context, run.id) / GATES_FILE
    if not rules.exists():
        return None
    category = context.catalogue.category_of(feed)
    fields = {one.code: one.name_zh for one in category.fields}
    decision = decision_of(ledger, run.id)
    results = ledger.scalars(select(GateResult).where(GateResult.run == run.id).order_by(GateResult.id))
    return BatchDocs(
        feed=feed.feed,
        name=feed.name_zh,
        run=run.id,
        state=run.state,
        rules=rules,
        gates=gates if gates.exists() else None,
        figures=tuple(
            GateFigure(
                one.gate,
                figure_zh(one.gate, one.item, fields),
                amount(one.gate, one.observed),
                amount(one.gate, one.usual),
                limits(one.gate, one.low, one.high),
                one.outcome,
                one.reason,
            )
            for one in results
        ),
        decision=decision.decision if decision is not None else "",
        fields=fields,
    )
